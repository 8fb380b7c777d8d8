//! `modelyard up`: `serve` as a process of its own, and an answer once it is ready.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use adapters::client::GatewayClient;
use http::Method;

use super::{Surroundings, client_runtime, load, output};
use crate::{
    cli::{ConfigArgs, UpArgs},
    config::Settings,
    failure::Failure,
    running::Server,
};

/// The log where the configuration names none.
const LOG: &str = "modelyard.log";
/// What the program says before it has a log, and if it breaks.
const LAST_WORDS: &str = "modelyard.err";
/// How often the server is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Last words that are passed on.
const WORDS_MAX: usize = 4000;

pub(super) fn run(args: &UpArgs, around: &Surroundings) -> Result<(), Failure> {
    let settings = load(&args.config, around)?.settings;
    let data_dir = &settings.data_dir;
    let found = Server::of(data_dir).map_err(|error| no_folder(data_dir, &error))?;
    if let Some(server) = found {
        let at = server.addresses.join(", ");
        return Err(Failure::new(format!("a server runs already: process {} at {at}", server.pid))
            .hint("`modelyard status` says more, `modelyard down` stops it"));
    }
    let words = data_dir.join(LAST_WORDS);
    let mut child = start(args, &settings, &words)?;
    let server = wait(&mut child, args, &settings, &words)?;
    let log = server.log.as_deref().unwrap_or(data_dir).display();
    let url = server.url().unwrap_or_else(|| server.addresses.join(", "));
    output::print(
        format!("modelyard is ready at {url} (process {}, log {log})\n", server.pid).as_bytes(),
    )
}

fn start(args: &UpArgs, settings: &Settings, words: &Path) -> Result<Child, Failure> {
    let data_dir = &settings.data_dir;
    let failed = |error| no_folder(data_dir, &error);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(failed)?;
    let sink = File::options().write(true).create(true).truncate(true).mode(0o600).open(words);
    let sink = sink.map_err(failed)?;
    let program = env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    command.arg("serve").arg("--background").args(arguments(&args.config));
    if settings.log.file.is_none() {
        command.env("MODELYARD_LOG__FILE", data_dir.join(LOG));
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(sink);
    command.spawn().map_err(|error| Failure::new(format!("could not start the server: {error}")))
}

/// The same again for the server.
fn arguments(config: &ConfigArgs) -> Vec<OsString> {
    let mut args: Vec<OsString> = config.models.iter().map(OsString::from).collect();
    let mut add = |name: &str, value: OsString| args.extend([OsString::from(name), value]);
    if let Some(file) = &config.config {
        add("--config", file.into());
    }
    if let Some(host) = &config.host {
        add("--host", host.into());
    }
    if let Some(port) = config.port {
        add("--port", port.to_string().into());
    }
    for address in &config.listen {
        add("--listen", address.into());
    }
    args
}

/// Until it is ready; an error if it ends first, or takes too long.
fn wait(
    child: &mut Child,
    args: &UpArgs,
    settings: &Settings,
    words: &Path,
) -> Result<Server, Failure> {
    let runtime = client_runtime()?;
    let until = Instant::now() + Duration::from_secs(args.wait);
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            let said = fs::read_to_string(words).unwrap_or_default();
            let from = said.ceil_char_boundary(said.len().saturating_sub(WORDS_MAX));
            let said = said.get(from..).unwrap_or_default().trim();
            return Err(Failure::new(format!("the server did not start ({status})\n{said}")));
        }
        let found = Server::of(&settings.data_dir).ok().flatten();
        let own = found.filter(|server| server.pid == child.id().cast_signed());
        if let Some(server) = own
            && server.url().is_none_or(|url| runtime.block_on(is_ready(&url)))
        {
            return Ok(server);
        }
        if Instant::now() > until {
            let pid = child.id();
            return Err(Failure::new(format!(
                "the server (process {pid}) is not ready after {} s; it goes on",
                args.wait
            ))
            .hint("`modelyard status` says what is missing, `modelyard logs` why"));
        }
        thread::sleep(LOOK_EVERY);
    }
}

async fn is_ready(url: &str) -> bool {
    let Ok(client) = GatewayClient::new(url) else { return false };
    client.send(Method::GET, "/health/ready", None).await.is_ok()
}

fn no_folder(folder: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("the data folder {} cannot be used: {error}", folder.display()))
        .hint("name another one with MODELYARD_DATA_DIR")
}
