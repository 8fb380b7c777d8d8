//! How a worker is put together.

use std::{sync::Arc, time::Duration};

use api::worker::{Description, EngineStats, Route};
use types::ModelName;

use crate::{
    Handler, SocketHandler, Surface, WorkerError,
    handler::Service,
    request_body::BodyLimits,
    routes::{RouteTable, ServedRoute},
    socket_call::SocketLimits,
};

/// Calls held at once by a worker that does not say otherwise. Enough to keep a few processors
/// busy with calls that wait for something, little enough that one worker cannot hoard a queue.
const CAPACITY_DEFAULT: u32 = 64;

/// Longest body taken by a worker that does not say otherwise: 64 MiB, an hour of 16 kHz speech
/// with some slack.
const BODY_BYTES_MAX_DEFAULT: usize = 64 * 1024 * 1024;

/// Silence in the middle of a body after which a worker that does not say otherwise gives it up.
/// Common servers wait as long.
const BODY_SILENCE_MAX_DEFAULT: Duration = Duration::from_secs(60);

/// Wait for the head of a request in a worker that does not say otherwise. Above the 50 seconds
/// after which the gateway drops its idle connections: whoever calls should be first to close.
const HEAD_WAIT_MAX_DEFAULT: Duration = Duration::from_secs(75);

/// Longest message of a socket taken by a worker that does not say otherwise: 16 MiB, as most
/// servers of WebSockets do.
const MESSAGE_BYTES_MAX_DEFAULT: usize = 16 * 1024 * 1024;

/// Silence of a socket's peer after which a worker that does not say otherwise asks whether it is
/// still there. Below the minute after which common proxies cut silent connections.
const PING_INTERVAL_DEFAULT: Duration = Duration::from_secs(20);

/// Wait at the end of a worker that does not say otherwise. What starts and stops processes
/// elsewhere (Kubernetes, for one) gives them 30 seconds.
const DRAIN_MAX_DEFAULT: Duration = Duration::from_secs(30);

/// Mode of a unix socket that nobody else need reach: the gateway runs as the same user.
const SOCKET_MODE_DEFAULT: u32 = 0o600;

/// Tells how the engine of a worker does. Called with every heartbeat, so it must be quick.
pub(crate) type EngineWatch = Arc<dyn Fn() -> EngineStats + Send + Sync>;

/// A worker, ready to be served: see [`Worker::serve`].
pub struct Worker {
    pub(crate) model: ModelName,
    pub(crate) description: Description,
    pub(crate) routes: RouteTable,
    pub(crate) bodies: BodyLimits,
    pub(crate) head_wait_max: Duration,
    pub(crate) sockets: SocketLimits,
    pub(crate) drain_max: Duration,
    pub(crate) engine: Option<EngineWatch>,
    pub(crate) surface: Option<Surface>,
    pub(crate) socket_mode: u32,
}

impl Worker {
    /// Starts to put a worker together that serves the model of that name.
    pub fn builder(name: impl Into<String>) -> WorkerBuilder {
        WorkerBuilder {
            description: Description {
                name: name.into(),
                version: "1".into(),
                routes: Vec::new(),
                default_route: String::new(),
                capacity: CAPACITY_DEFAULT,
                capabilities: Vec::new(),
            },
            services: Vec::new(),
            bodies: BodyLimits {
                bytes_max: BODY_BYTES_MAX_DEFAULT,
                silence_max: BODY_SILENCE_MAX_DEFAULT,
            },
            head_wait_max: HEAD_WAIT_MAX_DEFAULT,
            sockets: SocketLimits {
                message_bytes_max: MESSAGE_BYTES_MAX_DEFAULT,
                ping_interval: PING_INTERVAL_DEFAULT,
            },
            drain_max: DRAIN_MAX_DEFAULT,
            engine: None,
            surface: None,
            socket_mode: SOCKET_MODE_DEFAULT,
        }
    }

    /// What the worker says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }
}

/// Puts a [`Worker`] together.
#[must_use]
pub struct WorkerBuilder {
    description: Description,
    /// One for each route of the description.
    services: Vec<Service>,
    bodies: BodyLimits,
    head_wait_max: Duration,
    sockets: SocketLimits,
    drain_max: Duration,
    engine: Option<EngineWatch>,
    surface: Option<Surface>,
    socket_mode: u32,
}

impl WorkerBuilder {
    /// Version of the model.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.description.version = version.into();
        self
    }

    /// Adds a route. The first one is the default route unless another is named.
    pub fn route(self, route: Route, handler: Arc<dyn Handler>) -> Self {
        self.service(route, Service::Http(handler))
    }

    /// Adds a WebSocket route.
    pub fn websocket(self, route: Route, handler: Arc<dyn SocketHandler>) -> Self {
        self.service(route, Service::Socket(handler))
    }

    fn service(mut self, route: Route, service: Service) -> Self {
        self.description.routes.push(route);
        self.services.push(service);
        self
    }

    /// Path of the route that `/invoke/{model}` calls.
    pub fn default_route(mut self, path: impl Into<String>) -> Self {
        self.description.default_route = path.into();
        self
    }

    /// Calls held at once, waiting ones included; at least 1.
    pub fn capacity(mut self, calls_max: u32) -> Self {
        self.description.capacity = calls_max.max(1);
        self
    }

    /// What the worker can do, for example `chat`.
    pub fn capabilities<C: Into<String>>(mut self, words: impl IntoIterator<Item = C>) -> Self {
        self.description.capabilities = words.into_iter().map(Into::into).collect();
        self
    }

    /// Longest body of a call, in bytes.
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.bodies.bytes_max = bytes;
        self
    }

    /// Longest silence in the middle of a body; whoever sends nothing for that long gets a 400, and
    /// the connection is closed. 60 seconds unless said otherwise.
    pub fn body_silence_max(mut self, silence: Duration) -> Self {
        self.bodies.silence_max = silence;
        self
    }

    /// Longest wait for the whole head of a request; then the connection is closed, also one that
    /// is idle between two requests. 75 seconds unless said otherwise. Callers that keep connections
    /// should drop idle ones sooner, lest a request meets the close.
    pub fn head_wait_max(mut self, wait: Duration) -> Self {
        self.head_wait_max = wait;
        self
    }

    /// Longest message of a socket, in bytes; a peer that sends more is closed with 1009. 16 MiB
    /// unless said otherwise.
    pub fn message_bytes_max(mut self, bytes: usize) -> Self {
        self.sockets.message_bytes_max = bytes;
        self
    }

    /// Silence of a socket's peer after which it is sent a ping; after as long again without a word
    /// it is taken for gone. 20 seconds unless said otherwise.
    pub fn ping_interval(mut self, silence: Duration) -> Self {
        self.sockets.ping_interval = silence;
        self
    }

    /// Longest wait at the end for calls that run; 30 seconds unless said otherwise.
    pub fn drain_max(mut self, wait: Duration) -> Self {
        self.drain_max = wait;
        self
    }

    /// Has every heartbeat tell how the engine does. `look` must be quick.
    pub fn engine_stats(mut self, look: impl Fn() -> EngineStats + Send + Sync + 'static) -> Self {
        self.engine = Some(Arc::new(look));
        self
    }

    /// Has the worker look like this to its callers, instead of by our own contract.
    pub fn surface(mut self, surface: Surface) -> Self {
        self.surface = Some(surface);
        self
    }

    /// Mode of its socket in the file system, for example `0o660`; only the user's own unless said
    /// otherwise.
    pub fn socket_mode(mut self, mode: u32) -> Self {
        self.socket_mode = mode;
        self
    }

    /// The worker.
    ///
    /// # Errors
    /// [`WorkerError`] that names what is declared wrongly: the name, a route, the default route.
    pub fn build(mut self) -> Result<Worker, WorkerError> {
        let model = self.description.name.parse().map_err(WorkerError::Name)?;
        let mut routes = RouteTable::new(self.surface.is_some());
        for (route, service) in self.description.routes.iter().zip(self.services) {
            routes.add(ServedRoute::new(route, service)?)?;
        }
        self.description.default_route = default_route(&self.description)?;
        Ok(Worker {
            model,
            description: self.description,
            routes,
            bodies: self.bodies,
            head_wait_max: self.head_wait_max,
            sockets: self.sockets,
            drain_max: self.drain_max,
            engine: self.engine,
            surface: self.surface,
            socket_mode: self.socket_mode,
        })
    }
}

/// The path named, or that of the first route.
fn default_route(description: &Description) -> Result<String, WorkerError> {
    let named = &description.default_route;
    let mut paths = description.routes.iter().map(|route| &route.path);
    let found = if named.is_empty() { paths.next() } else { paths.find(|path| *path == named) };
    found.cloned().ok_or_else(|| {
        let known: Vec<_> = description.routes.iter().map(|route| route.path.as_str()).collect();
        WorkerError::DefaultRoute { path: named.clone(), known: known.join(", ") }
    })
}
