//! What to do about the workers of one model. Pure: what is seen, the time and the dice come in,
//! steps go out.

mod slot;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use deploy::{Exit, LaunchId};
use types::{ModelName, WorkerId};

use slot::Slot;

/// A stuck or hanging worker gets this long to end by itself. What it runs will not end, so this
/// is only for closing its socket and flushing its log.
const SHORT_GRACE: Duration = Duration::from_secs(2);

/// How often a start is tried again that could not even be begun, for example because there is no
/// Python: somebody may install one.
const REFUSED_RETRY: Duration = Duration::from_secs(30);

/// How often a start is tried again for which there was no GPU: one may be given back any moment.
const NO_ROOM_RETRY: Duration = Duration::from_secs(1);

/// What should run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Worker processes.
    pub workers: u32,
    /// Which edition of the model; workers of an earlier one are replaced.
    pub generation: u64,
    /// Longest time from the start of a worker until it registers.
    pub start_timeout: Duration,
    /// How long a worker without a lease may take to register again.
    pub rejoin_timeout: Duration,
    /// How long a worker that is replaced may take to finish what it runs.
    pub drain_grace: Duration,
}

/// One process of this model, as deployer and fleet see it together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The process.
    pub launch: LaunchId,
    /// The edition that it belongs to.
    pub generation: u64,
    /// When it was started.
    pub started: Instant,
    /// Where it stands.
    pub standing: Standing,
}

/// Where a process stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Its start is under way; the deployer does not have it yet.
    Launching,
    /// It runs, but the fleet does not know it.
    Unregistered,
    /// It takes work.
    Ready(WorkerId),
    /// It takes no new work.
    Draining(WorkerId),
    /// It does not finish what it has.
    Stuck(WorkerId),
    /// It ended without having been asked to.
    Ended(Exit),
    /// It was asked to end, by an earlier [`Step::Retire`].
    Retiring,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Start a worker under this name.
    Start {
        /// A name that was never used.
        launch: LaunchId,
        /// The edition that it belongs to.
        generation: u64,
    },
    /// Give it no more work, end it, and forget it.
    Retire {
        /// The process.
        launch: LaunchId,
        /// The worker, if it is registered.
        worker: Option<WorkerId>,
        /// How long it may take.
        grace: Duration,
        /// For the log.
        why: Why,
    },
}

/// Why a process must go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It ended, or never came to serve.
    Failed(String),
    /// It ended and says that it would always do so.
    Hopeless(String),
    /// A call on it does not end.
    Stuck,
    /// Somebody drained it.
    Drained,
    /// It is not wanted any more, or its successor serves.
    Superseded,
}

/// How it stands with the model, for those who call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outlook {
    /// Workers are on their way.
    Starting,
    /// All workers serve.
    Ready,
    /// At least one worker cannot be brought to serve, or none is to be started here. A worker that
    /// joins from elsewhere serves all the same.
    Failing {
        /// Why, for the operator.
        reason: String,
    },
}

/// What to do now, and when to think again at the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// To be done in this order.
    pub steps: Vec<Step>,
    /// To be announced.
    pub outlook: Outlook,
    /// When time alone will change the plan.
    pub wake_at: Option<Instant>,
}

/// Why a start could not even be begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// In words for the operator.
    pub reason: String,
    /// Whether the end of another process may help.
    pub no_room: bool,
}

/// Keeps one model at its number of workers. Each worker has a slot, and each slot remembers how
/// its processes fared; everything else is read anew every time.
#[derive(Debug)]
pub struct Keeper {
    model: ModelName,
    wanted: Wanted,
    slots: Vec<Slot>,
    first_load_is_over: bool,
}

impl Keeper {
    /// Nothing runs yet.
    pub fn new(model: ModelName, wanted: Wanted) -> Self {
        let mut keeper =
            Self { model, wanted: wanted.clone(), slots: Vec::new(), first_load_is_over: false };
        keeper.want(wanted);
        keeper
    }

    /// What should run from now on.
    pub const fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Changes what should run.
    pub fn want(&mut self, wanted: Wanted) {
        // A new edition may have mended what was wrong with the old one.
        if wanted.generation != self.wanted.generation {
            self.slots.iter_mut().for_each(Slot::forgive);
        }
        // If there are to be fewer, those go first that do not serve.
        self.slots.sort_by_key(|slot| !slot.is_ready());
        self.slots.resize_with(wanted.workers as usize, Slot::new);
        self.wanted = wanted;
    }

    /// Starts again what was given up: the cause may have been mended.
    pub fn try_again(&mut self) {
        self.slots.iter_mut().filter(|slot| slot.is_given_up()).for_each(Slot::forgive);
    }

    /// Whether a worker has come to serve, or failed to, since the beginning.
    pub const fn first_load_is_over(&self) -> bool {
        self.first_load_is_over
    }

    /// A start that was planned could not be begun.
    pub fn refused(&mut self, launch: &LaunchId, refusal: Refusal, now: Instant) {
        self.first_load_is_over = true;
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.holds(launch)) {
            slot.refused(refusal, now);
        }
    }

    /// Compares what should run with what is `seen`. `draw` gives random numbers.
    pub fn plan(&mut self, seen: &[Seen], now: Instant, draw: &mut dyn FnMut() -> u64) -> Plan {
        let mut steps = Vec::new();
        for slot in &mut self.slots {
            steps.extend(slot.review(seen, &self.wanted, now, draw));
        }
        self.adopt(seen, &steps);
        self.fill(now, draw, &mut steps);
        self.retire_the_others(seen, &mut steps);
        self.first_load_is_over |= self.slots.is_empty() || self.slots.iter().any(Slot::has_news);
        let wake_at = self.slots.iter().filter_map(|slot| slot.wake_at(seen, &self.wanted)).min();
        Plan { steps, outlook: self.outlook(), wake_at }
    }

    /// Takes up processes that run already: we were restarted, they were not.
    fn adopt(&mut self, seen: &[Seen], steps: &[Step]) {
        let free: Vec<&Seen> = seen
            .iter()
            .filter(|seen| seen.generation == self.wanted.generation)
            .filter(|seen| matches!(seen.standing, Standing::Unregistered | Standing::Ready(_)))
            .filter(|seen| !self.slots.iter().any(|slot| slot.holds(&seen.launch)))
            .filter(|seen| !steps.iter().any(|step| *step.launch() == seen.launch))
            .collect();
        let empty = self.slots.iter_mut().filter(|slot| slot.is_empty());
        for (slot, seen) in empty.zip(free) {
            slot.adopt(seen);
        }
    }

    fn fill(&mut self, now: Instant, draw: &mut dyn FnMut() -> u64, steps: &mut Vec<Step>) {
        for slot in self.slots.iter_mut().filter(|slot| slot.may_start(now)) {
            // 48 bits are enough that no two launches of one server's life share a name.
            let launch = LaunchId::new(format!("{}-{:012x}", self.model, draw() >> 16));
            slot.start(launch.clone());
            steps.push(Step::Start { launch, generation: self.wanted.generation });
        }
    }

    /// Processes without a slot: of an earlier edition, or more than wanted. They serve until
    /// their successors do, or until these need their room.
    fn retire_the_others(&self, seen: &[Seen], steps: &mut Vec<Step>) {
        let already: BTreeSet<_> = steps.iter().map(|step| step.launch().clone()).collect();
        let covered = self.slots.iter().filter(|slot| slot.is_ready() || slot.needs_room()).count();
        let mut may_stay = self.slots.len().saturating_sub(covered);
        let others = seen.iter().filter(|seen| {
            !already.contains(&seen.launch)
                && !self.slots.iter().any(|slot| slot.holds(&seen.launch))
        });
        for seen in others {
            let (worker, grace, why) = match &seen.standing {
                Standing::Launching | Standing::Retiring => continue,
                Standing::Ready(_) if may_stay > 0 => {
                    may_stay -= 1;
                    continue;
                }
                Standing::Ready(worker) | Standing::Draining(worker) => {
                    (Some(*worker), self.wanted.drain_grace, Why::Superseded)
                }
                Standing::Stuck(worker) => (Some(*worker), SHORT_GRACE, Why::Stuck),
                Standing::Unregistered => (None, SHORT_GRACE, Why::Superseded),
                Standing::Ended(exit) => (None, Duration::ZERO, Why::Failed(exit.to_string())),
            };
            steps.push(Step::Retire { launch: seen.launch.clone(), worker, grace, why });
        }
    }

    fn outlook(&self) -> Outlook {
        if self.slots.is_empty() {
            let reason = "`num_workers` is 0 and no worker has joined from elsewhere".to_owned();
            return Outlook::Failing { reason };
        }
        if let Some(reason) = self.slots.iter().find_map(Slot::failure) {
            return Outlook::Failing { reason };
        }
        match self.slots.iter().all(Slot::is_ready) {
            true => Outlook::Ready,
            false => Outlook::Starting,
        }
    }
}

impl Step {
    fn launch(&self) -> &LaunchId {
        match self {
            Self::Start { launch, .. } | Self::Retire { launch, .. } => launch,
        }
    }
}
