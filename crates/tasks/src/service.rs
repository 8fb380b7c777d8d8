//! The parts that handle, runners and sweeper share, and the life of the whole.

use std::{sync::Arc, time::Duration};

use dispatch::Dispatcher;
use store::{Changed, ModelTasks, Place, StoreError, TaskStore};
use telemetry::metrics::Metrics;
use tokio::{
    runtime::Handle,
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use types::{ModelName, Priority, TaskId, Timestamp};

use crate::{
    Recent, TaskSettings, Tasks,
    alarm::Alarm,
    caps, clock,
    hub::Hub,
    lanes::{Lane, Lanes},
    live::Live,
    neighbours, recent,
    results::{self, Results},
    runner, sweeper, webhooks,
};

/// Wait before a store that failed is asked again.
pub(crate) const STORE_WAIT: Duration = Duration::from_secs(1);

/// Time for putting back what did not finish in its time.
const PUT_BACK_TIME_MAX: Duration = Duration::from_secs(10);

pub(crate) struct Service {
    pub(crate) store: Arc<dyn TaskStore>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) settings: TaskSettings,
    pub(crate) hub: Hub,
    pub(crate) live: Live,
    pub(crate) recent: Recent,
    pub(crate) results: Results,
    pub(crate) alarm: Alarm,
    /// Rings when a task with a webhook may have ended.
    pub(crate) ended: Notify,
    /// Set once what earlier servers ran has been put back: only then may anything be claimed.
    pub(crate) recovered: CancellationToken,
    /// Set when nothing new is begun any more.
    pub(crate) stop: CancellationToken,
    /// Set when what still runs is put back.
    pub(crate) put_back: CancellationToken,
    /// One per attempt.
    pub(crate) attempts: TaskTracker,
    metrics: Metrics,
    lanes: Lanes,
    loops: TaskTracker,
    /// Where runners run. A submission may come from the runtime of a thread that ends before them.
    runtime: Handle,
}

impl Service {
    pub(crate) fn new(
        store: Arc<dyn TaskStore>,
        dispatcher: Dispatcher,
        metrics: Metrics,
        settings: TaskSettings,
    ) -> Self {
        let hub = Hub::default();
        Self {
            store,
            dispatcher,
            recent: Recent::new(settings.recent.clone(), settings.keep_for, hub.clone()),
            results: Results::new(&settings.results),
            settings,
            hub,
            live: Live::default(),
            alarm: Alarm::default(),
            ended: Notify::new(),
            recovered: CancellationToken::new(),
            stop: CancellationToken::new(),
            put_back: CancellationToken::new(),
            attempts: TaskTracker::new(),
            metrics,
            lanes: Lanes::default(),
            loops: TaskTracker::new(),
            runtime: Handle::current(),
        }
    }

    /// The lane of a model, opened with its runner if this is its first task.
    fn lane(self: &Arc<Self>, model: &ModelName) -> Option<Arc<Lane>> {
        if let Some(lane) = self.lanes.get(model) {
            return Some(lane);
        }
        if *model == ModelName::webhooks() {
            return self.letters();
        }
        // Tasks of a model that is not configured any more wait until it is again.
        self.dispatcher.check_model(model).ok()?;
        match self.lanes.open(model, self.metrics.model(model)) {
            Some(lane) => {
                self.loops.spawn_on(runner::run(self.clone(), lane.clone()), &self.runtime);
                Some(lane)
            }
            None => self.lanes.get(model),
        }
    }

    /// The lane of letters to webhooks, opened with its runner; `None` if none are sent.
    fn letters(self: &Arc<Self>) -> Option<Arc<Lane>> {
        let (model, webhooks) = (ModelName::webhooks(), self.settings.webhooks.clone()?);
        let Some(lane) = self.lanes.open(&model, self.metrics.model(&model)) else {
            return self.lanes.get(&model);
        };
        let deliver = webhooks::deliver(self.clone(), lane.clone(), webhooks);
        self.loops.spawn_on(deliver, &self.runtime);
        Some(lane)
    }

    /// A model is known from now on.
    pub(crate) fn opened(self: &Arc<Self>, model: &ModelName) {
        if let Some(lane) = self.lane(model) {
            lane.bell.ring(Priority::High);
        }
    }

    /// A task was queued; `due` is when time alone changes it.
    pub(crate) fn arrived(
        self: &Arc<Self>,
        model: &ModelName,
        priority: Priority,
        due: Option<Timestamp>,
    ) {
        if let Some(due) = due {
            self.alarm.due(due);
        }
        if let Some(lane) = self.lane(model) {
            lane.metrics.task_entered(api::task::TaskState::Queued);
            lane.bell.ring(priority);
        }
    }

    /// Counts a task that entered a state.
    pub(crate) fn count(&self, model: &ModelName, state: api::task::TaskState) {
        self.metrics.model(model).task_entered(state);
    }

    /// A task took a step that nobody here asked for.
    pub(crate) fn moved(self: &Arc<Self>, change: &Changed) {
        let Changed { id, model, place, attempt } = change;
        // Whoever still works on it has lost it.
        self.live.stop(*id, *attempt);
        match place {
            Place::Ready(priority) => self.arrived(model, *priority, None),
            place => {
                self.count(model, place.state());
                self.ended.notify_one();
            }
        }
        self.hub.changed(*id);
    }

    /// An attempt has ended, and its task is queued again.
    pub(crate) fn queued_again(self: &Arc<Self>, id: TaskId, lane: &Lane, priority: Priority) {
        // It may be due at any time from now on.
        self.alarm.due(clock::now());
        lane.bell.ring(priority);
        self.hub.changed(id);
    }

    /// Another server moved a task.
    pub(crate) fn moved_elsewhere(self: &Arc<Self>, change: &Changed) {
        let Changed { id, model, place, attempt } = change;
        self.live.stop(*id, *attempt);
        match (place, self.lane(model)) {
            (Place::Ready(priority), Some(lane)) => lane.bell.ring(*priority),
            // It may be due before anything that is known here.
            (Place::Delayed, _) => self.alarm.due(clock::now()),
            _ => {}
        }
        self.hub.changed(*id);
    }

    /// Other servers may have done anything.
    pub(crate) async fn look_at_everything(self: &Arc<Self>) {
        match self.store.stats().await {
            Ok(stats) => stats.iter().filter(|of| of.counts[0] > 0).for_each(|of| {
                self.lane(&of.model);
            }),
            Err(error) => report(&error, "the tasks of other servers cannot be counted yet"),
        }
        self.lanes.ring_all();
        self.alarm.due(clock::now());
        self.hub.all_changed();
    }

    /// Puts back what earlier servers ran, and wakes the runners of all that waits.
    async fn recover(self: &Arc<Self>) -> Result<(), StoreError> {
        let swept = self.store.recover(clock::now()).await?;
        if !swept.changed.is_empty() {
            tracing::info!(tasks = swept.changed.len(), "tasks of the last server were put back");
        }
        for change in &swept.changed {
            self.moved(change);
        }
        for ModelTasks { model, counts } in self.store.stats().await? {
            let waits = counts[0] > 0;
            if waits && self.lane(&model).is_none() {
                tracing::warn!(%model, tasks = counts[0], "tasks wait for a model that is not configured");
            }
        }
        Ok(())
    }

    async fn recover_until_done(self: &Arc<Self>) {
        while let Err(error) = self.recover().await {
            report(&error, "tasks cannot be recovered yet");
            sleep(STORE_WAIT).await;
        }
    }

    /// Ends everything in order: nothing new, then what runs, then the store.
    async fn drain(&self) {
        self.stop.cancel();
        self.loops.close();
        self.loops.wait().await;
        self.attempts.close();
        if timeout(self.settings.drain, self.attempts.wait()).await.is_err() {
            tracing::info!(tasks = self.attempts.len(), "running tasks are put back");
            self.put_back.cancel();
            if timeout(PUT_BACK_TIME_MAX, self.attempts.wait()).await.is_err() {
                tracing::warn!("some tasks could not be put back; the next server will do it");
            }
        }
        self.store.close().await;
    }
}

impl Tasks {
    /// Runs tasks until `stop`, then lets running ones finish for the time of the settings, puts
    /// back the others and closes the store. To be awaited once.
    ///
    /// # Cancel safety
    /// Dropping the future stops everything at once. What ran is put back by the next server; what
    /// was acknowledged is on disk.
    pub async fn run(&self, stop: CancellationToken) {
        let service = &self.service;
        let _all = (service.stop.clone().drop_guard(), service.put_back.clone().drop_guard());
        service.loops.spawn(recent::keep(service.clone()));
        service.loops.spawn(caps::run(service.clone()));
        tokio::select! {
            () = stop.cancelled() => return service.drain().await,
            () = service.recover_until_done() => {}
        }
        service.recovered.cancel();
        service.loops.spawn(sweeper::run(service.clone()));
        service.loops.spawn(neighbours::hear(service.clone()));
        service.loops.spawn(results::tidy_up(service.clone()));
        if let Some(webhooks) = service.settings.webhooks.clone() {
            service.loops.spawn(webhooks::announce(service.clone(), webhooks));
        }
        stop.cancelled().await;
        service.drain().await;
    }
}

/// One line for the operator; the store's own text says what to do.
pub(crate) fn report(error: &StoreError, what: &'static str) {
    let source = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(%error, source, "{what}");
}
