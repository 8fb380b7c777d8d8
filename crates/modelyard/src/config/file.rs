//! What can be written in `modelyard.toml`. The comments here are `docs/config.md`.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use types::{ModelName, ModelSpec};

/// The whole file. Every key may be left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ConfigToml {
    /// Where clients reach the server, and what it accepts.
    pub(super) server: ServerToml,
    /// HTTPS at the addresses of `server.listen`; see docs/operations.md.
    pub(super) tls: TlsToml,
    /// Where durable tasks are kept.
    pub(super) store: StoreToml,
    /// Files that clients upload and batches write.
    pub(super) files: FilesToml,
    /// Many calls in one file.
    pub(super) batches: BatchesToml,
    /// What is logged, and where.
    pub(super) log: LogToml,
    /// What all workers have in common.
    pub(super) workers: WorkersToml,
    /// Where workers of the IEOPS SDK register; see docs/ieops.md.
    pub(super) ieops: IeopsToml,
    /// How those are told who wait for the end of a task; see docs/operations.md.
    pub(super) webhooks: WebhooksToml,
    /// The registry, one table per model: `[models.NAME]`.
    ///
    /// Without any, the built-in registry is served: `local-echo`, `modelyard-demo`, `digits`,
    /// `external-sentiment` and `nanobanana-image`. With some, only `local-echo` stays. A table with the name of a
    /// built-in model changes it; one that sets `kind` or `implementation` replaces it.
    pub(super) models: BTreeMap<ModelName, ModelSpec>,
}

/// `[server]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ServerToml {
    /// Addresses for clients, one or a list: `host:port` or `unix:/path`.
    #[serde(deserialize_with = "one_or_many")]
    pub(super) listen: Vec<String>,
    /// Address for workers: `unix:/path` or `tcp:host:port`. Default: a unix socket in a directory
    /// that only this user can enter.
    pub(super) internal_listen: Option<String>,
    /// Largest request body, in MiB.
    pub(super) body_mb_max: u32,
    /// Time that running calls get to finish when the server is told to stop, in seconds.
    pub(super) drain_seconds: f64,
    /// The model that answers at `/v1/*` and `/generate` where a request names none, or asks for
    /// `local-model`. Default: the first that can, those of the configuration before built-in ones.
    pub(super) default_model: Option<ModelName>,
    /// A folder that is served at `/` instead of the built-in page.
    pub(super) static_dir: Option<PathBuf>,
    /// Origins whose pages may call the server from a browser, for example `https://app.example`;
    /// `*` for all.
    #[serde(deserialize_with = "one_or_many")]
    pub(super) cors_origins: Vec<String>,
    /// The file of API keys, which `modelyard key` writes. As soon as it is there, callers need one of its keys; where it is
    /// named here, always. Default: `keys.json` in the data folder.
    pub(super) keys_file: Option<PathBuf>,
}

impl Default for ServerToml {
    fn default() -> Self {
        Self {
            listen: vec!["127.0.0.1:8000".into()],
            internal_listen: None,
            body_mb_max: 64,
            drain_seconds: 30.0,
            default_model: None,
            static_dir: None,
            cors_origins: Vec::new(),
            keys_file: None,
        }
    }
}

/// `[tls]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TlsToml {
    /// Whether a certificate that is found is used.
    pub(super) enabled: bool,
    /// The certificate as PEM, those that vouch for it behind it. Default: what `modelyard tls init` has written, if it has.
    pub(super) cert_file: Option<PathBuf>,
    /// Its private key as PEM.
    pub(super) key_file: Option<PathBuf>,
    /// Who may speak plain HTTP at the same port: `local`, clients of this machine; `redirect`, nobody; `allow`, everybody.
    /// Who may not is sent to https.
    pub(super) plain: PlainToml,
}

impl Default for TlsToml {
    fn default() -> Self {
        Self { enabled: true, cert_file: None, key_file: None, plain: PlainToml::default() }
    }
}

/// Who may speak plain HTTP where there is a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum PlainToml {
    /// Clients of this machine.
    #[default]
    Local,
    /// Nobody.
    Redirect,
    /// Everybody.
    Allow,
}

/// Where the record of a synchronous call is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SyncCalls {
    /// In memory, the most recent ones only.
    #[default]
    Memory,
    /// In the store, as tasks are. Every call then waits for the disk.
    Stored,
}

/// `[store]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StoreToml {
    /// A Redis that holds the tasks, and that several servers may share: `redis://host:port/db`,
    /// `unix:///path`, or `redis-sentinel://host:port,host:port/name/db`; a login stands before the
    /// host, as in `redis://user:password@host`. Default: a SQLite file on this machine.
    pub(super) url: Option<String>,
    /// What every key in Redis begins with.
    pub(super) prefix: String,
    /// Names this server among those that share a Redis; each needs another name. Default: the host
    /// name and the first port.
    pub(super) server_name: Option<String>,
    /// The SQLite file. Default: `tasks.db` in the data directory, which is `MODELYARD_DATA_DIR`, else
    /// `$XDG_DATA_HOME/modelyard`, else `~/.local/share/modelyard`.
    pub(super) path: Option<PathBuf>,
    /// Where records of synchronous calls are kept.
    pub(super) sync_calls: SyncCalls,
    /// Larger results are kept in files, in MiB.
    pub(super) inline_result_mb_max: f64,
    /// The largest result of a task that is kept, in MiB.
    pub(super) result_mb_max: u32,
    /// The folder of large results. Default: `results` beside the SQLite file; with Redis none, and a
    /// large result then fails its task. Servers that share a Redis share the folder too.
    pub(super) results_dir: Option<PathBuf>,
    /// Finished tasks and their results are deleted after so many hours.
    pub(super) result_ttl_hours: f64,
    /// Records of synchronous calls that are kept in memory.
    pub(super) recent_max: u32,
}

impl Default for StoreToml {
    fn default() -> Self {
        Self {
            url: None,
            prefix: "ray_service:".into(),
            server_name: None,
            path: None,
            sync_calls: SyncCalls::default(),
            inline_result_mb_max: 4.0,
            result_mb_max: 64,
            results_dir: None,
            result_ttl_hours: 168.0,
            recent_max: 10_000,
        }
    }
}

/// `[files]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FilesToml {
    /// The folder of their contents. Servers that share a Redis should share this folder too: a server
    /// runs the batches whose files it can read. Default: `files` in the data directory.
    pub(super) dir: Option<PathBuf>,
    /// Largest file that can be uploaded, in MiB.
    pub(super) file_mb_max: u32,
    /// Room for all files together, in MiB; results of batches count.
    pub(super) total_mb_max: u32,
}

impl Default for FilesToml {
    fn default() -> Self {
        Self { dir: None, file_mb_max: 512, total_mb_max: 10_240 }
    }
}

/// `[batches]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BatchesToml {
    /// Lines of a batch at most.
    pub(super) lines_max: u32,
    /// Lines of one batch that are tasks at a time; the others wait in their file.
    pub(super) window: u32,
    /// Batches that one server runs at a time; the others wait.
    pub(super) running_max: u32,
}

impl Default for BatchesToml {
    fn default() -> Self {
        Self { lines_max: 50_000, window: 128, running_max: 8 }
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogFormatToml {
    /// `time | level | name | message key=value`, times in UTC.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// `[log]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LogToml {
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`, and exceptions by module:
    /// `info,gateway=debug`.
    pub(super) level: String,
    /// The form of a line.
    pub(super) format: LogFormatToml,
    /// A file beside standard output. At 10 MB it is renamed `.1`; five old ones are kept.
    pub(super) file: Option<PathBuf>,
}

impl Default for LogToml {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormatToml::default(), file: None }
    }
}

/// `[workers]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WorkersToml {
    /// Time between two heartbeats of a worker, in seconds.
    pub(super) heartbeat_seconds: f64,
    /// A worker that is silent for so long is lost, in seconds.
    pub(super) lease_seconds: f64,
    /// What workers show when they join, at least 16 visible characters. Only needed for workers
    /// that are started by hand, for example on another machine. Default: a new one at each start.
    pub(super) join_token: Option<String>,
    /// `max_concurrency` of models that set none. Default: no cap but the workers' capacity.
    pub(super) default_max_concurrency: Option<u32>,
    /// Python interpreter or virtual environment of models that set none. Default: `.venv` beside
    /// the configuration, then `python3`.
    pub(super) python: Option<PathBuf>,
    /// GPUs that may be handed out, as `CUDA_VISIBLE_DEVICES` names them; `[]` for none. Default:
    /// all that the driver lists.
    #[serde(deserialize_with = "devices")]
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) gpus: Option<Vec<String>>,
}

impl Default for WorkersToml {
    fn default() -> Self {
        Self {
            heartbeat_seconds: 10.0,
            lease_seconds: 30.0,
            join_token: None,
            default_max_concurrency: None,
            python: None,
            gpus: None,
        }
    }
}

/// `[ieops]`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct IeopsToml {
    /// The unix socket on which the server is an IEOPS proxy, for example `/var/run/ieops/proxy.sock`;
    /// its folder must exist. Whoever may write to it (mode 0660) may register workers. Default: no
    /// worker registers by itself.
    pub(super) socket: Option<PathBuf>,
}

/// `[webhooks]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WebhooksToml {
    /// Keys with which letters are signed, one or a list: `whsec_` and 24 to 64 bytes in base64. Each
    /// letter is signed with all of them, so that receivers can change from one to the next. Without
    /// any, no webhooks are sent.
    #[serde(deserialize_with = "one_or_many")]
    pub(super) secrets: Vec<String>,
    /// The only origins that may be told, one or a list, for example `https://hooks.example`,
    /// `https://*.corp.example` or `http://127.0.0.1:9000`. Default: every `https` server on a public
    /// address.
    #[serde(deserialize_with = "one_or_many")]
    pub(super) allow: Vec<String>,
    /// How often a letter is tried before it is a dead letter.
    pub(super) attempts_max: u32,
    /// Wait before the second try, in seconds; it doubles with every further one.
    pub(super) backoff_seconds: f64,
    /// The longest wait between tries, in seconds.
    pub(super) backoff_seconds_max: f64,
    /// Longest time for one try, in seconds.
    pub(super) timeout_seconds: f64,
}

impl Default for WebhooksToml {
    fn default() -> Self {
        Self {
            secrets: Vec::new(),
            allow: Vec::new(),
            // With these waits a receiver may be away for three hours.
            attempts_max: 12,
            backoff_seconds: 5.0,
            backoff_seconds_max: 3600.0,
            timeout_seconds: 15.0,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    OneOrMany::deserialize(deserializer).map(OneOrMany::into_vec)
}

/// A device is a number or a name.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number or a name of a GPU, or a list of them")]
enum Device {
    Number(u32),
    Name(String),
}

fn devices<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let devices = OneOrMany::deserialize(deserializer)?.into_vec().into_iter();
    let text = |device| match device {
        Device::Number(number) => number.to_string(),
        Device::Name(name) => name,
    };
    Ok(Some(devices.map(text).collect()))
}
