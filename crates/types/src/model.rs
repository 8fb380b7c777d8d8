//! What an operator says about one model.

mod retry;
mod webhook;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::EngineSpec;

pub use self::{retry::RetrySpec, webhook::WebhookEvent};

/// What stands behind a model's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// A worker that is part of this program, for example `local-echo`.
    Builtin,
    /// A Python class, run in worker processes of its own.
    #[default]
    #[serde(alias = "local")]
    Python,
    /// A language or embedding model, run by our own engine from a folder of weights.
    Llm,
    /// An external HTTP API: the JSON body goes there, its answer comes back.
    #[serde(alias = "external")]
    Http,
    /// A server that speaks the OpenAI API.
    Openai,
    /// An external image service with submit and poll.
    ImageTask,
    /// Any program that serves HTTP, started and supervised by us.
    Command,
    /// Workers of the IEOPS SDK, started by others: each registers itself at `ieops.socket`.
    Ieops,
}

impl ModelKind {
    /// Whether worker processes are started for it (otherwise it is only called).
    pub const fn runs_workers(self) -> bool {
        matches!(self, Self::Builtin | Self::Python | Self::Llm | Self::Command)
    }

    /// Whether it is a foreign API behind an adapter, which tries again by itself.
    pub const fn is_external(self) -> bool {
        matches!(self, Self::Http | Self::Openai | Self::ImageTask)
    }
}

/// How a replica is chosen among those with a free place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// Each in turn.
    #[default]
    RoundRobin,
    /// The one with the smallest share of its capacity in use.
    LeastLoaded,
    /// The less loaded of two drawn at random.
    PowerOfTwo,
    /// The one that has seen the longest beginning of this prompt, unless it is much busier.
    Prefix,
}

/// The method of a call to an external HTTP API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// The top-level fields of the body become query parameters.
    Get,
    /// The body is sent as it is.
    #[default]
    Post,
    /// Like POST.
    Put,
    /// Like POST.
    Patch,
}

/// The wire format of an external image service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImageProfile {
    /// `POST /v1/images/generations`, `GET /v1/tasks/{id}`.
    #[default]
    Apimart,
    /// `POST /api/v1/nanobanana/generate`, `GET /api/v1/nanobanana/record-info`.
    Nanobananaapi,
}

/// One model of the registry: what it is, where it runs, and its limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSpec {
    /// What stands behind the name. The seed's `type = "local"` and `"external"` mean `python` and `http`.
    #[serde(alias = "type")]
    pub kind: ModelKind,
    /// Version shown to clients.
    pub version: String,
    /// Off: the model is listed as disabled and takes no work.
    pub enabled: bool,

    /// What runs: `module:Class` or `file.py:Class` for `python`, a built-in name for `builtin`.
    pub implementation: Option<String>,
    /// Folder of an `llm`'s weights, as Hugging Face lays it out.
    pub path: Option<PathBuf>,
    /// How the engine runs an `llm`.
    pub engine: EngineSpec,
    /// Python interpreter or virtual environment; default: `.venv` beside the configuration, then `python3`.
    pub python: Option<PathBuf>,
    /// Directory the worker runs in; default: where the configuration is.
    pub workdir: Option<PathBuf>,
    /// Extra environment of the worker; `${NAME}` is replaced from the server's environment.
    pub env: BTreeMap<String, String>,
    /// The program and its arguments for `command`; `{port}` and `{socket}` are filled in.
    pub command: Vec<String>,
    /// A path that `command` answers with 2xx once it can take work, for example `/health`; without
    /// it, listening is enough.
    pub ready_path: Option<String>,
    /// A JSON body that the default route must answer before the worker is ready.
    pub warmup: Option<serde_json::Value>,

    /// Worker processes that are started here, 0 if workers only join from elsewhere; lanes (calls
    /// at once) for external kinds.
    pub num_workers: u32,
    /// Processor share of one worker; also limits its math threads (`OMP_NUM_THREADS`).
    pub num_cpus: f64,
    /// GPUs of one worker, fractions allowed; handed out as `CUDA_VISIBLE_DEVICES`.
    pub num_gpus: f64,
    /// Address-space limit of one worker, in MiB; none by default.
    pub memory_mb_max: Option<u64>,

    /// Calls that may run at once over all workers, synchronous and asynchronous together.
    pub max_concurrency: Option<u32>,
    /// Calls one worker may hold at once; default: what the worker declares.
    pub worker_capacity: Option<u32>,
    /// Calls that may wait for a place; one more is refused with 429.
    pub queue_max: u32,
    /// Longest time for one call, waiting included, in seconds.
    pub timeout_seconds: f64,
    /// A running call that reports no progress for this long is stuck, in seconds.
    #[serde(alias = "progress_timeout")]
    pub progress_timeout_seconds: Option<f64>,
    /// Longest time from the start of a worker until it is ready, in seconds.
    pub start_timeout_seconds: f64,
    /// Overrides the batch size that the code declares.
    pub max_batch_size: Option<u32>,
    /// Overrides how long a batch waits for company, in milliseconds.
    pub max_wait_ms: Option<u64>,
    /// How a replica is chosen.
    pub placement: Placement,
    /// Attempts for durable tasks and, for external kinds, calls.
    pub retry: RetrySpec,
    /// Who is told when a task of this model ends, unless the submission names another; needs
    /// `webhooks.secrets`.
    pub webhook_url: Option<String>,
    /// What `webhook_url` is told of; empty for all ends, without `progress`.
    pub webhook_events: Vec<WebhookEvent>,

    /// Address of the external API; `${NAME}` is replaced from the environment.
    #[serde(alias = "base_url")]
    pub endpoint: Option<String>,
    /// Method of the external call.
    pub method: HttpMethod,
    /// Headers of the external call; `${NAME}` is replaced from the environment.
    pub headers: BTreeMap<String, String>,
    /// Key of the external API; `${NAME}` is replaced from the environment.
    pub api_key: Option<String>,
    /// Name of the model at the OpenAI server, if it differs from ours.
    pub upstream_model: Option<String>,
    /// Wire format of the image service.
    pub profile: ImageProfile,
    /// Where an image service that insists on a callback may report, besides being polled.
    pub callback_url: Option<String>,

    /// What a program or a server that does not know us can do, for example `["chat"]` or
    /// `["embeddings"]`: it then answers at `/v1/*` by default. Our own workers say so themselves.
    pub capabilities: Vec<String>,
    /// Free fields, given to the code and shown in the model list.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

impl Default for ModelSpec {
    fn default() -> Self {
        Self {
            kind: ModelKind::default(),
            version: "1".into(),
            enabled: true,
            implementation: None,
            path: None,
            engine: EngineSpec::default(),
            python: None,
            workdir: None,
            env: BTreeMap::new(),
            command: Vec::new(),
            ready_path: None,
            warmup: None,
            num_workers: 1,
            num_cpus: 1.0,
            num_gpus: 0.0,
            memory_mb_max: None,
            max_concurrency: None,
            worker_capacity: None,
            queue_max: 1024,
            timeout_seconds: 60.0,
            progress_timeout_seconds: None,
            start_timeout_seconds: 120.0,
            max_batch_size: None,
            max_wait_ms: None,
            placement: Placement::default(),
            retry: RetrySpec::default(),
            webhook_url: None,
            webhook_events: Vec::new(),
            endpoint: None,
            method: HttpMethod::default(),
            headers: BTreeMap::new(),
            api_key: None,
            upstream_model: None,
            profile: ImageProfile::default(),
            callback_url: None,
            capabilities: Vec::new(),
            metadata: serde_json::Map::new(),
        }
    }
}

/// Something wrong in one field of a model, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigIssue {
    /// The field, for example `num_gpus`.
    pub field: &'static str,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl ModelSpec {
    /// Longest time for one call.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout_seconds)
    }

    /// Longest time without progress, if the model has one.
    pub fn progress_timeout(&self) -> Option<Duration> {
        self.progress_timeout_seconds.map(Duration::from_secs_f64)
    }

    /// Longest time from start to ready.
    pub fn start_timeout(&self) -> Duration {
        Duration::from_secs_f64(self.start_timeout_seconds)
    }

    /// Everything that is wrong with this model; empty means it can be used.
    pub fn issues(&self) -> Vec<ConfigIssue> {
        let mut issues = self.resource_issues();
        issues.extend(self.limit_issues());
        issues.extend(self.target_issues());
        if self.ready_path.as_deref().is_some_and(|path| !path.starts_with('/')) {
            issues.push(issue("ready_path", "write a path, for example `/health`"));
        }
        if self.kind == ModelKind::Llm {
            issues.extend(self.engine.issues());
        }
        issues
    }

    fn resource_issues(&self) -> Vec<ConfigIssue> {
        let mut issues = Vec::new();
        if self.num_workers == 0 && self.kind.is_external() {
            issues.push(issue(
                "num_workers",
                "must be at least 1; to switch a model off set `enabled = false`",
            ));
        }
        if !(self.num_cpus.is_finite() && self.num_cpus > 0.0) {
            issues.push(issue("num_cpus", "must be above 0, for example 0.5"));
        }
        if !(self.num_gpus.is_finite() && self.num_gpus >= 0.0) {
            issues.push(issue("num_gpus", "must be 0 or more, for example 0.5"));
        } else if self.num_gpus > 0.0 && !self.kind.runs_workers() {
            issues.push(issue(
                "num_gpus",
                "an external model runs elsewhere and takes no GPU here; remove it",
            ));
        } else if self.num_gpus > 1.0 && self.num_gpus.fract() != 0.0 {
            issues.push(issue(
                "num_gpus",
                "above 1 only whole numbers can be handed out, for example 2",
            ));
        }
        issues
    }

    fn limit_issues(&self) -> Vec<ConfigIssue> {
        let mut issues = Vec::new();
        let positive = |seconds: f64| seconds.is_finite() && seconds > 0.0 && seconds < 1e9;
        if !positive(self.timeout_seconds) {
            issues.push(issue("timeout_seconds", "must be above 0"));
        }
        if !positive(self.start_timeout_seconds) {
            issues.push(issue("start_timeout_seconds", "must be above 0"));
        }
        if self.progress_timeout_seconds.is_some_and(|seconds| !positive(seconds)) {
            issues
                .push(issue("progress_timeout_seconds", "must be above 0; leave it out for none"));
        }
        for (field, value) in [
            ("max_concurrency", self.max_concurrency),
            ("worker_capacity", self.worker_capacity),
            ("max_batch_size", self.max_batch_size),
            ("retry.attempts_max", Some(self.retry.attempts_max)),
        ] {
            if value == Some(0) {
                issues.push(issue(field, "must be at least 1"));
            }
        }
        issues.extend(self.retry.issues());
        issues
    }

    fn target_issues(&self) -> Vec<ConfigIssue> {
        let mut issues = Vec::new();
        let needs = |present: bool, field, message: &str, issues: &mut Vec<ConfigIssue>| {
            if !present {
                issues.push(issue(field, message));
            }
        };
        match self.kind {
            // What runs elsewhere is not ours to name.
            kind if kind.runs_workers() && self.num_workers == 0 => {}
            ModelKind::Python => {
                let well_formed = self.implementation.as_deref().is_some_and(|text| {
                    text.rsplit_once(':')
                        .is_some_and(|(module, class)| !module.is_empty() && !class.is_empty())
                });
                needs(
                    well_formed,
                    "implementation",
                    "write `module:Class` or `file.py:Class`",
                    &mut issues,
                );
            }
            ModelKind::Builtin => needs(
                self.implementation.is_some(),
                "implementation",
                "name the built-in worker, for example `echo`",
                &mut issues,
            ),
            ModelKind::Llm => needs(
                self.path.is_some(),
                "path",
                "give the folder that holds `config.json` and the weights",
                &mut issues,
            ),
            ModelKind::Command => {
                needs(
                    !self.command.is_empty(),
                    "command",
                    "give the program and its arguments as a list",
                    &mut issues,
                );
            }
            ModelKind::Http | ModelKind::Openai => {
                // One that begins with a variable is judged once the variable is known.
                let is_url = |url: &str| {
                    ["http://", "https://", "${"].iter().any(|start| url.starts_with(start))
                };
                let present = !self.enabled || self.endpoint.as_deref().is_some_and(is_url);
                needs(
                    present,
                    "endpoint",
                    "give the address, starting with http:// or https://",
                    &mut issues,
                );
            }
            ModelKind::ImageTask | ModelKind::Ieops => {}
        }
        issues
    }
}

fn issue(field: &'static str, message: &str) -> ConfigIssue {
    ConfigIssue { field, message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(spec: &ModelSpec) -> Vec<&'static str> {
        spec.issues().into_iter().map(|issue| issue.field).collect()
    }

    #[test]
    fn a_python_model_needs_only_its_class() {
        let spec =
            ModelSpec { implementation: Some("app.py:Model".into()), ..ModelSpec::default() };
        assert_eq!(fields(&spec), Vec::<&str>::new());
        let nothing = ModelSpec::default();
        assert_eq!(fields(&nothing), ["implementation"]);
    }

    #[test]
    fn an_external_model_takes_no_gpu() {
        let spec = ModelSpec {
            kind: ModelKind::Http,
            endpoint: Some("https://api.example".into()),
            num_gpus: 0.5,
            ..ModelSpec::default()
        };
        assert_eq!(fields(&spec), ["num_gpus"]);
    }

    #[test]
    fn an_address_is_a_url_or_begins_with_a_variable() {
        let with = |endpoint: &str| {
            let endpoint = Some(endpoint.to_owned());
            fields(&ModelSpec { kind: ModelKind::Openai, endpoint, ..ModelSpec::default() })
        };
        assert_eq!(with("${CHAT_URL}"), Vec::<&str>::new());
        assert_eq!(with("localhost:8000"), ["endpoint"]);
    }

    #[test]
    fn the_words_of_the_seed_are_understood() {
        let spec: ModelSpec = serde_json::from_str(
            r#"{"type": "external", "endpoint": "https://example.com/sentiment", "method": "POST", "num_cpus": 0.25}"#,
        )
        .unwrap();
        assert_eq!((spec.kind, spec.method), (ModelKind::Http, HttpMethod::Post));
    }

    #[test]
    fn zero_limits_are_refused_by_name() {
        let spec = ModelSpec {
            implementation: Some("m:C".into()),
            max_concurrency: Some(0),
            timeout_seconds: f64::NAN,
            queue_max: 0,
            ..ModelSpec::default()
        };
        assert_eq!(fields(&spec), ["timeout_seconds", "max_concurrency"]);
    }

    #[test]
    fn no_workers_here_means_that_they_join_from_elsewhere() {
        let none = |kind| ModelSpec {
            kind,
            num_workers: 0,
            endpoint: Some("http://h".into()),
            ..ModelSpec::default()
        };
        assert_eq!(fields(&none(ModelKind::Python)), Vec::<&str>::new());
        assert_eq!(fields(&none(ModelKind::Http)), ["num_workers"]);
    }
}
