//! Servers that share a store and a folder, around one model that keeps an account of its calls.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use api::{
    Body, Endpoint,
    endpoint::Answer,
    openai::{BatchObject, BatchRequest, BatchStatus, OutputLine},
};
use batches::{BatchSettings, Batches, NewFileInfo};
use dispatch::Dispatcher;
use fleet::{Fleet, FleetSettings};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde_json::Value;
use store::{Folder, MemoryStore, TaskStore};
use tasks::{TaskSettings, Tasks};
use telemetry::metrics::Metrics;
use tempfile::TempDir;
use tokio::{
    io::AsyncReadExt,
    sync::Semaphore,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use types::{ModelName, ModelSpec, RetrySpec, Tenant};

/// Long enough for anything that should happen, short enough for a test that fails.
const SOON: Duration = Duration::from_secs(15);

/// The model: answers `{"n": …}` with `{"doubled": …}`, and refuses odd numbers where told to.
pub(crate) struct Doubler {
    /// How often each number was asked.
    calls: Mutex<BTreeMap<u64, u32>>,
    /// What may pass; closed for no bound.
    gate: Semaphore,
    refuses_odd: AtomicBool,
    running: AtomicUsize,
    dropped: AtomicUsize,
}

impl Doubler {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::default(),
            gate: Semaphore::new(0),
            refuses_odd: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
        })
    }

    /// Lets so many more calls be answered.
    pub(crate) fn let_pass(&self, calls: usize) {
        self.gate.add_permits(calls);
    }

    /// Lets all calls be answered from now on.
    pub(crate) fn open(&self) {
        self.gate.close();
    }

    pub(crate) fn refuse_odd(&self) {
        self.refuses_odd.store(true, Ordering::SeqCst);
    }

    /// How often each number was asked.
    pub(crate) fn calls(&self) -> BTreeMap<u64, u32> {
        self.calls.lock().clone()
    }

    /// Calls that wait for their answer.
    fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    /// Calls that were dropped before their answer.
    pub(crate) fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}

struct Unanswered<'a>(&'a Doubler, bool);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        if self.1 {
            self.0.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Endpoint for Doubler {
    fn call(&self, request: Request<Body>) -> Answer<'_> {
        Box::pin(async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let asked: Value = serde_json::from_slice(&body).unwrap();
            let number = asked["n"].as_u64().unwrap();
            *self.calls.lock().entry(number).or_default() += 1;
            self.running.fetch_add(1, Ordering::SeqCst);
            let mut waits = Unanswered(self, true);
            if let Ok(pass) = self.gate.acquire().await {
                pass.forget();
            }
            waits.1 = false;
            let is_refused = self.refuses_odd.load(Ordering::SeqCst) && number % 2 == 1;
            let (status, text) = match is_refused {
                true => (StatusCode::UNPROCESSABLE_ENTITY, r#"{"detail":"odd"}"#.to_owned()),
                false => (StatusCode::OK, format!("{{\"doubled\": {}}}", 2 * number)),
            };
            let mut response = Response::new(Body::full(text));
            *response.status_mut() = status;
            let json = "application/json".parse().unwrap();
            response.headers_mut().insert("content-type", json);
            Ok(response)
        })
    }
}

/// What outlives every server.
pub(crate) struct Ground {
    store: MemoryStore,
    folder: TempDir,
    pub(crate) model: Arc<Doubler>,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { store: MemoryStore::new(), folder, model: Doubler::new() }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends a server without a word, and waits until nothing of it is left.
    pub(crate) async fn kill(&self, server: Server) {
        drop(server);
        until("its calls are dropped", || self.model.running() == 0).await;
    }

    /// A server that runs tasks and batches.
    pub(crate) fn server(&self) -> Server {
        self.server_with(|_| {})
    }

    /// A server with a folder of its own.
    pub(crate) fn server_in(
        &self,
        folder: &Path,
        change: impl FnOnce(&mut BatchSettings),
    ) -> Server {
        self.start(folder, "doubler", change)
    }

    /// A server whose model has another name, and that takes only small files by now.
    pub(crate) fn server_that_changed(&self) -> Server {
        self.start(self.folder.path(), "tripler", |settings| {
            (settings.lines_max, settings.line_bytes_max) = (1, 8);
        })
    }

    pub(crate) fn server_with(&self, change: impl FnOnce(&mut BatchSettings)) -> Server {
        self.start(self.folder.path(), "doubler", change)
    }

    fn start(&self, folder: &Path, model: &str, change: impl FnOnce(&mut BatchSettings)) -> Server {
        let store = Arc::new(self.store.restarted());
        let mut settings = BatchSettings {
            server: store.owner().0,
            window: 4,
            lease: Duration::from_secs(2),
            ..BatchSettings::default()
        };
        change(&mut settings);
        Server::start(store, folder, (model, self.model.clone()), settings)
    }
}

pub(crate) struct Server {
    pub(crate) batches: Batches,
    pub(crate) tasks: Tasks,
    stop: CancellationToken,
    running: Vec<JoinHandle<()>>,
}

impl Server {
    fn start(
        store: Arc<MemoryStore>,
        folder: &Path,
        (model, endpoint): (&str, Arc<Doubler>),
        settings: BatchSettings,
    ) -> Self {
        let settings_of_fleet = FleetSettings {
            heartbeat: Duration::from_secs(10),
            lease: Duration::from_secs(30),
            join_token: String::new(),
            epoch: 1,
        };
        let (metrics, stop) = (Metrics::new("test"), CancellationToken::new());
        let fleet = Fleet::new(settings_of_fleet, metrics.clone());
        let model: ModelName = model.parse().unwrap();
        let retry =
            RetrySpec { attempts_max: 3, backoff_ms: 1, backoff_ms_max: 2, ..RetrySpec::default() };
        fleet.add_model(&model, Arc::new(ModelSpec { retry, ..ModelSpec::default() }));
        let dispatcher = Dispatcher::new(fleet.clone(), metrics.clone(), CancellationToken::new());
        dispatcher.add_model(&model);
        let tasks = Tasks::new(store.clone(), dispatcher, metrics, TaskSettings::default());
        fleet.listen(Box::new(tasks.clone()));
        fleet.declare(&model, endpoint, 2);
        let folder = Folder::open(folder, 1 << 30).unwrap();
        let batches = Batches::new(store, folder, tasks.clone(), settings);
        let loops = (tasks.clone(), batches.clone(), stop.clone(), stop.clone());
        let (run_tasks, run_batches, stop_tasks, stop_batches) = loops;
        let running = vec![
            tokio::spawn(async move { run_tasks.run(stop_tasks).await }),
            tokio::spawn(async move { run_batches.run(stop_batches).await }),
        ];
        Self { batches, tasks, stop, running }
    }

    /// Stops as an operator does.
    pub(crate) async fn shut_down(mut self) {
        self.stop.cancel();
        for running in self.running.drain(..) {
            running.await.unwrap();
        }
    }

    /// Uploads lines, one call for each number.
    pub(crate) async fn upload(&self, numbers: std::ops::Range<u64>) -> String {
        let lines: Vec<_> = numbers.map(line).collect();
        self.upload_text(&lines.join("\n")).await
    }

    pub(crate) async fn upload_text(&self, text: &str) -> String {
        let mut upload = self.batches.files().begin().await.unwrap();
        upload.write(text.as_bytes()).await.unwrap();
        let purpose = Some("batch".into());
        upload.keep(NewFileInfo { purpose, ..NewFileInfo::default() }).await.unwrap().id
    }

    /// A batch of that many numbers.
    pub(crate) async fn submit(&self, numbers: u64) -> String {
        let file = self.upload(0..numbers).await;
        self.submit_file(file, "1h").await
    }

    pub(crate) async fn submit_file(&self, file: String, window: &str) -> String {
        let request = BatchRequest {
            input_file_id: Some(file),
            endpoint: Some("/invoke/doubler".into()),
            completion_window: Some(window.into()),
            ..BatchRequest::default()
        };
        self.batches.create(request, Tenant::default()).await.unwrap().id
    }

    pub(crate) async fn batch(&self, id: &str) -> BatchObject {
        self.batches.get(id).await.unwrap()
    }

    /// The batch once it has ended.
    pub(crate) async fn end(&self, id: &str) -> BatchObject {
        self.until(id, |batch| batch.status.is_terminal()).await
    }

    pub(crate) async fn until(
        &self,
        id: &str,
        is_so: impl Fn(&BatchObject) -> bool,
    ) -> BatchObject {
        let looking = async {
            loop {
                let batch = self.batch(id).await;
                if is_so(&batch) {
                    return batch;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        match timeout(SOON, looking).await {
            Ok(batch) => batch,
            Err(_) => panic!("never: {:?}", self.batch(id).await),
        }
    }

    /// The lines of a file of results.
    pub(crate) async fn lines(&self, file: Option<&String>) -> Vec<OutputLine> {
        let Some(id) = file else { return Vec::new() };
        let mut content = self.batches.files().content(id).await.unwrap();
        let mut text = String::new();
        content.file.read_to_string(&mut text).await.unwrap();
        assert_eq!(content.object.bytes, text.len() as u64);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The batch has ended like this, and each of its lines is in one file of results, in order.
    pub(crate) async fn check(&self, id: &str, status: BatchStatus, lines: u64) -> Results {
        let batch = self.end(id).await;
        assert_eq!(batch.status, status, "{batch:?}");
        let answered = self.lines(batch.output_file_id.as_ref()).await;
        let failed = self.lines(batch.error_file_id.as_ref()).await;
        let counts = batch.request_counts;
        assert_eq!(
            (counts.completed as usize, counts.failed as usize),
            (answered.len(), failed.len())
        );
        let number = |line: &OutputLine| line.custom_id.parse::<u64>().unwrap();
        let mut all = Vec::new();
        for file in [&answered, &failed] {
            let numbers: Vec<_> = file.iter().map(number).collect();
            assert!(numbers.is_sorted(), "{numbers:?}");
            all.extend(numbers);
        }
        all.sort_unstable();
        assert_eq!(all, (0..lines).collect::<Vec<_>>());
        for line in &answered {
            let response = line.response.as_ref().unwrap();
            let expected = format!("{{\"doubled\": {}}}", 2 * number(line));
            assert_eq!((response.status_code, response.body.get()), (200, &*expected));
        }
        Results { answered, failed }
    }
}

/// A server that is dropped is gone without a word, as far as a process can do that to a part of itself.
impl Drop for Server {
    fn drop(&mut self) {
        for running in &self.running {
            running.abort();
        }
    }
}

pub(crate) struct Results {
    pub(crate) answered: Vec<OutputLine>,
    pub(crate) failed: Vec<OutputLine>,
}

pub(crate) fn line(number: u64) -> String {
    format!(
        r#"{{"custom_id":"{number}","method":"POST","url":"/invoke/doubler","body":{{"n":{number}}}}}"#
    )
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(SOON, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}
