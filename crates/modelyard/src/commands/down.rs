//! `modelyard down`

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{Surroundings, output, server_of};
use crate::{cli::DownArgs, failure::Failure};

/// How often the server is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Time for all that is not running calls: workers, the store, the log.
const CLOSING_TIME: Duration = Duration::from_secs(15);

pub(super) fn run(args: &DownArgs, around: &Surroundings) -> Result<(), Failure> {
    let (settings, found) = server_of(&args.server, around)?;
    let Some(server) = found else { return output::print(b"no server runs\n") };
    let asked = server.terminate().and_then(|()| {
        if !args.now {
            return Ok(());
        }
        // Asked twice in the same moment, it may hear it once.
        thread::sleep(LOOK_EVERY);
        server.terminate()
    });
    let pid = server.pid;
    asked.map_err(|error| {
        Failure::new(format!("the server (process {pid}) cannot be stopped: {error}"))
            .hint("it belongs to another user; ask that user, or use sudo")
    })?;
    let drain = if args.now { Duration::ZERO } else { settings.server.drain };
    let until = Instant::now() + drain + CLOSING_TIME;
    while server.runs() {
        if Instant::now() > until {
            return Err(Failure::new(format!("the server (process {pid}) still runs"))
                .hint("`modelyard down --now` ends running calls at once"));
        }
        thread::sleep(LOOK_EVERY);
    }
    output::print(format!("the server (process {pid}) has stopped\n").as_bytes())
}
