//! The handle: finds the lane of a model, sends its calls, and tries again what was not begun.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{Begun, Body, EndpointError, headers};
use arc_swap::ArcSwap;
use fleet::{Fleet, Manner, ModelView, Replica};
use http::{Response, StatusCode};
use policy::lane::Wish;
use telemetry::metrics::{Metrics, Outcome};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use types::{CallId, ErrorCode, Fault, ModelKind, ModelName, ModelSpec};

use crate::{
    Ask, Call, CapLoad, InFlight, Permit, call::Outgoing, lane::ModelLane, settle::settle,
};

/// Attempts for a call that is never begun. With the waits below they span about three seconds:
/// long enough for a local worker that just died to be noticed, after which the call waits in the
/// queue for the next one.
const ATTEMPTS_MAX: usize = 16;
/// Wait before the second attempt; it doubles up to [`WAIT_MAX`].
const WAIT_FIRST: Duration = Duration::from_millis(5);
/// Longest wait between two attempts.
const WAIT_MAX: Duration = Duration::from_millis(250);

/// Longest wait to learn that a worker which broke off is gone.
const DEATH_NOTICE_MAX: Duration = Duration::from_millis(100);

/// Calls models. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher {
    inner: Arc<Inner>,
}

struct Inner {
    fleet: Fleet,
    metrics: Metrics,
    lanes: ArcSwap<BTreeMap<ModelName, Arc<ModelLane>>>,
    followers: TaskTracker,
    stop: CancellationToken,
}

impl Dispatcher {
    /// A dispatcher for the models of `fleet`; its background tasks end with `stop`.
    pub fn new(fleet: Fleet, metrics: Metrics, stop: CancellationToken) -> Self {
        let followers = TaskTracker::new();
        let inner = Inner { fleet, metrics, lanes: ArcSwap::default(), followers, stop };
        Self { inner: Arc::new(inner) }
    }

    /// Opens the lane of a model that the fleet knows.
    pub fn add_model(&self, name: &ModelName) {
        let Some(mut views) = self.inner.fleet.watch(name) else { return };
        let view = views.borrow_and_update().clone();
        let metrics = self.inner.metrics.model(name);
        let lane = Arc::new(ModelLane::new(name.clone(), views.clone(), metrics));
        lane.follow(&view);
        self.inner.lanes.rcu(|lanes| {
            let mut lanes = BTreeMap::clone(lanes);
            lanes.insert(name.clone(), lane.clone());
            lanes
        });
        self.inner.followers.spawn(follow(lane, views, self.inner.stop.clone()));
    }

    /// Waits for a place for a call of this model.
    ///
    /// # Errors
    /// `model_not_found`, `model_unavailable`, `queue_full`, `deadline_exceeded`.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue.
    pub async fn permit(&self, ask: &Ask) -> Result<Permit, Fault> {
        let lane = self.lane(&ask.model)?;
        let deadline = time_limit(&lane, ask.deadline);
        lane.acquire(ask, deadline).await
    }

    /// A place that is free at this moment; `None` if there is none, or others wait for it.
    pub fn permit_at_once(&self, model: &ModelName) -> Option<Permit> {
        self.lane(model).ok()?.acquire_at_once(&Wish::default())
    }

    /// Queues, places and sends a call. The place is held until the answer's body has ended.
    ///
    /// # Errors
    /// Those of [`Self::permit`], `worker_failed`, and what the endpoint says.
    ///
    /// # Cancel safety
    /// Dropping the future, or the body of the answer, cancels the call down to the worker.
    pub async fn call(&self, call: Call) -> Result<Response<Body>, Fault> {
        let lane = self.lane(&call.model)?;
        let deadline = time_limit(&lane, call.deadline);
        let ask = call.ask();
        let permit = lane.acquire(&ask, deadline).await?;
        self.send(lane, permit, ask, call, deadline).await
    }

    /// Sends a call on a place that was asked for before.
    ///
    /// # Errors
    /// As [`Self::call`].
    ///
    /// # Cancel safety
    /// As [`Self::call`].
    pub async fn call_with(&self, permit: Permit, call: Call) -> Result<Response<Body>, Fault> {
        let lane = permit.lane().clone();
        let deadline = time_limit(&lane, call.deadline);
        let ask = call.ask();
        self.send(lane, permit, ask, call, deadline).await
    }

    async fn send(
        &self,
        lane: Arc<ModelLane>,
        mut permit: Permit,
        mut ask: Ask,
        call: Call,
        deadline: Instant,
    ) -> Result<Response<Body>, Fault> {
        let call_id = call.call_id;
        // The adapter of an external API tries as often as its model's settings say.
        let once = lane.spec().kind.is_external();
        let mut outgoing = Outgoing::new(call, deadline, once);
        let mut wait = WAIT_FIRST;
        let mut may_repeat = is_harmless_twice(lane.spec());
        for attempt in 1.. {
            ask.wish.avoid = Some(permit.replica().id);
            let tried = self.attempt(permit, call_id, &mut outgoing, deadline, may_repeat).await;
            let fault = match tried {
                Attempt::Answered(response) => return Ok(response),
                Attempt::Failed(fault) => return Err(fault),
                Attempt::NotBegun(fault) => fault,
                Attempt::Died(fault) => {
                    // Once: a prompt that kills its worker must not kill one after the other.
                    may_repeat = false;
                    fault
                }
            };
            let next_at = Instant::now() + wait;
            let is_last = attempt == ATTEMPTS_MAX || next_at >= deadline;
            // An endpoint that knows when to come back is not asked before; another one may be.
            let is_resting =
                fault.retry_after.is_some_and(|rest| rest > WAIT_MAX) && attempt >= lane.replicas();
            if is_last || is_resting || !outgoing.can_be_sent() {
                return Err(fault);
            }
            tracing::debug!(model = %ask.model, %call_id, attempt, %fault, "call is tried again");
            sleep_until(next_at).await;
            wait = (wait * 2).min(WAIT_MAX);
            permit = lane.acquire(&ask, deadline).await?;
        }
        Err(Fault::new(ErrorCode::InternalError, "the attempts have no end"))
    }

    async fn attempt(
        &self,
        permit: Permit,
        call_id: CallId,
        outgoing: &mut Outgoing,
        deadline: Instant,
        may_repeat: bool,
    ) -> Attempt {
        let replica = permit.replica().clone();
        let mut in_flight = InFlight::new(permit, self.inner.fleet.clone(), call_id, deadline);
        let request = match outgoing.request(&replica) {
            Ok(request) => in_flight.marks(request),
            Err(fault) => {
                in_flight.ended(Outcome::Failed(fault.code));
                return Attempt::Failed(fault);
            }
        };
        let answer = tokio::select! {
            biased;
            answer = timeout_at(deadline, replica.endpoint.call(request)) => answer,
            fault = in_flight.silent() => Ok(Err(EndpointError::maybe_begun(fault))),
        };
        match answer {
            Ok(Ok(response)) if was_not_begun(&response) => {
                in_flight.not_begun();
                let detail = "every replica refused the call for now";
                let fault = Fault::new(ErrorCode::ModelUnavailable, detail).retry_after(WAIT_MAX);
                Attempt::NotBegun(fault)
            }
            Ok(Ok(response)) => Attempt::Answered(settle(response, in_flight)),
            Ok(Err(EndpointError { begun: Begun::No, fault })) => {
                in_flight.not_begun();
                Attempt::NotBegun(fault)
            }
            Ok(Err(EndpointError { begun: Begun::Maybe, fault })) => {
                if self.sees_death_of(&replica).await && may_repeat && outgoing.can_be_sent() {
                    in_flight.repeated();
                    return Attempt::Died(fault);
                }
                in_flight.given_up(Outcome::Failed(fault.code));
                Attempt::Failed(fault)
            }
            Err(_) => {
                in_flight.given_up(Outcome::Failed(ErrorCode::DeadlineExceeded));
                let detail = "the model did not answer in the time that the call had";
                Attempt::Failed(Fault::new(ErrorCode::DeadlineExceeded, detail))
            }
        }
    }

    /// A worker that breaks off is usually dying. Until that is known, which takes the deployer
    /// milliseconds, the caller's next call would go the same way. Whether it died.
    async fn sees_death_of(&self, replica: &Replica) -> bool {
        let Some(mut views) = self.inner.fleet.watch(&replica.model) else { return false };
        if replica.manner == Manner::Declared {
            return false;
        }
        let is_gone = |view: &Arc<ModelView>| {
            !view.members.iter().any(|member| member.replica.id == replica.id)
        };
        // One that lives on has a reason of its own; its callers should not wait for it.
        timeout(DEATH_NOTICE_MAX, views.wait_for(is_gone)).await.is_ok()
    }

    fn lane(&self, name: &ModelName) -> Result<Arc<ModelLane>, Fault> {
        let lanes = self.inner.lanes.load();
        lanes.get(name).cloned().ok_or_else(|| not_found(name, lanes.keys()))
    }

    /// Checks that a model exists.
    ///
    /// # Errors
    /// `model_not_found`, naming the nearest name.
    pub fn check_model(&self, name: &ModelName) -> Result<(), Fault> {
        self.lane(name).map(drop)
    }

    /// What the operator said about a model.
    pub fn spec(&self, name: &ModelName) -> Option<Arc<ModelSpec>> {
        self.inner.lanes.load().get(name).map(|lane| lane.spec().clone())
    }

    /// How much of its cap each model that has one uses here.
    pub fn loads(&self) -> Vec<CapLoad> {
        self.inner.lanes.load().values().filter_map(|lane| lane.load()).collect()
    }

    /// Runs at most `share` calls of a model's cap at once from now on. What runs goes on.
    pub fn set_share(&self, model: &ModelName, share: u32) {
        if let Some(lane) = self.inner.lanes.load().get(model) {
            lane.set_share(share);
        }
    }

    /// The models whose lanes are open.
    pub fn models(&self) -> Vec<ModelName> {
        self.inner.lanes.load().keys().cloned().collect()
    }
}

enum Attempt {
    Answered(Response<Body>),
    NotBegun(Fault),
    /// Its worker died before it answered, and may have begun; to try again does no harm.
    Died(Fault),
    Failed(Fault),
}

/// Whether calls have no effect but their answers. Our own engine keeps nothing of them.
fn is_harmless_twice(spec: &ModelSpec) -> bool {
    spec.kind == ModelKind::Llm
}

async fn follow(
    lane: Arc<ModelLane>,
    mut views: watch::Receiver<Arc<fleet::ModelView>>,
    stop: CancellationToken,
) {
    loop {
        let changed = tokio::select! {
            () = stop.cancelled() => return,
            changed = views.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
        let view = views.borrow_and_update().clone();
        lane.follow(&view);
    }
}

fn time_limit(lane: &ModelLane, deadline: Option<Instant>) -> Instant {
    let own = Instant::now() + lane.spec().timeout();
    deadline.map_or(own, |deadline| deadline.min(own))
}

fn was_not_begun(response: &Response<Body>) -> bool {
    response.status() == StatusCode::SERVICE_UNAVAILABLE
        && response.headers().contains_key(headers::NOT_BEGUN)
}

/// The seed's text first, then the nearest name.
fn not_found<'a>(name: &ModelName, known: impl Iterator<Item = &'a ModelName>) -> Fault {
    let nearest = types::nearest(name.as_str(), known.map(ModelName::as_str));
    let detail = match nearest {
        Some(nearest) => format!("model {name} not found; did you mean {nearest}?"),
        None => format!("model {name} not found"),
    };
    Fault::new(ErrorCode::ModelNotFound, detail)
}
