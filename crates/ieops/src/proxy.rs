//! The handle: what workers say to the proxy.

use api::ieops::{Beat, Farewell};
use dispatch::Dispatcher;
use fleet::Fleet;
use tasks::Tasks;
use telemetry::Metrics;
use tokio::sync::{mpsc, oneshot};
use types::{ErrorCode, Fault, ModelName, ModelSpec};

use crate::{
    announced::Announced,
    service::{Command, Ends, Parts, ProxyService, Whom},
};

/// Commands that may wait for the loop. Callers beyond wait their turn.
const COMMANDS_MAX: usize = 256;

/// Where workers register. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Proxy {
    commands: mpsc::Sender<Command>,
}

/// What a worker is told that has registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its own name for itself.
    pub id: String,
    /// The model that it is a replica of.
    pub model: ModelName,
    /// It counts as gone if it is silent for so long, in milliseconds.
    pub silence_ms_max: u64,
}

impl Proxy {
    /// The handle, and the loop that somebody must run.
    ///
    /// - `template`: what a model is like that nobody configured.
    pub fn new(
        fleet: Fleet,
        dispatcher: Dispatcher,
        tasks: Tasks,
        metrics: Metrics,
        template: ModelSpec,
    ) -> (Self, ProxyService) {
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let ends = Ends { commands: commands.clone(), inbox };
        let parts = Parts { fleet, dispatcher, tasks, metrics };
        (Self { commands }, ProxyService::new(parts, template, ends))
    }

    /// A worker says that it lives.
    ///
    /// # Errors
    /// `invalid_request` if a field cannot be used, or its model is of another kind;
    /// `server_draining`.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the worker registered.
    pub async fn register(&self, beat: Beat) -> Result<Registered, Fault> {
        let worker = Announced::of(beat)?;
        self.ask(|answer| Command::Beat { worker, answer }).await?
    }

    /// Workers end: one by its id, or all of a folder. Returns how many there were; to end one that
    /// is not registered is no error.
    ///
    /// # Errors
    /// `invalid_request` if it names neither an id nor a folder; `server_draining`.
    ///
    /// # Cancel safety
    /// Dropping the future may or may not end them.
    pub async fn unregister(&self, farewell: Farewell) -> Result<usize, Fault> {
        let whom = match farewell {
            Farewell { id: Some(id), .. } => Whom::Id(id),
            Farewell { socket_dir: Some(folder), .. } if folder.starts_with('/') => {
                Whom::Folder(folder.into())
            }
            _ => {
                let detail = "give `id`, or `socket_dir` as an absolute path";
                return Err(Fault::new(ErrorCode::InvalidRequest, detail));
            }
        };
        self.ask(|answer| Command::Farewell { whom, answer }).await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Fault> {
        let ends = |_| Fault::new(ErrorCode::ServerDraining, "the server is shutting down");
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| ends(()))?;
        answered.await.map_err(|_| ends(()))
    }
}
