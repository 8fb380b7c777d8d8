//! Child processes on this machine: the default place, needing nothing but the system.
//!
//! Each child leads a process group, so that its own children end with it. It dies when we die,
//! however that happens: its stdin ends, and the system kills it.

mod capture;
mod child;
mod entry;
mod flood;
mod lines;
mod progress;
mod record;
mod service;
mod spawner;
#[cfg(test)]
mod tests;

use std::{io, time::Duration};

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{DeployError, Deployer, LaunchId, Process, ProcessSpec};
pub use service::LocalService;

/// Commands that may wait for the service. Callers beyond wait their turn.
const COMMANDS_MAX: usize = 64;

/// A cheap handle on the local deployer.
#[derive(Clone)]
pub struct Local {
    commands: mpsc::Sender<Command>,
    changes: watch::Receiver<u64>,
}

/// What the service can be asked.
enum Command {
    Start { process: ProcessSpec, reply: oneshot::Sender<Result<(), DeployError>> },
    Stop { launch: LaunchId, grace: Duration, reply: oneshot::Sender<()> },
    List { reply: oneshot::Sender<Vec<Process>> },
}

impl Local {
    /// The handle, and the service that somebody must run. Call it inside a runtime.
    ///
    /// # Errors
    /// When the system gives no thread or no signal handler.
    pub fn new() -> io::Result<(Self, LocalService)> {
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let (revision, changes) = watch::channel(0);
        Ok((Self { commands, changes }, LocalService::new(inbox, revision)?))
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, DeployError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| DeployError::Stopped)?;
        answer.await.map_err(|_| DeployError::Stopped)
    }
}

#[async_trait]
impl Deployer for Local {
    async fn start(&self, process: ProcessSpec) -> Result<(), DeployError> {
        self.ask(|reply| Command::Start { process, reply }).await?
    }

    async fn stop(&self, launch: &LaunchId, grace: Duration) -> Result<(), DeployError> {
        let launch = launch.clone();
        self.ask(|reply| Command::Stop { launch, grace, reply }).await
    }

    async fn list(&self) -> Result<Vec<Process>, DeployError> {
        self.ask(|reply| Command::List { reply }).await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }
}
