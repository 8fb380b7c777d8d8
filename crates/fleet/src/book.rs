//! The state of the fleet and every decision about it. Pure: `now` comes in, effects go out.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use api::worker::{Heartbeat, Report};
use types::{CallId, ErrorCode, Fault, ModelName, ModelSpec, WorkerId};

use crate::{
    Availability, Departure, FleetEvent, Member, ModelView, Phase, Replica, handle::FleetSettings,
};

/// Time that a heartbeat may be under way. A call that ended in this span is not yet taken for
/// ended just because a heartbeat does not list it: it may have begun after that was written.
const HEARTBEAT_TRANSIT_MAX: Duration = Duration::from_secs(1);

/// Something that is released, by being dropped, when a cancelled call has really ended.
pub(crate) type Held = Box<dyn Any + Send>;

/// A cancelled call whose code may still run.
pub(crate) struct Lingering {
    /// Released when it ends.
    pub held: Held,
    /// Since when we want it to end.
    pub since: Instant,
    /// When it counts as stuck: its timeout plus one heartbeat.
    pub stuck_at: Instant,
}

struct Worker {
    replica: Arc<Replica>,
    phase: Phase,
    /// None for declared endpoints, which hold no lease.
    lease_until: Option<Instant>,
    lingering: HashMap<CallId, Lingering>,
}

struct Model {
    spec: Arc<ModelSpec>,
    outlook: Availability,
}

/// What the caller must do after a step, in order: drop, publish, announce.
#[derive(Default)]
pub(crate) struct Effects {
    /// To be dropped outside the lock.
    pub released: Vec<Held>,
    /// Models whose view changed.
    pub touched: Vec<ModelName>,
    /// What to announce.
    pub events: Vec<FleetEvent>,
}

/// All models and workers.
pub(crate) struct Book {
    settings: FleetSettings,
    models: BTreeMap<ModelName, Model>,
    /// By id: version-7 ids sort by age, so views list the oldest first.
    workers: BTreeMap<WorkerId, Worker>,
}

impl Book {
    pub(crate) const fn new(settings: FleetSettings) -> Self {
        Self { settings, models: BTreeMap::new(), workers: BTreeMap::new() }
    }

    pub(crate) fn add_model(&mut self, name: &ModelName, spec: Arc<ModelSpec>) {
        self.models.insert(name.clone(), Model { spec, outlook: Availability::Starting });
    }

    pub(crate) fn set_outlook(&mut self, name: &ModelName, outlook: Availability) -> Effects {
        let mut effects = Effects::default();
        if let Some(model) = self.models.get_mut(name)
            && model.outlook != outlook
        {
            model.outlook = outlook;
            effects.touched.push(name.clone());
        }
        effects
    }

    pub(crate) fn spec(&self, name: &ModelName) -> Option<Arc<ModelSpec>> {
        self.models.get(name).map(|model| model.spec.clone())
    }

    pub(crate) fn view(&self, name: &ModelName) -> Option<ModelView> {
        let model = self.models.get(name)?;
        let members = self
            .workers
            .values()
            .filter(|worker| worker.replica.model == *name)
            .map(|worker| Member { replica: worker.replica.clone(), phase: worker.phase })
            .collect();
        Some(ModelView { spec: model.spec.clone(), outlook: model.outlook.clone(), members })
    }

    /// A worker or a declared endpoint joins.
    pub(crate) fn join(&mut self, replica: Arc<Replica>, lease_until: Option<Instant>) -> Effects {
        let joined = FleetEvent::Joined {
            worker: replica.id,
            launch_id: replica.launch_id.clone(),
            model: replica.model.clone(),
        };
        let touched = vec![replica.model.clone()];
        let worker =
            Worker { phase: Phase::Ready, lease_until, lingering: HashMap::new(), replica };
        self.workers.insert(worker.replica.id, worker);
        Effects { touched, events: vec![joined], ..Effects::default() }
    }

    /// A worker says what it runs. Renews its lease and settles what it no longer runs.
    pub(crate) fn heartbeat(
        &mut self,
        id: WorkerId,
        heartbeat: &Heartbeat,
        now: Instant,
    ) -> Result<Effects, Fault> {
        let lease = self.settings.lease;
        let worker = self.workers.get_mut(&id).ok_or_else(|| unknown(id))?;
        worker.lease_until = Some(now + lease);
        let ended: Vec<CallId> = worker
            .lingering
            .iter()
            .filter(|(call, lingering)| {
                now.saturating_duration_since(lingering.since) > HEARTBEAT_TRANSIT_MAX
                    && !heartbeat.running.iter().any(|running| running.call_id == **call)
            })
            .map(|(call, _)| *call)
            .collect();
        let released =
            ended.iter().filter_map(|call| worker.lingering.remove(call)).map(|l| l.held).collect();
        let mut effects = Effects { released, ..Effects::default() };
        if let Some(call) = self.without_progress(id, heartbeat) {
            self.mark_stuck(id, call, &mut effects);
        }
        Ok(effects)
    }

    /// The call of this heartbeat that has shown no progress for longer than its model allows.
    fn without_progress(&self, id: WorkerId, heartbeat: &Heartbeat) -> Option<CallId> {
        let worker = self.workers.get(&id)?;
        let limit = self.models.get(&worker.replica.model)?.spec.progress_timeout()?
            + self.settings.heartbeat;
        let idle = |idle_ms| Duration::from_millis(idle_ms) > limit;
        heartbeat.running.iter().find(|call| idle(call.idle_ms)).map(|call| call.call_id)
    }

    /// A call was cancelled; `lingering.held` is kept until the worker says that it ended.
    pub(crate) fn linger(&mut self, id: WorkerId, call: CallId, lingering: Lingering) -> Effects {
        match self.workers.get_mut(&id) {
            Some(worker) => {
                worker.lingering.insert(call, lingering);
                Effects::default()
            }
            None => Effects { released: vec![lingering.held], ..Effects::default() },
        }
    }

    /// A worker reports; only ends matter here.
    pub(crate) fn reports(&mut self, id: WorkerId, reports: &[Report]) -> Result<Effects, Fault> {
        let worker = self.workers.get_mut(&id).ok_or_else(|| unknown(id))?;
        let released = reports
            .iter()
            .filter_map(|report| match report {
                Report::Ended { call_id, .. } => worker.lingering.remove(call_id),
                Report::Progress { .. } => None,
            })
            .map(|lingering| lingering.held)
            .collect();
        Ok(Effects { released, ..Effects::default() })
    }

    /// No new work for this worker.
    pub(crate) fn drain(&mut self, id: WorkerId) -> Effects {
        let mut effects = Effects::default();
        if let Some(worker) = self.workers.get_mut(&id)
            && worker.phase == Phase::Ready
        {
            worker.phase = Phase::Draining;
            effects.touched.push(worker.replica.model.clone());
        }
        effects
    }

    /// A worker is gone.
    pub(crate) fn leave(&mut self, id: WorkerId, departure: Departure) -> Effects {
        let Some(worker) = self.workers.remove(&id) else { return Effects::default() };
        let gone = FleetEvent::Gone {
            worker: id,
            launch_id: worker.replica.launch_id.clone(),
            model: worker.replica.model.clone(),
            departure,
        };
        Effects {
            released: worker.lingering.into_values().map(|lingering| lingering.held).collect(),
            touched: vec![worker.replica.model.clone()],
            events: vec![gone],
        }
    }

    /// The workers that a process was.
    pub(crate) fn workers_of_launch(&self, launch_id: &str) -> Vec<WorkerId> {
        let of_launch = |worker: &&Worker| worker.replica.launch_id == launch_id;
        self.workers.values().filter(of_launch).map(|worker| worker.replica.id).collect()
    }

    /// Finds what time alone has changed: expired leases, and cancelled calls that did not end.
    pub(crate) fn sweep(&mut self, now: Instant) -> Effects {
        let mut effects = Effects::default();
        let expired: Vec<WorkerId> = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.lease_until.is_some_and(|until| until <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in expired {
            effects.append(self.leave(id, Departure::Lost));
        }
        let overdue: Vec<(WorkerId, CallId)> = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.phase != Phase::Stuck)
            .filter_map(|(id, worker)| {
                let late = worker.lingering.iter().find(|(_, call)| call.stuck_at <= now);
                late.map(|(call, _)| (*id, *call))
            })
            .collect();
        for (id, call) in overdue {
            self.mark_stuck(id, call, &mut effects);
        }
        effects
    }

    fn mark_stuck(&mut self, id: WorkerId, call: CallId, effects: &mut Effects) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if worker.phase == Phase::Stuck {
            return;
        }
        worker.phase = Phase::Stuck;
        effects.touched.push(worker.replica.model.clone());
        effects.events.push(FleetEvent::Stuck {
            worker: id,
            launch_id: worker.replica.launch_id.clone(),
            model: worker.replica.model.clone(),
            call,
        });
    }
}

impl Effects {
    fn append(&mut self, mut other: Self) {
        self.released.append(&mut other.released);
        self.touched.append(&mut other.touched);
        self.events.append(&mut other.events);
    }
}

fn unknown(id: WorkerId) -> Fault {
    Fault::new(
        ErrorCode::WorkerNotFound,
        format!("worker {id} is not registered here; register again"),
    )
}

#[cfg(test)]
mod tests;
