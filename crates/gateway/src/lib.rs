//! The doors: parse, authenticate, translate, render. They decide nothing.
//!
//! A request passes through these files in this order:
//!
//! 1. `server`, `crew`, `connection`, `tls`: accept connections and serve each on one thread.
//! 2. `door`: gives each request its id, an access line, its metrics, and renders what failed.
//! 3. `routes`: the table of paths, and the busiest one, which goes past it; `keys`: who may call.
//! 4. `context`, `intake`: headers and body, parsed once; all validation ends here.
//! 5. `invoke`, `passage`, `tasks`, …: one file per road; each asks `dispatch` or `tasks`.
//! 6. `failure`: the one place where an error becomes an answer, or the `last_event` of a stream.
//!
//! Absent on purpose: queues, retries, health (`dispatch`, `fleet`), records (`tasks`).

mod activity;
mod batches;
mod catalog;
mod connection;
mod context;
mod crew;
mod default_model;
mod door;
mod failure;
mod files;
mod health;
mod ieops;
mod inference;
mod intake;
mod internal;
mod invoke;
mod keys;
mod last_event;
mod lingering;
mod nowhere;
mod openai;
pub mod openapi;
mod operations;
mod passage;
mod query;
mod routes;
mod server;
mod static_files;
mod tasks;
mod tls;
mod tunnel;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::SystemTime};

use ::batches::Batches;
use ::ieops::Proxy;
use ::tasks::Tasks;
use dispatch::Dispatcher;
use fleet::Fleet;
use telemetry::metrics::Metrics;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use types::ModelName;

pub use keys::{Key, KeyDigest, KeyRing, digest};
pub use server::{Listener, Server};
pub use tls::{BadCertificate, Certificate, Plain, Tls};

/// What the doors open onto.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Shared>,
}

struct Shared {
    parts: Inner,
    tunnels: TaskTracker,
}

/// The parts of a [`Gateway`].
pub struct Inner {
    /// The road to the models.
    pub dispatcher: Dispatcher,
    /// Who serves them.
    pub fleet: Fleet,
    /// Durable work and records.
    pub tasks: Tasks,
    /// Files, and calls by the file.
    pub batches: Batches,
    /// Where workers of the IEOPS SDK register; `None` if they cannot.
    pub ieops: Option<Proxy>,
    /// The numbers.
    pub metrics: Metrics,
    /// When the program started.
    pub started: SystemTime,
    /// Set while the server drains: not ready any more.
    pub draining: CancellationToken,
    /// Models whose first load has neither finished nor failed: not ready yet.
    pub loading: watch::Receiver<BTreeSet<ModelName>>,
    /// Version of the program.
    pub version: &'static str,
    /// Who may call.
    pub keys: KeyRing,
    /// What an operator decides about the doors.
    pub settings: GatewaySettings,
}

/// What an operator decides about the doors.
#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// Largest body that is read into memory, in bytes.
    pub body_bytes_max: usize,
    /// What answers where a request names no model; `None`: the first that can.
    pub default_model: Option<ModelName>,
    /// A folder served at every path that is not ours.
    pub static_dir: Option<PathBuf>,
    /// Origins whose pages may call the server; `*` for all.
    pub cors_origins: Vec<String>,
}

impl Gateway {
    /// A gateway onto these parts.
    pub fn new(parts: Inner) -> Self {
        let tunnels = TaskTracker::new();
        // Closed means that it can be waited for; it takes new ones all the same.
        tunnels.close();
        Self { inner: Arc::new(Shared { parts, tunnels }) }
    }

    /// Switched protocols that are still spoken.
    fn tunnels(&self) -> &TaskTracker {
        &self.inner.tunnels
    }
}

impl std::ops::Deref for Gateway {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.inner.parts
    }
}
