//! The queue of one model: a lock around the pure `policy::lane`, and those who wait.
//!
//! Why a lock and not a task: it is held for one decision (well under a microsecond), while a
//! question to a task costs two task switches per call. Nothing is awaited, called or dropped
//! under it.

use std::{collections::HashMap, fmt, sync::Arc};

use fleet::{Availability, ModelView, Phase, Replica};
use parking_lot::Mutex;
use policy::lane::{Admission, Arrival, Lane, LaneLimits, Place, Refusal, Wish};
use telemetry::metrics::{ModelMetrics, ReplicaState};
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, timeout_at},
};
use types::{ErrorCode, Fault, ModelName, ModelSpec, WorkerId};

use crate::{Ask, Permit};

/// How much of a model's cap is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapLoad {
    /// The model.
    pub model: ModelName,
    /// Calls that may run at once, on all servers that share the cap.
    pub cap: u32,
    /// Calls that run here.
    pub running: u32,
    /// Calls that wait here.
    pub waiting: u32,
}

/// One model's queue and replicas.
pub(crate) struct ModelLane {
    name: ModelName,
    spec: Arc<ModelSpec>,
    pub(crate) metrics: Arc<ModelMetrics>,
    views: watch::Receiver<Arc<ModelView>>,
    state: Mutex<State>,
}

struct State {
    lane: Lane<oneshot::Sender<Permit>>,
    replicas: HashMap<WorkerId, Arc<Replica>>,
    /// Why calls are refused; `None`: they may wait.
    unavailable: Option<Arc<str>>,
}

impl ModelLane {
    pub(crate) fn new(
        name: ModelName,
        views: watch::Receiver<Arc<ModelView>>,
        metrics: Arc<ModelMetrics>,
    ) -> Self {
        let spec = views.borrow().spec.clone();
        let limits =
            LaneLimits { concurrency_max: spec.max_concurrency, queue_max: spec.queue_max };
        // Any seed will do: it only breaks ties between replicas.
        let lane = Lane::new(limits, spec.placement, 0x6d6f_6465_6c79_6172);
        let state = State { lane, replicas: HashMap::new(), unavailable: None };
        Self { name, spec, metrics, views, state: Mutex::new(state) }
    }

    pub(crate) const fn spec(&self) -> &Arc<ModelSpec> {
        &self.spec
    }

    /// How much of its cap is in use; `None` if it has no cap.
    pub(crate) fn load(&self) -> Option<CapLoad> {
        let cap = self.spec.max_concurrency?;
        let state = self.state.lock();
        let (running, waiting) = (state.lane.in_flight(), state.lane.queued());
        Some(CapLoad { model: self.name.clone(), cap, running, waiting })
    }

    /// Runs at most `share` calls of its cap at once from now on; other servers run the rest.
    pub(crate) fn set_share(self: &Arc<Self>, share: u32) {
        let Some(cap) = self.spec.max_concurrency else { return };
        let concurrency_max = Some(share.min(cap));
        self.state
            .lock()
            .lane
            .set_limits(LaneLimits { concurrency_max, queue_max: self.spec.queue_max });
        self.grant_waiting();
    }

    /// How many replicas it has now.
    pub(crate) fn replicas(&self) -> usize {
        self.state.lock().replicas.len()
    }

    /// Waits for a place until `deadline`.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        ask: &Ask,
        deadline: Instant,
    ) -> Result<Permit, Fault> {
        let (place, granted) = match self.enter(ask)? {
            Entry::Granted(permit) => return Ok(permit),
            Entry::Queued(place, granted) => (place, granted),
        };
        let since = Instant::now();
        let _queued = self.metrics.queued.hold();
        let _waiting = Waiting { lane: self, place };
        let outcome = timeout_at(deadline, granted).await;
        self.metrics.queue_wait.observe(since.elapsed());
        match outcome {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(self.refused_by_outlook()),
            Err(_) => Err(Fault::new(
                ErrorCode::DeadlineExceeded,
                format!("model {} had no free place in time", self.name),
            )),
        }
    }

    /// A place that is free at this moment, if nobody waits for it.
    pub(crate) fn acquire_at_once(self: &Arc<Self>, wish: &Wish) -> Option<Permit> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        if state.unavailable.is_some() {
            return None;
        }
        let replica = state.lane.grant_at_once(wish)?;
        match self.granted(state, replica) {
            Ok(Entry::Granted(permit)) => Some(permit),
            _ => None,
        }
    }

    /// Grants a place at once, or a place in the queue.
    fn enter(self: &Arc<Self>, ask: &Ask) -> Result<Entry, Fault> {
        let mut guard = self.state.lock();
        if guard.unavailable.is_some() {
            // A worker that has just joined may be called by whoever saw it join.
            drop(guard);
            let view = self.views.borrow().clone();
            self.follow(&view);
            guard = self.state.lock();
        }
        let state = &mut *guard;
        if let Some(reason) = &state.unavailable {
            return Err(unavailable(&self.name, reason));
        }
        if let Some(replica) = state.lane.grant_at_once(&ask.wish) {
            return self.granted(state, replica);
        }
        let (ticket, granted) = oneshot::channel();
        let arrival = Arrival {
            ticket,
            tenant: ask.tenant.clone(),
            priority: ask.priority,
            wish: ask.wish.clone(),
        };
        match state.lane.arrive(arrival) {
            Admission::Queued(place) => Ok(Entry::Queued(place, granted)),
            Admission::Refused { refusal: Refusal::QueueFull { queued }, .. } => {
                self.metrics.refused(ErrorCode::QueueFull);
                Err(Fault::new(
                    ErrorCode::QueueFull,
                    format!("model {} already has {queued} calls waiting", self.name),
                ))
            }
            Admission::Granted(grant) => self.granted(state, grant.replica),
        }
    }

    fn granted(self: &Arc<Self>, state: &State, replica: WorkerId) -> Result<Entry, Fault> {
        match state.replicas.get(&replica) {
            Some(replica) => Ok(Entry::Granted(Permit::new(replica.clone(), self.clone()))),
            None => Err(Fault::new(
                ErrorCode::InternalError,
                "a place was granted on a replica that is not known",
            )),
        }
    }

    /// A call ended; its place goes to whoever is next.
    pub(crate) fn release(self: &Arc<Self>, replica: WorkerId) {
        self.state.lock().lane.release(replica);
        self.grant_waiting();
    }

    /// Takes over what the fleet knows about the model now.
    pub(crate) fn follow(self: &Arc<Self>, view: &ModelView) {
        let refused = {
            let mut guard = self.state.lock();
            let state = &mut *guard;
            for id in state.replicas.keys().copied().collect::<Vec<_>>() {
                if !view.members.iter().any(|member| member.replica.id == id) {
                    state.replicas.remove(&id);
                    state.lane.remove_replica(id);
                }
            }
            for member in &view.members {
                let id = member.replica.id;
                match member.phase {
                    Phase::Ready => state.take_in(&member.replica),
                    Phase::Draining | Phase::Stuck => state.lane.drain_replica(id),
                }
            }
            state.unavailable = refusal_reason(view);
            let refuse = state.unavailable.is_some();
            if refuse { state.lane.drain_waiters() } else { Vec::new() }
        };
        // Dropping a ticket tells its waiter.
        drop(refused);
        self.grant_waiting();
        self.count(view);
    }

    /// Hands out free places until nobody waits or none is free.
    fn grant_waiting(self: &Arc<Self>) {
        loop {
            let (ticket, replica) = {
                let mut state = self.state.lock();
                let Some(grant) = state.lane.next_grant() else { return };
                (grant.ticket, state.replicas.get(&grant.replica).cloned())
            };
            let Some(replica) = replica else { continue };
            // A waiter that left meanwhile drops the permit, which releases the place.
            drop(ticket.send(Permit::new(replica, self.clone())));
        }
    }

    fn count(&self, view: &ModelView) {
        for (phase, state) in [
            (Phase::Ready, ReplicaState::Ready),
            (Phase::Draining, ReplicaState::Draining),
            (Phase::Stuck, ReplicaState::Stuck),
        ] {
            let count = view.members.iter().filter(|member| member.phase == phase).count();
            self.metrics.replicas(state).set(count);
        }
    }

    fn refused_by_outlook(&self) -> Fault {
        let reason = self.state.lock().unavailable.clone();
        unavailable(&self.name, reason.as_deref().unwrap_or("it was withdrawn"))
    }
}

impl State {
    /// A replica takes calls, from now on or on other terms than before.
    fn take_in(&mut self, replica: &Arc<Replica>) {
        let before = self.replicas.insert(replica.id, replica.clone());
        if before.is_some_and(|before| Arc::ptr_eq(&before, replica)) {
            return;
        }
        // What it holds of others takes room from ours. One place is always left: what it says is
        // a moment old, and nobody else would notice that it has become free.
        let ours = self.lane.held_by(replica.id).unwrap_or_default();
        let room = replica.capacity.saturating_sub(replica.busy.saturating_sub(ours));
        self.lane.set_replica(replica.id, room.max(1));
        self.lane.weigh_replica(replica.id, replica.weight);
    }
}

enum Entry {
    Granted(Permit),
    Queued(Place, oneshot::Receiver<Permit>),
}

/// A place in the queue, left by being dropped.
struct Waiting<'a> {
    lane: &'a ModelLane,
    place: Place,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let ticket = self.lane.state.lock().lane.leave(self.place);
        drop(ticket);
    }
}

impl fmt::Debug for ModelLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModelLane({})", self.name)
    }
}

fn refusal_reason(view: &ModelView) -> Option<Arc<str>> {
    match view.availability() {
        Availability::Ready | Availability::Starting => None,
        Availability::Failing { reason } | Availability::Disabled { reason } => Some(reason.into()),
    }
}

fn unavailable(name: &ModelName, reason: &str) -> Fault {
    Fault::new(ErrorCode::ModelUnavailable, format!("model {name} is unavailable: {reason}"))
}
