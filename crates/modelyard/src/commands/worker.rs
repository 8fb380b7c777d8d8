//! `modelyard worker`: a worker that is part of this program, as a process of its own.

use std::env;

use api::worker::LAUNCH_ENV;
use telemetry::{
    Metrics,
    log::{self, LogFormat, LogSettings},
};
use tokio::runtime::Builder;
use worker::{WorkerLaunch, builtin};

use super::Surroundings;
use crate::{VERSION, cli::WorkerCommand, failure::Failure, signals::Stop};

pub(super) fn run(command: WorkerCommand, around: &Surroundings) -> Result<(), Failure> {
    let WorkerCommand::Builtin = command;
    let launch = launch()?;
    let settings = LogSettings {
        levels: level(around),
        // The server reads the lines back and writes them into its own log.
        format: LogFormat::Json,
        file: None,
    };
    let dropped = Metrics::new(VERSION).log_lines_dropped();
    let _log = log::start(&settings, dropped).map_err(|error| Failure::from_error(&error))?;
    let worker = builtin::by_name(&launch.implementation)
        .and_then(|kind| kind.worker(&launch))
        .map_err(|error| Failure::misuse(types::chain(&error)))?;
    // One thread answers tens of thousands of echoes per second; more would only take processors
    // from the server.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| super::no_runtime(&error))?;
    runtime.block_on(async {
        let stop = Stop::on_signals().map_err(|error| Failure::signals(&error))?;
        let served = tokio::select! {
            served = worker.serve(launch, stop.drain.clone()) => served,
            () = worker::lifeline() => Ok(()),
            () = stop.at_once.cancelled() => Ok(()),
        };
        served.map_err(|error| Failure::from_error(&error))
    })
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
