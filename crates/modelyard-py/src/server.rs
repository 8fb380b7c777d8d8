//! The worker's HTTP side, on a thread of its own that never holds the interpreter.

use std::{
    sync::{Arc, OnceLock, atomic::AtomicU64, mpsc},
    thread::{self, JoinHandle},
};

use api::worker::{Address, Route, RouteKind, WorkerLaunch};
use futures_util::future::join_all;
use parking_lot::Mutex;
use policy::batch::Waiting;
use pyo3::{
    exceptions::{PyRuntimeError, PyValueError},
    prelude::*,
    types::PyList,
};
use tokio_util::sync::CancellationToken;
use types::chain;
use worker::{
    BoundWorker, Load, Worker, WorkerBuilder,
    ieops::{Registration, Vitals, keep_registered},
};

use crate::{
    batches::Grouping,
    call::Call,
    handler::{Dialect, HandlerPlan},
    inbox::{Event, Inbox, Work},
    promise::Answers,
    routes::{Desk, PythonRoute},
    socket::{News, PythonSocket},
};

/// What comes out of [`Server::next`] instead of a route: a stream can go on.
pub(crate) const RESUME: isize = -1;
/// What comes out of [`Server::next`] instead of a route: the client of a call left.
pub(crate) const LEFT: isize = -2;

/// Serves the routes of one model, and hands their calls to Python.
#[pyclass(frozen, module = "modelyard._core")]
pub(crate) struct Server {
    /// For the threads of the synchronous routes.
    threads: Arc<Inbox>,
    /// For the event loop of the asynchronous ones.
    events: Arc<Inbox>,
    stop: CancellationToken,
    stage: Mutex<Stage>,
    /// Since it listens.
    presence: OnceLock<Presence>,
}

/// Where a server is, and how busy.
struct Presence {
    address: Address,
    load: Load,
}

enum Stage {
    Prepared(Box<Plan>),
    Started(JoinHandle<Result<(), String>>),
    Over,
}

struct Plan {
    worker: Worker,
    groupings: Vec<Arc<Grouping>>,
    answers: Arc<Answers>,
    news: Arc<News>,
    launch: WorkerLaunch,
    registration: Option<Registration>,
}

/// A route as Python declares it.
pub(crate) struct Declared {
    pub(crate) route: Route,
    /// Its code runs on the event loop.
    pub(crate) on_loop: bool,
    /// Its batches wait adaptively.
    pub(crate) adaptive: bool,
    /// What is special about it, if it is one of `modelyard.handler`.
    pub(crate) dialect: Option<Arc<Dialect>>,
}

#[pymethods]
impl Server {
    #[new]
    fn new(
        launch: &str,
        routes: Vec<(String, bool, bool)>,
        default_route: String,
        capacity: u32,
        capabilities: Vec<String>,
        lanes: usize,
    ) -> PyResult<Self> {
        let launch: WorkerLaunch = serde_json::from_str(launch)
            .map_err(|error| PyValueError::new_err(format!("the launch: {error}")))?;
        let routes = routes.into_iter().map(model_route).collect::<PyResult<_>>()?;
        let builder = Worker::builder(launch.model.as_str())
            .version(&launch.version)
            .capacity(capacity)
            .capabilities(capabilities)
            .default_route(default_route);
        Self::prepared(builder, routes, lanes, None, |_| launch)
    }

    /// A server of `modelyard.handler`, from the JSON of its plan.
    #[staticmethod]
    fn of_handlers(plan: &str) -> PyResult<Self> {
        let plan: HandlerPlan = serde_json::from_str(plan)
            .map_err(|error| PyValueError::new_err(format!("the plan: {error}")))?;
        let builder = plan.builder().map_err(PyValueError::new_err)?;
        let routes = plan.declared().map_err(PyValueError::new_err)?;
        let HandlerPlan { lanes, listen, registration, .. } = plan;
        Self::prepared(builder, routes, lanes, registration, |worker| worker.standalone(listen))
    }

    /// Listens and joins the gateway, on a thread of its own. Returns when it listens, or cannot:
    /// then `join` says why.
    fn start(&self, py: Python<'_>) -> PyResult<()> {
        let mut stage = self.stage.lock();
        let Stage::Prepared(plan) = std::mem::replace(&mut *stage, Stage::Over) else {
            return Err(PyRuntimeError::new_err("a server starts once"));
        };
        let stop = self.stop.clone();
        let closing = Closing(Arc::clone(&self.threads), Arc::clone(&self.events));
        let (tell, told) = mpsc::sync_channel(1);
        let http = thread::Builder::new().name("modelyard-http".into()).spawn(move || {
            let _closing = closing;
            serve(*plan, &tell, &stop)
        })?;
        *stage = Stage::Started(http);
        drop(stage);
        if let Ok(presence) = py.detach(move || told.recv()) {
            // A server starts once.
            drop(self.presence.set(presence));
        }
        Ok(())
    }

    /// Finishes what runs and takes nothing new.
    fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits for the end of the server.
    ///
    /// Raises `RuntimeError` if it could not go on.
    fn join(&self, py: Python<'_>) -> PyResult<()> {
        let stage = std::mem::replace(&mut *self.stage.lock(), Stage::Over);
        let Stage::Started(http) = stage else { return Ok(()) };
        match py.detach(|| http.join()) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(PyRuntimeError::new_err(error)),
            Err(_) => Err(PyRuntimeError::new_err("the HTTP thread panicked")),
        }
    }

    /// What a thread should do next, as a route and its call (a list of calls for a batch), or as
    /// `RESUME` and a key. `None` once the server has ended.
    fn next<'py>(&self, py: Python<'py>, lane: usize) -> PyResult<Option<Next<'py>>> {
        let event = py.detach(|| self.threads.wait_next(lane));
        event.map(|event| into_python(py, event)).transpose()
    }

    /// What the event loop should do next, as in `next`; `None` if nothing is there now.
    fn next_ready<'py>(&self, py: Python<'py>) -> PyResult<Option<Next<'py>>> {
        self.events.try_next(0).map(|event| into_python(py, event)).transpose()
    }

    /// Readable while `next_ready` should be called, and when the server has ended.
    #[getter]
    fn descriptor(&self) -> Option<i32> {
        self.events.descriptor()
    }

    /// Where it listens, with the port that the system chose; `None` before it does.
    #[getter]
    fn address(&self) -> Option<String> {
        self.presence.get().map(|presence| presence.address.to_string())
    }

    /// Calls that it holds, waiting ones included.
    #[getter]
    fn calls_held(&self) -> u32 {
        self.presence.get().map_or(0, |presence| presence.load.calls_held())
    }

    /// Whether the server has ended.
    #[getter]
    fn ended(&self) -> bool {
        self.events.is_closed()
    }
}

impl Server {
    fn prepared(
        builder: WorkerBuilder,
        routes: Vec<Declared>,
        lanes: usize,
        registration: Option<Registration>,
        launch: impl FnOnce(&Worker) -> WorkerLaunch,
    ) -> PyResult<Self> {
        let threads = Arc::new(Inbox::for_threads(lanes));
        let events = Arc::new(Inbox::for_loop()?);
        let (answers, news) = (Arc::default(), Arc::default());
        let desks = Desks { threads: &threads, events: &events, answers: &answers, news: &news };
        let (builder, groupings) = with_routes(builder, routes, &desks);
        let worker = builder.build().map_err(|error| PyValueError::new_err(chain(&error)))?;
        let launch = launch(&worker);
        let plan = Plan { worker, groupings, answers, news, launch, registration };
        let stage = Mutex::new(Stage::Prepared(Box::new(plan)));
        let (stop, presence) = (CancellationToken::new(), OnceLock::new());
        Ok(Self { threads, events, stop, stage, presence })
    }
}

fn model_route((route, on_loop, adaptive): (String, bool, bool)) -> PyResult<Declared> {
    let route = serde_json::from_str(&route)
        .map_err(|error| PyValueError::new_err(format!("a route: {error}: {route}")))?;
    Ok(Declared { route, on_loop, adaptive, dialect: None })
}

/// Where routes leave what is for Python, and are told what Python did.
struct Desks<'a> {
    threads: &'a Arc<Inbox>,
    events: &'a Arc<Inbox>,
    answers: &'a Arc<Answers>,
    news: &'a Arc<News>,
}

/// Adds the routes, each with the inbox of whoever runs its code.
fn with_routes(
    mut builder: WorkerBuilder,
    routes: Vec<Declared>,
    desks: &Desks<'_>,
) -> (WorkerBuilder, Vec<Arc<Grouping>>) {
    let keys = Arc::new(AtomicU64::new(0));
    let mut groupings = Vec::new();
    for (index, declared) in routes.into_iter().enumerate() {
        let Declared { route, on_loop, adaptive, dialect } = declared;
        let keys = Arc::clone(&keys);
        if route.kind == RouteKind::Ws {
            let (inbox, news) = (Arc::clone(desks.events), Arc::clone(desks.news));
            // On the loop itself there is only code that gets the socket as it is.
            let handler = PythonSocket { route: index, inbox, news, keys, raw: on_loop };
            builder = builder.websocket(route, Arc::new(handler));
            continue;
        }
        let inbox = Arc::clone(if on_loop { desks.events } else { desks.threads });
        let waiting = if adaptive { Waiting::Adaptive } else { Waiting::Fixed };
        let desk = match Grouping::new(index, &route, waiting, &inbox) {
            None => Desk::Inbox,
            Some(grouping) => {
                groupings.push(Arc::clone(&grouping));
                Desk::Grouping(grouping)
            }
        };
        let answers = Arc::clone(desks.answers);
        let handler = PythonRoute { route: index, inbox, desk, answers, keys, dialect };
        builder = builder.route(route, Arc::new(handler));
    }
    (builder, groupings)
}

type Next<'py> = (isize, Bound<'py, PyAny>);

fn into_python(py: Python<'_>, event: Event) -> PyResult<Next<'_>> {
    Ok(match event {
        Event::Begin { route, work } => (route.cast_signed(), subject(py, work)?),
        Event::Resume(key) => (RESUME, key.into_pyobject(py)?.into_any()),
        Event::Left(key) => (LEFT, key.into_pyobject(py)?.into_any()),
    })
}

fn subject(py: Python<'_>, work: Work) -> PyResult<Bound<'_, PyAny>> {
    Ok(match work {
        Work::One(call) => Bound::new(py, call)?.into_any(),
        Work::Batch(calls) => {
            let calls = calls.into_iter().map(|call: Call| Bound::new(py, call));
            PyList::new(py, calls.collect::<PyResult<Vec<_>>>()?)?.into_any()
        }
        Work::Socket(socket) => Bound::new(py, socket)?.into_any(),
    })
}

/// Tells Python that the server has ended, however it ended.
struct Closing(Arc<Inbox>, Arc<Inbox>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
        self.1.close();
    }
}

fn serve(
    plan: Plan,
    tell: &mpsc::SyncSender<Presence>,
    stop: &CancellationToken,
) -> Result<(), String> {
    // One thread: Python is slower than it can ever be, and a call never changes threads.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the HTTP side: {error}"))?;
    let Plan { worker, groupings, answers, news, launch, registration } = plan;
    runtime.block_on(async {
        // Never ends by itself; without groupings it has nothing to end with.
        let keep_time = async {
            join_all(groupings.into_iter().map(Grouping::keep_time)).await;
            std::future::pending::<()>().await;
        };
        let bound: BoundWorker = worker.bind(launch).await.map_err(|error| chain(&error))?;
        // Whoever started us waits for it.
        let _ = tell.send(Presence { address: bound.address().clone(), load: bound.load() });
        let known = known(&bound, registration, stop.clone());
        let serving = async {
            let served = bound.run(stop.clone()).await;
            stop.cancel();
            served
        };
        tokio::select! {
            (served, ()) = async { tokio::join!(serving, known) } => served.map_err(|error| chain(&error)),
            () = keep_time => Ok(()),
            () = answers.hand_over() => Ok(()),
            () = news.hand_over() => Ok(()),
            // The gateway that started this process is gone, and with it everyone who waits.
            () = worker::lifeline() => Ok(()),
        }
    })
}

/// Keeps a server known to its proxy, if it has one, until `stop`.
fn known(
    bound: &BoundWorker,
    registration: Option<Registration>,
    stop: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let (address, load) = (bound.address().clone(), bound.load());
    async move {
        let Some(registration) = registration else { return };
        let most = f64::from(registration.max_concurrent_reqs.max(1));
        let look =
            move || Vitals { load: f64::from(load.calls_held()) / most, ..Vitals::default() };
        keep_registered(registration, address, look, stop).await;
    }
}
