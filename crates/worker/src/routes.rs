//! The routes of a worker: found by path and method.

use std::{collections::HashMap, time::Duration};

use api::worker::{Route, RouteKind};
use http::{HeaderValue, Method, Request, header};
use percent_encoding::percent_decode_str;

use crate::{
    WorkerError,
    handler::Service,
    path_template::{PathParams, PathTemplate},
};

/// Paths below it belong to the contract.
pub(crate) const CONTROL_PREFIX: &str = "/-/";

/// One route with what serves it.
pub(crate) struct ServedRoute {
    path: String,
    /// `None` for every method.
    method: Option<Method>,
    pub(crate) service: Service,
    /// Longest time for one call.
    pub(crate) timeout: Option<Duration>,
    /// Place among all routes.
    rank: usize,
}

impl ServedRoute {
    pub(crate) fn new(route: &Route, service: Service) -> Result<Self, WorkerError> {
        let method = match route.method.as_str() {
            "ANY" => None,
            name => Some(parse_method(name).ok_or_else(|| {
                wrong(route, "write the method in capitals, for example POST, or ANY for all")
            })?),
        };
        if let Some(fix) = complaint(route, method.as_ref(), &service) {
            return Err(wrong(route, fix));
        }
        let timeout = route.timeout_s.and_then(|s| Duration::try_from_secs_f64(s).ok());
        Ok(Self { path: route.path.clone(), method, service, timeout, rank: 0 })
    }

    const fn is_socket(&self) -> bool {
        matches!(self.service, Service::Socket(_))
    }

    fn takes(&self, method: &Method) -> bool {
        self.method.as_ref().is_none_or(|own| own == method)
    }

    /// A method of this route that can bring a body.
    pub(crate) fn method_for_body(&self) -> Method {
        self.method.clone().unwrap_or(Method::POST)
    }

    fn method(&self) -> &str {
        self.method.as_ref().map_or("ANY", Method::as_str)
    }
}

fn parse_method(name: &str) -> Option<Method> {
    let capitals = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase());
    Method::from_bytes(name.as_bytes()).ok().filter(|_| capitals)
}

fn complaint(route: &Route, method: Option<&Method>, service: &Service) -> Option<&'static str> {
    let is_ws = route.kind == RouteKind::Ws;
    match service {
        _ if !route.path.starts_with('/') => Some("begin the path with a slash"),
        _ if route.path.starts_with(CONTROL_PREFIX) => {
            Some("choose a path that does not begin with /-/; those belong to the contract")
        }
        _ if route.path.contains(['?', '#', ' ']) => {
            Some("leave query and fragment out of the path")
        }
        _ if route.timeout_s.is_some_and(|s| !(s > 0.0 && s.is_finite())) => {
            Some("`timeout_s` must be above 0")
        }
        Service::Http(_) if is_ws => Some("a route of kind ws needs a socket handler"),
        Service::Socket(_) if !is_ws => Some("a socket handler needs a route of kind ws"),
        Service::Socket(_) if method != Some(&Method::GET) => {
            Some("a WebSocket begins with GET; declare it so")
        }
        _ => None,
    }
}

fn wrong(route: &Route, fix: &'static str) -> WorkerError {
    WorkerError::Route { method: route.method.clone(), path: route.path.clone(), fix }
}

/// What a request leads to.
pub(crate) enum Found<'a> {
    /// This route, with what the holes of its path took.
    Route(&'a ServedRoute, Option<PathParams>),
    /// The path takes other methods: these.
    OtherMethods(&'a HeaderValue),
    /// No route.
    Nothing,
}

/// Every route of a worker, by path. Of several that would do, the one that was added first.
pub(crate) struct RouteTable {
    exact: HashMap<String, PathRoutes>,
    templates: Vec<(PathTemplate, PathRoutes)>,
    /// A slash at the end makes no difference.
    slashes_alike: bool,
}

struct PathRoutes {
    routes: Vec<ServedRoute>,
    /// The value of `Allow`.
    allow: HeaderValue,
}

impl PathRoutes {
    const fn none() -> Self {
        Self { routes: Vec::new(), allow: HeaderValue::from_static("") }
    }

    fn add(&mut self, route: ServedRoute) -> Result<(), WorkerError> {
        let same = |other: &ServedRoute| {
            other.is_socket() == route.is_socket()
                && (other.method == route.method
                    || other.method.is_none()
                    || route.method.is_none())
        };
        if self.routes.iter().any(same) {
            return Err(WorkerError::Route {
                method: route.method().into(),
                path: route.path,
                fix: "is declared twice; give one of the two another path or method",
            });
        }
        self.routes.push(route);
        let methods: Vec<_> = self.routes.iter().map(ServedRoute::method).collect();
        // Methods are capitals only, so the value is always valid.
        self.allow = HeaderValue::try_from(methods.join(", ")).unwrap_or(self.allow.clone());
        Ok(())
    }

    /// The route for a request; one of the other kind only if there is none of its own.
    fn find(&self, wanted: Wanted<'_>) -> Option<&ServedRoute> {
        let mut takes = self.routes.iter().filter(|route| route.takes(wanted.method));
        let first = takes.next()?;
        if first.is_socket() == wanted.socket {
            return Some(first);
        }
        Some(takes.find(|route| route.is_socket() == wanted.socket).unwrap_or(first))
    }
}

#[derive(Clone, Copy)]
struct Wanted<'a> {
    method: &'a Method,
    /// It asks for a switch of protocols.
    socket: bool,
}

impl RouteTable {
    pub(crate) fn new(slashes_alike: bool) -> Self {
        Self { exact: HashMap::new(), templates: Vec::new(), slashes_alike }
    }

    pub(crate) fn add(&mut self, mut route: ServedRoute) -> Result<(), WorkerError> {
        route.rank = self.routes().count();
        let template = PathTemplate::parse(&route.path).map_err(|fix| WorkerError::Route {
            method: route.method().into(),
            path: route.path.clone(),
            fix,
        })?;
        let Some(template) = template else {
            let here = self.exact.entry(route.path.clone());
            return here.or_insert_with(PathRoutes::none).add(route);
        };
        let is_same = |(_, here): &&mut (_, PathRoutes)| {
            here.routes.first().is_some_and(|other| other.path == route.path)
        };
        if let Some((_, here)) = self.templates.iter_mut().find(is_same) {
            return here.add(route);
        }
        let mut here = PathRoutes::none();
        here.add(route)?;
        self.templates.push((template, here));
        Ok(())
    }

    fn routes(&self) -> impl Iterator<Item = &ServedRoute> {
        let templates = self.templates.iter().map(|(_, here)| here);
        self.exact.values().chain(templates).flat_map(|here| &here.routes)
    }

    pub(crate) fn find<B>(&self, request: &Request<B>) -> Found<'_> {
        let method = request.method();
        let socket = *method == Method::GET && request.headers().contains_key(header::UPGRADE);
        let wanted = Wanted { method, socket };
        let path = request.uri().path();
        let decoded;
        let path = if path.contains('%') {
            decoded = percent_decode_str(path).decode_utf8_lossy();
            &*decoded
        } else {
            path
        };
        match self.find_at(path, wanted) {
            Found::Nothing if self.slashes_alike => match path.strip_suffix('/') {
                Some(shorter) => self.find_at(shorter, wanted),
                None => self.find_at(&format!("{path}/"), wanted),
            },
            found => found,
        }
    }

    fn find_at(&self, path: &str, wanted: Wanted<'_>) -> Found<'_> {
        let here = self.exact.get(path);
        let mut found = here.and_then(|here| here.find(wanted)).map(|route| (route, None));
        let mut allow = here.map(|here| &here.allow);
        for (template, there) in &self.templates {
            let is_later =
                |route: &ServedRoute| found.as_ref().is_some_and(|(f, _)| f.rank < route.rank);
            if there.routes.first().is_none_or(is_later) {
                continue;
            }
            let Some(params) = template.matches(path) else { continue };
            match there.find(wanted) {
                Some(route) => found = Some((route, Some(params))),
                None => allow = allow.or(Some(&there.allow)),
            }
        }
        match (found, allow) {
            (Some((route, params)), _) => Found::Route(route, params),
            (None, Some(allow)) => Found::OtherMethods(allow),
            (None, None) => Found::Nothing,
        }
    }

    /// The first route at a path, whatever its method.
    pub(crate) fn first_at(&self, path: &str) -> Option<&ServedRoute> {
        self.exact.get(path)?.routes.first()
    }
}
