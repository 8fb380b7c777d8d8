//! `modelyard worker llm`: a language model on our own engine.

use std::{path::PathBuf, thread};

use ::llm::{
    load::{self, CacheSettings, Loaded, Order, Outlook, Progress, Stage, StartError},
    serving,
};
use api::worker::{EXIT_LATER, EXIT_NEVER};
use tokio::sync::oneshot;
use worker::WorkerLaunch;

use super::{Surroundings, until_stopped};
use crate::{config::Environment, failure::Failure, signals::Stop};

/// Names the limit of the packed files.
const CACHE_MB_MAX: &str = "MODELYARD_CACHE_MB_MAX";

/// Packed weights of fewer bytes take less than a tenth of a second to make.
const KEPT_BYTES_MIN: u64 = 64 << 20;

pub(super) fn run(launch: WorkerLaunch, around: &Surroundings) -> Result<(), Failure> {
    let order = Order {
        folder: PathBuf::from(&launch.implementation),
        name: launch.model.to_string(),
        spec: launch.engine.clone().unwrap_or_default(),
        cache: cache(&around.environment)?,
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
        let mut teller = Teller::default();
        let outcome = load::load(&order, &mut |progress| teller.tell(progress));
        // Whoever left does not want to know.
        let _ = done.send(outcome);
    };
    let no_thread = |error| Failure::from_error(&StartError::Thread(error));
    thread::Builder::new().name("load".into()).spawn(load).map_err(no_thread)?;
    let outcome =
        waiting.await.map_err(|_| Failure::new("loading the model failed: it panicked"))?;
    outcome.map_err(|error| {
        let failure = Failure::from_error(&error);
        // Tells the server whether to start another one.
        match error.outlook() {
            Outlook::Unknown => failure,
            Outlook::Later => failure.with_status(EXIT_LATER),
            Outlook::Hopeless => failure.with_status(EXIT_NEVER),
        }
    })
}

/// Tells the server, which shows a bar on a terminal and writes a few lines into a log.
#[derive(Default)]
struct Teller {
    told: Option<(Stage, f64)>,
}

impl Teller {
    fn tell(&mut self, progress: Progress) {
        let Progress { stage, done_bytes, total_bytes } = progress;
        let percent = (done_bytes as f64 / total_bytes.max(1) as f64 * 100.0).round();
        let is_news = match self.told {
            // Packing may follow a cache that turned out to be damaged.
            Some((before, told)) => stage != before || percent > told,
            None => true,
        };
        if !is_news {
            return;
        }
        self.told = Some((stage, percent));
        let doing = match stage {
            Stage::Packing => "packing the weights",
            Stage::Reading => "reading packed weights",
        };
        tracing::info!(percent, "{doing}");
    }
}

/// Where packed weights are kept: `MODELYARD_CACHE_DIR`, else the user's cache folder; and how many:
/// `MODELYARD_CACHE_MB_MAX`.
pub(in crate::commands) fn cache(
    environment: &Environment,
) -> Result<Option<CacheSettings>, Failure> {
    let named = |name| environment.get(name).map(PathBuf::from);
    let directory = named("MODELYARD_CACHE_DIR")
        .or_else(|| named("XDG_CACHE_HOME").map(|cache| cache.join("modelyard")))
        .or_else(|| named("HOME").map(|home| home.join(".cache/modelyard")));
    let bytes_max = environment.get(CACHE_MB_MAX).map(|text| match text.parse::<u64>() {
        Ok(mib) => Ok(mib.saturating_mul(1 << 20)),
        Err(_) => Err(Failure::misuse(format!("{CACHE_MB_MAX} is `{text}`, not a whole number"))
            .hint("it is the size of the cache of packed weights in MiB; 0 keeps none")),
    });
    let bytes_max = bytes_max.transpose()?;
    let settings = |directory| CacheSettings { directory, bytes_max, bytes_min: KEPT_BYTES_MIN };
    Ok(directory.map(settings))
}
