//! A fleet, a dispatcher and tasks, around one model whose endpoint follows a script.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use api::{Body, Endpoint, EndpointError, endpoint::Answer, task::TaskView};
use bytes::Bytes;
use dispatch::Dispatcher;
use fleet::{Fleet, FleetSettings};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use policy::backoff::Backoff;
use store::{MemoryStore, TaskStore};
use tasks::{Submission, TaskSettings, Tasks};
use telemetry::metrics::Metrics;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use types::{ModelName, ModelSpec, Priority, RetrySpec, TaskId, Tenant};

/// Long enough for anything that should happen, short enough for a test that fails.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// What an endpoint was sent.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

type Reply = Pin<Box<dyn Future<Output = Result<Response<Body>, EndpointError>> + Send>>;
type Script = Box<dyn Fn(Seen) -> Reply + Send + Sync>;

/// An endpoint that remembers what it was sent, and how many of its calls run or were dropped.
pub(crate) struct Scripted {
    script: Script,
    seen: Mutex<Vec<Seen>>,
    running: AtomicUsize,
    running_most: AtomicUsize,
    dropped: AtomicUsize,
}

struct Counted<'a> {
    endpoint: &'a Scripted,
    answered: bool,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.endpoint.running.fetch_sub(1, Ordering::SeqCst);
        if !self.answered {
            self.endpoint.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Endpoint for Scripted {
    fn call(&self, request: Request<Body>) -> Answer<'_> {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let seen = Seen { path: parts.uri.to_string(), headers: parts.headers, body };
            let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
            self.running_most.fetch_max(running, Ordering::SeqCst);
            let mut counted = Counted { endpoint: self, answered: false };
            self.seen.lock().push(seen.clone());
            let reply = (self.script)(seen).await;
            counted.answered = true;
            reply
        })
    }
}

impl Scripted {
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    pub(crate) fn calls(&self) -> usize {
        self.seen.lock().len()
    }

    pub(crate) fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }

    pub(crate) fn running_most(&self) -> usize {
        self.running_most.load(Ordering::SeqCst)
    }
}

pub(crate) fn json(status: u16, text: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(Body::full(text.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    response
}

pub(crate) struct House {
    pub(crate) fleet: Fleet,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) store: Arc<dyn TaskStore>,
    pub(crate) tasks: Tasks,
    pub(crate) model: ModelName,
    pub(crate) stop: CancellationToken,
    running: Mutex<Option<JoinHandle<()>>>,
}

/// A model that tries three times and hardly waits between.
pub(crate) fn spec() -> ModelSpec {
    let retry =
        RetrySpec { attempts_max: 3, backoff_ms: 10, backoff_ms_max: 20, ..RetrySpec::default() };
    ModelSpec { retry, ..ModelSpec::default() }
}

impl House {
    /// Tasks in memory, running.
    pub(crate) fn new() -> Self {
        Self::with(spec(), TaskSettings::default())
    }

    pub(crate) fn with(spec: ModelSpec, settings: TaskSettings) -> Self {
        Self::on(Arc::new(MemoryStore::new()), spec, settings)
    }

    /// Tasks in `store`, running.
    pub(crate) fn on(store: Arc<dyn TaskStore>, spec: ModelSpec, settings: TaskSettings) -> Self {
        let settings_of_fleet = FleetSettings {
            heartbeat: Duration::from_secs(10),
            lease: Duration::from_secs(30),
            join_token: String::new(),
            epoch: 1,
        };
        let (metrics, stop) = (Metrics::new("test"), CancellationToken::new());
        let fleet = Fleet::new(settings_of_fleet, metrics.clone());
        let model: ModelName = "echo".parse().unwrap();
        fleet.add_model(&model, Arc::new(spec));
        let dispatcher = Dispatcher::new(fleet.clone(), metrics.clone(), CancellationToken::new());
        dispatcher.add_model(&model);
        let tasks = Tasks::new(store.clone(), dispatcher.clone(), metrics, settings);
        fleet.listen(Box::new(tasks.clone()));
        let running = tokio::spawn({
            let (tasks, stop) = (tasks.clone(), stop.clone());
            async move { tasks.run(stop).await }
        });
        let running = Mutex::new(Some(running));
        Self { fleet, dispatcher, store, tasks, model, stop, running }
    }

    /// Gives the model a replica with room for `lanes` calls.
    pub(crate) fn declare<F>(
        &self,
        lanes: u32,
        script: impl Fn(Seen) -> F + Send + Sync + 'static,
    ) -> Arc<Scripted>
    where
        F: Future<Output = Result<Response<Body>, EndpointError>> + Send + 'static,
    {
        let endpoint = Arc::new(Scripted {
            script: Box::new(move |seen| Box::pin(script(seen))),
            seen: Mutex::default(),
            running: AtomicUsize::new(0),
            running_most: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
        });
        self.fleet.declare(&self.model, endpoint.clone(), lanes);
        endpoint
    }

    /// A model that answers what it was sent.
    pub(crate) fn declare_echo(&self) -> Arc<Scripted> {
        self.declare(8, |seen| async move {
            Ok(json(200, String::from_utf8(seen.body.to_vec()).unwrap()))
        })
    }

    pub(crate) fn submission(&self) -> Submission {
        Submission {
            model: self.model.clone(),
            tenant: Tenant::default(),
            priority: Priority::Normal,
            route: None,
            payload: Bytes::from_static(b"{\"text\": \"hello\"}"),
            content_type: Some("application/json".into()),
            idempotency_key: None,
            deadline: None,
            start_after: None,
            webhook: None,
            traceparent: None,
            request_id: String::new(),
        }
    }

    pub(crate) async fn submit(&self) -> TaskId {
        self.submit_as(self.submission()).await
    }

    pub(crate) async fn submit_as(&self, submission: Submission) -> TaskId {
        let accepted = self.tasks.submit(submission).await.unwrap();
        assert_eq!(accepted.status, "queued");
        accepted.task_id
    }

    /// The task once it has ended.
    pub(crate) async fn end(&self, id: TaskId) -> TaskView {
        let view = self.tasks.wait(id, SOON).await.unwrap();
        assert!(view.state.is_terminal(), "{view:?}");
        view
    }

    /// Stops as an operator does.
    pub(crate) async fn shut_down(&self) {
        self.stop.cancel();
        let running = self.running.lock().take();
        running.unwrap().await.unwrap();
    }

    /// Stops without a word, as far as a process can do that to a part of itself.
    pub(crate) async fn kill(&self) {
        let running = self.running.lock().take().unwrap();
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        self.store.close().await;
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub(crate) fn result(view: &TaskView) -> &str {
    view.result.as_ref().map_or("", |raw| raw.get())
}

/// The wait that a test model may take between two attempts at most.
pub(crate) fn longest_wait() -> Duration {
    Backoff::from(&spec().retry).max
}
