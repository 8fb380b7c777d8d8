//! Registration with an IEOPS proxy: what workers of the package `gmi-ieops` send, in both of its
//! payload versions, and what they are answered.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST` a [`Beat`] here, again and again.
pub const REGISTER_PATH: &str = "/api/model/register";
/// `POST` a [`Farewell`] here.
pub const UNREGISTER_PATH: &str = "/api/model/unregister";

/// What `status` says of a worker that takes calls.
pub const HEALTHY: &str = "healthy";

/// A worker says that it lives, where it listens, and how it does. 0.2.9 sends `weight`; 0.5.8 sends
/// `type`, `load`, `status`, `metrics`, `provider` and now and then `usage_report`. `host` and `port`
/// are ours: a worker that listens on TCP has no socket to name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Beat {
    /// Names the worker, from its start to its end.
    pub id: String,
    /// The unix socket that it listens on, as an absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_socket: Option<String>,
    /// The host that it listens on, if that is no socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The port that it listens on, if that is no socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Calls that it takes at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent_reqs: Option<u32>,
    /// The name of what it serves.
    pub endpoint: String,
    /// Calls that it should get for each one of a worker of weight 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// How it is hosted, for example `self-host`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Calls that it holds, as a share of those that it takes; may be above 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// [`HEALTHY`], or anything else if it should get no new calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Its own metrics: lines of the Prometheus text format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Vec<String>>,
    /// Who runs the machine, for example `gmi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// What was used since the last beat, one record per request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_report: Option<Vec<Value>>,
}

/// Workers end: one by its `id`, or all whose sockets lie in a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Farewell {
    /// Which worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Which folder. A worker that starts clears what an earlier one left behind in its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket_dir: Option<String>,
}

/// The answer to both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// One line for a person.
    pub message: String,
    /// What it is about; nothing if it was refused.
    #[serde(default)]
    pub data: Option<Value>,
}
