//! Who is registered, and what follows from what they say. Pure: `now` comes in, steps go out.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::Path, time::Instant};

use api::worker::Address;
use fleet::Offer;
use types::WorkerId;

use crate::{announced::Announced, pace::Pace};

/// Workers of one proxy: far more than a machine runs.
const WORKERS_MAX: usize = 4096;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask a worker what it serves, until it answers.
    Visit {
        /// Which worker.
        id: String,
        /// Tells this visit from others of the same worker.
        visit: u64,
        /// Where it listens.
        address: Address,
    },
    /// A replica offers something else.
    Adjust {
        /// The replica.
        worker: WorkerId,
        /// What it offers.
        offer: Offer,
    },
    /// A replica is none any more.
    Dismiss {
        /// The replica.
        worker: WorkerId,
        /// Whether it said so itself.
        is_farewell: bool,
    },
}

/// All registered workers, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    entries: BTreeMap<String, Entry>,
    visits: u64,
}

#[derive(Debug)]
struct Entry {
    worker: Announced,
    pace: Pace,
    visit: u64,
    /// The replica that it is, once it has answered.
    serves_as: Option<WorkerId>,
}

impl Entry {
    fn dismissed(self, is_farewell: bool) -> Option<Step> {
        self.serves_as.map(|worker| Step::Dismiss { worker, is_farewell })
    }
}

/// A worker, and where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resident {
    pub(crate) id: String,
    pub(crate) address: Address,
}

/// As many workers are registered as may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Roll {
    /// A worker says that it lives.
    pub(crate) fn beat(&mut self, worker: Announced, now: Instant) -> Result<Vec<Step>, Full> {
        let id = worker.id.clone();
        let Some(entry) = self.entries.get_mut(&id) else {
            if self.entries.len() >= WORKERS_MAX {
                return Err(Full);
            }
            return Ok(vec![self.enter(worker, Pace::begin(now))]);
        };
        entry.pace.heard(now);
        if entry.worker.address == worker.address && entry.worker.model == worker.model {
            let offer = worker.offer;
            entry.worker = worker;
            return Ok(entry
                .serves_as
                .map(|worker| Step::Adjust { worker, offer })
                .into_iter()
                .collect());
        }
        // It was started again elsewhere, under the same name.
        let pace = entry.pace.clone();
        let left = self.entries.remove(&id).and_then(|entry| entry.dismissed(true));
        let visit = self.enter(worker, pace);
        Ok(left.into_iter().chain([visit]).collect())
    }

    fn enter(&mut self, worker: Announced, pace: Pace) -> Step {
        self.visits += 1;
        let (id, visit) = (worker.id.clone(), self.visits);
        let step = Step::Visit { id: id.clone(), visit, address: worker.address.clone() };
        self.entries.insert(id, Entry { worker, pace, visit, serves_as: None });
        step
    }

    /// The worker whose visit this was, if nothing has changed meanwhile.
    pub(crate) fn visited(&self, id: &str, visit: u64) -> Option<&Announced> {
        let entry = self.entries.get(id)?;
        (entry.visit == visit && entry.serves_as.is_none()).then_some(&entry.worker)
    }

    /// A visited worker is a replica from now on.
    pub(crate) fn serves(&mut self, id: &str, worker: WorkerId) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.serves_as = Some(worker);
        }
    }

    /// A replica does not answer: it gets no calls until it does again, or is gone.
    pub(crate) fn unreachable(&mut self, id: &str, visit: u64) -> Vec<Step> {
        let Some(entry) = self.entries.get(id) else { return Vec::new() };
        if entry.visit != visit || entry.serves_as.is_none() {
            return Vec::new();
        }
        let Some(entry) = self.entries.remove(id) else { return Vec::new() };
        let visit = self.enter(entry.worker.clone(), entry.pace.clone());
        entry.dismissed(false).into_iter().chain([visit]).collect()
    }

    /// A worker ends. Returns how many there were of that id.
    pub(crate) fn farewell(&mut self, id: &str) -> (usize, Vec<Step>) {
        let entry = self.entries.remove(id);
        (entry.iter().len(), entry.and_then(|entry| entry.dismissed(true)).into_iter().collect())
    }

    /// The workers whose sockets lie in a folder, and where.
    pub(crate) fn residents(&self, folder: &Path) -> Vec<Resident> {
        let lies_there = |entry: &&Entry| match &entry.worker.address {
            Address::Unix(path) => path.parent() == Some(folder),
            Address::Tcp(_) => false,
        };
        let there = self.entries.values().filter(lies_there).map(|entry| &entry.worker);
        there.map(|it| Resident { id: it.id.clone(), address: it.address.clone() }).collect()
    }

    /// These workers end, whose sockets nobody listens at, if they have not spoken since `asked_at`,
    /// when that was asked. Returns how many did.
    pub(crate) fn clear(&mut self, dead: &[Resident], asked_at: Instant) -> (usize, Vec<Step>) {
        let mut left = Vec::new();
        for Resident { id, address } in dead {
            let is_meant =
                |entry: &Entry| entry.worker.address == *address && entry.pace.last() <= asked_at;
            if self.entries.get(id).is_some_and(is_meant) {
                left.extend(self.entries.remove(id));
            }
        }
        (left.len(), left.into_iter().filter_map(|entry| entry.dismissed(true)).collect())
    }

    /// All workers end that have been silent for too long. Returns their ids.
    pub(crate) fn sweep(&mut self, now: Instant) -> (Vec<String>, Vec<Step>) {
        let silent: Vec<_> =
            self.entries.extract_if(.., |_, entry| entry.pace.silent_at() <= now).collect();
        let (ids, entries): (Vec<_>, Vec<_>) = silent.into_iter().unzip();
        (ids, entries.into_iter().filter_map(|entry| entry.dismissed(false)).collect())
    }

    /// Where a replica listens that was made after this visit.
    pub(crate) fn address(&self, id: &str, visit: u64) -> Option<Address> {
        let entry = self.entries.get(id)?;
        let serves = entry.visit == visit && entry.serves_as.is_some();
        serves.then(|| entry.worker.address.clone())
    }

    /// When this worker counts as gone, measured in its own intervals.
    pub(crate) fn silent_at(&self, id: &str) -> Option<Instant> {
        self.entries.get(id).map(|entry| entry.pace.silent_at())
    }

    /// What a worker said last that is a replica.
    pub(crate) fn serving(&self, id: &str) -> Option<(WorkerId, &Announced)> {
        let entry = self.entries.get(id)?;
        entry.serves_as.map(|worker| (worker, &entry.worker))
    }

    /// What every registered worker said last.
    pub(crate) fn workers(&self) -> impl Iterator<Item = &Announced> {
        self.entries.values().map(|entry| &entry.worker)
    }
}
