//! `modelyard worker llm`: a language model on our own engine.

use std::{path::PathBuf, thread};

use ::llm::{
    load::{self, Loaded, Order, Progress, Stage, StartError},
    serving,
};
use tokio::sync::oneshot;
use worker::WorkerLaunch;

use super::{Surroundings, until_stopped};
use crate::{config::Environment, failure::Failure, signals::Stop};

/// How often loading is told in the log, as a share of the whole.
const TOLD_EVERY: f64 = 0.1;

pub(super) fn run(launch: WorkerLaunch, around: &Surroundings) -> Result<(), Failure> {
    let order = Order {
        folder: PathBuf::from(&launch.implementation),
        name: launch.model.to_string(),
        spec: launch.engine.clone().unwrap_or_default(),
        cache_dir: cache_dir(&around.environment),
    };
    until_stopped(|stop| serve(launch, order, stop))
}

async fn serve(launch: WorkerLaunch, order: Order, stop: Stop) -> Result<(), Failure> {
    let loaded = tokio::select! {
        loaded = loaded(order) => loaded?,
        () = stop.drain.cancelled() => return Ok(()),
    };
    let Loaded { model, mut ending } = loaded;
    let worker = serving::worker(&launch, model).map_err(|error| Failure::from_error(&error))?;
    tokio::select! {
        served = worker.serve(launch, stop.drain) => {
            served.map_err(|error| Failure::from_error(&error))
        }
        ended = ending.wait() => {
            let words = ended.err().unwrap_or_else(|| "nobody asks it any more".into());
            Err(Failure::new(format!("the engine failed: {words}")))
        }
    }
}

/// Loads on a thread of its own: nobody waits for it when the process is to end.
async fn loaded(order: Order) -> Result<Loaded, Failure> {
    let (done, waiting) = oneshot::channel();
    let load = move || {
        let mut told = 0.0;
        let outcome = load::load(&order, &mut |progress| tell(progress, &mut told));
        // Whoever left does not want to know.
        let _ = done.send(outcome);
    };
    let no_thread = |error| Failure::from_error(&StartError::Thread(error));
    thread::Builder::new().name("load".into()).spawn(load).map_err(no_thread)?;
    let outcome =
        waiting.await.map_err(|_| Failure::new("loading the model failed: it panicked"))?;
    outcome.map_err(|error| Failure::from_error(&error))
}

fn tell(progress: Progress, told: &mut f64) {
    let share = progress.done_bytes as f64 / progress.total_bytes.max(1) as f64;
    if share < *told + TOLD_EVERY && share < 1.0 || *told >= 1.0 {
        return;
    }
    *told = share;
    let doing = match progress.stage {
        Stage::Packing => "packing the weights",
        Stage::Reading => "reading packed weights",
    };
    tracing::info!(percent = (share * 100.0).round(), "{doing}");
}

/// Where packed weights are kept: `MODELYARD_CACHE_DIR`, else the user's cache folder.
pub(in crate::commands) fn cache_dir(environment: &Environment) -> Option<PathBuf> {
    let named = |name| environment.get(name).map(PathBuf::from);
    named("MODELYARD_CACHE_DIR")
        .or_else(|| named("XDG_CACHE_HOME").map(|cache| cache.join("modelyard")))
        .or_else(|| named("HOME").map(|home| home.join(".cache/modelyard")))
}
