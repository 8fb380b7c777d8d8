//! The state of the fleet and every decision about it. Pure: `now` comes in, effects go out.

mod worker;

use std::{
    any::Any,
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use api::worker::{Heartbeat, Report};
use policy::health::Health;
use types::{CallId, ErrorCode, Fault, ModelName, ModelSpec, WorkerId};

use crate::{
    Availability, Departure, FleetEvent, FleetSettings, Member, ModelView, Offer, Phase, Replica,
    progress::Stop,
};
use worker::Worker;

/// Something that is released, by being dropped, when a cancelled call has really ended.
pub(crate) type Held = Box<dyn Any + Send>;

/// A cancelled call whose code may still run.
pub(crate) struct Lingering {
    /// Released when it ends.
    pub held: Held,
    /// Since when we want it to end.
    pub since: Instant,
    /// When its time is up.
    pub timeout_at: Instant,
}

struct Model {
    spec: Arc<ModelSpec>,
    outlook: Availability,
}

/// What the caller must do after a step, in order: drop, stop, publish, announce.
#[derive(Default)]
pub(crate) struct Effects {
    /// To be dropped outside the lock.
    pub released: Vec<Held>,
    /// Calls to be cancelled, each with the time for which it may show no progress.
    pub stopped: Vec<(Stop, Duration)>,
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

    /// What a worker serves.
    pub(crate) fn model_of(&self, id: WorkerId) -> Option<ModelName> {
        self.workers.get(&id).map(|worker| worker.replica.model.clone())
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
        self.workers.insert(replica.id, Worker::new(replica, lease_until));
        Effects { touched, events: vec![joined], ..Effects::default() }
    }

    /// A worker says what it runs. Renews its lease and settles what it no longer runs.
    pub(crate) fn heartbeat(
        &mut self,
        id: WorkerId,
        heartbeat: &Heartbeat,
        now: Instant,
    ) -> Result<Effects, Fault> {
        let worker = self.workers.get_mut(&id).ok_or_else(|| unknown(id))?;
        worker.lease_until = Some(now + self.settings.lease);
        let released = worker.heard(heartbeat, now);
        let model = self.models.get(&worker.replica.model);
        let silence_max = model.and_then(|model| model.spec.progress_timeout());
        let interval = self.settings.heartbeat;
        let stopped = silence_max
            .map(|max| worker.judge_silence(heartbeat, max, interval, now))
            .unwrap_or_default();
        let health = worker.health(interval, now);
        let mut effects = Effects { released, stopped, ..Effects::default() };
        self.act_on(id, health, &mut effects);
        Ok(effects)
    }

    /// A call is about to be sent; `stop` cancels it.
    pub(crate) fn watch(&mut self, id: WorkerId, call: CallId, stop: Stop) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.watch(call, stop);
        }
    }

    /// Nobody waits for the call any more.
    pub(crate) fn unwatch(&mut self, id: WorkerId, call: CallId) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.unwatch(call);
        }
    }

    /// A call was cancelled; `lingering.held` is kept until the worker says that it ended.
    pub(crate) fn linger(&mut self, id: WorkerId, call: CallId, lingering: Lingering) -> Effects {
        match self.workers.get_mut(&id) {
            Some(worker) => {
                let released = worker.linger(call, lingering).into_iter().collect();
                Effects { released, ..Effects::default() }
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
                Report::Ended { call_id, .. } => worker.ended(*call_id),
                Report::Progress { .. } => None,
            })
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

    /// An enlisted worker offers something else. Each time it is another replica of the same name,
    /// so that whoever follows the view knows an offer that was repeated.
    pub(crate) fn adjust(&mut self, id: WorkerId, offer: &Offer) -> Effects {
        let mut effects = Effects::default();
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.replica = Arc::new(worker.replica.offering(offer));
            worker.phase = if offer.takes_calls { Phase::Ready } else { Phase::Draining };
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
        let touched = vec![worker.replica.model.clone()];
        let released = worker.into_held();
        Effects { released, touched, events: vec![gone], ..Effects::default() }
    }

    /// The workers that a process was.
    pub(crate) fn workers_of_launch(&self, launch_id: &str) -> Vec<WorkerId> {
        let of_launch = |worker: &&Worker| worker.replica.launch_id == launch_id;
        self.workers.values().filter(of_launch).map(|worker| worker.replica.id).collect()
    }

    /// Finds what time alone has changed: expired leases, and cancelled calls that did not end.
    pub(crate) fn sweep(&mut self, now: Instant) -> Effects {
        let judged: Vec<(WorkerId, Health)> = self
            .workers
            .iter()
            .map(|(id, worker)| (*id, worker.health(self.settings.heartbeat, now)))
            .filter(|(_, health)| *health != Health::Well)
            .collect();
        let mut effects = Effects::default();
        for (id, health) in judged {
            self.act_on(id, health, &mut effects);
        }
        effects
    }

    fn act_on(&mut self, id: WorkerId, health: Health, effects: &mut Effects) {
        match health {
            Health::Well => {}
            Health::Stuck { call } => self.mark_stuck(id, call, effects),
            Health::Lost => effects.append(self.leave(id, Departure::Lost)),
        }
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
        self.stopped.append(&mut other.stopped);
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
