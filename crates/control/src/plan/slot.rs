//! The place of one worker: the process that fills it, and how its predecessors fared.

use std::time::{Duration, Instant};

use deploy::{Again, Exit, LaunchId};
use policy::{
    backoff::Backoff,
    restart::{RestartLimits, Supervisor},
};

use super::{
    NO_ROOM_RETRY, REFUSED_RETRY, Refusal, SHORT_GRACE, Seen, Standing, Step, Wanted, Why,
};

/// Half a second is soon enough for one crash; three in a row within some seconds are a crash
/// loop, which is told to the operator and then tried twice a minute.
const RESTARTS: RestartLimits = RestartLimits {
    backoff: Backoff { base: Duration::from_millis(500), max: Duration::from_secs(30) },
    stable_after: Duration::from_secs(60),
    loop_exits: 3,
};

/// The place of one worker.
#[derive(Debug)]
pub(super) struct Slot {
    supervisor: Supervisor,
    tenure: Tenure,
    /// What last went wrong, until a process serves.
    problem: Option<Problem>,
    /// Whether a process has ever served here.
    has_served: bool,
}

/// Who fills a slot.
#[derive(Debug)]
enum Tenure {
    Empty {
        not_before: Option<Instant>,
    },
    /// To start another one would change nothing.
    GivenUp,
    /// It has not registered yet.
    Starting(LaunchId),
    Serving(LaunchId),
    /// It served, and the fleet has lost sight of it.
    Missing {
        launch: LaunchId,
        since: Instant,
    },
}

#[derive(Debug)]
enum Problem {
    /// A process ended, or had to be ended.
    Ended(String),
    /// None could be started.
    Refused(Refusal),
    /// A process ended and says that the next one will too.
    Hopeless(String),
}

impl Slot {
    pub(super) const fn new() -> Self {
        Self {
            supervisor: Supervisor::new(RESTARTS),
            tenure: Tenure::Empty { not_before: None },
            problem: None,
            has_served: false,
        }
    }

    /// Forgets the past; the present process stays until it is reviewed.
    pub(super) fn forgive(&mut self) {
        self.supervisor = Supervisor::new(RESTARTS);
        self.problem = None;
        if self.is_empty() {
            self.tenure = Tenure::Empty { not_before: None };
        }
    }

    fn launch(&self) -> Option<&LaunchId> {
        match &self.tenure {
            Tenure::Empty { .. } | Tenure::GivenUp => None,
            Tenure::Starting(launch) | Tenure::Serving(launch) | Tenure::Missing { launch, .. } => {
                Some(launch)
            }
        }
    }

    pub(super) fn holds(&self, launch: &LaunchId) -> bool {
        self.launch() == Some(launch)
    }

    pub(super) const fn is_empty(&self) -> bool {
        matches!(self.tenure, Tenure::Empty { .. } | Tenure::GivenUp)
    }

    pub(super) const fn is_given_up(&self) -> bool {
        matches!(self.tenure, Tenure::GivenUp)
    }

    pub(super) const fn is_ready(&self) -> bool {
        matches!(self.tenure, Tenure::Serving(_))
    }

    /// Whether a process has served here, or something went wrong.
    pub(super) const fn has_news(&self) -> bool {
        self.has_served || self.problem.is_some()
    }

    /// Whether a start waits for others to go.
    pub(super) const fn needs_room(&self) -> bool {
        matches!(self.problem, Some(Problem::Refused(Refusal { no_room: true, .. })))
    }

    /// Why it cannot be brought to serve, in words for the operator.
    pub(super) fn failure(&self) -> Option<String> {
        match self.problem.as_ref()? {
            Problem::Refused(refusal) => Some(refusal.reason.clone()),
            Problem::Hopeless(reason) => Some(format!(
                "its worker cannot start, and is not tried again before the server or its \
                 configuration is loaded anew: {reason}"
            )),
            Problem::Ended(reason) => self.supervisor.crash_loop().map(|crash_loop| {
                format!(
                    "its worker failed {} times in a row; the last time: {reason}",
                    crash_loop.exits
                )
            }),
        }
    }

    pub(super) fn may_start(&self, now: Instant) -> bool {
        matches!(self.tenure, Tenure::Empty { not_before } if not_before.is_none_or(|at| at <= now))
    }

    pub(super) fn start(&mut self, launch: LaunchId) {
        self.supervisor.started();
        self.tenure = Tenure::Starting(launch);
    }

    /// Takes up a process that runs already.
    pub(super) fn adopt(&mut self, seen: &Seen) {
        self.start(seen.launch.clone());
    }

    pub(super) fn refused(&mut self, refusal: Refusal, now: Instant) {
        let wait = if refusal.no_room { NO_ROOM_RETRY } else { REFUSED_RETRY };
        self.problem = Some(Problem::Refused(refusal));
        self.tenure = Tenure::Empty { not_before: Some(now + wait) };
    }

    /// When time alone will change what is to be done here.
    pub(super) fn wake_at(&self, seen: &[Seen], wanted: &Wanted) -> Option<Instant> {
        match &self.tenure {
            Tenure::Empty { not_before } => *not_before,
            Tenure::Starting(launch) => {
                let runs = |seen: &&Seen| seen.standing != Standing::Launching;
                let seen = seen.iter().find(|seen| seen.launch == *launch).filter(runs)?;
                seen.started.checked_add(wanted.start_timeout)
            }
            Tenure::Serving(_) | Tenure::GivenUp => None,
            Tenure::Missing { since, .. } => since.checked_add(wanted.rejoin_timeout),
        }
    }

    /// Looks at the process that fills this slot, and empties the slot if it no longer can.
    pub(super) fn review(
        &mut self,
        seen: &[Seen],
        wanted: &Wanted,
        now: Instant,
        draw: &mut dyn FnMut() -> u64,
    ) -> Option<Step> {
        let launch = self.launch()?.clone();
        let found = seen.iter().find(|seen| seen.launch == launch);
        let Some(seen) = found.filter(|seen| seen.generation == wanted.generation) else {
            // Of an earlier edition; or ended by somebody who took it off the list as well, which
            // is no failure that we know of.
            self.vacate();
            return None;
        };
        let (worker, grace, why) = match &seen.standing {
            Standing::Launching => return None,
            Standing::Ready(_) => {
                self.serves(launch, now);
                return None;
            }
            Standing::Retiring => {
                self.vacate();
                return None;
            }
            Standing::Unregistered => {
                let reason = self.overdue(seen, wanted, now)?;
                self.failed(reason.clone(), now, draw);
                (None, SHORT_GRACE, Why::Failed(reason))
            }
            Standing::Ended(exit) => (None, Duration::ZERO, self.ended(exit, now, draw)),
            Standing::Stuck(worker) => (Some(*worker), SHORT_GRACE, Why::Stuck),
            Standing::Draining(worker) => (Some(*worker), wanted.drain_grace, Why::Drained),
        };
        match &why {
            Why::Failed(_) | Why::Hopeless(_) => {}
            Why::Stuck | Why::Drained | Why::Superseded => self.vacate(),
        }
        Some(Step::Retire { launch, worker, grace, why })
    }

    /// Why a process that is not registered must go, if it must already.
    fn overdue(&mut self, seen: &Seen, wanted: &Wanted, now: Instant) -> Option<String> {
        match &self.tenure {
            Tenure::Starting(_) => {
                let late = now.saturating_duration_since(seen.started) >= wanted.start_timeout;
                late.then(|| {
                    format!(
                        "not ready within {} s; see its log, or raise `start_timeout_seconds`",
                        wanted.start_timeout.as_secs_f64()
                    )
                })
            }
            Tenure::Missing { since, .. } => {
                let late = now.saturating_duration_since(*since) >= wanted.rejoin_timeout;
                late.then(|| "it runs, but sends no heartbeats".to_owned())
            }
            Tenure::Empty { .. } | Tenure::GivenUp | Tenure::Serving(_) => {
                self.tenure = Tenure::Missing { launch: seen.launch.clone(), since: now };
                None
            }
        }
    }

    fn serves(&mut self, launch: LaunchId, now: Instant) {
        if !self.is_ready() {
            self.supervisor.ready(now);
            self.problem = None;
            self.has_served = true;
            self.tenure = Tenure::Serving(launch);
        }
    }

    /// A process ended by itself.
    fn ended(&mut self, exit: &Exit, now: Instant, draw: &mut dyn FnMut() -> u64) -> Why {
        let reason = exit.to_string();
        match exit.cause.again() {
            Again::Soon => self.failed(reason.clone(), now, draw),
            Again::Later => self.refused(Refusal { reason: reason.clone(), no_room: false }, now),
            Again::Never => {
                self.problem = Some(Problem::Hopeless(reason.clone()));
                self.tenure = Tenure::GivenUp;
                return Why::Hopeless(reason);
            }
        }
        Why::Failed(reason)
    }

    fn failed(&mut self, reason: String, now: Instant, draw: &mut dyn FnMut() -> u64) {
        let restart = self.supervisor.exited(now, draw());
        self.problem = Some(Problem::Ended(reason));
        self.tenure = Tenure::Empty { not_before: Some(restart.at) };
    }

    fn vacate(&mut self) {
        self.tenure = Tenure::Empty { not_before: None };
    }
}
