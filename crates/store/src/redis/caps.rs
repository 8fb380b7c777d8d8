//! One cap for all servers: each holds a part of it, so that no call asks Redis for a place.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use futures_util::future::try_join_all;
use parking_lot::Mutex;
use policy::share::divide;
use types::ModelName;

use super::{Shared, link::Question};
use crate::{CapWish, StoreError};

/// A server that does not ask again within this time holds nothing any more; sooner where servers
/// are given up sooner.
const TIME_TO_LIVE_MAX: Duration = Duration::from_secs(5);

/// It asks several times within this.
const TIME_TO_LIVE_MIN: Duration = Duration::from_secs(1);

/// What the other servers wanted when they were last heard of, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Others(Mutex<HashMap<ModelName, BTreeMap<u64, u32>>>);

impl Shared {
    /// What this server may run at once, for each wish.
    pub(super) async fn share(&self, wishes: &[CapWish]) -> Result<Vec<u32>, StoreError> {
        try_join_all(wishes.iter().map(|wish| self.share_one(wish))).await
    }

    async fn share_one(&self, wish: &CapWish) -> Result<u32, StoreError> {
        let beats = self.heartbeat.saturating_mul(2);
        let time_to_live = beats.clamp(TIME_TO_LIVE_MIN, TIME_TO_LIVE_MAX);
        let mut script = self.scripts.share.key(&self.keys.0);
        script
            .arg(self.owner().0)
            .arg(time_to_live.as_millis() as u64)
            .arg(wish.model.as_str())
            .arg(wish.cap)
            .arg(wish.running)
            .arg(wish.wanted)
            .arg(self.asked(wish));
        let answer: Vec<u64> = self.link.ask(Question::Script(&script)).await?;
        let Some((allowed, others)) = answer.split_first() else { return Ok(wish.running) };
        let others = others.chunks_exact(2).map(|pair| (pair[0], small(pair[1])));
        self.others.0.lock().insert(wish.model.clone(), others.collect());
        Ok(small(*allowed))
    }

    /// This server's part, as far as the wishes of the others are known.
    fn asked(&self, wish: &CapWish) -> u32 {
        let mut wanted = self.others.0.lock().get(&wish.model).cloned().unwrap_or_default();
        wanted.insert(self.owner().0, wish.wanted);
        let shares = divide(wish.cap, &wanted.values().copied().collect::<Vec<_>>());
        let mine = wanted.keys().position(|server| *server == self.owner().0);
        mine.and_then(|at| shares.get(at)).copied().unwrap_or_default()
    }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
