//! `modelyard worker`: a worker that is part of this program, as a process of its own.

mod llm;

use std::{env, future::Future};

use api::worker::LAUNCH_ENV;
use telemetry::{
    Metrics,
    log::{self, LogFormat, LogSettings},
};
use tokio::runtime::Builder;
use worker::{WorkerLaunch, builtin};

use super::Surroundings;
use crate::{VERSION, cli::WorkerCommand, failure::Failure, signals::Stop};
pub(super) use llm::cache;

pub(super) fn run(command: WorkerCommand, around: &Surroundings) -> Result<(), Failure> {
    let launch = launch()?;
    let settings = LogSettings {
        levels: level(around),
        // The server reads the lines back and writes them into its own log.
        format: LogFormat::Json,
        file: None,
    };
    let dropped = Metrics::new(VERSION).log_lines_dropped();
    let _log = log::start(&settings, dropped).map_err(|error| Failure::from_error(&error))?;
    match command {
        WorkerCommand::Builtin => run_builtin(launch),
        WorkerCommand::Llm => llm::run(launch, around),
    }
}

fn run_builtin(launch: WorkerLaunch) -> Result<(), Failure> {
    let worker = builtin::by_name(&launch.implementation)
        .and_then(|kind| kind.worker(&launch))
        .map_err(|error| Failure::misuse(types::chain(&error)))?;
    until_stopped(|stop| async move {
        let served = worker.serve(launch, stop.drain).await;
        served.map_err(|error| Failure::from_error(&error))
    })
}

/// Runs until the work is done, the server is gone, or a second signal says to end at once. The
/// first one is for the work itself.
fn until_stopped<W>(work: impl FnOnce(Stop) -> W) -> Result<(), Failure>
where
    W: Future<Output = Result<(), Failure>>,
{
    // One thread answers tens of thousands of echoes per second; more would only take processors
    // from the server, or from the engine.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| super::no_runtime(&error))?;
    let outcome = runtime.block_on(async {
        let stop = Stop::on_signals().map_err(|error| Failure::signals(&error))?;
        tokio::select! {
            done = work(stop.clone()) => done,
            () = worker::lifeline() => Ok(()),
            () = stop.at_once.cancelled() => Ok(()),
        }
    });
    // Whatever still works in the background works for nobody.
    runtime.shutdown_background();
    outcome
}

fn launch() -> Result<WorkerLaunch, Failure> {
    let hint = "the server starts workers itself; run `modelyard serve`";
    let text = env::var(LAUNCH_ENV)
        .map_err(|_| Failure::misuse(format!("{LAUNCH_ENV} is not set")).hint(hint))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::misuse(format!("{LAUNCH_ENV} is malformed: {error}")).hint(hint))
}

/// The level of the server, which has checked it.
fn level(around: &Surroundings) -> log::LogLevels {
    let names = ["MODELYARD_LOG__LEVEL", "LOG_LEVEL"];
    let text = names.into_iter().find_map(|name| around.environment.get(name));
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}
