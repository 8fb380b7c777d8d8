//! Opens what holds the tasks and documents: a SQLite file, or a Redis that several servers share; and
//! the folder of files.

use std::{io, sync::Arc};

use store::{
    DocumentStore, Folder, FolderError, RedisOptions, RedisStore, Report, SqliteOptions,
    SqliteStore, StoreError, TaskStore,
};
use uuid::Uuid;

use crate::config::{ListenAddress, Settings};

/// One store, by both of its doors.
pub(crate) struct Stores {
    pub(crate) tasks: Arc<dyn TaskStore>,
    pub(crate) documents: Arc<dyn DocumentStore>,
}

impl Stores {
    fn of<S: TaskStore + DocumentStore + Clone>(store: &S) -> Self {
        Self { tasks: Arc::new(store.clone()), documents: Arc::new(store.clone()) }
    }
}

/// Opens the store of the configuration, as one of the servers on it.
///
/// # Errors
/// What the store says, which names the remedy.
pub(crate) async fn open_store(settings: &Settings) -> Result<Stores, StoreError> {
    let Some(options) = redis_options(settings) else {
        return in_file(settings, SqliteStore::open).await.map(|store| Stores::of(&store));
    };
    let store = RedisStore::open(&options).await?;
    tracing::info!(server = options.name, "tasks are kept in Redis");
    Ok(Stores::of(&store))
}

/// Opens the store of the configuration to read it; a file must be there.
///
/// # Errors
/// What the store says, which names the remedy.
pub(crate) async fn open_existing(settings: &Settings) -> Result<Stores, StoreError> {
    match redis_options(settings) {
        Some(options) => RedisStore::visit(&options).await.map(|store| Stores::of(&store)),
        None => in_file(settings, SqliteStore::open_existing).await.map(|store| Stores::of(&store)),
    }
}

/// Opens the store of the configuration to write tasks of another one into it.
///
/// # Errors
/// What the store says, which names the remedy.
pub(crate) async fn open_to_fill(settings: &Settings) -> Result<Stores, StoreError> {
    match redis_options(settings) {
        Some(options) => RedisStore::visit(&options).await.map(|store| Stores::of(&store)),
        None => in_file(settings, SqliteStore::open).await.map(|store| Stores::of(&store)),
    }
}

/// Looks at the whole store of the configuration.
///
/// # Errors
/// What the store says, which names the remedy.
pub(crate) async fn examine(settings: &Settings) -> Result<Report, StoreError> {
    match redis_options(settings) {
        Some(options) => RedisStore::visit(&options).await?.examine().await,
        None => in_file(settings, SqliteStore::examine).await,
    }
}

/// What the configuration says of Redis; `None` where it names a file.
fn redis_options(settings: &Settings) -> Option<RedisOptions> {
    let configured = &settings.store;
    let url = configured.url.clone()?;
    let name = configured.server_name.clone().unwrap_or_else(|| server_name(settings));
    let (prefix, heartbeat) = (configured.prefix.clone(), settings.workers.heartbeat);
    Some(RedisOptions { url, prefix, name, heartbeat })
}

/// Does something with the file. Opening reads, and perhaps repairs, the whole log of the database.
async fn in_file<T: Send + 'static>(
    settings: &Settings,
    work: impl FnOnce(&SqliteOptions) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let options = SqliteOptions::new(&settings.store.path);
    let working = tokio::task::spawn_blocking(move || work(&options));
    working.await.unwrap_or_else(|panic| {
        let (remedy, source) = ("opening it failed; report this", io::Error::from(panic));
        let path = settings.store.path.clone();
        Err(StoreError::Unavailable { path, remedy, source: Some(Arc::new(source)) })
    })
}

/// Opens the folder of files.
///
/// # Errors
/// What the folder says, which names the remedy.
pub(crate) async fn open_folder(settings: &Settings) -> Result<Folder, FolderError> {
    let (dir, bytes_max) = (settings.files.dir.clone(), settings.files.total_bytes_max);
    let opening = tokio::task::spawn_blocking(move || Folder::open(&dir, bytes_max));
    opening.await.unwrap_or_else(|panic| {
        let remedy = "opening it failed; report this";
        Err(FolderError::Io {
            path: settings.files.dir.clone(),
            remedy,
            source: io::Error::from(panic),
        })
    })
}

/// What tells this server from others that share a store, and stays when it starts again.
fn server_name(settings: &Settings) -> String {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let host = host.unwrap_or_else(|| "localhost".into());
    match settings.server.listen.first() {
        Some(ListenAddress::Tcp { port, .. }) if *port != 0 => format!("{host}:{port}"),
        // Any other server of this machine may have the same, so nothing is found again.
        _ => format!("{host}:{}", Uuid::new_v4()),
    }
}
