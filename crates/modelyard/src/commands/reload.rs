//! `modelyard serve --reload`: runs the server as a child and starts it again when a file changes.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    runtime::Builder,
    time,
};

use crate::{config::Loaded, failure::Failure, signals::Stop};

/// How often the files are looked at. A person notices no delay below half a second.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// Time for running calls before a restart; while somebody edits, waiting longer helps nobody.
const GRACE: Duration = Duration::from_secs(3);

/// Runs until a signal comes.
pub(super) fn supervise(loaded: &Loaded) -> Result<(), Failure> {
    let watched = Watched::of(loaded);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| super::no_runtime(&error))?;
    runtime.block_on(async {
        let stop = Stop::on_signals().map_err(|error| Failure::signals(&error))?;
        loop {
            let seen = watched.look();
            let mut child = start()?;
            let is_over = tokio::select! {
                () = stop.drain.cancelled() => true,
                () = watched.changed(&seen) => false,
                // It failed and has said why. The next change may mend it.
                _ = child.wait() => tokio::select! {
                    () = stop.drain.cancelled() => true,
                    () = watched.changed(&seen) => false,
                },
            };
            end(&mut child, is_over.then_some(&stop)).await;
            if is_over {
                return Ok(());
            }
        }
    })
}

fn start() -> Result<Child, Failure> {
    let failed = |error| Failure::new(format!("could not start the server: {error}"));
    let program = env::current_exe().map_err(failed)?;
    let args = env::args_os().skip(1).filter(|arg| arg != "--reload");
    Command::new(program).args(args).kill_on_drop(true).spawn().map_err(failed)
}

/// Ends the child gently, then less so: at once when a person asks twice, or when the grace of a
/// restart is over.
async fn end(child: &mut Child, stop: Option<&Stop>) {
    signal(child);
    let patience = async {
        match stop {
            Some(stop) => stop.at_once.cancelled().await,
            None => time::sleep(GRACE).await,
        }
    };
    tokio::select! {
        _ = child.wait() => return,
        () = patience => {}
    }
    signal(child);
    if time::timeout(GRACE, child.wait()).await.is_err() {
        // It hangs. Nothing is left to try, and an error means that it is gone.
        let _ = child.kill().await;
    }
}

fn signal(child: &Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        // It may have ended on its own.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
}

/// The files whose change means a restart.
#[derive(Debug)]
struct Watched {
    files: Vec<PathBuf>,
    /// Of these every Python file.
    folders: Vec<PathBuf>,
}

/// When each file was changed last.
type Seen = BTreeMap<PathBuf, SystemTime>;

impl Watched {
    fn of(loaded: &Loaded) -> Self {
        let implementations = loaded.settings.models.values().filter_map(|spec| {
            let (file, _) = spec.implementation.as_deref()?.rsplit_once(':')?;
            file.ends_with(".py").then(|| Path::new(file).parent().map(Path::to_owned)).flatten()
        });
        let mut folders: Vec<PathBuf> = implementations.collect();
        folders.sort();
        folders.dedup();
        let dotenv = env::current_dir().map(|directory| directory.join(".env"));
        Self { files: loaded.file.iter().cloned().chain(dotenv).collect(), folders }
    }

    fn look(&self) -> Seen {
        let in_folders = self.folders.iter().filter_map(|folder| fs::read_dir(folder).ok());
        let python = in_folders.flatten().flatten().map(|entry| entry.path());
        let python = python.filter(|path| path.extension().is_some_and(|end| end == "py"));
        let changed = |path: PathBuf| {
            let time = fs::metadata(&path).and_then(|meta| meta.modified()).ok()?;
            Some((path, time))
        };
        self.files.iter().cloned().chain(python).filter_map(changed).collect()
    }

    async fn changed(&self, seen: &Seen) {
        loop {
            time::sleep(LOOK_EVERY).await;
            if self.look() != *seen {
                return;
            }
        }
    }
}
