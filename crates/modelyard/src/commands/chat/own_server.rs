//! A server for one talk: this program once more, on a free port, with a data directory of its own.

use std::{
    env, fs,
    io::Write,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::Stdio,
    time::Duration,
};

use adapters::client::GatewayClient;
use http::Method;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::sleep,
};

use crate::failure::Failure;

/// How often it is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Lines of its log that are shown when it fails.
const LINES_SHOWN: usize = 8;

/// Ends the server when it is dropped.
pub(super) struct OwnServer {
    port: u16,
    child: Child,
    data: TempDir,
}

impl OwnServer {
    /// Starts it and waits until its model can be called.
    pub(super) async fn start(folder: Option<&str>) -> Result<Self, Failure> {
        let unable =
            |what: &str, error: std::io::Error| Failure::new(format!("could not {what}: {error}"));
        let data = TempDir::new().map_err(|error| unable("make a directory", error))?;
        let port = free_port().map_err(|error| unable("find a free port", error))?;
        let log = fs::File::create(data.path().join("log"))
            .map_err(|error| unable("write the server's log", error))?;
        let program = env::current_exe().map_err(|error| unable("find this program", error))?;
        let mut command = Command::new(program);
        command.arg("serve").args(folder).args([
            "--host",
            "127.0.0.1",
            "--port",
            &port.to_string(),
        ]);
        command
            .env("MODELYARD_DATA_DIR", data.path())
            // Nobody in this talk reads handwriting.
            .env("MODELYARD_MODELS__DIGITS__ENABLED", "false")
            .stdin(Stdio::null())
            .stderr(log.try_clone().map_err(|error| unable("write the server's log", error))?)
            .stdout(log)
            .kill_on_drop(true);
        let child = command.spawn().map_err(|error| unable("start a server", error))?;
        let mut server = Self { port, child, data };
        let what = folder.map_or("the built-in model".into(), |folder| format!("`{folder}`"));
        // If standard error cannot be written, nobody reads it.
        let _ = writeln!(std::io::stderr().lock(), "loading {what} …");
        server.ready(folder).await?;
        Ok(server)
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn ready(&mut self, folder: Option<&str>) -> Result<(), Failure> {
        let client =
            GatewayClient::new(&self.url()).map_err(|error| Failure::from_error(&error))?;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(Failure::new(format!("the server ended ({status})\n{}", self.log())));
            }
            if client.send(Method::GET, "/health/ready", None).await.is_ok() {
                break;
            }
            sleep(ASK_EVERY).await;
        }
        let models: serde_json::Value =
            client.get("/v1/models").await.map_err(|error| Failure::from_error(&error))?;
        let name = folder.and_then(|folder| Path::new(folder).canonicalize().ok());
        let name = name.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy());
        let failing = models["data"].as_array().into_iter().flatten().find(|model| {
            model["status"] == "failing" && name.as_deref().is_none_or(|name| model["id"] == name)
        });
        match failing.filter(|_| folder.is_some()) {
            Some(model) => Err(Failure::new(model["reason"].as_str().unwrap_or("it failed"))),
            None => Ok(()),
        }
    }

    fn log(&self) -> String {
        let text = fs::read_to_string(self.data.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        // Its workers end with it, and it with this program.
        if let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
            let _ = nix::sys::wait::waitpid(Pid::from_raw(id), None);
        }
    }
}

/// Somebody else may take it before the server does; then the server says so and ends.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
