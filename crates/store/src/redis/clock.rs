//! What time, or the end of another server, does to tasks. Several servers may look at once: each
//! step is taken by one of them.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use redis::Pipeline;
use types::{ModelName, TaskId, Timestamp};

use super::{Shared, link::Question, queue::Entry};
use crate::{
    Changed, Place, Standing, StoreError, Swept,
    standing::{Step, Tick},
};

/// Steps that are sent without waiting for each other.
const STEPS_AT_ONCE: usize = 64;

impl Shared {
    /// Puts back what servers ran that are over.
    pub(super) async fn recover(&self, now: Timestamp) -> Result<Swept, StoreError> {
        let mut pipe = Pipeline::new();
        let models = self.models().await?;
        pipe.zrange(self.keys.named("servers"), 0, -1);
        for model in &models {
            pipe.zrange(self.keys.queue(model, Place::Running), 0, -1);
        }
        let mut found: Vec<Vec<String>> = self.link.ask(Question::Pipe(&pipe)).await?;
        let servers: BTreeSet<u64> =
            found.swap_remove(0).iter().filter_map(|server| server.parse().ok()).collect();
        let entries = self.entries(&ids(found.into_iter().flatten())).await?;
        let lost = |entry: &Entry| {
            let owner = entry.standing.owner;
            entry.standing.place == Place::Running
                && owner != self.owner()
                && !servers.contains(&owner.0)
        };
        let lost = entries.into_iter().filter(lost);
        let put_back = lost.map(|entry| {
            let step = entry.standing.abandoned(entry.at(now));
            (entry, Tick::Step(step))
        });
        let mut swept = self.take_all(put_back, now).await?;
        swept.next_due = self.next_due().await?;
        Ok(swept)
    }

    /// Does what is due.
    pub(super) async fn sweep(&self, now: Timestamp, limit: u32) -> Result<Swept, StoreError> {
        let mut pipe = Pipeline::new();
        for place in Place::ALL {
            let due = self.keys.due(place);
            pipe.zrangebyscore_limit(due, "-inf", now.millis(), 0, limit as isize);
        }
        let found: Vec<Vec<String>> = self.link.ask(Question::Pipe(&pipe)).await?;
        let more = found.iter().any(|due| due.len() == limit as usize);
        let entries = self.entries(&ids(found.into_iter().flatten())).await?;
        // A renewal, or another server, may have come between.
        let is_due = |entry: &Entry| entry.standing.due.is_some_and(|due| due <= now);
        let due: Vec<_> = entries.into_iter().filter(is_due).collect();
        let runs_elsewhere = |entry: &Entry| {
            let Standing { place, owner, .. } = entry.standing;
            (place == Place::Running && owner != self.owner()).then_some(owner.0)
        };
        let silent = self.silent(&due.iter().filter_map(runs_elsewhere).collect()).await?;
        let ticks = due.into_iter().map(|entry| {
            let is_orphan = runs_elsewhere(&entry).is_some_and(|server| silent.contains(&server));
            let tick = if is_orphan {
                Tick::Step(entry.standing.abandoned(entry.at(now)))
            } else {
                entry.standing.tick(entry.at(now))
            };
            (entry, tick)
        });
        let swept = self.take_all(ticks, now).await?;
        Ok(Swept { more, next_due: self.next_due().await?, ..swept })
    }

    async fn take_all(
        &self,
        ticks: impl Iterator<Item = (Entry, Tick)> + Send,
        now: Timestamp,
    ) -> Result<Swept, StoreError> {
        let ticks: Vec<_> = ticks.collect();
        let taken: Vec<Taken> = stream::iter(ticks)
            .map(|(entry, tick)| self.take(entry, tick, now))
            .buffer_unordered(STEPS_AT_ONCE)
            .try_collect()
            .await?;
        let mut swept = Swept::default();
        for taken in taken {
            match taken {
                Taken::Step(changed) => swept.changed.push(changed),
                Taken::Removed => swept.removed += 1,
                Taken::ByAnother => {}
            }
        }
        Ok(swept)
    }

    async fn take(&self, entry: Entry, tick: Tick, now: Timestamp) -> Result<Taken, StoreError> {
        match tick {
            Tick::Step(step) => {
                let done = self.write(&entry, &step, None, now, &self.operation()).await?;
                Ok(if done { Taken::Step(changed(entry, &step)) } else { Taken::ByAnother })
            }
            Tick::Remove => {
                let done = self.remove(&entry).await?;
                Ok(if done { Taken::Removed } else { Taken::ByAnother })
            }
        }
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut pipe = Pipeline::new();
        for place in Place::ALL {
            pipe.zrange_withscores(self.keys.due(place), 0, 0);
        }
        let found: Vec<Vec<(String, f64)>> = self.link.ask(Question::Pipe(&pipe)).await?;
        // Milliseconds are exact in a double for longer than anybody waits.
        let due = found.into_iter().flatten().map(|(_, due)| Timestamp::from_millis(due as u64));
        Ok(due.min())
    }

    /// Every model that ever had a task.
    pub(super) async fn models(&self) -> Result<Vec<ModelName>, StoreError> {
        let mut pipe = Pipeline::new();
        pipe.smembers(self.keys.named("models"));
        let (names,): (Vec<String>,) = self.link.ask(Question::Pipe(&pipe)).await?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }
}

/// Who took a step.
enum Taken {
    Step(Changed),
    Removed,
    ByAnother,
}

fn changed(entry: Entry, step: &Step) -> Changed {
    Changed { id: entry.id, model: entry.model, place: step.to.place, attempt: step.to.attempt }
}

pub(super) fn ids(texts: impl Iterator<Item = String>) -> Vec<TaskId> {
    texts.filter_map(|text| text.parse().ok()).collect()
}
