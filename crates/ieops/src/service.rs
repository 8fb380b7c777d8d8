//! The loop that owns the roll, and does what it says.

use std::{
    collections::BTreeSet,
    mem,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use api::worker::Address;
use dispatch::Dispatcher;
use fleet::{Availability, Fleet};
use tasks::Tasks;
use telemetry::Metrics;
use tokio::{
    sync::{mpsc, oneshot},
    task::{AbortHandle, JoinSet},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use types::{ErrorCode, Fault, ModelKind, ModelName, ModelSpec};

use crate::{
    announced::Announced,
    endpoint::RegisteredEndpoint,
    proxy::Registered,
    roll::{Roll, Step},
    routes::Told,
    usage::Counted,
    visit,
};

/// Between two looks for workers that have fallen silent: a fraction of the shortest interval.
const SWEEP_EVERY: Duration = Duration::from_millis(250);

/// What the loop is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// A worker says that it lives.
    Beat { worker: Announced, answer: oneshot::Sender<Result<Registered, Fault>> },
    /// Workers end.
    Farewell { whom: Whom, answer: oneshot::Sender<usize> },
    /// A call of a worker failed on the way.
    Doubt { id: String, visit: u64 },
}

/// Who ends.
#[derive(Debug)]
pub(crate) enum Whom {
    Id(String),
    Folder(PathBuf),
}

/// What a task beside the loop found out.
enum Found {
    /// A worker answered, with its routes.
    Routes { id: String, visit: u64, address: Address, told: Told },
    /// Nobody listens any more where a worker was.
    Gone { id: String, visit: u64 },
    /// It lives after all, or nobody wants to know any more.
    Nothing,
}

/// The two ends of the loop's own channel.
pub(crate) struct Ends {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) inbox: mpsc::Receiver<Command>,
}

/// What the loop acts on.
pub(crate) struct Parts {
    pub(crate) fleet: Fleet,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
}

/// The owner of the roll. [`Self::run`] consumes it.
pub struct ProxyService {
    parts: Parts,
    template: Arc<ModelSpec>,
    ends: Ends,
    roll: Roll,
    counted: Counted,
    /// Visits, and looks after workers that are in doubt.
    errands: JoinSet<Found>,
    /// The visits among them that are under way.
    visits: Vec<(String, u64, AbortHandle)>,
    /// Every model that had a worker.
    models: BTreeSet<ModelName>,
}

impl ProxyService {
    pub(crate) fn new(parts: Parts, template: ModelSpec, ends: Ends) -> Self {
        Self {
            parts,
            template: Arc::new(template),
            ends,
            roll: Roll::default(),
            counted: Counted::default(),
            errands: JoinSet::new(),
            visits: Vec::new(),
            models: BTreeSet::new(),
        }
    }

    /// Hears workers until `stop`. Those that are registered then stay as they are.
    ///
    /// # Cancel safety
    /// May be dropped at any time; nobody is heard any more.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(SWEEP_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(command) = self.ends.inbox.recv() => self.obey(command),
                Some(found) = self.errands.join_next() => self.learn(found.unwrap_or(Found::Nothing)),
                _ = ticks.tick() => self.sweep(),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Beat { worker, answer } => {
                // Who does not wait any more will speak again.
                let _ = answer.send(self.beat(worker));
            }
            Command::Farewell { whom, answer } => {
                let (count, steps) = match &whom {
                    Whom::Id(id) => self.roll.farewell(id),
                    Whom::Folder(folder) => self.roll.clear(folder),
                };
                tracing::debug!(?whom, count, "workers unregistered");
                self.perform(steps);
                self.changed();
                let _ = answer.send(count);
            }
            Command::Doubt { id, visit } => self.look_after(id, visit),
        }
    }

    fn beat(&mut self, mut worker: Announced) -> Result<Registered, Fault> {
        let (id, model) = (worker.id.clone(), worker.model.clone());
        let usage = mem::take(&mut worker.usage);
        self.open(&model)?;
        let now = Instant::now();
        let steps = self.roll.beat(worker, now).map_err(|_full| {
            let detail = "as many workers are registered here as may be";
            Fault::new(ErrorCode::ModelUnavailable, detail)
        })?;
        let is_known = matches!(steps[..], [] | [Step::Adjust { .. }]);
        self.perform(steps);
        if !is_known {
            self.changed();
        }
        self.show(&id);
        for used in usage.iter().filter_map(|record| self.counted.count(record)) {
            self.parts.metrics.used(&model, used);
        }
        let silence = self.roll.silent_at(&id).map(|at| at.saturating_duration_since(now));
        let silence_ms_max = silence.and_then(|left| left.as_millis().try_into().ok()).unwrap_or(0);
        Ok(Registered { id, model, silence_ms_max })
    }

    /// Shows what a replica says of itself; the older package says nothing.
    fn show(&self, id: &str) {
        if let Some((replica, worker)) = self.roll.serving(id)
            && (worker.load.is_some() || !worker.metrics.is_empty())
        {
            self.parts.metrics.worker_told(&worker.model, replica, worker.load, &worker.metrics);
        }
    }

    /// Makes the model of a worker callable, if it is not yet.
    fn open(&mut self, model: &ModelName) -> Result<(), Fault> {
        if let Some(view) = self.parts.fleet.view(model) {
            if view.spec.kind == ModelKind::Ieops {
                return Ok(());
            }
            let detail = format!(
                "field `endpoint`: {model} is configured here as another kind of model; register \
                 under another name (APP_NAME), or set `kind = \"ieops\"` in [models.{model}]"
            );
            return Err(Fault::new(ErrorCode::InvalidRequest, detail));
        }
        tracing::info!(%model, "a worker registered for a model that is new here");
        self.parts.fleet.add_model(model, self.template.clone());
        self.parts.dispatcher.add_model(model);
        self.parts.tasks.model_opened(model);
        Ok(())
    }

    fn perform(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Visit { id, visit, address } => self.visit(id, visit, address),
                Step::Adjust { worker, offer } => self.parts.fleet.adjust(worker, &offer),
                Step::Dismiss { worker, is_farewell: true } => self.parts.fleet.leave(worker),
                Step::Dismiss { worker, is_farewell: false } => self.parts.fleet.lost(worker),
            }
        }
    }

    fn visit(&mut self, id: String, visit: u64, address: Address) {
        let name = id.clone();
        let errand = self.errands.spawn(async move {
            let told = visit::visit(&address).await;
            Found::Routes { id, visit, address, told }
        });
        self.visits.push((name, visit, errand));
    }

    /// The roll has other entries than before: visits of workers that are gone end, and a model
    /// without a registered worker refuses calls, because nobody knows whether one will come.
    fn changed(&mut self) {
        let roll = &self.roll;
        for (_, _, errand) in
            self.visits.extract_if(.., |(id, visit, _)| roll.visited(id, *visit).is_none())
        {
            errand.abort();
        }
        let present: BTreeSet<_> = roll.workers().map(|worker| worker.model.clone()).collect();
        for model in self.models.difference(&present) {
            self.parts.fleet.set_availability(model, nobody());
        }
        for model in &present {
            self.parts.fleet.set_availability(model, Availability::Starting);
        }
        self.models.extend(present);
    }

    fn learn(&mut self, found: Found) {
        match found {
            Found::Routes { id, visit, address, told } => {
                let Some(worker) = self.roll.visited(&id, visit) else { return };
                let (model, offer) = (worker.model.clone(), worker.offer);
                let description = told.into_description(&model, offer.capacity);
                let named = (id.clone(), visit);
                let endpoint = RegisteredEndpoint::new(address, named, self.ends.commands.clone());
                let replica =
                    self.parts.fleet.enlist(&model, description, &offer, Arc::new(endpoint));
                tracing::info!(%model, %id, worker = %replica, "a registered worker serves");
                self.roll.serves(&id, replica);
                self.show(&id);
                self.visits.retain(|(_, under_way, _)| *under_way != visit);
            }
            Found::Gone { id, visit } => {
                let steps = self.roll.unreachable(&id, visit);
                if !steps.is_empty() {
                    tracing::warn!(%id, "a registered worker does not answer; it gets no calls");
                }
                self.perform(steps);
                self.changed();
            }
            Found::Nothing => {}
        }
    }

    fn look_after(&mut self, id: String, visit: u64) {
        let Some(address) = self.roll.address(&id, visit) else { return };
        self.errands.spawn(async move {
            if visit::lives(&address).await { Found::Nothing } else { Found::Gone { id, visit } }
        });
    }

    fn sweep(&mut self) {
        let (silent, steps) = self.roll.sweep(Instant::now());
        if silent.is_empty() {
            return;
        }
        for id in silent {
            tracing::warn!(%id, "a registered worker has been silent for three intervals");
        }
        self.perform(steps);
        self.changed();
    }
}

/// How it stands with a model that has no registered worker.
pub fn nobody() -> Availability {
    let reason = "no worker of it is registered at the moment".to_owned();
    Availability::Failing { reason }
}
