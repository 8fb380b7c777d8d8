//! The handle that workers, the supervisor and dispatch share.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use api::{
    Endpoint,
    worker::{
        Description, EngineStats, Heartbeat, HeartbeatAnswer, Membership, Registration, Reports,
    },
};
use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use telemetry::Metrics;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use types::{CallId, ErrorCode, Fault, ModelName, ModelSpec, WorkerId};
use uuid::Uuid;

use crate::{
    Availability, Departure, FleetEvent, FleetSettings, HttpEndpoint, Manner, ModelView, Offer,
    ProgressWatch, Replica, ReportListener,
    book::{Book, Effects, Held, Lingering},
    guarded::Guarded,
};

/// Events that a slow supervisor may fall behind; it reads the views when it missed some.
const EVENTS_BACKLOG_MAX: usize = 1024;

/// The models and who serves them. Cheap to clone.
///
/// The state lies behind one private lock that is held for one pure step of `book`; nothing is
/// called, dropped or awaited under it.
#[derive(Clone)]
pub struct Fleet {
    inner: Arc<Inner>,
}

struct Inner {
    settings: FleetSettings,
    book: Mutex<Book>,
    views: ArcSwap<BTreeMap<ModelName, watch::Sender<Arc<ModelView>>>>,
    events: broadcast::Sender<FleetEvent>,
    listener: ArcSwapOption<Box<dyn ReportListener>>,
    metrics: Metrics,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").finish_non_exhaustive()
    }
}

impl Fleet {
    /// An empty fleet.
    pub fn new(settings: FleetSettings, metrics: Metrics) -> Self {
        let (events, _) = broadcast::channel(EVENTS_BACKLOG_MAX);
        let inner = Inner {
            book: Mutex::new(Book::new(settings.clone())),
            settings,
            views: ArcSwap::default(),
            events,
            listener: ArcSwapOption::empty(),
            metrics,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The times and secrets it was made with.
    pub fn settings(&self) -> &FleetSettings {
        &self.inner.settings
    }

    /// Gives every report of every worker to `listener` from now on.
    pub fn listen(&self, listener: Box<dyn ReportListener>) {
        self.inner.listener.store(Some(Arc::new(listener)));
    }

    // --- models ---

    /// Makes a model known; its calls wait until a replica joins.
    pub fn add_model(&self, name: &ModelName, spec: Arc<ModelSpec>) {
        let view = {
            let mut book = self.inner.book.lock();
            book.add_model(name, spec);
            book.view(name)
        };
        let Some(view) = view.map(Arc::new) else { return };
        self.inner.views.rcu(|views| {
            let mut views = BTreeMap::clone(views);
            views.entry(name.clone()).or_insert_with(|| watch::Sender::new(view.clone()));
            views
        });
        self.publish(name);
    }

    /// Says whether a model without replicas will have some.
    pub fn set_availability(&self, name: &ModelName, outlook: Availability) {
        let effects = self.inner.book.lock().set_outlook(name, outlook);
        self.perform(effects);
    }

    /// Adds an endpoint that does not know us, with room for `lanes` calls at once. Nobody tells us
    /// when it is down, so it stands behind a circuit breaker.
    pub fn declare(&self, name: &ModelName, endpoint: Arc<dyn Endpoint>, lanes: u32) -> WorkerId {
        let id = WorkerId::new(Uuid::now_v7());
        let guarded = Guarded::new(endpoint, self.inner.metrics.model(name));
        let spec = self.inner.book.lock().spec(name);
        let description = Description {
            name: name.to_string(),
            version: String::new(),
            routes: Vec::new(),
            default_route: "/".into(),
            capacity: lanes,
            capabilities: spec.map(|spec| spec.capabilities.clone()).unwrap_or_default(),
        };
        let replica = Replica {
            id,
            model: name.clone(),
            launch_id: String::new(),
            capacity: lanes,
            weight: 1,
            busy: 0,
            manner: Manner::Declared,
            description,
            endpoint: Arc::new(guarded),
        };
        let effects = self.inner.book.lock().join(Arc::new(replica), None);
        self.perform(effects);
        id
    }

    /// Adds a worker that registered by a protocol of its own. It serves until [`Self::leave`] or
    /// [`Self::lost`]: whoever hears it keeps its lease.
    pub fn enlist(
        &self,
        name: &ModelName,
        description: Description,
        offer: &Offer,
        endpoint: Arc<dyn Endpoint>,
    ) -> WorkerId {
        let id = WorkerId::new(Uuid::now_v7());
        let replica = Replica {
            id,
            model: name.clone(),
            launch_id: String::new(),
            capacity: offer.capacity,
            weight: offer.weight,
            busy: offer.busy,
            manner: Manner::Enlisted,
            description,
            endpoint,
        };
        let effects = self.inner.book.lock().join(Arc::new(replica), None);
        self.perform(effects);
        if !offer.takes_calls {
            self.drain(id);
        }
        id
    }

    /// An enlisted worker offers something else from now on.
    pub fn adjust(&self, id: WorkerId, offer: &Offer) {
        let effects = self.inner.book.lock().adjust(id, offer);
        self.perform(effects);
    }

    /// An enlisted worker has fallen silent, or does not answer any more.
    pub fn lost(&self, id: WorkerId) {
        let effects = self.inner.book.lock().leave(id, Departure::Lost);
        self.perform(effects);
    }

    /// One model at this moment.
    pub fn view(&self, name: &ModelName) -> Option<Arc<ModelView>> {
        self.inner.views.load().get(name).map(|view| view.borrow().clone())
    }

    /// All models at this moment, by name.
    pub fn views(&self) -> Vec<(ModelName, Arc<ModelView>)> {
        let views = self.inner.views.load();
        views.iter().map(|(name, view)| (name.clone(), view.borrow().clone())).collect()
    }

    /// Follows one model: the present view and every later one.
    pub fn watch(&self, name: &ModelName) -> Option<watch::Receiver<Arc<ModelView>>> {
        self.inner.views.load().get(name).map(watch::Sender::subscribe)
    }

    /// Follows what changes.
    pub fn subscribe(&self) -> broadcast::Receiver<FleetEvent> {
        self.inner.events.subscribe()
    }

    // --- workers ---

    /// A worker joins.
    ///
    /// # Errors
    /// `model_not_found` if no such model is configured; `invalid_request` if it takes no calls.
    pub fn register(&self, registration: Registration) -> Result<Membership, Fault> {
        let name = registration.model.clone();
        let Some(spec) = self.inner.book.lock().spec(&name) else {
            return Err(Fault::new(
                ErrorCode::ModelNotFound,
                format!("model {name} not found; add it to the configuration before its workers"),
            ));
        };
        let capacity = spec.worker_capacity.unwrap_or(registration.description.capacity);
        if capacity == 0 {
            return Err(Fault::new(
                ErrorCode::InvalidRequest,
                "description.capacity must be at least 1",
            ));
        }
        let id = WorkerId::new(Uuid::now_v7());
        let endpoint = HttpEndpoint::new(registration.address, registration.token);
        let replica = Replica {
            id,
            model: name,
            launch_id: registration.launch_id,
            capacity,
            weight: 1,
            busy: 0,
            manner: Manner::Registered,
            description: registration.description,
            endpoint: Arc::new(endpoint),
        };
        let lease_until = Instant::now() + self.inner.settings.lease;
        let effects = self.inner.book.lock().join(Arc::new(replica), Some(lease_until));
        self.perform(effects);
        let lease_ms = self.lease_ms();
        Ok(Membership { worker_id: id, epoch: self.inner.settings.epoch, lease_ms })
    }

    /// A worker renews its lease and says what it runs.
    ///
    /// # Errors
    /// `worker_not_found` or `lease_lost`: it must register again.
    pub fn heartbeat(&self, id: WorkerId, beat: &Heartbeat) -> Result<HeartbeatAnswer, Fault> {
        self.check_epoch(beat.epoch)?;
        let effects = self.inner.book.lock().heartbeat(id, beat, Instant::now())?;
        if let Some(stats) = &beat.engine {
            self.show_engine(id, stats);
        }
        self.perform(effects);
        Ok(HeartbeatAnswer { lease_ms: self.lease_ms() })
    }

    /// A worker reports progress and ends of calls.
    ///
    /// # Errors
    /// `worker_not_found` or `lease_lost`: it must register again.
    pub fn report(&self, id: WorkerId, reports: &Reports) -> Result<(), Fault> {
        self.check_epoch(reports.epoch)?;
        let effects = self.inner.book.lock().reports(id, &reports.reports)?;
        if let Some(listener) = &*self.inner.listener.load() {
            for report in &reports.reports {
                let (api::worker::Report::Progress { call_id, .. }
                | api::worker::Report::Ended { call_id, .. }) = report;
                listener.on_report(*call_id, report);
            }
        }
        self.perform(effects);
        Ok(())
    }

    /// No new work for this worker; what it has may end.
    pub fn drain(&self, id: WorkerId) {
        let effects = self.inner.book.lock().drain(id);
        self.perform(effects);
    }

    /// A worker says good-bye, or an endpoint is withdrawn.
    pub fn leave(&self, id: WorkerId) {
        let effects = self.inner.book.lock().leave(id, Departure::Left);
        self.perform(effects);
    }

    /// A process of ours ended, and with it its worker.
    pub fn launch_ended(&self, launch_id: &str) {
        let workers = self.inner.book.lock().workers_of_launch(launch_id);
        for id in workers {
            let effects = self.inner.book.lock().leave(id, Departure::ProcessEnded);
            self.perform(effects);
        }
    }

    /// A call was cancelled. `held` is dropped when the worker says that it ended, or is gone;
    /// if neither happens by `timeout_at` plus one heartbeat, the worker is stuck.
    pub fn linger(&self, id: WorkerId, call: CallId, timeout_at: Instant, held: Held) {
        let lingering = Lingering { held, since: Instant::now(), timeout_at };
        let effects = self.inner.book.lock().linger(id, call, lingering);
        self.perform(effects);
    }

    /// Watches the progress of a call that is about to be sent to a worker. Of a model without a
    /// `progress_timeout` nothing will be told.
    pub fn watch_progress(&self, worker: WorkerId, call: CallId) -> ProgressWatch {
        let (watch, stop) = ProgressWatch::new(self.clone(), worker, call);
        self.inner.book.lock().watch(worker, call, stop);
        watch
    }

    pub(crate) fn unwatch_progress(&self, worker: WorkerId, call: CallId) {
        self.inner.book.lock().unwatch(worker, call);
    }

    /// Watches the clock until `stop`: expired leases, calls that do not end.
    ///
    /// # Cancel safety
    /// May be dropped at any time; time then changes nothing any more.
    pub async fn keep_time(&self, stop: CancellationToken) {
        let period = (self.inner.settings.heartbeat / 4).max(Duration::from_millis(50));
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {
                    let effects = self.inner.book.lock().sweep(Instant::now());
                    self.perform(effects);
                }
            }
        }
    }

    fn show_engine(&self, id: WorkerId, stats: &EngineStats) {
        let model = || self.inner.book.lock().model_of(id);
        if let Some(model) = model() {
            self.inner.metrics.engine(&model, id, stats.clone());
        }
        // It may have left meanwhile, and then it would be shown for ever.
        if model().is_none() {
            self.inner.metrics.worker_gone(id);
        }
    }

    fn lease_ms(&self) -> u64 {
        u64::try_from(self.inner.settings.lease.as_millis()).unwrap_or(u64::MAX)
    }

    fn check_epoch(&self, epoch: u64) -> Result<(), Fault> {
        if epoch == self.inner.settings.epoch {
            return Ok(());
        }
        Err(Fault::new(ErrorCode::LeaseLost, "the server was restarted; register again"))
    }

    /// Drops, stops, publishes, announces: in this order, so that whoever hears of a change sees it.
    fn perform(&self, effects: Effects) {
        drop(effects.released);
        for (stop, silence_max) in effects.stopped {
            // A call that ends by itself just now is no error.
            let _ = stop.send(silence_max);
        }
        for name in &effects.touched {
            self.publish(name);
        }
        for event in effects.events {
            tracing::info!(?event, "fleet changed");
            match &event {
                FleetEvent::Stuck { model, .. } => self.inner.metrics.model(model).stuck.inc(),
                FleetEvent::Gone { worker, .. } => self.inner.metrics.worker_gone(*worker),
                FleetEvent::Joined { .. } => {}
            }
            // Nobody listening is not an error.
            let _ = self.inner.events.send(event);
        }
    }

    fn publish(&self, name: &ModelName) {
        let views = self.inner.views.load();
        let Some(sender) = views.get(name) else { return };
        // Read and replaced under the sender's lock, so that an older view never wins.
        sender.send_modify(|view| {
            if let Some(fresh) = self.inner.book.lock().view(name) {
                *view = Arc::new(fresh);
            }
        });
    }
}
