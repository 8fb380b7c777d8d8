//! Builds the house: makes every part once, hands each what it needs, and takes all down in order.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use api::worker::Address;
use control::{Control, ControlSettings};
use deploy::Local;
use dispatch::{Dispatcher, Guarded};
use fleet::{Availability, Fleet, FleetSettings};
use gateway::{Gateway, Inner, Listener, Server};
use store::sqlite::{SqliteOptions, SqliteStore};
use tasks::{TaskSettings, Tasks};
use telemetry::metrics::Metrics;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use types::{ModelName, ModelSpec};
use uuid::Uuid;

use crate::config::settings::Settings;

/// Version of the program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why the house could not be built.
#[derive(Debug, thiserror::Error)]
pub enum HouseError {
    /// The task store cannot be used.
    #[error("cannot open the task store")]
    Store(#[from] store::StoreError),
    /// The workers' door cannot be opened.
    #[error("cannot listen for workers at {address}")]
    Internal {
        /// Where.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The system refuses something that is needed.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// Serves until `stop`, then drains: not ready any more, running calls finish, tasks are put back,
/// workers end.
///
/// # Errors
/// [`HouseError`] if a part cannot be made; nothing runs then.
///
/// # Cancel safety
/// Dropping the future ends everything at once; acknowledged tasks are on disk.
pub async fn serve(
    settings: Settings,
    metrics: Metrics,
    public: Vec<Listener>,
    stop: CancellationToken,
) -> Result<(), HouseError> {
    let started = SystemTime::now();
    let run_dir = run_dir()?;
    let (internal, gateway_address) = internal_listener(&settings, run_dir.path()).await?;
    // Background loops of fleet and dispatch run until the very end.
    let end = CancellationToken::new();
    let loops = TaskTracker::new();

    let fleet = Fleet::new(fleet_settings(&settings));
    let dispatcher = Dispatcher::new(fleet.clone(), metrics.clone(), end.clone());
    let store = open_store(&settings).await?;
    let tasks = Tasks::new(store, dispatcher.clone(), metrics.clone(), task_settings(&settings));
    fleet.listen(Box::new(tasks.clone()));
    let (deployer, deployer_service) =
        Local::new().map_err(|source| HouseError::System { what: "start processes", source })?;
    let (control, control_service) = Control::new(
        control_settings(&settings, run_dir.path(), gateway_address).await?,
        Arc::new(deployer),
        fleet.clone(),
        metrics.clone(),
    );
    let gateway = Gateway::new(Inner {
        dispatcher: dispatcher.clone(),
        fleet: fleet.clone(),
        tasks: tasks.clone(),
        metrics: metrics.clone(),
        body_bytes_max: settings.server.body_bytes_max,
        started,
        draining: stop.clone(),
        version: VERSION,
    });

    let keeper = fleet.clone();
    let keeper_stop = end.clone();
    loops.spawn(async move { keeper.keep_time(keeper_stop).await });
    let deployed = tokio::spawn(deployer_service.run(end.clone()));
    let workers_stop = CancellationToken::new();
    let controlled = tokio::spawn(control_service.run(workers_stop.clone()));
    let workers_door = Server::internal(gateway.clone(), end.clone(), Duration::ZERO);
    workers_door.listen(internal);
    for (name, spec) in &settings.models {
        add_model(&fleet, &dispatcher, &control, &metrics, name, spec).await;
    }
    let server = Server::public(gateway, stop.clone(), settings.server.drain);
    for listener in public {
        server.listen(listener);
    }
    let running = tokio::spawn({
        let (tasks, stop) = (tasks.clone(), stop.clone());
        async move { tasks.run(stop).await }
    });

    stop.cancelled().await;
    tracing::info!("draining");
    server.drained().await;
    joined("tasks", running).await;
    workers_stop.cancel();
    joined("workers", controlled).await;
    end.cancel();
    joined("processes", deployed).await;
    workers_door.drained().await;
    loops.close();
    loops.wait().await;
    tracing::info!("stopped");
    Ok(())
}

/// Makes one model callable, or says why it cannot be called.
async fn add_model(
    fleet: &Fleet,
    dispatcher: &Dispatcher,
    control: &Control,
    metrics: &Metrics,
    name: &ModelName,
    spec: &ModelSpec,
) {
    let spec = Arc::new(spec.clone());
    fleet.add_model(name, spec.clone());
    dispatcher.add_model(name);
    if !spec.enabled {
        let reason = "it is switched off; set `enabled = true` and what it needs".to_owned();
        fleet.set_availability(name, Availability::Disabled { reason });
        return;
    }
    if spec.kind.runs_workers() {
        // It only fails while the house is taken down.
        let _ = control.set_model(name.clone(), spec).await;
        return;
    }
    match adapters::build(name, &spec, &|variable| std::env::var(variable).ok()) {
        Ok(endpoint) => {
            let guarded = Guarded::new(endpoint, metrics.model(name));
            fleet.declare(name, Arc::new(guarded), spec.num_workers);
            fleet.set_availability(name, Availability::Ready);
        }
        Err(unavailable) => {
            let reason = unavailable.reason;
            fleet.set_availability(name, Availability::Failing { reason });
        }
    }
}

async fn open_store(settings: &Settings) -> Result<Arc<SqliteStore>, HouseError> {
    let options = SqliteOptions::new(&settings.store.path);
    // Opening reads, and perhaps repairs, the whole log of the database.
    let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&options)).await;
    match opened {
        Ok(store) => Ok(Arc::new(store?)),
        Err(panic) => Err(HouseError::System { what: "open the task store", source: panic.into() }),
    }
}

fn fleet_settings(settings: &Settings) -> FleetSettings {
    FleetSettings {
        heartbeat: settings.workers.heartbeat,
        lease: settings.workers.lease,
        join_token: random_token(),
        epoch: random(),
    }
}

async fn control_settings(
    settings: &Settings,
    run_dir: &Path,
    gateway: Address,
) -> Result<ControlSettings, HouseError> {
    let program = std::env::current_exe()
        .map_err(|source| HouseError::System { what: "find this program's file", source })?;
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

/// A fresh directory, readable only by us, with a path short enough for sockets.
fn run_dir() -> Result<tempfile::TempDir, HouseError> {
    let make = |parent: &Path| tempfile::Builder::new().prefix("modelyard-").tempdir_in(parent);
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(std::path::PathBuf::from);
    let made = match runtime.filter(|path| path.as_os_str().len() < 48 && path.is_dir()) {
        Some(parent) => make(&parent).or_else(|_| make(Path::new("/tmp"))),
        None => make(Path::new("/tmp")),
    };
    made.map_err(|source| HouseError::System { what: "make a directory for sockets", source })
}

async fn internal_listener(
    settings: &Settings,
    run_dir: &Path,
) -> Result<(Listener, Address), HouseError> {
    let wanted = settings.server.internal_listen.clone();
    let address = wanted.unwrap_or_else(|| Address::Unix(run_dir.join("gateway")));
    let fail = |source| HouseError::Internal { address: address.to_string(), source };
    match &address {
        Address::Unix(path) => {
            let listener = UnixListener::bind(path).map_err(fail)?;
            Ok((Listener::Unix(listener), address))
        }
        Address::Tcp(host) => {
            let listener = TcpListener::bind(host).await.map_err(fail)?;
            let bound = listener.local_addr().map_err(fail)?;
            Ok((Listener::Tcp(listener), Address::Tcp(bound.to_string())))
        }
    }
}

/// Waits for a loop that was asked to end.
async fn joined(what: &'static str, task: tokio::task::JoinHandle<()>) {
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
