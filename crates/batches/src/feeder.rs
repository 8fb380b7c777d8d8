//! Finds batches that nobody runs, and runs them.

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    Batches, Error, clock,
    handle::Service,
    held::{Held, Left},
    housekeeping,
    record::{BatchRecord, OPEN},
    run,
    shelf::{Stored, Wanted},
};

/// Between two looks at what another server may have left.
const PAUSE: Duration = Duration::from_secs(1);

/// Batches that are read together.
const PAGE: u32 = 64;

/// What runs here.
#[derive(Default)]
struct Running(Mutex<HashSet<String>>);

impl Batches {
    /// Runs batches until `stop`, then lets go of them; another server, or the next life of this one,
    /// goes on where they were. To be awaited once.
    ///
    /// # Cancel safety
    /// Dropping the future leaves batches to the end of their leases.
    pub async fn run(&self, stop: CancellationToken) {
        // Aborted with this future: what is left behind must look like a server that died.
        let (mut runs, running) = (JoinSet::new(), Arc::new(Running::default()));
        runs.spawn(housekeeping::keep(self.service.files.clone(), stop.clone()));
        while !stop.is_cancelled() {
            while runs.try_join_next().is_some() {}
            if let Err(error) = self.look(&mut runs, &running, &stop).await {
                report(&error, "batches cannot be looked for yet");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.service.bell.notified() => {}
                () = sleep(PAUSE) => {}
            }
        }
        while runs.join_next().await.is_some() {}
    }

    /// Takes what is free, the oldest first, up to what may run here.
    async fn look(
        &self,
        runs: &mut JoinSet<()>,
        running: &Arc<Running>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let service = &self.service;
        let mut after = None;
        loop {
            let wanted =
                Wanted { label: Some(OPEN.into()), after, oldest_first: true, limit: PAGE };
            let open = service.shelf.list::<BatchRecord>(wanted).await?;
            after = open.last().map(|last| last.id.clone());
            let is_last = open.len() < PAGE as usize;
            for batch in open {
                if running.0.lock().len() >= service.settings.running_max {
                    return Ok(());
                }
                self.take(batch, runs, running, stop).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    async fn take(
        &self,
        batch: Stored<BatchRecord>,
        runs: &mut JoinSet<()>,
        running: &Arc<Running>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let service = &self.service;
        let settings = &service.settings;
        let now = clock::now();
        let is_free = batch.record.is_free(settings.server, settings.shared, now);
        // A server can only read what is in its own folder. Any can end what no other server ends.
        let is_here = batch.record.folder == service.files.folder.id();
        let is_ours = is_here || batch.record.is_overdue(settings.grace(), now);
        if !is_free || !is_ours || running.0.lock().contains(&batch.id) {
            return Ok(());
        }
        let id = batch.id.clone();
        let taken = Held::take(&service.shelf, settings.server, settings.lease, batch).await?;
        let Some(held) = taken else { return Ok(()) };
        running.0.lock().insert(id.clone());
        let (service, running, stop) = (service.clone(), running.clone(), stop.clone());
        runs.spawn(async move {
            run_one(&service, held, stop).await;
            running.0.lock().remove(&id);
            service.bell.notify_one();
        });
        Ok(())
    }
}

async fn run_one(service: &Arc<Service>, held: Held, stop: CancellationToken) {
    let id = held.id().to_owned();
    tracing::info!(batch = id, generation = held.record().generation, "a batch runs here");
    match run::run(service, held, stop).await {
        Ok(status) => tracing::info!(batch = id, status = status.as_str(), "a batch has ended"),
        Err(Left::Stopped) => tracing::info!(batch = id, "a batch waits for the next server"),
        Err(Left::Lost) => tracing::info!(batch = id, "another server runs the batch now"),
        Err(Left::Trouble(error)) => report(&error, "a batch cannot go on yet"),
    }
}

/// One line for the operator; the error's own text says what to do.
pub(crate) fn report(error: &Error, what: &'static str) {
    let source = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(%error, source, "{what}");
}
