//! What Python says when it starts a server of `modelyard.handler`.

use std::{sync::Arc, time::Duration};

use api::worker::{Address, Route, RouteKind};
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use worker::{Cors, Page, Surface, Worker, WorkerBuilder, ieops::Registration};

use super::{Dialect, surface::failure};
use crate::server::Declared;

/// A server.
#[derive(Deserialize)]
pub(crate) struct HandlerPlan {
    /// Names it in log lines.
    name: String,
    pub(crate) listen: Address,
    /// Of a unix socket.
    socket_mode: u32,
    /// Calls held at once.
    capacity: u32,
    body_bytes_max: usize,
    /// How long running calls may take once the server stops, in seconds.
    drain_s: f64,
    /// Threads for synchronous handlers.
    pub(crate) lanes: usize,
    /// Whose scripts may call; nobody's if it is absent.
    cors: Option<Vec<String>>,
    pages: Vec<PlannedPage>,
    routes: Vec<PlannedRoute>,
    /// With a proxy; absent for a server that nobody need find.
    pub(crate) registration: Option<Registration>,
}

#[derive(Deserialize)]
struct PlannedPage {
    path: String,
    content_type: String,
    body: String,
    takes_head: bool,
}

#[derive(Deserialize)]
struct PlannedRoute {
    path: String,
    method: String,
    kind: RouteKind,
    summary: String,
    /// Its code runs on the event loop, not on a thread.
    on_loop: bool,
    timeout_s: Option<f64>,
    timeout_shown: String,
    headers: Vec<(String, String)>,
}

impl HandlerPlan {
    /// A worker that looks as planned, without its routes.
    ///
    /// # Errors
    /// A sentence that names what cannot be.
    pub(crate) fn builder(&self) -> Result<WorkerBuilder, String> {
        let mut surface = Surface::new(failure);
        for page in &self.pages {
            let content_type = header_value("content-type", &page.content_type)?;
            let body = Bytes::from(page.body.clone());
            let takes_head = page.takes_head;
            surface = surface.page(&*page.path, Page { content_type, body, takes_head });
        }
        if let Some(origins) = &self.cors {
            let origins = origins.iter().map(|origin| header_value("cors_origins", origin));
            surface = surface.cors(Cors::new(origins.collect::<Result<Vec<_>, _>>()?));
        }
        let drain_max = Duration::try_from_secs_f64(self.drain_s)
            .map_err(|_| format!("GRACEFUL_SHUTDOWN_TIME cannot be {}", self.drain_s))?;
        Ok(Worker::builder(&*self.name)
            .surface(surface)
            .socket_mode(self.socket_mode)
            .capacity(self.capacity)
            .body_bytes_max(self.body_bytes_max)
            .drain_max(drain_max))
    }

    /// The routes, as the HTTP side wants to know them.
    ///
    /// # Errors
    /// A sentence that names what cannot be.
    pub(crate) fn declared(&self) -> Result<Vec<Declared>, String> {
        self.routes.iter().map(PlannedRoute::declared).collect()
    }
}

impl PlannedRoute {
    fn declared(&self) -> Result<Declared, String> {
        let mut head = Vec::new();
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name)
                .map_err(|_| format!("{}: `{name}` cannot be a header", self.path))?;
            head.push((name.clone(), header_value(name.as_str(), value)?));
        }
        let dialect = Dialect {
            timeout: self.timeout_s.and_then(|s| Duration::try_from_secs_f64(s).ok()),
            timeout_shown: self.timeout_shown.clone(),
            events: self.kind == RouteKind::Sse,
            head,
        };
        // The time of a call is kept here: a stream whose time is up says so and ends well.
        let mut route = Route::new(self.kind, &*self.method, &*self.path);
        route.summary.clone_from(&self.summary);
        let dialect = Some(Arc::new(dialect));
        Ok(Declared { route, on_loop: self.on_loop, adaptive: false, dialect })
    }
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, String> {
    HeaderValue::try_from(value).map_err(|_| format!("{name}: {value:?} cannot be in a header"))
}
