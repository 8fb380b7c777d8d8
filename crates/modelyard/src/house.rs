//! Builds the house: makes every part once, hands each what it needs, and takes all down in order.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    io,
    path::Path,
    sync::Arc,
    time::SystemTime,
};

use adapters::webhook::WebhookSender;
use api::worker::Address;
use batches::{BatchSettings, Batches};
use control::{Control, ControlSettings};
use deploy::Local;
use dispatch::Dispatcher;
use fleet::{Availability, Fleet, FleetSettings};
use gateway::{Gateway, GatewaySettings, Inner, Server};
use store::Owner;
use tasks::{RecentSettings, ResultSettings, TaskSettings, Tasks, Webhooks};
use telemetry::metrics::Metrics;
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use types::{ModelKind, ModelName, ModelSpec};
use uuid::Uuid;

use crate::{
    VERSION,
    config::{Settings, SyncCalls, WebhooksSettings},
    ieops_room::{self, IeopsRoom},
    key_file::KeyFileError,
    key_room::Keys,
    listen::{self, Door, ListenError, SocketFile},
    run_dir::RunDir,
    running::Note,
    signals::Stop,
    store_room::{open_folder, open_store},
    tls_room::{TlsError, TlsRoom},
};

/// Why the house could not be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HouseError {
    /// The task store cannot be used.
    #[error("cannot open the task store")]
    Store(#[from] store::StoreError),
    /// The folder of files cannot be used.
    #[error("cannot open the folder of files")]
    Files(#[from] store::FolderError),
    /// The workers' door cannot be opened.
    #[error("cannot open the door for workers")]
    Internal(#[from] ListenError),
    /// The door for workers of the IEOPS SDK cannot be opened.
    #[error("cannot open the door at which workers register (ieops.socket)")]
    Ieops(#[source] ListenError),
    /// The certificate cannot be used.
    #[error("cannot speak https (tls)")]
    Tls(#[from] TlsError),
    /// It cannot be told who may call.
    #[error("cannot read the API keys")]
    Keys(#[from] KeyFileError),
    /// The system refuses something that is needed.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

/// What a server is started with.
pub(crate) struct Start {
    /// What it runs on.
    pub(crate) settings: Settings,
    /// The open doors for clients.
    pub(crate) doors: Vec<Door>,
    /// The numbers, from the start of the program.
    pub(crate) metrics: Metrics,
    /// When to drain, and when to end at once.
    pub(crate) stop: Stop,
}

/// Serves until told to stop, then drains: not ready any more, running calls finish, tasks are put
/// back, workers end. Told a second time, it ends at once.
///
/// # Errors
/// [`HouseError`] if a part cannot be made; nothing runs then.
///
/// # Cancel safety
/// Dropping the future ends everything at once; acknowledged tasks are on disk.
pub(crate) async fn serve(start: Start) -> Result<(), HouseError> {
    let at_once = start.stop.at_once.clone();
    let (data_dir, log) = (start.settings.data_dir.clone(), start.settings.log.file.clone());
    let addresses = start.doors.iter().map(|door| door.address.to_string()).collect();
    let house = House::build(start).await?;
    // Its store is ours by now: another server that was started on the same folder has failed.
    let _note = Note::leave(&data_dir, addresses, log);
    tokio::select! {
        () = house.live() => tracing::info!("stopped"),
        () = at_once.cancelled() => tracing::warn!("stopped at once; running calls were cut off"),
    }
    Ok(())
}

/// All parts, running.
struct House {
    drain: CancellationToken,
    public: Server,
    internal: Server,
    ieops: Option<IeopsRoom>,
    tasks: JoinHandle<()>,
    batches: JoinHandle<()>,
    control: JoinHandle<()>,
    control_stop: CancellationToken,
    deployer: JoinHandle<()>,
    loops: TaskTracker,
    /// Ends what must outlive the drain.
    end: CancellationToken,
    /// The sockets' files go when these are dropped.
    _held: (RunDir, Vec<SocketFile>),
}

impl House {
    async fn build(start: Start) -> Result<Self, HouseError> {
        let Start { settings, doors, metrics, stop } = start;
        let (keys, tls) = (Keys::open(&settings)?, TlsRoom::furnish(&settings, &doors)?);
        let run_dir = RunDir::create().map_err(|e| system("make a directory for sockets", e))?;
        let configured = settings.server.internal_listen.as_ref();
        let (internal_door, address) = listen::open_internal(configured, &run_dir).await?;
        let (end, control_stop) = (CancellationToken::new(), CancellationToken::new());

        let fleet = Fleet::new(fleet_settings(&settings), metrics.clone());
        let dispatcher = Dispatcher::new(fleet.clone(), metrics.clone(), end.clone());
        let (tasks, batches) = work(&settings, &dispatcher, &metrics).await?;
        fleet.listen(Box::new(tasks.clone()));
        let (local, local_service) =
            Local::new().map_err(|error| system("prepare to start processes", error))?;
        let places = control_settings(&settings, run_dir.path(), address).await?;
        let (control, control_service) =
            Control::new(places, Arc::new(local), fleet.clone(), metrics.clone());
        let (proxy, proxy_service) =
            ieops_room::furnish(&settings, &fleet, &dispatcher, &tasks, &metrics)?.unzip();
        let gateway = Gateway::new(Inner {
            dispatcher: dispatcher.clone(),
            fleet: fleet.clone(),
            tasks: tasks.clone(),
            batches: batches.clone(),
            ieops: proxy,
            metrics: metrics.clone(),
            started: SystemTime::now(),
            draining: stop.drain.clone(),
            keys: keys.ring.clone(),
            loading: control.loading(),
            version: VERSION,
            settings: gateway_settings(&settings),
        });

        let loops = TaskTracker::new();
        let (keeper, keeper_end) = (fleet.clone(), end.clone());
        loops.spawn(async move { keeper.keep_time(keeper_end).await });
        let deployer = tokio::spawn(local_service.run(end.clone()));
        let control_loop = tokio::spawn(control_service.run(control_stop.clone()));
        let internal = Server::internal(gateway.clone(), end.clone())
            .map_err(|error| system("start a thread", error))?;
        internal.listen(internal_door.listener);
        loops.spawn(keys.watch(end.clone()));
        let opener = Opener { fleet, dispatcher, control };
        opener.open_all(&settings, &tasks).await;
        let ieops = ieops_room::open(proxy_service, &gateway, &loops, &end)?;
        let (public, mut held) = open_to_clients(gateway, doors, tls.as_ref(), &stop, &settings)?;
        held.extend(internal_door.file);
        if let Some(tls) = tls {
            loops.spawn(tls.watch(end.clone()));
        }
        let (tasks, batches) = begin(tasks, batches, &stop.drain);
        Ok(Self {
            drain: stop.drain,
            public,
            internal,
            ieops,
            tasks,
            batches,
            control: control_loop,
            control_stop,
            deployer,
            loops,
            end,
            _held: (run_dir, held),
        })
    }

    /// Serves, and takes all down in order: clients first, then tasks, workers, processes.
    async fn live(self) {
        self.drain.cancelled().await;
        tracing::info!("draining");
        self.public.drained().await;
        joined("batches", self.batches).await;
        joined("tasks", self.tasks).await;
        self.control_stop.cancel();
        joined("workers", self.control).await;
        self.end.cancel();
        joined("processes", self.deployer).await;
        self.internal.drained().await;
        if let Some(ieops) = self.ieops {
            ieops.drained().await;
        }
        self.loops.close();
        self.loops.wait().await;
    }
}

/// Serves at all doors for clients; gives the files of their sockets, which go when they are dropped.
fn open_to_clients(
    gateway: Gateway,
    doors: Vec<Door>,
    tls: Option<&TlsRoom>,
    stop: &Stop,
    settings: &Settings,
) -> Result<(Server, Vec<SocketFile>), HouseError> {
    let (tls, grace) = (tls.map(|room| &room.tls), settings.server.drain);
    let public = Server::public(gateway, tls, stop.drain.clone(), grace)
        .map_err(|error| system("start a thread", error))?;
    let files = doors.into_iter().filter_map(|door| {
        public.listen(door.listener);
        door.file
    });
    let files = files.collect();
    Ok((public, files))
}

/// Makes models callable.
struct Opener {
    fleet: Fleet,
    dispatcher: Dispatcher,
    control: Control,
}

impl Opener {
    /// Makes all models callable, up to the part of their caps that other servers leave.
    async fn open_all(&self, settings: &Settings, tasks: &Tasks) {
        for (name, spec) in &settings.models {
            self.open(name, spec).await;
        }
        if let Err(fault) = tasks.settle_caps().await {
            tracing::warn!(%fault, "the caps of other servers are not known yet");
        }
    }

    /// Makes one model callable, or says why it cannot be called.
    async fn open(&self, name: &ModelName, spec: &ModelSpec) {
        let spec = Arc::new(spec.clone());
        self.fleet.add_model(name, spec.clone());
        self.dispatcher.add_model(name);
        if !spec.enabled {
            let reason = "it is switched off; set `enabled = true` and what it needs".to_owned();
            self.fleet.set_availability(name, Availability::Disabled { reason });
        } else if spec.kind.runs_workers() {
            // It only fails while the house is taken down.
            let _ = self.control.set_model(name.clone(), spec).await;
        } else if spec.kind == ModelKind::Ieops {
            self.fleet.set_availability(name, ieops::nobody());
        } else {
            self.declare(name, &spec);
        }
    }

    /// An external model is called, not run.
    fn declare(&self, name: &ModelName, spec: &ModelSpec) {
        match adapters::build(name, spec, &|variable| std::env::var(variable).ok()) {
            Ok(endpoint) => {
                self.fleet.declare(name, endpoint, spec.num_workers);
                self.fleet.set_availability(name, Availability::Ready);
            }
            Err(unavailable) => {
                let reason = unavailable.reason;
                self.fleet.set_availability(name, Availability::Failing { reason });
            }
        }
    }
}

/// Durable work: tasks, and batches of them.
async fn work(
    settings: &Settings,
    dispatcher: &Dispatcher,
    metrics: &Metrics,
) -> Result<(Tasks, Batches), HouseError> {
    let stores = open_store(settings).await?;
    let folder = open_folder(settings).await?;
    let batch_settings = batch_settings(settings, stores.tasks.owner());
    let task_settings = task_settings(settings)?;
    let tasks = Tasks::new(stores.tasks, dispatcher.clone(), metrics.clone(), task_settings);
    let batches = Batches::new(stores.documents, folder, tasks.clone(), batch_settings);
    Ok((tasks, batches))
}

/// Runs tasks and batches until `stop`, and then drains them.
fn begin(
    tasks: Tasks,
    batches: Batches,
    stop: &CancellationToken,
) -> (JoinHandle<()>, JoinHandle<()>) {
    let (tasks_stop, batches_stop) = (stop.clone(), stop.clone());
    (
        tokio::spawn(async move { tasks.run(tasks_stop).await }),
        tokio::spawn(async move { batches.run(batches_stop).await }),
    )
}

fn fleet_settings(settings: &Settings) -> FleetSettings {
    FleetSettings {
        heartbeat: settings.workers.heartbeat,
        lease: settings.workers.lease,
        join_token: settings.workers.join_token.clone().unwrap_or_else(random_token),
        epoch: random(),
    }
}

fn gateway_settings(settings: &Settings) -> GatewaySettings {
    let server = &settings.server;
    GatewaySettings {
        body_bytes_max: server.body_bytes_max,
        default_model: server.default_model.clone(),
        static_dir: server.static_dir.clone(),
        cors_origins: server.cors_origins.clone(),
    }
}

async fn control_settings(
    settings: &Settings,
    run_dir: &Path,
    gateway: Address,
) -> Result<ControlSettings, HouseError> {
    let program =
        std::env::current_exe().map_err(|error| system("find this program's file", error))?;
    let gpus = match &settings.workers.gpus {
        Some(gpus) => gpus.clone(),
        None => deploy::gpus::discover().await,
    };
    Ok(ControlSettings {
        run_dir: run_dir.to_owned(),
        config_dir: settings.config_dir.clone(),
        program,
        python: settings.workers.python.clone(),
        gpus,
        gateway,
        shutdown_grace: settings.server.drain,
    })
}

/// Waits for a loop that was asked to end.
async fn joined(what: &'static str, task: JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::error!(%error, what, "a part of the server ended by a panic");
    }
}

fn random_token() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

pub(crate) const fn system(what: &'static str, source: io::Error) -> HouseError {
    HouseError::System { what, source }
}

fn task_settings(settings: &Settings) -> Result<TaskSettings, HouseError> {
    let recent = RecentSettings {
        calls_max: settings.store.recent_max,
        stored: settings.store.sync_calls == SyncCalls::Stored,
        ..RecentSettings::default()
    };
    let webhooks = settings.webhooks.as_ref().map(webhooks).transpose()?;
    let results = ResultSettings {
        folder: settings.store.results_dir.clone(),
        inline_bytes_max: settings.store.inline_result_bytes_max,
    };
    Ok(TaskSettings {
        results,
        answer_bytes_max: settings.store.result_bytes_max,
        webhooks,
        lease: settings.workers.lease,
        keep_for: settings.store.result_ttl,
        drain: settings.server.drain,
        recent,
        ..TaskSettings::default()
    })
}

fn webhooks(settings: &WebhooksSettings) -> Result<Webhooks, HouseError> {
    let sender = WebhookSender::new(settings.letters.clone())
        .map_err(|error| system("set up TLS for webhooks", error))?;
    Ok(Webhooks { sender, retry: (&settings.retry).into() })
}

fn batch_settings(settings: &Settings, server: Owner) -> BatchSettings {
    let configured = &settings.batches;
    BatchSettings {
        server: server.0,
        shared: settings.store.url.is_some(),
        file_bytes_max: settings.files.file_bytes_max,
        lines_max: configured.lines_max,
        // A line is read into memory, as a body is.
        line_bytes_max: settings.server.body_bytes_max,
        window: configured.window,
        running_max: configured.running_max,
        // Who wants the tasks of a dead server soon wants its batches soon.
        lease: settings.workers.lease.min(BatchSettings::default().lease),
    }
}
