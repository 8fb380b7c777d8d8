//! The loop that owns the roll, and does what it says.

#[cfg(test)]
mod tests;

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
    roll::{Resident, Roll, Step},
    routes::Told,
    usage::Counted,
    visit,
};

/// Between two looks for workers that have fallen silent: a fraction of the shortest interval.
const SWEEP_EVERY: Duration = Duration::from_millis(250);

/// Models that registrations may make. They stay until the server ends, so there must be a bound.
const MODELS_MADE_MAX: usize = 512;

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
    /// Of the workers of a folder, nobody listens any more where these were.
    Dead { workers: Vec<Resident>, asked_at: Instant, answer: oneshot::Sender<usize> },
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
    /// How many models registrations have made.
    made: usize,
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
            made: 0,
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
            Command::Farewell { whom: Whom::Id(id), answer } => {
                let left = self.roll.farewell(&id);
                self.unregistered(left, answer);
            }
            Command::Farewell { whom: Whom::Folder(folder), answer } => {
                let workers = self.roll.residents(&folder);
                self.clear(workers, answer);
            }
            Command::Doubt { id, visit } => self.look_after(id, visit),
        }
    }

    fn beat(&mut self, mut worker: Announced) -> Result<Registered, Fault> {
        let (id, model) = (worker.id.clone(), worker.model.clone());
        let usage = mem::take(&mut worker.usage);
        let is_open = self.may_serve(&model)?;
        let now = Instant::now();
        let steps = self.roll.beat(worker, now).map_err(|_full| {
            let detail = "as many workers are registered here as may be";
            Fault::new(ErrorCode::ModelUnavailable, detail)
        })?;
        // Only now: a worker that is refused must leave nothing behind.
        if !is_open {
            self.open(&model);
        }
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

    /// Whether the model of a worker exists; it is refused if it may not be served, or made.
    fn may_serve(&self, model: &ModelName) -> Result<bool, Fault> {
        if let Some(view) = self.parts.fleet.view(model) {
            if view.spec.kind == ModelKind::Ieops {
                return Ok(true);
            }
            let detail = format!(
                "field `endpoint`: {model} is configured here as another kind of model; register \
                 under another name (APP_NAME), or set `kind = \"ieops\"` in [models.{model}]"
            );
            return Err(Fault::new(ErrorCode::InvalidRequest, detail));
        }
        if self.made >= MODELS_MADE_MAX {
            let detail = format!(
                "field `endpoint`: {model} is new, and workers have already made \
                 {MODELS_MADE_MAX} models here; configure it, with `kind = \"ieops\"` in \
                 [models.{model}]"
            );
            return Err(Fault::new(ErrorCode::ModelUnavailable, detail));
        }
        Ok(false)
    }

    /// Makes a model callable.
    fn open(&mut self, model: &ModelName) {
        tracing::info!(%model, "a worker registered for a model that is new here");
        self.made += 1;
        self.parts.fleet.add_model(model, self.template.clone());
        self.parts.dispatcher.add_model(model);
        self.parts.tasks.model_opened(model);
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
            Found::Dead { workers, asked_at, answer } => {
                let left = self.roll.clear(&workers, asked_at);
                self.unregistered(left, answer);
            }
            Found::Nothing => {}
        }
    }

    fn unregistered(&mut self, (count, steps): (usize, Vec<Step>), answer: oneshot::Sender<usize>) {
        tracing::debug!(count, "workers unregistered");
        self.perform(steps);
        self.changed();
        // Who does not wait any more has said what it had to say.
        let _ = answer.send(count);
    }

    /// Looks who of these still listens. A worker that starts clears the folder of what its
    /// predecessor left, and cannot know of its neighbours there.
    fn clear(&mut self, workers: Vec<Resident>, answer: oneshot::Sender<usize>) {
        let asked_at = Instant::now();
        self.errands.spawn(async move {
            let mut dead = Vec::new();
            // One after the other: a unix socket answers at once.
            for worker in workers {
                if !visit::lives(&worker.address).await {
                    dead.push(worker);
                }
            }
            Found::Dead { workers: dead, asked_at, answer }
        });
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
