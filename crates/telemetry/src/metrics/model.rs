//! The numbers of one model.

use std::{borrow::Cow, time::Duration};

use api::task::TaskState;
use parking_lot::Mutex;
use types::{ErrorCode, ModelName};

use super::{
    family::{CounterFamily, LazyCounters, LevelFamily, Registrar, TimesFamily},
    instruments::{Count, Level, Times},
};
use crate::names;

/// How an admitted call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Completed,
    /// The caller left.
    Cancelled,
    /// It was answered with this error.
    Failed(ErrorCode),
}

impl Outcome {
    /// `completed`, `cancelled`, then the table of errors.
    const SLOTS: usize = 2 + ErrorCode::ALL.len();

    const fn slot(self) -> usize {
        match self {
            Self::Completed => 0,
            Self::Cancelled => 1,
            Self::Failed(code) => 2 + code as usize,
        }
    }

    fn word(slot: usize) -> &'static str {
        match slot {
            0 => "completed",
            1 => "cancelled",
            _ => ErrorCode::ALL[slot - 2].slug(),
        }
    }
}

/// Where a replica stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaState {
    /// Its process runs but takes no calls yet.
    Starting,
    /// It takes calls.
    Ready,
    /// It finishes what it has.
    Draining,
    /// One of its calls neither ends nor can be cancelled.
    Stuck,
    /// Its lease has expired.
    Lost,
}

impl ReplicaState {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::Starting, Self::Ready, Self::Draining, Self::Stuck, Self::Lost];

    const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Stuck => "stuck",
            Self::Lost => "lost",
        }
    }
}

/// Whether calls are let through to an endpoint that has been failing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// All are let through.
    Closed = 0,
    /// A few are let through, to see.
    HalfOpen = 1,
    /// None is let through.
    Open = 2,
}

/// The families that every model has a member of.
#[derive(Debug)]
pub(super) struct ModelFamilies {
    calls: CounterFamily<2>,
    duration: TimesFamily<1>,
    queue_wait: TimesFamily<1>,
    first_byte: TimesFamily<1>,
    in_flight: LevelFamily<1>,
    queued: LevelFamily<1>,
    replicas: LevelFamily<2>,
    refusals: CounterFamily<2>,
    stuck: CounterFamily<1>,
    restarts: CounterFamily<1>,
    tasks: CounterFamily<2>,
    breaker: LevelFamily<1>,
}

impl ModelFamilies {
    pub(super) fn register(registrar: &mut Registrar) -> Self {
        Self {
            calls: registrar.counters(&names::MODEL_CALLS),
            duration: registrar.times(&names::MODEL_CALL_DURATION),
            queue_wait: registrar.times(&names::MODEL_QUEUE_WAIT),
            first_byte: registrar.times(&names::MODEL_FIRST_BYTE),
            in_flight: registrar.gauges(&names::MODEL_IN_FLIGHT),
            queued: registrar.gauges(&names::MODEL_QUEUED),
            replicas: registrar.gauges(&names::MODEL_REPLICAS),
            refusals: registrar.counters(&names::MODEL_REFUSALS),
            stuck: registrar.counters(&names::MODEL_STUCK),
            restarts: registrar.counters(&names::MODEL_RESTARTS),
            tasks: registrar.counters(&names::MODEL_TASKS),
            breaker: registrar.gauges(&names::MODEL_BREAKER),
        }
    }
}

/// The numbers of one model. Counting is an atomic addition; a duration also takes a short lock.
#[derive(Debug)]
pub struct ModelMetrics {
    /// Time that calls waited for a place.
    pub queue_wait: Times,
    /// Time until the head of the answer.
    pub first_byte: Times,
    /// Calls on replicas now.
    pub in_flight: Level,
    /// Calls that wait now.
    pub queued: Level,
    /// Calls that could not be ended.
    pub stuck: Count,
    /// Worker processes started again.
    pub restarts: Count,
    calls: LazyCounters<2>,
    duration: Times,
    replicas: [Level; ReplicaState::ALL.len()],
    refusals: LazyCounters<2>,
    tasks: LazyCounters<2>,
    breaker: Level,
    /// Endpoints by the state of their breaker.
    breakers: Mutex<[usize; 3]>,
}

impl ModelMetrics {
    pub(super) fn new(families: &ModelFamilies, name: &ModelName) -> Self {
        let name = name.as_str().to_owned();
        let one = || [("model", Cow::Owned(name.clone()))];
        let lazy = |family: &CounterFamily<2>, label, slots, word: fn(usize) -> &'static str| {
            let name = name.clone();
            let labels = move |slot| {
                [("model", Cow::Owned(name.clone())), (label, Cow::Borrowed(word(slot)))]
            };
            LazyCounters::new(family.clone(), slots, labels)
        };
        let metrics = Self {
            queue_wait: families.queue_wait.with(&one()),
            first_byte: families.first_byte.with(&one()),
            in_flight: families.in_flight.with(&one()),
            queued: families.queued.with(&one()),
            stuck: families.stuck.with(&one()),
            restarts: families.restarts.with(&one()),
            calls: lazy(&families.calls, "outcome", Outcome::SLOTS, Outcome::word),
            duration: families.duration.with(&one()),
            replicas: ReplicaState::ALL.map(|state| {
                let [model] = one();
                families.replicas.with(&[model, ("state", Cow::Borrowed(state.word()))])
            }),
            refusals: lazy(&families.refusals, "reason", ErrorCode::ALL.len(), |slot| {
                ErrorCode::ALL[slot].slug()
            }),
            tasks: lazy(&families.tasks, "state", TaskState::ALL.len(), |slot| {
                TaskState::ALL[slot].as_str()
            }),
            breaker: families.breaker.with(&one()),
            breakers: Mutex::default(),
        };
        // A dashboard wants to see the first call as a step from 0, not as a line out of nowhere.
        metrics.calls.at(Outcome::Completed.slot());
        metrics
    }

    /// An admitted call ended, `took` after it arrived.
    pub fn call_ended(&self, outcome: Outcome, took: Duration) {
        self.calls.at(outcome.slot()).inc();
        self.duration.observe(took);
    }

    /// A call was refused before it began.
    pub fn refused(&self, reason: ErrorCode) {
        self.refusals.at(reason as usize).inc();
    }

    /// A durable task entered a state.
    pub fn task_entered(&self, state: TaskState) {
        self.tasks.at(state as usize).inc();
    }

    /// Replicas that are in a state now.
    pub fn replicas(&self, state: ReplicaState) -> &Level {
        &self.replicas[state as usize]
    }

    /// The breaker of one of its endpoints changed. An endpoint comes `from` nowhere and goes `to`
    /// nowhere.
    pub fn breaker_changed(&self, from: Option<Breaker>, to: Option<Breaker>) {
        let mut endpoints = self.breakers.lock();
        if let Some(state) = from {
            endpoints[state as usize] = endpoints[state as usize].saturating_sub(1);
        }
        if let Some(state) = to {
            endpoints[state as usize] += 1;
        }
        let worst = endpoints.iter().rposition(|&count| count > 0).unwrap_or(0);
        self.breaker.set(worst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_are_indexed_by_a_value_stand_in_its_order() {
        for (slot, &code) in ErrorCode::ALL.iter().enumerate() {
            assert_eq!(code as usize, slot);
            assert_eq!(Outcome::word(Outcome::Failed(code).slot()), code.slug());
        }
        for (slot, state) in TaskState::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, slot);
        }
        for (slot, state) in ReplicaState::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, slot);
        }
    }
}
