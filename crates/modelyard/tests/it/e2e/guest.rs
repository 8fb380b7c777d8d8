//! A worker of the IEOPS SDK as the gateway sees it: it registers by itself, and serves HTTP.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use api::worker::Address;
use axum::{Json, Router, extract::State, routing};
use http::Method;
use serde_json::{Value, json};
use tokio::{net::UnixListener, sync::Semaphore, task::AbortHandle};

use super::{
    ask::{Answer, Ask},
    yard::{Yard, eventually},
};

/// Lines of a configuration with which the server is a proxy.
pub(crate) const PROXY: &str = "ieops.socket = 'proxy.sock'\n";

/// What the worker shares with its routes.
pub(crate) struct Shared {
    name: String,
    /// Calls that came.
    calls: AtomicUsize,
    /// Calls that run.
    running: AtomicUsize,
    /// The most that ran at once.
    most: AtomicUsize,
    /// Calls of `/v1/wait` end with a permit of this.
    gate: Semaphore,
}

/// A worker that listens; it stops when this is dropped.
pub(crate) struct Guest {
    socket: PathBuf,
    shared: Arc<Shared>,
    serving: AbortHandle,
}

impl Guest {
    /// Listens at a socket of this name in the yard's folder, and does not register.
    pub(crate) fn at(yard: &Yard, name: &str) -> Self {
        Self::with(yard, name, &["/v1/work"])
    }

    /// As [`Self::at`], and says that these are its routes.
    pub(crate) fn with(yard: &Yard, name: &str, posts: &[&str]) -> Self {
        let socket = yard.path().join(format!("{name}.sock"));
        let _ = std::fs::remove_file(&socket);
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            calls: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            gate: Semaphore::new(0),
        });
        let listener = UnixListener::bind(&socket).unwrap();
        let base = ["/", "/health"].map(|path| json!({"path": path, "methods": ["GET"]}));
        let posts =
            posts.iter().map(|path| json!({"path": path, "methods": ["POST"], "name": "x"}));
        let list: Vec<Value> = base.into_iter().chain(posts).collect();
        let routes = Router::new()
            .route("/routes", routing::get(async move || Json(json!({ "routes": list }))))
            .route("/v1/work", routing::post(work))
            .route("/v1/wait", routing::post(wait))
            .route("/v1/events", routing::post(events))
            .with_state(shared.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { socket, shared, serving: serving.abort_handle() }
    }

    /// What the older package sends.
    pub(crate) fn beat(&self) -> Value {
        json!({"id": self.shared.name, "server_socket": self.socket, "max_concurrent_reqs": 8,
            "endpoint": "guests", "weight": 1})
    }

    /// Registers, with these fields changed, and waits until it serves.
    pub(crate) async fn joins(&self, yard: &Yard, changes: Value) {
        let before = replicas(yard).await;
        assert_eq!(register(yard, &self.beat(), changes).await.status, 200);
        eventually("one more replica", async || (replicas(yard).await > before).then_some(()))
            .await;
    }

    pub(crate) fn calls(&self) -> usize {
        self.shared.calls.load(SeqCst)
    }

    pub(crate) fn most(&self) -> usize {
        self.shared.most.load(SeqCst)
    }

    /// Lets so many calls of `/v1/wait` end.
    pub(crate) fn let_go(&self, calls: usize) {
        self.shared.gate.add_permits(calls);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn work(State(shared): State<Arc<Shared>>, Json(body): Json<Value>) -> Json<Value> {
    shared.calls.fetch_add(1, SeqCst);
    Json(json!({"by": shared.name, "got": body}))
}

async fn wait(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.calls.fetch_add(1, SeqCst);
    let running = shared.running.fetch_add(1, SeqCst) + 1;
    shared.most.fetch_max(running, SeqCst);
    shared.gate.acquire().await.unwrap().forget();
    shared.running.fetch_sub(1, SeqCst);
    Json(json!({"by": shared.name}))
}

async fn events() -> ([(&'static str, &'static str); 1], &'static str) {
    ([("content-type", "text/event-stream; charset=utf-8")], "data: {\"n\": 1}\n\ndata: [DONE]\n\n")
}

/// Posts to the proxy's socket.
pub(crate) async fn proxy(yard: &Yard, path: &str, body: &Value) -> Answer {
    Ask::new(&Address::Unix(socket(yard.path())), Method::POST, path).json(body).send().await
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("proxy.sock")
}

/// Registers with these fields changed.
pub(crate) async fn register(yard: &Yard, beat: &Value, changes: Value) -> Answer {
    let mut beat = beat.clone();
    for (field, value) in changes.as_object().unwrap() {
        beat[field] = value.clone();
    }
    proxy(yard, "/api/model/register", &beat).await
}

/// Replicas of the model that guests serve.
pub(crate) async fn replicas(yard: &Yard) -> u64 {
    let answer = yard.get("/v1/models/guests").send().await;
    if answer.status == 404 { 0 } else { answer.json().await["replicas"].as_u64().unwrap() }
}
