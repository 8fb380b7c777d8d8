//! The life of one server on the store: its number, its heartbeat, its end.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{task::AbortHandle, time::sleep};

use super::{Shared, link::Question};
use crate::{Owner, StoreError};

/// A server is over once so many heartbeats are missing.
const BEATS_TO_LIVE: u32 = 3;

/// A life that goes on until it is ended, or this is dropped.
pub(super) struct Life {
    shared: Arc<Shared>,
    name: String,
    beating: AbortHandle,
}

/// Begins a life, and ends earlier ones under the same name. It is to be kept from now on.
pub(super) async fn begin(shared: &Shared, name: &str) -> Result<Owner, StoreError> {
    let mut script = shared.scripts.register.key(&shared.keys.0);
    script.arg(name).arg(millis_to_live(shared));
    shared.link.ask(Question::Script(&script)).await.map(Owner)
}

impl Life {
    /// Keeps a life that was begun; each heartbeat comes a while after the last.
    pub(super) fn keep(shared: Arc<Shared>, name: String) -> Self {
        let beats = (shared.clone(), name.clone());
        let beating = tokio::spawn(async move {
            let (shared, name) = beats;
            loop {
                sleep(shared.heartbeat).await;
                if let Err(error) = beat(&shared, &name).await {
                    tracing::warn!(%error, "the heartbeat of this server cannot be written");
                }
            }
        });
        Self { shared, name, beating: beating.abort_handle() }
    }

    /// Says that this server is alive.
    pub(super) async fn beat(&self) -> Result<(), StoreError> {
        beat(&self.shared, &self.name).await
    }

    /// Ends the life, so that another server need not wait for what it ran.
    pub(super) async fn end(&self) {
        self.beating.abort();
        let shared = &self.shared;
        let mut script = shared.scripts.leave.key(&shared.keys.0);
        let plain = shared.keys.plain_heartbeat(&self.name);
        script.arg(shared.owner().0).arg(&self.name).arg(plain);
        // If nobody hears it, the life ends by not being heard of.
        if let Err(error) = shared.link.ask::<i64>(Question::Script(&script)).await {
            tracing::debug!(%error, "the end of this server could not be written");
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

impl Shared {
    /// Who shares the store, by name.
    pub(super) async fn servers(&self) -> Result<Vec<(String, Duration)>, StoreError> {
        let script = self.scripts.servers.key(&self.keys.0);
        let mut found: Vec<(String, u64)> = self.link.ask(Question::Script(&script)).await?;
        found.sort_unstable();
        Ok(found.into_iter().map(|(name, ms)| (name, Duration::from_millis(ms))).collect())
    }

    /// Those of these servers that are over, or that have just missed a heartbeat. The lease of a
    /// task is as long as several: where it has ended and its server is silent, it is the server
    /// that failed, not the task.
    pub(super) async fn silent(
        &self,
        servers: &BTreeSet<u64>,
    ) -> Result<BTreeSet<u64>, StoreError> {
        if servers.is_empty() {
            return Ok(BTreeSet::new());
        }
        let mut script = self.scripts.silent.key(&self.keys.0);
        script.arg(millis(self) * 3 / 2);
        for server in servers {
            script.arg(*server);
        }
        self.link.ask(Question::Script(&script)).await
    }
}

fn millis(shared: &Shared) -> u64 {
    u64::try_from(shared.heartbeat.as_millis()).unwrap_or(u64::MAX / 8)
}

fn millis_to_live(shared: &Shared) -> u64 {
    millis(shared).saturating_mul(BEATS_TO_LIVE.into())
}

async fn beat(shared: &Shared, name: &str) -> Result<(), StoreError> {
    let mut script = shared.scripts.beat.key(&shared.keys.0);
    let plain = shared.keys.plain_heartbeat(name);
    script.arg(shared.owner().0).arg(name).arg(millis_to_live(shared)).arg(plain);
    shared.link.ask::<i64>(Question::Script(&script)).await.map(drop)
}
