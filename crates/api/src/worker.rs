//! The worker contract: what a worker says of itself, and how it joins the gateway.

mod engine;

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use types::{CallId, ModelName, WorkerId};

pub use engine::{DURATION_BOUNDS_US, Distribution, EngineStats};

/// Environment variable that carries a [`WorkerLaunch`] as JSON into a started worker.
pub const LAUNCH_ENV: &str = "MODELYARD_WORKER";
/// Environment variable that ties a started worker to the life of its starter. With the value
/// `stdin` the worker ends as soon as its standard input does.
pub const LIFELINE_ENV: &str = "MODELYARD_LIFELINE";

/// Paths below this one are the contract's own; no client's call goes there.
pub const OWN_PATHS: &str = "/-/";
/// `GET /-/describe`.
pub const DESCRIBE_PATH: &str = "/-/describe";
/// `GET /-/live`: the process answers.
pub const LIVE_PATH: &str = "/-/live";
/// `GET /-/ready`: set up, warmed and able to take work.
pub const READY_PATH: &str = "/-/ready";
/// `POST /-/drain`: finish what runs, take nothing new.
pub const DRAIN_PATH: &str = "/-/drain";
/// `POST` a [`Registration`] here, answered with a [`Membership`].
pub const WORKERS_PATH: &str = "/internal/v1/workers";

/// Exit status of a worker that cannot start and never will as things are: a broken model, a wrong
/// setting (`EX_CONFIG` of `sysexits.h`). It is not started again.
pub const EXIT_NEVER: u8 = 78;
/// Exit status of a worker that cannot start for now, for lack of something that others may give
/// back (`EX_TEMPFAIL`). It is started again after a while, without a count of failures.
pub const EXIT_LATER: u8 = 75;

/// How a route answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteKind {
    /// One answer.
    Api,
    /// A stream of server-sent events.
    Sse,
    /// A WebSocket.
    Ws,
}

/// One route of a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Path with its leading slash, for example `/explain`.
    pub path: String,
    /// HTTP method, in capitals; `ANY` stands for all.
    pub method: String,
    /// How it answers.
    pub kind: RouteKind,
    /// One line for a person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// Longest time for one call, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<f64>,
    /// Calls that are given to the code together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_batch_size: Option<u32>,
    /// How long a batch waits for company, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_wait_ms: Option<u64>,
    /// JSON schema of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Value>,
    /// JSON schema of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
}

impl Route {
    /// A route that says no more of itself than how it is called. The method `ANY` stands for all.
    pub fn new(kind: RouteKind, method: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            method: method.into(),
            kind,
            summary: String::new(),
            timeout_s: None,
            max_batch_size: None,
            max_wait_ms: None,
            input_schema: None,
            output_schema: None,
        }
    }
}

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The model that it serves.
    pub name: String,
    /// Version of the model.
    pub version: String,
    /// Everything that can be called.
    pub routes: Vec<Route>,
    /// Path of the route that `/invoke/{model}` calls.
    pub default_route: String,
    /// Calls it may hold at once, waiting ones included.
    pub capacity: u32,
    /// What it can do, for example `chat`, `embeddings`.
    #[serde(default)]
    pub capabilities: Vec<String>,
}

/// Where a worker, or the gateway's internal door, listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// A unix socket, written `unix:/path`.
    Unix(PathBuf),
    /// A TCP address, written `tcp:host:port`; port 0 lets the system choose.
    Tcp(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(host) => write!(f, "tcp:{host}"),
        }
    }
}

impl FromStr for Address {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(("tcp", host)) if has_port(host) => Ok(Self::Tcp(host.into())),
            _ => Err(format!("`{text}` is not an address; write `unix:/path` or `tcp:host:port`")),
        }
    }
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

impl TryFrom<String> for Address {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

/// All that a worker started by us must know; travels in [`LAUNCH_ENV`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerLaunch {
    /// The model that it serves.
    pub model: ModelName,
    /// Version of the model.
    pub version: String,
    /// What runs: `module:Class`, `file.py:Class`, or the name of a built-in worker.
    pub implementation: String,
    /// Where it listens.
    pub listen: Address,
    /// Where it registers; `None` for a worker that is used without a gateway.
    pub gateway: Option<Address>,
    /// Proves to the gateway that it may join.
    #[serde(default)]
    pub join_token: String,
    /// The deployer's name of this process, so that a registration can be tied to it.
    #[serde(default)]
    pub launch_id: String,
    /// Time between heartbeats, in milliseconds.
    pub heartbeat_ms: u64,
    /// Overrides the capacity that the code declares.
    #[serde(default)]
    pub capacity: Option<u32>,
    /// Overrides the batch size that the code declares.
    #[serde(default)]
    pub max_batch_size: Option<u32>,
    /// Overrides the batch wait that the code declares, in milliseconds.
    #[serde(default)]
    pub max_wait_ms: Option<u64>,
    /// A body that the default route must answer before the worker registers.
    #[serde(default)]
    pub warmup: Option<Value>,
    /// How the engine runs it, for a language model.
    #[serde(default)]
    pub engine: Option<types::EngineSpec>,
    /// Free fields of the model.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

/// A worker asks to join.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// The model that it serves.
    pub model: ModelName,
    /// Version of the model.
    pub version: String,
    /// Where it is called.
    pub address: Address,
    /// Bearer token for calls to a TCP address; none on a unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What it says of itself.
    pub description: Description,
    /// The deployer's name of this process, if one started it.
    #[serde(default)]
    pub launch_id: String,
    /// Process id on its machine, for the operator.
    #[serde(default)]
    pub pid: u32,
}

/// The gateway's answer to a [`Registration`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The worker's id from now on.
    pub worker_id: WorkerId,
    /// Changes when the gateway forgets its workers (a restart); part of every heartbeat.
    pub epoch: u64,
    /// The worker is lost if no heartbeat comes for this long, in milliseconds.
    pub lease_ms: u64,
}

/// A call that runs on a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningCall {
    /// The call.
    pub call_id: CallId,
    /// How long it has run, in milliseconds.
    pub age_ms: u64,
    /// How long ago it last reported progress, in milliseconds; its age if never.
    pub idle_ms: u64,
}

/// `PUT /internal/v1/workers/{id}/heartbeat`: I live, and this is what I run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// From the [`Membership`].
    pub epoch: u64,
    /// Every call that has been begun and has not ended, cancelled ones whose code still runs too.
    pub running: Vec<RunningCall>,
    /// How its engine does, if it runs a language model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Box<EngineStats>>,
}

/// The gateway's answer to a [`Heartbeat`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    /// The lease runs this long from now, in milliseconds.
    pub lease_ms: u64,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It answered.
    Completed,
    /// Its code raised an error.
    Failed,
    /// The caller left, and the code has stopped.
    Cancelled,
}

/// One thing that happened to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Report {
    /// It goes forward.
    Progress {
        /// The call.
        call_id: CallId,
        /// Share done, 0 to 1, if known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fraction: Option<f64>,
        /// A word for a person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// A partial result.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partial: Option<Value>,
    },
    /// It holds its place no more. Must be sent for calls whose caller left before the end or whose
    /// time was up; for others the end of the answer says it, and saying it again does no harm.
    Ended {
        /// The call.
        call_id: CallId,
        /// How it ended.
        outcome: Outcome,
        /// What it used, by unit, for example `{"completion_tokens": 12}`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        usage: BTreeMap<String, u64>,
    },
}

/// `POST /internal/v1/workers/{id}/reports`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reports {
    /// From the [`Membership`].
    pub epoch: u64,
    /// In the order in which they happened.
    pub reports: Vec<Report>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_what_they_print() {
        for text in ["unix:/run/a.sock", "tcp:127.0.0.1:0", "tcp:[::1]:80"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["", "unix:", "tcp:host", "tcp:host:", "tcp:host:port", "http://host:1"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_progress_report_needs_only_its_call() {
        let text = r#"{"kind":"progress","call_id":"00000000-0000-0000-0000-000000000007"}"#;
        let report: Report = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&report).unwrap(), text);
    }
}
