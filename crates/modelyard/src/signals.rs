//! SIGINT and SIGTERM: the first one drains, the second one ends at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What the rest of the program watches.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Finish what runs, take nothing new.
    pub drain: CancellationToken,
    /// Finish nothing.
    pub at_once: CancellationToken,
}

impl Stop {
    /// Listens for signals until the runtime ends. From now on they do not kill the process.
    ///
    /// # Errors
    /// When the system gives no way to listen.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let stop = Self::default();
        let told = stop.clone();
        tokio::spawn(async move {
            next(&mut interrupt, &mut terminate).await;
            told.drain.cancel();
            next(&mut interrupt, &mut terminate).await;
            told.at_once.cancel();
        });
        Ok(stop)
    }
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
