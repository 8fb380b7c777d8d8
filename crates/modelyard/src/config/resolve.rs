//! From the file to settings: what was left out is filled in, and units become types.

use std::path::{Path, PathBuf};

use gateway::Plain;
use telemetry::log::{LogFormat, LogSettings};
use types::{ModelKind, ModelName, ModelSpec, Placement};

use super::{
    file::{BatchesToml, ConfigToml, LogFormatToml, PlainToml},
    judge::Judge,
    key::KeyPath,
    paths::Bases,
    settings::{
        BatchSettings, FileSettings, ServerSettings, Settings, StoreSettings, TlsSettings,
        WorkerSettings,
    },
    tree::{Source, Tree},
    webhooks,
};

const MEBIBYTE: usize = 1024 * 1024;

/// Shortest token with which workers join, in bytes: 64 bits where it is written in hexadecimal.
const JOIN_TOKEN_BYTES_MIN: usize = 16;

/// Longest time for one call of a model whose workers register by themselves, in seconds.
const IEOPS_TIMEOUT_SECONDS: f64 = 600.0;

/// What a model is like for which a worker registered although nobody configured it.
pub fn ieops_model(default_max_concurrency: Option<u32>) -> ModelSpec {
    ModelSpec {
        kind: ModelKind::Ieops,
        num_workers: 0,
        max_concurrency: default_max_concurrency,
        timeout_seconds: IEOPS_TIMEOUT_SECONDS,
        ..ModelSpec::default()
    }
}

/// Completes the file and turns it into settings.
pub(super) fn settings(
    config: &mut ConfigToml,
    data_dir: PathBuf,
    bases: &Bases,
    judge: &mut Judge<'_>,
) -> Settings {
    let server = server(config, &data_dir, judge);
    let tls = tls(config, &data_dir, judge);
    let store = store(config, data_dir.join("tasks.db"), judge);
    let files = files(config, data_dir.join("files"), judge);
    let batches = batches(config, judge);
    let log = log(config, judge);
    let workers = workers(config, judge);
    models(config, judge);
    let webhooks = webhooks::webhooks(config, judge);
    Settings {
        server,
        tls,
        store,
        files,
        batches,
        log,
        workers,
        ieops_socket: config.ieops.socket.clone(),
        webhooks,
        models: config.models.clone(),
        config_dir: bases.config_dir().to_owned(),
        data_dir,
        warnings: warnings(config, judge.tree),
    }
}

fn server(config: &ConfigToml, data_dir: &Path, judge: &mut Judge<'_>) -> ServerSettings {
    let server = &config.server;
    if server.listen.is_empty() {
        let fix = "write an address, for example \"127.0.0.1:8000\"";
        judge.refuse(&KeyPath::dotted("server.listen"), "the list is empty", fix);
    }
    let address = |text: &String| {
        let fix = "write `host:port` or `unix:/path`, for example \"127.0.0.1:8000\"";
        judge.parse("server.listen", text, fix)
    };
    let listen = server.listen.iter().filter_map(address).collect();
    let internal_listen = server.internal_listen.as_deref();
    if let Some(folder) = server.static_dir.as_ref().filter(|folder| !folder.is_dir()) {
        let problem = format!("`{}` is not a folder", folder.display());
        judge.refuse(&KeyPath::dotted("server.static_dir"), problem, "create it or remove the key");
    }
    for origin in server.cors_origins.iter().filter(|origin| !is_origin(origin)) {
        let fix = "write scheme and host without a path, for example \"https://app.example\"";
        let problem = format!("`{origin}` is not an origin");
        judge.refuse(&KeyPath::dotted("server.cors_origins"), problem, fix);
    }
    ServerSettings {
        listen,
        internal_listen: internal_listen
            .and_then(|text| judge.parse("server.internal_listen", text, "")),
        body_bytes_max: judge
            .positive("server.body_mb_max", server.body_mb_max)
            .saturating_mul(MEBIBYTE),
        drain: judge.seconds("server.drain_seconds", server.drain_seconds, 0.0),
        default_model: default_model(config, judge),
        static_dir: server.static_dir.clone(),
        cors_origins: server.cors_origins.clone(),
        keys_file: server.keys_file.clone().unwrap_or_else(|| data_dir.join("keys.json")),
        keys_required: server.keys_file.is_some(),
    }
}

fn tls(config: &ConfigToml, data_dir: &Path, judge: &mut Judge<'_>) -> Option<TlsSettings> {
    let tls = &config.tls;
    if tls.cert_file.is_some() != tls.key_file.is_some() {
        let problem = "`cert_file` and `key_file` belong together".to_owned();
        judge.refuse(&KeyPath::dotted("tls.cert_file"), problem, "name both, or neither");
    }
    let [cert, key] = tls_files(data_dir);
    let plain = match tls.plain {
        PlainToml::Local => Plain::Local,
        PlainToml::Redirect => Plain::Redirect,
        PlainToml::Allow => Plain::Allow,
    };
    tls.enabled.then(|| TlsSettings {
        cert_file: tls.cert_file.clone().unwrap_or(cert),
        key_file: tls.key_file.clone().unwrap_or(key),
        plain,
        required: tls.cert_file.is_some(),
    })
}

/// Where `modelyard tls init` puts certificate and key.
pub fn tls_files(data_dir: &Path) -> [PathBuf; 2] {
    ["server.crt", "server.key"].map(|name| data_dir.join("tls").join(name))
}

/// The model that a person chose; one that does not exist is a mistake now, not at the first call.
fn default_model(config: &ConfigToml, judge: &mut Judge<'_>) -> Option<ModelName> {
    let name = config.server.default_model.clone()?;
    if !config.models.contains_key(&name) {
        let names = config.models.keys().map(ModelName::as_str);
        let fix = types::nearest(name.as_str(), names)
            .map_or("name one of [models]".to_owned(), |near| format!("did you mean `{near}`?"));
        let problem = format!("there is no model `{name}`");
        judge.refuse(&KeyPath::dotted("server.default_model"), problem, &fix);
    }
    Some(name)
}

fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    text == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains('/'))
}

fn store(config: &mut ConfigToml, path: PathBuf, judge: &mut Judge<'_>) -> StoreSettings {
    let store = &mut config.store;
    let url = store.url.clone().filter(|url| !url.is_empty());
    let path = store.path.get_or_insert(path).clone();
    let beside = || path.parent().map(|folder| folder.join("results"));
    let inline = store.inline_result_mb_max;
    if !(0.0..=1024.0).contains(&inline) {
        let problem = format!("`{inline}` is out of range");
        let key = KeyPath::dotted("store.inline_result_mb_max");
        judge.refuse(&key, problem, "write a number from 0 to 1024");
    }
    StoreSettings {
        results_dir: store.results_dir.clone().or_else(|| beside().filter(|_| url.is_none())),
        inline_result_bytes_max: (inline * MEBIBYTE as f64) as usize,
        result_bytes_max: judge
            .positive("store.result_mb_max", store.result_mb_max)
            .saturating_mul(MEBIBYTE),
        url,
        prefix: store.prefix.clone(),
        server_name: store.server_name.clone(),
        path,
        sync_calls: store.sync_calls,
        // A tenth of a second is the least that can be meant.
        result_ttl: judge.seconds("store.result_ttl_hours", store.result_ttl_hours * 3600.0, 0.1),
        recent_max: judge.positive("store.recent_max", store.recent_max),
    }
}

fn files(config: &mut ConfigToml, dir: PathBuf, judge: &mut Judge<'_>) -> FileSettings {
    let files = &mut config.files;
    let mut bytes = |key: &str, mb| judge.positive(key, mb) as u64 * MEBIBYTE as u64;
    FileSettings {
        dir: files.dir.get_or_insert(dir).clone(),
        file_bytes_max: bytes("files.file_mb_max", files.file_mb_max),
        total_bytes_max: bytes("files.total_mb_max", files.total_mb_max),
    }
}

fn batches(config: &ConfigToml, judge: &mut Judge<'_>) -> BatchSettings {
    let BatchesToml { lines_max, window, running_max } = config.batches;
    judge.positive("batches.lines_max", lines_max);
    BatchSettings {
        lines_max,
        window: judge.positive("batches.window", window),
        running_max: judge.positive("batches.running_max", running_max),
    }
}

fn log(config: &ConfigToml, judge: &mut Judge<'_>) -> LogSettings {
    LogSettings {
        levels: judge.parse("log.level", &config.log.level, "").unwrap_or_default(),
        format: match config.log.format {
            LogFormatToml::Text => LogFormat::Text,
            LogFormatToml::Json => LogFormat::Json,
        },
        file: config.log.file.clone(),
    }
}

fn workers(config: &ConfigToml, judge: &mut Judge<'_>) -> WorkerSettings {
    let workers = &config.workers;
    let heartbeat = judge.seconds("workers.heartbeat_seconds", workers.heartbeat_seconds, 0.05);
    let lease = judge.seconds("workers.lease_seconds", workers.lease_seconds, 0.1);
    if lease <= heartbeat {
        let problem = format!(
            "a lease of {} s ends before the next heartbeat, which comes every {} s",
            workers.lease_seconds, workers.heartbeat_seconds
        );
        let fix = "make the lease about three times as long as the heartbeat";
        judge.refuse(&KeyPath::dotted("workers.lease_seconds"), problem, fix);
    }
    if let Some(cap) = workers.default_max_concurrency {
        judge.positive("workers.default_max_concurrency", cap);
    }
    WorkerSettings {
        heartbeat,
        lease,
        default_max_concurrency: workers.default_max_concurrency,
        join_token: workers.join_token.clone().filter(|token| is_token(token, judge)),
        python: workers.python.clone(),
        gpus: workers.gpus.clone(),
    }
}

/// Whether a token can be sent in a header and is not guessed soon.
fn is_token(text: &str, judge: &mut Judge<'_>) -> bool {
    let usable =
        text.len() >= JOIN_TOKEN_BYTES_MIN && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !usable {
        let problem = "it is too short, or has characters that a header cannot carry";
        let fix = "write 16 or more letters and digits, for example from `openssl rand -hex 16`";
        judge.refuse(&KeyPath::dotted("workers.join_token"), problem, fix);
    }
    usable
}

fn models(config: &mut ConfigToml, judge: &mut Judge<'_>) {
    for (name, spec) in &mut config.models {
        let model = KeyPath::dotted("models").join(name.as_str());
        if name.as_str().starts_with(ModelName::OURS) {
            let problem =
                format!("names that begin with `{}` are the program's own", ModelName::OURS);
            judge.refuse(&model, problem, "choose another name");
        }
        spec.max_concurrency = spec.max_concurrency.or(config.workers.default_max_concurrency);
        match spec.kind {
            ModelKind::Llm => suit_language_model(spec, &model, judge.tree),
            // The package's own limit, which is often spent in a single image.
            ModelKind::Ieops if judge.tree.get(&model.join("timeout_seconds")).is_none() => {
                spec.timeout_seconds = IEOPS_TIMEOUT_SECONDS;
            }
            _ => {}
        }
        // A model of which something was taken out lacks more than the person left out.
        if judge.issues.concern(&model) {
            continue;
        }
        for issue in spec.issues() {
            let key = issue.field.split('.').fold(model.clone(), |key, part| key.join(part));
            judge.refuse(&key, issue.message, "");
        }
        let implementation = model.join("implementation");
        // A server with a broken model is better than none, but who names a file wants this one.
        if let (Some(file), Some(Source::Flag(_))) =
            (missing_file(spec), judge.tree.source(&implementation))
        {
            let fix = "write the path of the file that holds the class";
            judge.refuse(&implementation, format!("there is no file `{}`", file.display()), fix);
        }
    }
}

/// A long answer takes minutes, so does a large folder of weights; and a replica that has seen the
/// beginning of a conversation need not compute it again.
fn suit_language_model(spec: &mut ModelSpec, model: &KeyPath, tree: &Tree) {
    let is_left_out = |field: &str| tree.get(&model.join(field)).is_none();
    if is_left_out("timeout_seconds") {
        spec.timeout_seconds = 600.0;
    }
    if is_left_out("start_timeout_seconds") {
        spec.start_timeout_seconds = 600.0;
    }
    if is_left_out("placement") {
        spec.placement = Placement::Prefix;
    }
}

/// The Python file that a model names, if it is not there.
fn missing_file(spec: &ModelSpec) -> Option<&Path> {
    let (file, _) = spec.implementation.as_deref()?.rsplit_once(':')?;
    let file = Path::new(file);
    let is_python = file.extension().is_some_and(|end| end == "py");
    (spec.kind == ModelKind::Python && is_python && !file.is_file()).then_some(file)
}

fn warnings(config: &ConfigToml, tree: &Tree) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |key: KeyPath, text: String| {
        let source = tree.source(&key).map_or_else(|| "default".into(), ToString::to_string);
        warnings.push(format!("{source}: {key}: {text}"));
    };
    let (heartbeat, lease) = (config.workers.heartbeat_seconds, config.workers.lease_seconds);
    if lease < 2.0 * heartbeat {
        let text = format!("one lost heartbeat (every {heartbeat} s) ends a lease of {lease} s");
        warn(KeyPath::dotted("workers.lease_seconds"), text);
    }
    for (name, spec) in &config.models {
        let model = KeyPath::dotted("models").join(name.as_str());
        if let Some(text) = below_batch_size(spec) {
            warn(model.join("max_concurrency"), text);
        }
        let implementation = model.join("implementation");
        // The code of a built-in model is written when the server starts.
        if let Some(file) = missing_file(spec)
            && tree.source(&implementation) != Some(&Source::BuiltIn)
        {
            warn(implementation, format!("there is no file `{}`", file.display()));
        }
    }
    warnings
}

fn below_batch_size(spec: &ModelSpec) -> Option<String> {
    let (cap, batch) = (spec.max_concurrency?, spec.max_batch_size?);
    (cap < batch).then(|| {
        format!("only {cap} calls may run at once, so a batch of {batch} is never full; raise it")
    })
}
