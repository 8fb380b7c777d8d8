//! One child from its start to its burial.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::{sync::oneshot, task::Id};
use tokio_util::sync::CancellationToken;
use types::ModelName;

use super::child::OwnedChild;
use crate::{DeployError, Exit, ExitCause, LaunchId, Process, ProcessSpec, ProcessState};

/// What the service knows of one launch.
pub(super) struct Entry {
    model: ModelName,
    generation: u64,
    started: Instant,
    stage: Stage,
    stop: Option<Stop>,
}

enum Stage {
    /// The spawner has it.
    Spawning { reply: oneshot::Sender<Result<(), DeployError>> },
    /// It runs, or it has ended and its pipes are still being read.
    Alive(Alive),
    /// It ended by itself, and is kept until somebody has read why.
    Ended(Exit),
}

/// A child and the reader of its output. Their ends come in either order.
struct Alive {
    child: OwnedChild,
    capture: Capture,
    cause: Option<ExitCause>,
    last_lines: Option<Vec<String>>,
}

/// The task that reads a child's output.
pub(super) struct Capture {
    /// Its name among the service's tasks.
    pub(super) task: Id,
    /// Tells it that the child has ended.
    pub(super) ended: CancellationToken,
}

/// Somebody asked for the end.
struct Stop {
    /// When patience ends; `None` for never, and once force was used.
    kill_at: Option<Instant>,
    waiters: Vec<oneshot::Sender<()>>,
}

impl Entry {
    pub(super) fn new(
        process: &ProcessSpec,
        reply: oneshot::Sender<Result<(), DeployError>>,
    ) -> Self {
        Self {
            model: process.model.clone(),
            generation: process.generation,
            started: Instant::now(),
            stage: Stage::Spawning { reply },
            stop: None,
        }
    }

    pub(super) const fn model(&self) -> &ModelName {
        &self.model
    }

    /// Tells those who wait that there will be no process. A start that was also stopped is
    /// answered on both sides.
    pub(super) fn refuse(self, error: DeployError) {
        if let Stage::Spawning { reply } = self.stage {
            drop(reply.send(Err(error)));
        }
        if let Some(stop) = self.stop {
            stop.answer();
        }
    }

    /// The child runs.
    pub(super) fn started(&mut self, child: OwnedChild, capture: Capture) {
        // It may have been stopped while it was being spawned.
        if self.stop.is_some() {
            child.signal(Signal::SIGTERM);
        }
        let alive = Stage::Alive(Alive { child, capture, cause: None, last_lines: None });
        if let Stage::Spawning { reply } = std::mem::replace(&mut self.stage, alive) {
            drop(reply.send(Ok(())));
        }
    }

    /// Asks for the end: gently now, by force after `grace`. The earlier of two deadlines holds.
    pub(super) fn stop(&mut self, now: Instant, grace: Duration, waiter: oneshot::Sender<()>) {
        let kill_at = now.checked_add(grace);
        match &mut self.stop {
            Some(stop) => {
                stop.kill_at = stop.kill_at.into_iter().chain(kill_at).min();
                stop.waiters.push(waiter);
            }
            None => {
                self.stop = Some(Stop { kill_at, waiters: vec![waiter] });
                self.signal(Signal::SIGTERM);
            }
        }
    }

    /// When this child's patience ends, if it has been asked to stop and still runs.
    pub(super) fn kill_at(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Alive(alive) if alive.cause.is_none() => self.stop.as_ref()?.kill_at,
            _ => None,
        }
    }

    pub(super) fn kill_if_late(&mut self, now: Instant) {
        if self.kill_at().is_some_and(|at| at <= now) {
            self.signal(Signal::SIGKILL);
            if let Some(stop) = &mut self.stop {
                stop.kill_at = None;
            }
        }
    }

    /// Sends a signal to the group, if there is one yet.
    pub(super) fn signal(&self, signal: Signal) {
        if let Stage::Alive(alive) = &self.stage {
            alive.child.signal(signal);
        }
    }

    /// Reaps the child if it has ended. Returns whether it runs on.
    pub(super) fn reap(&mut self) -> bool {
        let Stage::Alive(alive) = &mut self.stage else { return false };
        if alive.cause.is_none() {
            alive.cause = alive.child.poll_end();
            if alive.cause.is_some() {
                alive.capture.ended.cancel();
            }
        }
        alive.cause.is_none()
    }

    /// Takes the last lines if they are this child's; else gives them back.
    pub(super) fn captured(&mut self, task: Id, lines: Vec<String>) -> Result<(), Vec<String>> {
        match &mut self.stage {
            Stage::Alive(alive) if alive.capture.task == task => {
                alive.last_lines = Some(lines);
                Ok(())
            }
            _ => Err(lines),
        }
    }

    /// Moves on to the end once both the child and its output are done. Returns whether it did.
    pub(super) fn settle(&mut self) -> bool {
        let Stage::Alive(alive) = &mut self.stage else { return false };
        let Some(cause) = alive.cause else { return false };
        let Some(last_lines) = alive.last_lines.take() else { return false };
        self.stage = Stage::Ended(Exit { cause, last_lines });
        true
    }

    /// Whether it is gone and was asked to go, so that it can be forgotten.
    pub(super) const fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Ended(_)) && self.stop.is_some()
    }

    /// Answers those who wait for the end.
    pub(super) fn forget(self) {
        if let Some(stop) = self.stop {
            stop.answer();
        }
    }

    pub(super) fn show(&self, launch: &LaunchId) -> Process {
        let state = match &self.stage {
            Stage::Spawning { .. } => ProcessState::Running { pid: None },
            Stage::Alive(alive) => ProcessState::Running { pid: Some(alive.child.pid()) },
            Stage::Ended(exit) => ProcessState::Ended(exit.clone()),
        };
        Process {
            launch: launch.clone(),
            model: self.model.clone(),
            generation: self.generation,
            started: self.started,
            state,
        }
    }
}

impl Stop {
    fn answer(self) {
        for waiter in self.waiters {
            // A caller that stopped waiting is not an error.
            let _ = waiter.send(());
        }
    }
}
