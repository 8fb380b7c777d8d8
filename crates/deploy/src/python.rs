//! Finds a Python interpreter that can run our workers.

use std::{
    collections::HashMap,
    env, fmt,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{process::Command, sync::Mutex, time};

/// A first import compiles the package, on a slow disk for seconds.
const CHECK_TIME_MAX: Duration = Duration::from_secs(20);

/// A failure is believed this long; then somebody may have installed the package.
const FAILURE_KEPT: Duration = Duration::from_secs(20);

/// Where to look.
#[derive(Debug, Clone, Default)]
pub struct PythonSearch {
    /// The model's own choice: an interpreter or a virtual environment. Nothing else is tried.
    pub model: Option<PathBuf>,
    /// The choice for all models, if this one has none. Nothing else is tried.
    pub workers: Option<PathBuf>,
    /// The directory of the configuration, whose `.venv` comes before what is on `PATH`.
    pub beside: Option<PathBuf>,
}

/// No interpreter can run our workers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no Python with the package `modelyard` was found: tried {}; run `make python` or set `python`", list(.tried))]
pub struct NoPython {
    /// Each interpreter that was tried, and what was wrong with it.
    pub tried: Vec<Tried>,
}

/// One interpreter that will not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The interpreter.
    pub python: PathBuf,
    /// What was wrong with it.
    pub problem: String,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.python.display(), self.problem)
    }
}

fn list(tried: &[Tried]) -> String {
    tried.iter().map(Tried::to_string).collect::<Vec<_>>().join(", ")
}

/// Looks for interpreters and remembers what it found. An interpreter that has worked is believed
/// for good; one that has not is asked again after a while.
#[derive(Debug, Default)]
pub struct PythonFinder {
    // Held over a check, so that ten models that start together ask one interpreter once.
    checked: Mutex<HashMap<PathBuf, Checked>>,
}

#[derive(Debug, Clone)]
enum Checked {
    Works,
    Fails { problem: String, at: Instant },
}

impl PythonFinder {
    /// The first interpreter, in the order of [`PythonSearch`], that can import `modelyard`.
    ///
    /// # Errors
    /// [`NoPython`] with everything that was tried.
    ///
    /// # Cancel safety
    /// Dropping it ends the interpreter that is being asked.
    pub async fn find(&self, search: &PythonSearch) -> Result<PathBuf, NoPython> {
        let mut tried = Vec::new();
        for python in candidates(search) {
            match self.check(&python).await {
                Ok(()) => return Ok(python),
                Err(problem) => tried.push(Tried { python, problem }),
            }
        }
        Err(NoPython { tried })
    }

    async fn check(&self, python: &Path) -> Result<(), String> {
        let mut checked = self.checked.lock().await;
        match checked.get(python) {
            Some(Checked::Works) => return Ok(()),
            Some(Checked::Fails { problem, at }) if at.elapsed() < FAILURE_KEPT => {
                return Err(problem.clone());
            }
            _ => {}
        }
        let result = import_modelyard(python).await;
        let verdict = match &result {
            Ok(()) => Checked::Works,
            Err(problem) => Checked::Fails { problem: problem.clone(), at: Instant::now() },
        };
        checked.insert(python.to_owned(), verdict);
        result
    }
}

/// A choice that somebody made is the only candidate: to run another one instead would hide the
/// mistake.
fn candidates(search: &PythonSearch) -> Vec<PathBuf> {
    if let Some(choice) = search.model.as_ref().or(search.workers.as_ref()) {
        return vec![interpreter(choice)];
    }
    let beside =
        search.beside.iter().map(|folder| folder.join(".venv")).filter(|venv| venv.is_dir());
    let ours = env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("python3")));
    beside
        .map(|venv| interpreter(&venv))
        // A wheel puts this program beside the interpreter of its environment.
        .chain(ours.filter(|python| python.exists()))
        .chain([PathBuf::from("python3")])
        .collect()
}

/// The interpreter in a virtual environment; anything else is taken as an interpreter.
fn interpreter(choice: &Path) -> PathBuf {
    if choice.is_dir() { choice.join("bin/python") } else { choice.to_owned() }
}

async fn import_modelyard(python: &Path) -> Result<(), String> {
    let mut command = Command::new(python);
    command.args(["-c", "import modelyard"]).stdin(Stdio::null()).kill_on_drop(true);
    let output = match time::timeout(CHECK_TIME_MAX, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err("not found".into());
        }
        Ok(Err(error)) => return Err(format!("could not be run: {error}")),
        Err(_) => {
            return Err(format!("gave no answer within {} s", CHECK_TIME_MAX.as_secs()));
        }
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty());
    Err(last.map_or_else(|| output.status.to_string(), |line| line.chars().take(200).collect()))
}

#[cfg(test)]
mod tests;
