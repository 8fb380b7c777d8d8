//! The worker's HTTP side, on a thread of its own that never holds the interpreter.

use std::{
    sync::{Arc, atomic::AtomicU64},
    thread::{self, JoinHandle},
};

use api::worker::{Route, WorkerLaunch};
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
use worker::{Worker, WorkerBuilder};

use crate::{
    batches::Grouping,
    call::Call,
    inbox::{Event, Inbox, Work},
    promise::Answers,
    routes::{Desk, PythonRoute},
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
    launch: WorkerLaunch,
}

/// A route as Python declares it: the JSON of its [`Route`], whether it runs on the event loop, and
/// whether its batches wait adaptively.
type Declared = (String, bool, bool);

#[pymethods]
impl Server {
    #[new]
    fn new(
        launch: &str,
        routes: Vec<Declared>,
        default_route: String,
        capacity: u32,
        capabilities: Vec<String>,
        lanes: usize,
    ) -> PyResult<Self> {
        let launch: WorkerLaunch = serde_json::from_str(launch)
            .map_err(|error| PyValueError::new_err(format!("the launch: {error}")))?;
        let threads = Arc::new(Inbox::for_threads(lanes));
        let events = Arc::new(Inbox::for_loop()?);
        let builder = Worker::builder(launch.model.as_str())
            .version(&launch.version)
            .capacity(capacity)
            .capabilities(capabilities)
            .default_route(default_route);
        let answers = Arc::default();
        let (builder, groupings) = with_routes(builder, routes, &threads, &events, &answers)?;
        let worker = builder.build().map_err(|error| PyValueError::new_err(chain(&error)))?;
        let plan = Plan { worker, groupings, answers, launch };
        let stage = Mutex::new(Stage::Prepared(Box::new(plan)));
        Ok(Self { threads, events, stop: CancellationToken::new(), stage })
    }

    /// Listens and joins the gateway, on a thread of its own.
    fn start(&self) -> PyResult<()> {
        let mut stage = self.stage.lock();
        let Stage::Prepared(plan) = std::mem::replace(&mut *stage, Stage::Over) else {
            return Err(PyRuntimeError::new_err("a server starts once"));
        };
        let stop = self.stop.clone();
        let closing = Closing(Arc::clone(&self.threads), Arc::clone(&self.events));
        let http = thread::Builder::new().name("modelyard-http".into()).spawn(move || {
            let _closing = closing;
            serve(*plan, stop)
        })?;
        *stage = Stage::Started(http);
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

    /// Whether the server has ended.
    #[getter]
    fn ended(&self) -> bool {
        self.events.is_closed()
    }
}

/// Adds the routes, each with the inbox of whoever runs its code.
fn with_routes(
    mut builder: WorkerBuilder,
    routes: Vec<Declared>,
    threads: &Arc<Inbox>,
    events: &Arc<Inbox>,
    answers: &Arc<Answers>,
) -> PyResult<(WorkerBuilder, Vec<Arc<Grouping>>)> {
    let keys = Arc::new(AtomicU64::new(0));
    let mut groupings = Vec::new();
    for (index, (route, on_loop, adaptive)) in routes.into_iter().enumerate() {
        let route: Route = serde_json::from_str(&route)
            .map_err(|error| PyValueError::new_err(format!("route {index}: {error}")))?;
        let inbox = Arc::clone(if on_loop { events } else { threads });
        let waiting = if adaptive { Waiting::Adaptive } else { Waiting::Fixed };
        let desk = match Grouping::new(index, &route, waiting, &inbox) {
            None => Desk::Inbox,
            Some(grouping) => {
                groupings.push(Arc::clone(&grouping));
                Desk::Grouping(grouping)
            }
        };
        let (keys, answers) = (Arc::clone(&keys), Arc::clone(answers));
        let handler = PythonRoute { route: index, inbox, desk, answers, keys };
        builder = builder.route(route, Arc::new(handler));
    }
    Ok((builder, groupings))
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

fn serve(plan: Plan, stop: CancellationToken) -> Result<(), String> {
    // One thread: Python is slower than it can ever be, and a call never changes threads.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the HTTP side: {error}"))?;
    let Plan { worker, groupings, answers, launch } = plan;
    runtime.block_on(async {
        // Never ends by itself; without groupings it has nothing to end with.
        let keep_time = async {
            join_all(groupings.into_iter().map(Grouping::keep_time)).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            served = worker.serve(launch, stop) => served.map_err(|error| chain(&error)),
            () = keep_time => Ok(()),
            () = answers.hand_over() => Ok(()),
            // The gateway that started this process is gone, and with it everyone who waits.
            () = worker::lifeline() => Ok(()),
        }
    })
}
