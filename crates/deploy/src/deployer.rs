//! The trait of every place that runs processes, and its words.

use std::{collections::BTreeMap, fmt, io, path::PathBuf, sync::Arc, time::Instant};

use async_trait::async_trait;
use tokio::sync::watch;
use types::ModelName;

use crate::Exit;

/// The deployer's name of one process. A registration carries it, so that a worker can be tied to
/// the process behind it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaunchId(Arc<str>);

impl LaunchId {
    /// Names a process; the caller sees to it that no two get the same name.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The id as it stands in a registration.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LaunchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for LaunchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "launch({})", self.0)
    }
}

/// One process to start.
#[derive(Clone, PartialEq, Eq)]
pub struct ProcessSpec {
    /// Its name; never used before.
    pub launch: LaunchId,
    /// The model that it will serve.
    pub model: ModelName,
    /// Which edition of the model it belongs to; a rolling restart raises the number.
    pub generation: u64,
    /// What to execute. A bare name is looked up on `PATH`.
    pub program: PathBuf,
    /// Arguments after the program's own name.
    pub args: Vec<String>,
    /// Added to the environment that we have ourselves.
    pub env: BTreeMap<String, String>,
    /// Where it runs; `None` for our own directory.
    pub workdir: Option<PathBuf>,
    /// Limit of its address space, in MiB.
    pub memory_mb_max: Option<u64>,
}

impl fmt::Debug for ProcessSpec {
    /// Without the values of `env`: they hold keys and the join token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessSpec")
            .field("launch", &self.launch)
            .field("model", &self.model)
            .field("generation", &self.generation)
            .field("program", &self.program)
            .field("args", &self.args)
            .field("env", &self.env.keys())
            .field("workdir", &self.workdir)
            .field("memory_mb_max", &self.memory_mb_max)
            .finish()
    }
}

/// One process that the deployer started and that nobody has stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its name.
    pub launch: LaunchId,
    /// The model that it serves.
    pub model: ModelName,
    /// From its [`ProcessSpec`].
    pub generation: u64,
    /// When it was started.
    pub started: Instant,
    /// Whether it still runs.
    pub state: ProcessState,
}

/// Whether a process still runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessState {
    /// It runs, or is just being started.
    Running {
        /// Its process id where the place has such ids and has given one.
        pid: Option<u32>,
    },
    /// It ended by itself.
    Ended(Exit),
}

/// Why a deployer could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// Launch ids are never used twice.
    #[error("a process `{0}` exists already; every start needs a new launch id")]
    LaunchInUse(LaunchId),
    /// The directory to run in is missing.
    #[error("the working directory {} does not exist; create it or change `workdir`", .0.display())]
    NoWorkdir(PathBuf),
    /// The program could not be executed.
    #[error("could not run {}; check that it exists and may be executed", program.display())]
    Spawn {
        /// What was to be executed.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// More starts wait than the deployer holds.
    #[error("too many processes are being started at once; try again in a moment")]
    Busy,
    /// The deployer's own loop has ended.
    #[error("the deployer has stopped")]
    Stopped,
}

/// A place that runs processes.
///
/// What it shows is a level, not a stream of events: whoever restarts or looks away reads
/// [`Deployer::list`] again and has missed nothing. What each implementation promises is spelled
/// out by the conformance suite of this crate.
#[async_trait]
pub trait Deployer: Send + Sync {
    /// Starts one process. It is listed from now on until it is stopped, also once it has ended.
    ///
    /// # Errors
    /// [`DeployError`] when the process was not started; then it is not listed.
    ///
    /// # Cancel safety
    /// A dropped start may still happen; [`Deployer::list`] tells.
    async fn start(&self, process: ProcessSpec) -> Result<(), DeployError>;

    /// Ends a process, gently at first and by force once `grace` has passed, and takes it off the
    /// list. Returns when it is gone. A process that has ended or is unknown is no error.
    /// A second stop with a shorter grace brings the end forward.
    ///
    /// # Errors
    /// [`DeployError::Stopped`].
    ///
    /// # Cancel safety
    /// Dropping the future does not call the stop back; the process ends all the same.
    async fn stop(&self, launch: &LaunchId, grace: std::time::Duration) -> Result<(), DeployError>;

    /// Every process that was started and not stopped, in the order of launch ids.
    ///
    /// # Errors
    /// [`DeployError::Stopped`].
    ///
    /// # Cancel safety
    /// Reads only; dropping it changes nothing.
    async fn list(&self) -> Result<Vec<Process>, DeployError>;

    /// Changes its value whenever [`Deployer::list`] would show something new.
    fn changes(&self) -> watch::Receiver<u64>;
}
