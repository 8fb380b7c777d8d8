//! What exactly is started for a worker of a model.

mod foreign;
mod socket;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use api::worker::{Address, LAUNCH_ENV, WorkerLaunch};
use deploy::{
    LaunchId, ProcessSpec,
    python::{PythonFinder, PythonSearch},
};
use fleet::Fleet;
use types::{ModelKind, ModelName, ModelSpec};

use crate::{
    ControlSettings,
    environment::{self, Lookup},
};

pub(crate) use foreign::{is_ready, listens};
pub(crate) use socket::socket_path;

/// What a worker must know besides its model.
#[derive(Debug, Clone)]
pub(crate) struct Joining {
    /// Proves that it may join.
    pub(crate) token: String,
    /// Time between heartbeats, in milliseconds.
    pub(crate) heartbeat_ms: u64,
}

impl Joining {
    /// What this fleet demands.
    pub(crate) fn of(fleet: &Fleet) -> Self {
        let settings = fleet.settings();
        let heartbeat_ms = u64::try_from(settings.heartbeat.as_millis()).unwrap_or(u64::MAX);
        Self { token: settings.join_token.clone(), heartbeat_ms }
    }
}

/// One worker that is to be started.
pub(crate) struct Launch<'a> {
    pub(crate) settings: &'a ControlSettings,
    pub(crate) joining: &'a Joining,
    pub(crate) id: LaunchId,
    pub(crate) generation: u64,
    pub(crate) model: &'a ModelName,
    pub(crate) spec: &'a ModelSpec,
    /// Value of `CUDA_VISIBLE_DEVICES`.
    pub(crate) gpus: Option<String>,
}

/// A process to start, and how it becomes a worker.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) process: ProcessSpec,
    /// Where it answers, if it does not know us and is to be declared.
    pub(crate) foreign: Option<Address>,
}

/// A program with its arguments.
struct Program {
    path: PathBuf,
    args: Vec<String>,
    foreign: Option<Address>,
}

impl Launch<'_> {
    /// Finds the program and puts everything together.
    ///
    /// # Errors
    /// The reason for the operator, when something that it needs is missing.
    pub(crate) async fn prepare(
        &self,
        pythons: &PythonFinder,
        lookup: Lookup<'_>,
    ) -> Result<Prepared, String> {
        let socket = socket_path(&self.settings.run_dir, &self.id)?;
        let program = self.program(pythons, &socket).await?;
        let process = ProcessSpec {
            launch: self.id.clone(),
            model: self.model.clone(),
            generation: self.generation,
            program: program.path,
            args: program.args,
            env: self.env(socket, lookup)?,
            workdir: Some(self.workdir()),
            memory_mb_max: self.spec.memory_mb_max,
        };
        Ok(Prepared { process, foreign: program.foreign })
    }

    async fn program(&self, pythons: &PythonFinder, socket: &Path) -> Result<Program, String> {
        match self.spec.kind {
            ModelKind::Python => {
                let search = PythonSearch {
                    model: self.spec.python.as_ref().map(|python| self.located(python)),
                    workers: self.settings.python.as_ref().map(|python| self.located(python)),
                    beside: Some(self.settings.config_dir.clone()),
                };
                let path = pythons.find(&search).await.map_err(|error| error.to_string())?;
                Ok(Program { path, args: words(["-m", "modelyard.worker"]), foreign: None })
            }
            ModelKind::Builtin => Ok(self.own(["worker", "builtin"])),
            ModelKind::Llm => Ok(self.own(["worker", "llm"])),
            ModelKind::Command => {
                let foreign::Filled { words, address } = foreign::fill(&self.spec.command, socket)?;
                let mut words = words.into_iter();
                let program = words.next().ok_or("`command` is empty; give a program")?;
                let path = self.program_at(&program);
                Ok(Program { path, args: words.collect(), foreign: address })
            }
            kind => Err(format!("a model of kind {kind:?} runs no workers")),
        }
    }

    /// A worker that is part of this program.
    fn own(&self, args: [&str; 2]) -> Program {
        Program { path: self.settings.program.clone(), args: words(args), foreign: None }
    }

    /// Each later one wins: thread counts, the model's own, what the worker must know.
    fn env(&self, socket: PathBuf, lookup: Lookup<'_>) -> Result<BTreeMap<String, String>, String> {
        let mut env: BTreeMap<_, _> = environment::threads(self.spec.num_cpus).collect();
        if self.spec.kind == ModelKind::Python {
            // Printed lines appear when they are printed.
            env.insert("PYTHONUNBUFFERED".into(), "1".into());
        }
        env.extend(environment::expand(&self.spec.env, lookup)?);
        env.extend(self.gpus.iter().map(|gpus| ("CUDA_VISIBLE_DEVICES".into(), gpus.clone())));
        let launch = serde_json::to_string(&self.worker_launch(socket))
            .map_err(|error| format!("the launch could not be written as JSON: {error}"))?;
        env.insert(LAUNCH_ENV.into(), launch);
        Ok(env)
    }

    fn worker_launch(&self, socket: PathBuf) -> WorkerLaunch {
        WorkerLaunch {
            model: self.model.clone(),
            version: self.spec.version.clone(),
            implementation: self.implementation(),
            listen: Address::Unix(socket),
            gateway: Some(self.settings.gateway.clone()),
            join_token: self.joining.token.clone(),
            launch_id: self.id.to_string(),
            heartbeat_ms: self.joining.heartbeat_ms,
            capacity: self.spec.worker_capacity,
            max_batch_size: self.spec.max_batch_size,
            max_wait_ms: self.spec.max_wait_ms,
            warmup: self.spec.warmup.clone(),
            engine: (self.spec.kind == ModelKind::Llm).then(|| self.spec.engine.clone()),
            metadata: self.spec.metadata.clone(),
        }
    }

    /// What runs: code by its name, or the folder of the weights.
    fn implementation(&self) -> String {
        let folder = self.spec.path.as_ref().filter(|_| self.spec.kind == ModelKind::Llm);
        folder.map_or_else(
            || self.spec.implementation.clone().unwrap_or_default(),
            |path| self.settings.config_dir.join(path).display().to_string(),
        )
    }

    fn workdir(&self) -> PathBuf {
        let config_dir = &self.settings.config_dir;
        self.spec.workdir.as_ref().map_or_else(|| config_dir.clone(), |dir| config_dir.join(dir))
    }

    /// A bare name is looked up on `PATH`; a relative path starts where the worker runs.
    fn program_at(&self, program: &str) -> PathBuf {
        if program.contains('/') { self.workdir().join(program) } else { program.into() }
    }

    /// An interpreter or environment. A bare name, such as `python3.12`, is one on `PATH` unless it
    /// lies beside the configuration.
    fn located(&self, path: &Path) -> PathBuf {
        let beside = self.settings.config_dir.join(path);
        let is_bare = path.components().count() == 1;
        if is_bare && !beside.exists() { path.to_owned() } else { beside }
    }
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).into()
}
