//! The steps themselves. Each runs beside the loop and ends in an [`Outcome`].

use std::{env, io::ErrorKind, sync::Arc, time::Duration};

use api::worker::Address;
use deploy::{Deployer, LaunchId, python::PythonFinder};
use fleet::{Fleet, HttpEndpoint};
use types::{ModelName, ModelSpec, WorkerId};

use crate::{
    ControlSettings,
    launch::{self, Joining, Launch},
};

/// Calls at once for a program that cannot tell its capacity, if nothing is configured.
const FOREIGN_LANES: u32 = 8;

/// What became of a step.
pub(super) enum Outcome {
    /// The process runs. A foreign one will answer at this address.
    Started { launch: LaunchId, foreign: Option<Address> },
    /// The process could not be started.
    Refused { launch: LaunchId, reason: String },
    /// A foreign program answers.
    Listens { launch: LaunchId, model: ModelName, address: Address },
    /// The process is gone.
    Retired { launch: LaunchId },
}

/// All that a start needs.
pub(super) struct Start {
    pub(super) settings: Arc<ControlSettings>,
    pub(super) joining: Joining,
    pub(super) deployer: Arc<dyn Deployer>,
    pub(super) pythons: Arc<PythonFinder>,
    pub(super) launch: LaunchId,
    pub(super) generation: u64,
    pub(super) model: ModelName,
    pub(super) spec: Arc<ModelSpec>,
    pub(super) gpus: Option<String>,
}

impl Start {
    pub(super) async fn perform(self) -> Outcome {
        match self.start().await {
            Ok(foreign) => Outcome::Started { launch: self.launch, foreign },
            Err(reason) => Outcome::Refused { launch: self.launch, reason },
        }
    }

    async fn start(&self) -> Result<Option<Address>, String> {
        let launch = Launch {
            settings: &self.settings,
            joining: &self.joining,
            id: self.launch.clone(),
            generation: self.generation,
            model: &self.model,
            spec: &self.spec,
            gpus: self.gpus.clone(),
        };
        let prepared = launch.prepare(&self.pythons, &|name| env::var(name).ok()).await?;
        self.deployer.start(prepared.process).await.map_err(|error| types::chain(&error))?;
        Ok(prepared.foreign)
    }
}

/// Ends a process and clears up after it.
pub(super) async fn retire(
    settings: Arc<ControlSettings>,
    deployer: Arc<dyn Deployer>,
    launch: LaunchId,
    grace: Duration,
) -> Outcome {
    if let Err(error) = deployer.stop(&launch, grace).await {
        tracing::warn!(launch_id = %launch, %error, "a worker could not be stopped");
    }
    // One that was killed leaves its socket behind.
    if let Ok(socket) = launch::socket_path(&settings.run_dir, &launch)
        && let Err(error) = tokio::fs::remove_file(&socket).await
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!(socket = %socket.display(), %error, "a socket could not be removed");
    }
    Outcome::Retired { launch }
}

/// Waits until a foreign program can take work.
pub(super) async fn watch(
    launch: LaunchId,
    model: ModelName,
    address: Address,
    ready_path: Option<String>,
) -> Outcome {
    launch::listens(&address).await;
    if let Some(path) = ready_path {
        launch::is_ready(&address, &path).await;
    }
    Outcome::Listens { launch, model, address }
}

/// Makes a foreign program a replica of its model.
pub(super) fn declare(
    fleet: &Fleet,
    model: &ModelName,
    spec: &ModelSpec,
    address: Address,
) -> WorkerId {
    let lanes = spec.worker_capacity.or(spec.max_concurrency).unwrap_or(FOREIGN_LANES);
    fleet.declare(model, Arc::new(HttpEndpoint::new(address, None)), lanes)
}
