//! What a worker says can be called: `GET /routes` of the package, or the paths of an OpenAPI
//! document where that lists nothing.

use std::collections::BTreeMap;

use api::worker::{Description, OWN_PATHS, Route, RouteKind};
use serde::Deserialize;
use serde_json::Value;
use types::ModelName;

/// Routes that every worker has, and that belong to no model.
const BASE: [&str; 7] =
    ["/", "/health", "/routes", "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"];

/// Routes of one worker that are remembered.
const ROUTES_MAX: usize = 512;

/// The answer of `GET /routes`.
#[derive(Deserialize)]
struct Listed {
    routes: Vec<ListedRoute>,
}

#[derive(Deserialize)]
struct ListedRoute {
    path: String,
    /// Nothing for a WebSocket.
    #[serde(default)]
    methods: Option<Vec<String>>,
}

/// The part of an OpenAPI document that matters here.
#[derive(Deserialize)]
struct OpenApi {
    paths: BTreeMap<String, BTreeMap<String, Value>>,
}

/// The routes in an answer of `GET /routes`; none if it is something else.
pub(crate) fn listed(body: &[u8]) -> Vec<Route> {
    let Ok(Listed { routes }) = serde_json::from_slice(body) else { return Vec::new() };
    let routes = routes.into_iter().map(|route| (route.path, route.methods.unwrap_or_default()));
    own(routes)
}

/// The routes in an OpenAPI document; none if it is something else.
pub(crate) fn documented(body: &[u8]) -> Vec<Route> {
    let Ok(OpenApi { paths }) = serde_json::from_slice(body) else { return Vec::new() };
    own(paths.into_iter().map(|(path, methods)| (path, methods.into_keys().collect())))
}

fn own(routes: impl Iterator<Item = (String, Vec<String>)>) -> Vec<Route> {
    let ours = routes.filter(|(path, _)| path.starts_with('/') && !BASE.contains(&path.as_str()));
    let each = ours.flat_map(|(path, methods)| {
        if methods.is_empty() {
            return vec![Route::new(RouteKind::Ws, "GET", path)];
        }
        let methods = methods.into_iter().map(|method| method.to_ascii_uppercase());
        methods.map(|method| Route::new(RouteKind::Api, method, path.clone())).collect()
    });
    each.take(ROUTES_MAX).collect()
}

/// What a worker told of its routes.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Told {
    routes: Vec<Route>,
    /// Empty if it has none.
    default_route: String,
    capabilities: Vec<String>,
}

impl Told {
    /// What follows from these routes.
    pub(crate) fn of(routes: Vec<Route>) -> Self {
        let default_route = default_route(&routes).unwrap_or_default().to_owned();
        Self { default_route, capabilities: capabilities(&routes), routes }
    }

    /// What a worker in Rust says of itself; `None` if the answer is something else.
    pub(crate) fn described(body: &[u8]) -> Option<Self> {
        let Description { routes, default_route, capabilities, .. } =
            serde_json::from_slice(body).ok()?;
        let is_path = default_route.starts_with('/') && !default_route.starts_with(OWN_PATHS);
        let default_route = if is_path { default_route } else { String::new() };
        Some(Self { routes, default_route, capabilities })
    }

    /// What the fleet is told of such a worker.
    pub(crate) fn into_description(self, model: &ModelName, capacity: u32) -> Description {
        Description {
            name: model.to_string(),
            version: String::new(),
            routes: self.routes,
            default_route: self.default_route,
            capacity,
            capabilities: self.capabilities,
        }
    }
}

/// The only route that takes a `POST`, if there is exactly one and its path has no gaps to fill.
fn default_route(routes: &[Route]) -> Option<&str> {
    let mut posts = routes.iter().filter(|route| route.method == "POST");
    let path = posts.next()?.path.as_str();
    let is_only = posts.all(|route| same(&route.path, path));
    (is_only && !path.contains('{')).then_some(path)
}

/// `/v1/models` and `/v1/models/` are one route, which answers at both.
fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// It can what the usual paths stand for.
fn capabilities(routes: &[Route]) -> Vec<String> {
    let table = [("/v1/chat/completions", "chat"), ("/v1/embeddings", "embeddings")];
    let has = |path: &str| routes.iter().any(|route| route.method == "POST" && route.path == path);
    table.iter().filter(|(path, _)| has(path)).map(|(_, word)| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> (String, Vec<String>) {
        let told = Told::of(listed(text.as_bytes()));
        (told.default_route, told.capabilities)
    }

    #[test]
    fn the_only_post_route_is_the_default() {
        let text = r#"{"routes": [{"path": "/", "methods": ["GET"], "name": "root"},
            {"path": "/health", "methods": ["GET"]}, {"path": "/v1/run", "methods": ["POST"]},
            {"path": "/v1/state", "methods": ["GET"]}, {"path": "/v1/live", "name": "ws"}]}"#;
        assert_eq!(told(text).0, "/v1/run");
        let kinds: Vec<_> = listed(text.as_bytes()).iter().map(|route| route.kind).collect();
        assert_eq!(kinds, [RouteKind::Api, RouteKind::Api, RouteKind::Ws]);
    }

    #[test]
    fn of_two_neither_is_meant_but_a_slash_makes_no_second() {
        let two = r#"{"routes": [{"path": "/a", "methods": ["POST"]}, {"path": "/b", "methods": ["POST"]}]}"#;
        assert_eq!(told(two).0, "");
        let slash = r#"{"routes": [{"path": "/a", "methods": ["POST"]}, {"path": "/a/", "methods": ["POST"]}]}"#;
        assert_eq!(told(slash).0, "/a");
        assert_eq!(told(r#"{"routes": [{"path": "/a/{id}", "methods": ["POST"]}]}"#).0, "");
    }

    #[test]
    fn usual_paths_tell_what_it_can_do() {
        let text = r#"{"routes": [{"path": "/v1/chat/completions", "methods": ["POST"]}]}"#;
        assert_eq!(told(text), ("/v1/chat/completions".into(), vec!["chat".to_owned()]));
    }

    #[test]
    fn an_openapi_document_tells_the_same() {
        let text =
            r#"{"openapi": "3.1.0", "paths": {"/v1/run": {"post": {}}, "/health": {"get": {}}}}"#;
        assert_eq!(documented(text.as_bytes()), [Route::new(RouteKind::Api, "POST", "/v1/run")]);
    }

    #[test]
    fn a_worker_in_rust_names_its_default_itself() {
        let text = r#"{"name": "m", "version": "1", "default_route": "/b", "capacity": 4,
            "routes": [{"path": "/a", "method": "POST", "kind": "api"},
                {"path": "/b", "method": "POST", "kind": "sse"}]}"#;
        let told = Told::described(text.as_bytes()).unwrap();
        assert_eq!((told.default_route.as_str(), told.routes.len()), ("/b", 2));
        let own = text.replace("/b", "/-/drain");
        assert_eq!(Told::described(own.as_bytes()).unwrap().default_route, "");
        assert_eq!(Told::described(b"{}"), None);
    }

    #[test]
    fn what_is_no_list_lists_nothing() {
        for text in ["", "[]", "{}", r#"{"routes": 1}"#, "<html>", r#"{"paths": []}"#] {
            assert_eq!((listed(text.as_bytes()), documented(text.as_bytes())), (vec![], vec![]));
        }
    }
}
