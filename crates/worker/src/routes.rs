//! The routes of a worker: found by exact path and method.

use std::{collections::HashMap, time::Duration};

use api::worker::{Route, RouteKind};
use http::{HeaderValue, Method};

use crate::{WorkerError, handler::Service};

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
        Ok(Self { path: route.path.clone(), method, service, timeout })
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

/// What a path and a method lead to.
pub(crate) enum Found<'a> {
    /// This route.
    Route(&'a ServedRoute),
    /// The path takes other methods: these.
    OtherMethods(&'a HeaderValue),
    /// No route.
    Nothing,
}

/// Every route of a worker, by path.
#[derive(Default)]
pub(crate) struct RouteTable(HashMap<String, PathRoutes>);

struct PathRoutes {
    routes: Vec<ServedRoute>,
    /// The value of `Allow`.
    allow: HeaderValue,
}

impl RouteTable {
    pub(crate) fn add(&mut self, route: ServedRoute) -> Result<(), WorkerError> {
        let here = self.0.entry(route.path.clone()).or_insert_with(|| PathRoutes {
            routes: Vec::new(),
            allow: HeaderValue::from_static(""),
        });
        let same = |other: &ServedRoute| {
            other.method == route.method || other.method.is_none() || route.method.is_none()
        };
        if here.routes.iter().any(same) {
            return Err(WorkerError::Route {
                method: route.method().into(),
                path: route.path,
                fix: "is declared twice; give one of the two another path or method",
            });
        }
        here.routes.push(route);
        let methods: Vec<_> = here.routes.iter().map(ServedRoute::method).collect();
        // Methods are capitals only, so the value is always valid.
        here.allow = HeaderValue::try_from(methods.join(", ")).unwrap_or(here.allow.clone());
        Ok(())
    }

    pub(crate) fn find(&self, path: &str, method: &Method) -> Found<'_> {
        match self.0.get(path) {
            None => Found::Nothing,
            Some(here) => match here.routes.iter().find(|route| route.takes(method)) {
                Some(route) => Found::Route(route),
                None => Found::OtherMethods(&here.allow),
            },
        }
    }

    /// The first route at a path, whatever its method.
    pub(crate) fn first_at(&self, path: &str) -> Option<&ServedRoute> {
        self.0.get(path)?.routes.first()
    }
}
