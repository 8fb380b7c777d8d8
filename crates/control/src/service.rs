//! The loop that keeps workers running.

mod kept;
mod observe;
mod work;

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use deploy::{Deployer, LaunchId, gpus::Gpus, python::PythonFinder};
use fleet::{Fleet, FleetEvent};
use telemetry::Metrics;
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    task::{AbortHandle, JoinSet},
    time,
};
use tokio_util::sync::CancellationToken;
use types::{ModelName, ModelSpec, WorkerId};

use crate::{
    ControlSettings,
    launch::Joining,
    plan::{Plan, Refusal, Step, Why},
};
use kept::Kept;
use observe::{Bearings, Starting};
use work::Outcome;

/// How often everything is compared even if nothing was heard: what one missed message could hide
/// is found within seconds, and it costs nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How long a killed process may take to be gone.
const KILL_TIME: Duration = Duration::from_secs(5);

/// What the loop can be asked.
pub(crate) enum Command {
    Set { name: ModelName, spec: Arc<ModelSpec>, done: oneshot::Sender<()> },
    Remove { name: ModelName, done: oneshot::Sender<()> },
    Restart { name: ModelName, done: oneshot::Sender<()> },
}

/// The loop's ends of what the handle holds.
pub(crate) struct Ends {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) loading: watch::Sender<BTreeSet<ModelName>>,
}

/// Everything that can wake the loop.
enum Event {
    Command(Command),
    /// A step was performed.
    Performed(Outcome),
    /// Something is different in the fleet or at the deployer, or it is time to look.
    LookAgain,
    Shutdown,
}

/// Keeps workers running; made by [`crate::Control::new`].
pub struct ControlService {
    settings: Arc<ControlSettings>,
    deployer: Arc<dyn Deployer>,
    fleet: Fleet,
    metrics: Metrics,
    commands: mpsc::Receiver<Command>,
    fleet_events: broadcast::Receiver<FleetEvent>,
    process_changes: watch::Receiver<u64>,
    loading: watch::Sender<BTreeSet<ModelName>>,
    models: BTreeMap<ModelName, Kept>,
    bearings: Bearings,
    probes: BTreeMap<LaunchId, AbortHandle>,
    work: JoinSet<Outcome>,
    gpus: Gpus,
    pythons: Arc<PythonFinder>,
    look_at: Instant,
}

impl ControlService {
    pub(crate) fn new(
        settings: ControlSettings,
        deployer: Arc<dyn Deployer>,
        fleet: Fleet,
        metrics: Metrics,
        ends: Ends,
    ) -> Self {
        Self {
            gpus: Gpus::new(settings.gpus.clone()),
            settings: Arc::new(settings),
            fleet_events: fleet.subscribe(),
            process_changes: deployer.changes(),
            deployer,
            fleet,
            metrics,
            commands: ends.commands,
            loading: ends.loading,
            models: BTreeMap::new(),
            bearings: Bearings::default(),
            probes: BTreeMap::new(),
            work: JoinSet::new(),
            pythons: Arc::default(),
            look_at: Instant::now(),
        }
    }

    /// Keeps workers running until `shutdown`, then drains and ends them all within the grace
    /// period. The deployer must still run then. Dropping the handles ends nothing.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the processes to the deployer.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            match self.next_event(&shutdown).await {
                Event::Command(command) => self.apply(command),
                Event::Performed(outcome) => self.note(outcome),
                Event::LookAgain => {}
                Event::Shutdown => break,
            }
            self.reconcile().await;
        }
        self.end_all().await;
    }

    /// Waits; changes nothing but the marks of what was heard.
    async fn next_event(&mut self, shutdown: &CancellationToken) -> Event {
        tokio::select! {
            () = shutdown.cancelled() => Event::Shutdown,
            // Without handles nothing new will be wanted; what is wanted goes on.
            Some(command) = self.commands.recv() => Event::Command(command),
            Some(done) = self.work.join_next() => match done {
                Ok(outcome) => Event::Performed(outcome),
                // A probe that was called off.
                Err(_) => Event::LookAgain,
            },
            // Events may be missed: they only say that it is worth looking.
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) = self.fleet_events.recv() => {
                Event::LookAgain
            }
            Ok(()) = self.process_changes.changed() => Event::LookAgain,
            () = time::sleep_until(self.look_at.into()) => Event::LookAgain,
        }
    }

    fn apply(&mut self, command: Command) {
        let done = match command {
            Command::Set { name, spec, done } => {
                self.set_model(&name, spec);
                done
            }
            Command::Remove { name, done } => {
                if let Some(kept) = self.models.get_mut(&name) {
                    kept.leave();
                }
                done
            }
            Command::Restart { name, done } => {
                if let Some(kept) = self.models.get_mut(&name).filter(|kept| !kept.is_leaving) {
                    kept.next_generation(&self.fleet);
                }
                done
            }
        };
        self.show_loading();
        // A caller that stopped waiting is not an error.
        let _ = done.send(());
    }

    fn set_model(&mut self, name: &ModelName, spec: Arc<ModelSpec>) {
        let runs = spec.enabled && spec.kind.runs_workers();
        match self.models.get_mut(name) {
            Some(kept) if !runs => kept.leave(),
            Some(kept) if kept.is_leaving || kept.spec != spec => kept.change(spec, &self.fleet),
            Some(kept) => kept.keeper.try_again(),
            None if runs => {
                self.models.insert(name.clone(), Kept::new(name, spec, &self.fleet));
            }
            None => {}
        }
    }

    /// Compares what should run with what does, and begins what is to be done.
    async fn reconcile(&mut self) {
        let now = Instant::now();
        self.look_at = now + LOOK_AGAIN;
        let processes = match self.deployer.list().await {
            Ok(processes) => processes,
            Err(error) => {
                tracing::warn!(%error, "the deployer cannot be asked");
                return;
            }
        };
        let mut models = std::mem::take(&mut self.models);
        models.retain(|name, kept| {
            let seen = self.bearings.seen(name, &processes, self.fleet.view(name).as_deref());
            let plan = kept.keeper.plan(&seen, now, &mut draw);
            let is_gone = kept.is_leaving && seen.is_empty();
            self.perform(name, kept, plan);
            !is_gone
        });
        self.models = models;
        self.show_loading();
    }

    fn perform(&mut self, name: &ModelName, kept: &mut Kept, plan: Plan) {
        self.look_at = plan.wake_at.into_iter().chain([self.look_at]).min().unwrap_or(self.look_at);
        for step in plan.steps {
            match step {
                Step::Start { launch, generation } => self.start(name, kept, launch, generation),
                Step::Retire { launch, worker, grace, why } => {
                    self.record(name, &launch, &why);
                    self.retire(launch, worker, grace);
                }
            }
        }
        kept.announce(name, plan.outlook, &self.fleet);
    }

    fn start(&mut self, name: &ModelName, kept: &mut Kept, launch: LaunchId, generation: u64) {
        let gpus = match self.gpus.take(&launch, kept.spec.num_gpus) {
            Ok(gpus) => gpus,
            Err(error) => {
                let now = Instant::now();
                let refusal = Refusal { reason: error.to_string(), no_room: true };
                kept.keeper.refused(&launch, refusal, now);
                // The plan is another one now.
                self.look_at = now;
                return;
            }
        };
        tracing::info!(model = %name, launch_id = %launch, "starting a worker");
        let starting = Starting { model: name.clone(), generation, since: Instant::now() };
        self.bearings.starting.insert(launch.clone(), starting);
        let start = work::Start {
            settings: self.settings.clone(),
            joining: Joining::of(&self.fleet),
            deployer: self.deployer.clone(),
            pythons: self.pythons.clone(),
            launch,
            generation,
            model: name.clone(),
            spec: kept.spec.clone(),
            gpus,
        };
        self.work.spawn(start.perform());
    }

    /// Logs, and counts what was not our wish.
    fn record(&self, model: &ModelName, launch: &LaunchId, why: &Why) {
        match why {
            Why::Failed(reason) => {
                tracing::warn!(%model, launch_id = %launch, reason, "a worker failed");
            }
            Why::Hopeless(reason) => {
                tracing::error!(%model, launch_id = %launch, reason, "a worker cannot start");
                return;
            }
            Why::Stuck => {
                tracing::warn!(%model, launch_id = %launch, "a worker is stuck and is replaced");
            }
            Why::Drained | Why::Superseded => {
                tracing::info!(%model, launch_id = %launch, "draining a worker");
                return;
            }
        }
        self.metrics.model(model).restarts.inc();
    }

    fn retire(&mut self, launch: LaunchId, worker: Option<WorkerId>, grace: Duration) {
        match worker {
            Some(worker) => self.fleet.drain(worker),
            // Not registered, or its process has ended, and then no call may wait for it.
            None => self.fleet.launch_ended(launch.as_str()),
        }
        if let Some(probe) = self.probes.remove(&launch) {
            probe.abort();
        }
        self.bearings.retiring.insert(launch.clone());
        let (settings, deployer) = (self.settings.clone(), self.deployer.clone());
        self.work.spawn(work::retire(settings, deployer, launch, grace));
    }

    /// A step has come to its end.
    fn note(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Started { launch, foreign } => {
                let starting = self.bearings.starting.remove(&launch);
                if let (Some(address), Some(Starting { model, .. })) = (foreign, starting) {
                    let ready_path =
                        self.models.get(&model).and_then(|kept| kept.spec.ready_path.clone());
                    let watch = work::watch(launch.clone(), model, address, ready_path);
                    let probe = self.work.spawn(watch);
                    self.probes.insert(launch, probe);
                }
            }
            Outcome::Refused { launch, reason } => {
                self.gpus.release(&launch);
                let Some(starting) = self.bearings.starting.remove(&launch) else { return };
                if let Some(kept) = self.models.get_mut(&starting.model) {
                    let refusal = Refusal { reason, no_room: false };
                    kept.keeper.refused(&launch, refusal, Instant::now());
                }
            }
            Outcome::Listens { launch, model, address } => {
                if self.probes.remove(&launch).is_some()
                    && let Some(kept) = self.models.get(&model)
                {
                    let worker = work::declare(&self.fleet, &model, &kept.spec, address);
                    self.bearings.declared.insert(launch, worker);
                }
            }
            Outcome::Retired { launch } => {
                self.bearings.retiring.remove(&launch);
                self.gpus.release(&launch);
                self.fleet.launch_ended(launch.as_str());
                if let Some(worker) = self.bearings.declared.remove(&launch) {
                    self.fleet.leave(worker);
                }
            }
        }
    }

    fn show_loading(&self) {
        let loading: BTreeSet<_> = self
            .models
            .iter()
            .filter(|(_, kept)| kept.is_loading())
            .map(|(name, _)| name.clone())
            .collect();
        self.loading.send_if_modified(|shown| {
            let is_news = *shown != loading;
            *shown = loading;
            is_news
        });
    }

    /// Ends every worker, all at once.
    async fn end_all(mut self) {
        // Starts are called off; the stops under way go on without us.
        self.work.abort_all();
        for name in self.models.keys() {
            for member in self.fleet.view(name).iter().flat_map(|view| &view.members) {
                self.fleet.drain(member.replica.id);
            }
        }
        let mut stops = JoinSet::new();
        for process in self.deployer.list().await.unwrap_or_default() {
            if self.models.contains_key(&process.model) {
                let (settings, deployer) = (self.settings.clone(), self.deployer.clone());
                let grace = settings.shutdown_grace;
                stops.spawn(work::retire(settings, deployer, process.launch, grace));
            }
        }
        // The deployer kills what outlasts the grace; it may take a moment for the system to agree.
        let limit = self.settings.shutdown_grace.saturating_add(KILL_TIME);
        if time::timeout(limit, stops.join_all()).await.is_err() {
            tracing::warn!("some workers could not be ended in time");
        }
    }
}

/// A random number. The hasher's keys are random; no more is needed for names and jitter.
fn draw() -> u64 {
    RandomState::new().hash_one(())
}
