//! The program, running in a folder of its own.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use api::{task::TaskView, worker::Address};
use http::Method;
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::time::sleep;

use super::{
    ask::Ask,
    diary::{self, Entry},
    process,
};
use crate::desk::Desk;

/// Far longer than anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// Looks again and again until there is something to see.
#[track_caller]
pub(crate) fn eventually<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let begun = Instant::now();
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            assert!(begun.elapsed() < PATIENCE, "{place}: {what} never came");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A running server and its folder. It is killed, and with it its workers, when this is dropped.
pub(crate) struct Yard {
    desk: Desk,
    server: Server,
}

impl Yard {
    /// Starts the program with this configuration and waits until it is ready.
    pub(crate) async fn open(config: &str) -> Self {
        Self::at(Desk::new(), config).await
    }

    /// As [`Self::open`], in a folder that was prepared.
    pub(crate) async fn at(desk: Desk, config: &str) -> Self {
        let mut yard = Self::unready(desk, config).await;
        yard.ready().await;
        yard
    }

    /// Starts the program and does not wait until it is ready.
    pub(crate) async fn unready(desk: Desk, config: &str) -> Self {
        let data = desk.path().join("data").display().to_string();
        // A port that is free, unless the story is about doors.
        let listen = match config.contains("server.listen") {
            true => "",
            false => "server.listen = '127.0.0.1:0'\n",
        };
        let desk = desk.file("modelyard.toml", &format!("{listen}{config}"));
        let desk = desk.variable("MODELYARD_DATA_DIR", data);
        let server = Server::start(&desk).await;
        Self { desk, server }
    }

    /// Starts the program again, in the same folder.
    pub(crate) async fn open_again(&mut self) {
        self.server = Server::start(&self.desk).await;
        self.ready().await;
    }

    async fn ready(&mut self) {
        eventually("a ready server", async || {
            let gone = self.server.exit();
            assert!(gone.is_none(), "the server ended: {gone:?}\n{}", self.log());
            (self.get("/health/ready").send().await.status == 200).then_some(())
        })
        .await;
    }

    // --- calls ---

    pub(crate) fn address(&self) -> &Address {
        &self.server.address
    }

    /// Host and port.
    pub(crate) fn host(&self) -> &str {
        let Address::Tcp(host) = self.address() else { panic!("it listens on a port") };
        host
    }

    pub(crate) fn ask(&self, method: Method, path: &str) -> Ask {
        Ask::new(self.address(), method, path)
    }

    pub(crate) fn get(&self, path: &str) -> Ask {
        self.ask(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Ask {
        self.ask(Method::POST, path)
    }

    /// The entry of `/v1/models`.
    pub(crate) async fn model(&self, name: &str) -> Value {
        self.get(&format!("/v1/models/{name}")).send().await.json().await
    }

    /// The value of a metric with its labels; 0 if nothing was counted yet.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").send().await.text().await;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0.0, |value| value.trim().parse().unwrap())
    }

    pub(crate) async fn task(&self, id: &str) -> TaskView {
        let view = self.get(&format!("/tasks/{id}")).send().await.json().await;
        serde_json::from_value(view).unwrap()
    }

    // --- the folder ---

    pub(crate) fn path(&self) -> &Path {
        self.desk.path()
    }

    /// Makes an empty file, for which a puppet waits.
    pub(crate) fn signal(&self, name: &str) {
        fs::write(self.path().join(name), "").unwrap();
    }

    pub(crate) fn diary(&self) -> Vec<Entry> {
        diary::read(self.path())
    }

    /// Waits until this was written into the diary about this call.
    #[track_caller]
    pub(crate) fn noted(&self, word: &str, note: &str) -> impl Future<Output = Entry> {
        let what = format!("`{word} {note}` in the diary");
        let place = std::panic::Location::caller();
        async move {
            let begun = Instant::now();
            loop {
                let diary = self.diary();
                if let Some(entry) = diary.iter().find(|e| e.word == word && e.note == note) {
                    return entry.clone();
                }
                assert!(begun.elapsed() < PATIENCE, "{place}: {what} never came; {diary:#?}");
                sleep(Duration::from_millis(2)).await;
            }
        }
    }

    /// How often this was written about this call.
    pub(crate) fn count(&self, word: &str, note: &str) -> usize {
        self.diary().iter().filter(|entry| entry.word == word && entry.note == note).count()
    }

    // --- the process ---

    pub(crate) fn pid(&self) -> i32 {
        self.server.child.id().cast_signed()
    }

    pub(crate) fn log(&self) -> String {
        self.server.log.lock().unwrap().clone()
    }

    pub(crate) fn send(&self, signal: Signal) {
        process::send(self.pid(), signal);
    }

    /// Waits for its end.
    pub(crate) async fn exit(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.server.exit() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the server does not end\n{}", self.log());
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The process of the program.
struct Server {
    child: Child,
    address: Address,
    log: Arc<Mutex<String>>,
}

impl Server {
    async fn start(desk: &Desk) -> Self {
        let mut command = desk.command(&["serve"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        keep(BufReader::new(out), log.clone());
        keep(BufReader::new(err), log.clone());
        let mut server = Self { child, address: Address::Unix(PathBuf::new()), log };
        server.address = eventually("the line with the address", async || {
            let log = server.log.lock().unwrap();
            let line = log.lines().find(|line| line.contains("listening"))?;
            let (_, port) = line.split_once("127.0.0.1:")?;
            let port: String = port.chars().take_while(char::is_ascii_digit).collect();
            Some(Address::Tcp(format!("127.0.0.1:{port}")))
        })
        .await;
        server
    }

    fn exit(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Drop for Server {
    #[expect(clippy::print_stderr, reason = "shown with the failure of the test")]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- the server's log\n{}", self.log.lock().unwrap());
        }
    }
}

/// Keeps what the program prints, so that it never waits for a reader.
fn keep(mut from: impl BufRead + Send + 'static, log: Arc<Mutex<String>>) {
    thread::spawn(move || {
        let mut line = String::new();
        while from.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            log.lock().unwrap().push_str(&line);
            line.clear();
        }
    });
}
