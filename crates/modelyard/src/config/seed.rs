//! The variables that the documents of `ray-service` and `ieops-sdk` know. A prefixed name wins over them.

use toml::Value;

use super::{
    Issue, Issues, environment::Environment, folder, key::KeyPath, settings::ListenAddress,
    tree::Tree,
};

/// Each variable with the key that it stands for, and what it says.
pub(super) const VARIABLES: [(&str, &str, &str); 11] = [
    ("SERVICE_HOST", "server.listen", "Host of the first address."),
    ("SERVICE_PORT", "server.listen", "Port of the first address."),
    ("REDIS_URL", "store.url", "Tasks are kept there."),
    (
        "HEARTBEAT_INTERVAL_SECONDS",
        "workers.heartbeat_seconds",
        "Time between two heartbeats of a worker.",
    ),
    (
        "HEARTBEAT_TTL_SECONDS",
        "workers.lease_seconds",
        "A worker that is silent for so long is lost.",
    ),
    (
        "DEFAULT_MAX_CONCURRENCY",
        "workers.default_max_concurrency",
        "For models that set no `max_concurrency`.",
    ),
    ("LOG_LEVEL", "log.level", "Also `WARNING` and `CRITICAL`."),
    ("LOG_FILE", "log.file", "A file beside standard output."),
    (
        "MODEL_PATH",
        "server.default_model",
        "Folder of a language model's weights, which is served and answers by default.",
    ),
    ("IEOPS_PROXY_SOCKET", "ieops.socket", "Workers of the IEOPS SDK register there."),
    ("NANOBANANA_API_KEY", "models.nanobanana-image.api_key", "Makes that model available."),
];

/// The variable of the image provider's key, which is looked up again when the key is used.
const IMAGE_KEY: &str = "NANOBANANA_API_KEY";

pub(super) fn lay_over(tree: &mut Tree, environment: &Environment, issues: &mut Issues) {
    for (name, key, _) in VARIABLES {
        let Some(text) = environment.get(name) else { continue };
        let (key, source) = (KeyPath::dotted(key), environment.source(name));
        match name {
            "SERVICE_HOST" => listen(tree, &key, Some(text), None, source),
            "SERVICE_PORT" => listen(tree, &key, None, Some(text), source),
            "MODEL_PATH" => match folder::lay_over(tree, text, &source) {
                Ok(_) if tree.get(&key).is_some() => {}
                Ok(name) => tree.set(key, name, source),
                Err(problem) => {
                    issues.push(Issue::general(problem, "set MODEL_PATH to another folder"));
                }
            },
            // The reference, so that the key itself is never shown.
            IMAGE_KEY => {
                let reference = format!("${{{IMAGE_KEY}}}");
                if tree.get(&key).is_none() {
                    tree.set(key, reference, source);
                }
            }
            _ => tree.set_text(key, text, source),
        }
    }
}

/// Replaces host or port of the first TCP address by what a person asked for, who then means just
/// this one address.
pub(super) fn listen(
    tree: &mut Tree,
    key: &KeyPath,
    host: Option<&str>,
    port: Option<&str>,
    source: super::tree::Source,
) {
    let (old_host, old_port) = first_address(tree, key);
    let host = host.unwrap_or(&old_host);
    let port = port.unwrap_or(&old_port);
    let address = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    tree.set(key.clone(), vec![address], source);
}

fn first_address(tree: &Tree, key: &KeyPath) -> (String, String) {
    let configured: Vec<&str> = match tree.get(key) {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(one)) => vec![one],
        _ => Vec::new(),
    };
    let tcp = configured.iter().find_map(|text| match text.parse() {
        Ok(ListenAddress::Tcp { host, port }) => Some((host, port.to_string())),
        _ => None,
    });
    tcp.unwrap_or_else(|| ("127.0.0.1".to_owned(), "8000".to_owned()))
}
