//! `modelyard serve`: from the settings to a running server and back.

use nix::unistd::setsid;
use telemetry::{Metrics, log};
use tokio::runtime::Builder;

use super::{Surroundings, load, reload};
use crate::{
    VERSION,
    cli::ServeArgs,
    config::{self, Loaded},
    failure::Failure,
    house::{self, Start},
    limits,
    listen::{self, ListenError},
    signals::Stop,
};

pub(super) fn run(args: &ServeArgs, around: &Surroundings) -> Result<(), Failure> {
    let loaded = load(&args.config, around)?;
    if args.reload {
        return reload::supervise(&loaded);
    }
    if args.background {
        // So that neither Ctrl-C nor the end of the terminal reaches it. It leads a group already
        // where nobody could.
        let _ = setsid();
    }
    let metrics = Metrics::new(VERSION);
    // Dropped last: it writes out what the end of the server has to say.
    let _log = log::start(&loaded.settings.log, metrics.log_lines_dropped())
        .map_err(|error| Failure::from_error(&error))?;
    announce(&loaded);
    adapters::install_tls_provider();
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| super::no_runtime(&error))?;
    runtime.block_on(async {
        let stop = Stop::on_signals().map_err(|error| Failure::signals(&error))?;
        let doors = listen::open(&loaded.settings.server.listen).await.map_err(|e| no_door(&e))?;
        if let Err(error) = config::write_builtin(&loaded.settings) {
            tracing::warn!(%error, "could not write the built-in models; some may be missing");
        }
        for door in &doors {
            tracing::info!(address = %door.address, "listening");
        }
        let start = Start { settings: loaded.settings, doors, metrics, stop };
        house::serve(start).await.map_err(|error| Failure::from_error(&error))
    })
}

/// The first lines of the log: what runs, on what, and what looks wrong.
fn announce(loaded: &Loaded) {
    let descriptors = limits::raise_descriptors();
    let file = loaded.file.as_ref().map(|file| file.display().to_string());
    tracing::info!(
        version = VERSION,
        config = file.as_deref().unwrap_or("none"),
        models = loaded.settings.models.len(),
        descriptors_max = descriptors,
        "starting"
    );
    for warning in &loaded.settings.warnings {
        tracing::warn!("{warning}");
    }
}

fn no_door(error: &ListenError) -> Failure {
    Failure::from_error(error).hint(error.hint())
}
