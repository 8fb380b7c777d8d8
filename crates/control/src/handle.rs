//! The handle: which models should run.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use api::worker::Address;
use deploy::Deployer;
use fleet::Fleet;
use telemetry::Metrics;
use tokio::sync::{mpsc, oneshot, watch};
use types::{ModelName, ModelSpec};

use crate::service::{Command, ControlService, Ends};

/// Commands that may wait for the loop. Callers beyond wait their turn.
const COMMANDS_MAX: usize = 64;

/// Where workers run and what they are told.
#[derive(Debug, Clone)]
pub struct ControlSettings {
    /// Holds the workers' sockets. It must exist, be ours alone, and have a short path: a socket's
    /// path has at most 107 bytes.
    pub run_dir: PathBuf,
    /// The directory of the configuration, as an absolute path: relative paths start here, and
    /// workers run here.
    pub config_dir: PathBuf,
    /// This program; it runs the built-in workers.
    pub program: PathBuf,
    /// Python for models that name none (`workers.python`).
    pub python: Option<PathBuf>,
    /// Devices to hand out, named as `CUDA_VISIBLE_DEVICES` names them.
    pub gpus: Vec<String>,
    /// Where workers register.
    pub gateway: Address,
    /// How long workers may take to finish what they run when the server ends.
    pub shutdown_grace: Duration,
}

/// The loop has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server is shutting down; its workers are being stopped")]
pub struct Stopped;

/// A cheap way to say what should run.
#[derive(Clone)]
pub struct Control {
    commands: mpsc::Sender<Command>,
    loading: watch::Receiver<BTreeSet<ModelName>>,
}

impl Control {
    /// The handle, and the loop that somebody must run.
    pub fn new(
        settings: ControlSettings,
        deployer: Arc<dyn Deployer>,
        fleet: Fleet,
        metrics: Metrics,
    ) -> (Self, ControlService) {
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let (loads, loading) = watch::channel(BTreeSet::new());
        let ends = Ends { commands: inbox, loading: loads };
        let service = ControlService::new(settings, deployer, fleet, metrics, ends);
        (Self { commands, loading }, service)
    }

    /// Keeps this model's workers running from now on. For a model that runs already, a changed
    /// spec replaces its workers, new ones first, and the same spec starts again what was given up.
    /// The fleet must know the model; one that runs no
    /// workers is ignored.
    ///
    /// # Errors
    /// [`Stopped`].
    ///
    /// # Cancel safety
    /// Dropping the future may leave the model as it was or as it should be.
    pub async fn set_model(&self, name: ModelName, spec: Arc<ModelSpec>) -> Result<(), Stopped> {
        self.ask(|done| Command::Set { name, spec, done }).await
    }

    /// Drains and ends this model's workers.
    ///
    /// # Errors
    /// [`Stopped`].
    ///
    /// # Cancel safety
    /// Dropping the future may leave the model as it was or on its way out.
    pub async fn remove_model(&self, name: ModelName) -> Result<(), Stopped> {
        self.ask(|done| Command::Remove { name, done }).await
    }

    /// Replaces this model's workers: new ones are started, and when they serve the old ones are
    /// drained. Returns when that has begun. A model that is not kept here is no error.
    ///
    /// # Errors
    /// [`Stopped`].
    ///
    /// # Cancel safety
    /// Dropping the future may or may not call the restart off.
    pub async fn restart_model(&self, name: ModelName) -> Result<(), Stopped> {
        self.ask(|done| Command::Restart { name, done }).await
    }

    /// The models of which no worker has come to serve, or failed to, since they were set.
    pub fn loading(&self) -> watch::Receiver<BTreeSet<ModelName>> {
        self.loading.clone()
    }

    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<()>) -> Command,
    ) -> Result<(), Stopped> {
        let (done, answer) = oneshot::channel();
        self.commands.send(command(done)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }
}
