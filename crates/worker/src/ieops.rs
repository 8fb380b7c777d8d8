//! Registration with an IEOPS proxy, as workers of the package `gmi-ieops` do it: clear what an
//! earlier life left behind, say every few seconds that we live, say goodbye.
//!
//! The proxy is a neighbour, not a master: whether it is there or not, the worker serves.

mod post;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use api::{
    ieops::{Beat, Farewell, HEALTHY, REGISTER_PATH, UNREGISTER_PATH},
    worker::Address,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use post::{Persistence, post};

/// Records of usage that are kept while no proxy takes them.
const USAGE_MAX: usize = 4096;

/// Which fields a beat has. A proxy ignores what it does not know, so all of them is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Payload {
    /// Those of both versions.
    #[default]
    #[serde(rename = "union")]
    Union,
    /// Those of the package 0.2.9: `weight`, and nothing of how the worker does.
    #[serde(rename = "0.2.9")]
    V029,
    /// Those of the package 0.5.8: how the worker does, and no `weight`.
    #[serde(rename = "0.5.8")]
    V058,
}

impl Payload {
    /// How long an answer may take, and how often a beat is sent again.
    const fn persistence(self) -> Persistence {
        match self {
            Self::V029 => Persistence { answer_within: Duration::from_millis(800), retries: 2 },
            Self::V058 => Persistence { answer_within: Duration::from_millis(1_800), retries: 1 },
            Self::Union => Persistence { answer_within: Duration::from_millis(1_800), retries: 2 },
        }
    }
}

/// How a worker registers. Each default is the package's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Registration {
    /// The proxy's unix socket (`IEOPS_PROXY_SOCKET`).
    pub proxy_socket: PathBuf,
    /// Time between two beats, in seconds (`REGISTER_INTERVAL`).
    pub interval_s: f64,
    /// Names this worker, from its start to its end.
    pub id: String,
    /// Names what it serves (`APP_NAME`).
    pub endpoint: String,
    /// Calls that it takes at once (`MODEL_THREAD_CONCURRENCY`).
    pub max_concurrent_reqs: u32,
    /// Calls that it should get for each one of a worker of weight 1.
    pub weight: u32,
    /// How it is hosted (`APP_TYPE`).
    #[serde(rename = "type")]
    pub kind: String,
    /// Who runs the machine (`IEOPS_PROVIDER`).
    pub provider: String,
    /// Which fields are sent.
    pub payload: Payload,
}

impl Default for Registration {
    fn default() -> Self {
        Self {
            proxy_socket: "/var/run/ieops/proxy.sock".into(),
            interval_s: 10.0,
            id: "ieops".into(),
            endpoint: "ieops".into(),
            max_concurrent_reqs: 8,
            weight: 1,
            kind: "self-host".into(),
            provider: "gmi".into(),
            payload: Payload::default(),
        }
    }
}

/// How a worker does at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Vitals {
    /// Calls that it holds, as a share of those that it takes; may be above 1.
    pub load: f64,
    /// Whether it takes new calls.
    pub healthy: bool,
    /// Metrics of its own: lines of the Prometheus text format.
    pub metrics: Vec<String>,
    /// What was used since it was asked last, one record per request.
    pub usage: Vec<Value>,
}

impl Default for Vitals {
    fn default() -> Self {
        Self { load: 0.0, healthy: true, metrics: Vec::new(), usage: Vec::new() }
    }
}

/// Keeps a worker registered until `stop`, and then says goodbye.
///
/// - `address`: where the worker listens. On TCP the proxy is told host and port, and no socket.
/// - `look` tells how the worker does. It is asked before every beat, so it must be quick; what it
///   tells of usage is sent until a proxy has taken it.
///
/// A proxy that is absent or refuses is logged, once for each change, and asked again.
///
/// # Cancel safety
/// Dropping it ends the beats without a goodbye; the proxy notices after three intervals.
pub async fn keep_registered(
    registration: Registration,
    address: Address,
    look: impl FnMut() -> Vitals + Send,
    stop: CancellationToken,
) {
    let mut registrar = Registrar {
        address: reachable(address),
        registration,
        look,
        usage: Vec::new(),
        is_heard: None,
    };
    let beats = async {
        registrar.clear_leftovers().await;
        registrar.beat_for_ever().await;
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = beats => {}
    }
    registrar.say_goodbye().await;
}

struct Registrar<F> {
    registration: Registration,
    address: Address,
    look: F,
    /// Records that no proxy has taken yet, oldest first.
    usage: Vec<Value>,
    /// Whether the last beat was heard; nothing before the first.
    is_heard: Option<bool>,
}

impl<F: FnMut() -> Vitals> Registrar<F> {
    /// A process that was killed could not say goodbye; its successor has another id and the same
    /// folder.
    async fn clear_leftovers(&self) {
        let Address::Unix(socket) = &self.address else { return };
        let Some(folder) = socket.parent().and_then(Path::to_str) else { return };
        let leftovers = Farewell { socket_dir: Some(folder.to_owned()), id: None };
        let once = Persistence { retries: 0, ..self.registration.payload.persistence() };
        let told = post(&self.registration.proxy_socket, UNREGISTER_PATH, &leftovers, once).await;
        if let Err(error) = told {
            tracing::debug!(%error, "leftovers were not cleared");
        }
    }

    async fn beat_for_ever(&mut self) {
        let interval = Duration::try_from_secs_f64(self.registration.interval_s);
        let interval = interval.unwrap_or(Duration::from_secs(10)).max(Duration::from_millis(100));
        loop {
            self.beat().await;
            sleep_until(Instant::now() + interval).await;
        }
    }

    async fn beat(&mut self) {
        let vitals = (self.look)();
        let beat = self.payload(vitals);
        let persistence = self.registration.payload.persistence();
        let told = post(&self.registration.proxy_socket, REGISTER_PATH, &beat, persistence).await;
        let is_heard = told.is_ok();
        match told {
            Ok(()) => self.usage.clear(),
            Err(error) if self.is_heard != Some(false) => {
                let proxy = self.registration.proxy_socket.display();
                let error = types::chain(&error);
                tracing::warn!(%proxy, error, "not registered; serving all the same");
            }
            Err(error) => tracing::debug!(%error, "still not registered"),
        }
        if is_heard && self.is_heard != Some(true) {
            let (id, endpoint) = (&self.registration.id, &self.registration.endpoint);
            tracing::info!(%id, %endpoint, "registered with the IEOPS proxy");
        }
        self.is_heard = Some(is_heard);
    }

    fn payload(&mut self, vitals: Vitals) -> Beat {
        self.usage.extend(vitals.usage);
        let excess = self.usage.len().saturating_sub(USAGE_MAX);
        if excess > 0 {
            tracing::warn!(records = excess, "records of usage were dropped: no proxy takes them");
            self.usage.drain(..excess);
        }
        let registration = &self.registration;
        let (tells_weight, tells_vitals) =
            (registration.payload != Payload::V058, registration.payload != Payload::V029);
        let (server_socket, host, port) = place(&self.address);
        let status = if vitals.healthy { HEALTHY } else { "unhealthy" };
        let usage = (!self.usage.is_empty()).then(|| self.usage.clone());
        Beat {
            id: registration.id.clone(),
            server_socket,
            host,
            port,
            max_concurrent_reqs: Some(registration.max_concurrent_reqs),
            endpoint: registration.endpoint.clone(),
            weight: tells_weight.then_some(registration.weight),
            kind: tells_vitals.then(|| registration.kind.clone()),
            load: tells_vitals.then_some(vitals.load),
            status: tells_vitals.then(|| status.to_owned()),
            metrics: tells_vitals.then_some(vitals.metrics),
            provider: tells_vitals.then(|| registration.provider.clone()),
            usage_report: usage.filter(|_| tells_vitals),
        }
    }

    async fn say_goodbye(&self) {
        let goodbye = Farewell { id: Some(self.registration.id.clone()), socket_dir: None };
        let twice = Persistence { retries: 1, ..self.registration.payload.persistence() };
        let told = post(&self.registration.proxy_socket, UNREGISTER_PATH, &goodbye, twice).await;
        if let Err(error) = told {
            tracing::debug!(%error, "left without a goodbye");
        }
    }
}

/// An address as a neighbour on this machine can use it.
fn reachable(address: Address) -> Address {
    match address {
        // It only fails where the working directory is gone.
        Address::Unix(path) => Address::Unix(std::path::absolute(&path).unwrap_or(path)),
        Address::Tcp(text) => match text.rsplit_once(':') {
            Some(("0.0.0.0" | "", port)) => Address::Tcp(format!("127.0.0.1:{port}")),
            Some(("[::]", port)) => Address::Tcp(format!("[::1]:{port}")),
            _ => Address::Tcp(text),
        },
    }
}

/// A socket, or a host and a port.
fn place(address: &Address) -> (Option<String>, Option<String>, Option<u16>) {
    match address {
        Address::Unix(path) => (Some(path.display().to_string()), None, None),
        Address::Tcp(text) => {
            let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
            let host = host.trim_start_matches('[').trim_end_matches(']');
            (None, Some(host.to_owned()), port.parse().ok())
        }
    }
}
