//! What the program runs on: complete, checked, and in the types of the house.

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr, time::Duration};

use adapters::webhook::WebhookSettings;
use api::worker::Address;
use gateway::Plain;
use telemetry::log::LogSettings;
use types::{ModelName, ModelSpec, RetrySpec};

use super::file::SyncCalls;

/// Where clients reach the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// `host:port`; the host may be a name.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// 0 lets the system choose.
        port: u16,
    },
    /// `unix:/path`.
    Unix(PathBuf),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The text is no address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address")]
pub struct BadListenAddress(String);

impl FromStr for ListenAddress {
    type Err = BadListenAddress;

    fn from_str(text: &str) -> Result<Self, BadListenAddress> {
        let bad = || BadListenAddress(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(bad()) } else { Ok(Self::Unix(path.into())) };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().map_err(|_| bad())?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bracketed.unwrap_or(host);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let is_v6 = bracketed.is_some() && host.parse::<std::net::Ipv6Addr>().is_ok();
        if is_v6 || (bracketed.is_none() && !host.is_empty() && host.bytes().all(plain)) {
            return Ok(Self::Tcp { host: host.to_owned(), port });
        }
        Err(bad())
    }
}

/// `[server]`
#[derive(Debug, Clone, PartialEq)]
pub struct ServerSettings {
    /// Addresses for clients; at least one.
    pub listen: Vec<ListenAddress>,
    /// Address for workers; `None` for a socket in a fresh private directory.
    pub internal_listen: Option<Address>,
    /// Largest request body, in bytes.
    pub body_bytes_max: usize,
    /// Time that running calls get to finish.
    pub drain: Duration,
    /// What answers where a request names no model.
    pub default_model: Option<ModelName>,
    /// A folder served at `/`.
    pub static_dir: Option<PathBuf>,
    /// Origins whose pages may call the server; `*` for all.
    pub cors_origins: Vec<String>,
    /// The file of API keys.
    pub keys_file: PathBuf,
    /// Whether callers need a key even without that file.
    pub keys_required: bool,
}

/// `[tls]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate, PEM.
    pub cert_file: PathBuf,
    /// Its key, PEM.
    pub key_file: PathBuf,
    /// Who may speak plain HTTP.
    pub plain: Plain,
    /// Whether the files must be there, being named.
    pub required: bool,
}

/// `[store]`
#[derive(Debug, Clone, PartialEq)]
pub struct StoreSettings {
    /// The Redis that holds the tasks; `None` for the SQLite file.
    pub url: Option<String>,
    /// What every key in Redis begins with.
    pub prefix: String,
    /// Names this server among those that share a Redis; `None` for host and port.
    pub server_name: Option<String>,
    /// The SQLite file.
    pub path: PathBuf,
    /// Where records of synchronous calls are kept.
    pub sync_calls: SyncCalls,
    /// Where large results are kept; `None` if they are not.
    pub results_dir: Option<PathBuf>,
    /// Up to this size a result is kept in the store itself, in bytes.
    pub inline_result_bytes_max: usize,
    /// Largest result that is kept, in bytes.
    pub result_bytes_max: usize,
    /// How long finished tasks are kept.
    pub result_ttl: Duration,
    /// Records of synchronous calls kept in memory.
    pub recent_max: usize,
}

/// `[files]`
#[derive(Debug, Clone, PartialEq)]
pub struct FileSettings {
    /// The folder of their contents.
    pub dir: PathBuf,
    /// Largest file that is taken, in bytes.
    pub file_bytes_max: u64,
    /// Room for all of them, in bytes.
    pub total_bytes_max: u64,
}

/// `[batches]`
#[derive(Debug, Clone, PartialEq)]
pub struct BatchSettings {
    /// Lines of a batch.
    pub lines_max: u32,
    /// Lines of one batch that are tasks at a time.
    pub window: usize,
    /// Batches that run at a time.
    pub running_max: usize,
}

/// `[workers]`
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerSettings {
    /// Time between two heartbeats.
    pub heartbeat: Duration,
    /// A worker that is silent for so long is lost.
    pub lease: Duration,
    /// `max_concurrency` of models that set none.
    pub default_max_concurrency: Option<u32>,
    /// What workers show when they join; `None` for a new one at each start.
    pub join_token: Option<String>,
    /// Interpreter or virtual environment of models that set none.
    pub python: Option<PathBuf>,
    /// GPUs that may be handed out; `None` for all that the driver lists.
    pub gpus: Option<Vec<String>>,
}

/// `[webhooks]`
#[derive(Debug, Clone, PartialEq)]
pub struct WebhooksSettings {
    /// Who may be told, and how letters are signed.
    pub letters: WebhookSettings,
    /// How often a letter is tried.
    pub retry: RetrySpec,
}

/// Everything that the server runs on. Paths are absolute.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How clients reach it.
    pub server: ServerSettings,
    /// HTTPS; `None` if it is switched off.
    pub tls: Option<TlsSettings>,
    /// Where tasks are kept.
    pub store: StoreSettings,
    /// Where files are kept.
    pub files: FileSettings,
    /// How batches run.
    pub batches: BatchSettings,
    /// What is logged.
    pub log: LogSettings,
    /// What all workers have in common.
    pub workers: WorkerSettings,
    /// The socket on which workers of the IEOPS SDK register; `None` if they do not.
    pub ieops_socket: Option<PathBuf>,
    /// How those are told who wait for the end of a task; `None` if nobody is.
    pub webhooks: Option<WebhooksSettings>,
    /// The registry. `max_concurrency` and `workdir` are filled in; `python` is not, because the
    /// search for an interpreter tells a model's own choice from the common one.
    pub models: BTreeMap<ModelName, ModelSpec>,
    /// Where the configuration is: beside it a `.venv` is looked for.
    pub config_dir: PathBuf,
    /// Where tasks and examples are kept.
    pub data_dir: PathBuf,
    /// What works but is probably not meant, one sentence each.
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_what_they_print() {
        for text in ["127.0.0.1:8000", "localhost:0", "[::1]:80", "unix:/run/a.sock"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "8000",
            ":8000",
            "host:",
            "host:70000",
            "::1:80",
            "[host]:1",
            "http://h:1",
            "unix:",
        ] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
    }
}
