//! A worker's word, checked.

use std::path::PathBuf;

use api::{
    ieops::{Beat, HEALTHY},
    worker::Address,
};
use fleet::Offer;
use serde_json::Value;
use types::{ErrorCode, Fault, ModelName};

/// Calls at once of a worker that does not say: the package's default.
const CALLS_DEFAULT: u32 = 8;
/// More than this nobody means; it keeps sums of weights small.
const WEIGHT_MAX: u32 = 1_000;
/// Longest id, in bytes.
const ID_BYTES_MAX: usize = 200;
/// Longest path of a unix socket, in bytes: the system's own limit.
const SOCKET_BYTES_MAX: usize = 107;

/// A worker that says that it lives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Announced {
    /// Its own name for itself.
    pub(crate) id: String,
    /// Where it listens.
    pub(crate) address: Address,
    /// What it serves.
    pub(crate) model: ModelName,
    /// What it takes.
    pub(crate) offer: Offer,
    /// Its load, if it tells.
    pub(crate) load: Option<f64>,
    /// Its own metrics, line by line.
    pub(crate) metrics: Vec<String>,
    /// What was used since its last beat.
    pub(crate) usage: Vec<Value>,
}

impl Announced {
    /// Checks a beat.
    ///
    /// # Errors
    /// `invalid_request`, naming the field and what to send instead.
    pub(crate) fn of(beat: Beat) -> Result<Self, Fault> {
        let address = address(&beat)?;
        if beat.id.is_empty() || beat.id.len() > ID_BYTES_MAX {
            return Err(bad("id", "give a name of 1 to 200 bytes"));
        }
        let model = beat.endpoint.parse::<ModelName>();
        let model = model.map_err(|error| bad("endpoint", &error.to_string()))?;
        if model.as_str().starts_with(ModelName::OURS) {
            let fix = format!("names that begin with `{}` are the server's own", ModelName::OURS);
            return Err(bad("endpoint", &fix));
        }
        let capacity = beat.max_concurrent_reqs.unwrap_or(CALLS_DEFAULT);
        if capacity == 0 {
            return Err(bad("max_concurrent_reqs", "must be at least 1"));
        }
        if beat.load.is_some_and(|load| !load.is_finite() || load < 0.0) {
            return Err(bad("load", "must be a number of 0 or more"));
        }
        let weight = beat.weight.unwrap_or(1);
        let is_healthy = beat.status.as_deref().is_none_or(|status| status == HEALTHY);
        let offer = Offer {
            capacity,
            weight: weight.clamp(1, WEIGHT_MAX),
            busy: calls(beat.load.unwrap_or_default(), capacity),
            takes_calls: is_healthy && weight > 0,
        };
        let metrics = beat.metrics.unwrap_or_default();
        let usage = beat.usage_report.unwrap_or_default();
        Ok(Self { id: beat.id, address, model, offer, load: beat.load, metrics, usage })
    }
}

/// Where it listens: a socket, or a host and a port.
fn address(beat: &Beat) -> Result<Address, Fault> {
    if let Some(port) = beat.port.filter(|port| *port > 0) {
        let host = beat.host.as_deref().unwrap_or("127.0.0.1");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
        if host.is_empty() || !host.bytes().all(plain) {
            return Err(bad("host", "give a name or an address, without brackets"));
        }
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        return Ok(Address::Tcp(format!("{host}:{port}")));
    }
    let path = beat.server_socket.as_deref().unwrap_or_default();
    if !path.starts_with('/') || path.contains('\0') {
        return Err(bad(
            "server_socket",
            "give the absolute path of a unix socket, or host and port",
        ));
    }
    if path.len() > SOCKET_BYTES_MAX {
        return Err(bad("server_socket", "the path of a unix socket has at most 107 bytes"));
    }
    Ok(Address::Unix(PathBuf::from(path)))
}

/// The calls that a load stands for, never more than it takes.
fn calls(load: f64, capacity: u32) -> u32 {
    (load.min(1.0) * f64::from(capacity)).round() as u32
}

fn bad(field: &'static str, fix: &str) -> Fault {
    Fault::new(ErrorCode::InvalidRequest, format!("field `{field}`: {fix}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(body: Value) -> Result<Announced, String> {
        let beat = serde_json::from_value(body).map_err(|error| error.to_string())?;
        Announced::of(beat).map_err(|fault| fault.to_string())
    }

    #[test]
    fn what_the_older_package_sends_is_understood() {
        let body = json!({"id": "ieops.a1", "server_socket": "/run/ieops.a1.sock",
            "max_concurrent_reqs": 4, "endpoint": "ieops", "weight": 3});
        let worker = check(body).unwrap();
        assert_eq!(worker.address, Address::Unix("/run/ieops.a1.sock".into()));
        let offer = Offer { capacity: 4, weight: 3, busy: 0, takes_calls: true };
        assert_eq!((worker.model.as_str(), worker.offer), ("ieops", offer));
    }

    #[test]
    fn what_the_newer_package_sends_is_understood_and_more_is_ignored() {
        let body = json!({"id": "w", "server_socket": "/w.sock", "max_concurrent_reqs": 8,
            "endpoint": "chat", "type": "self-host", "load": 0.125, "status": "healthy",
            "metrics": ["a 1"], "provider": "gmi", "usage_report": [{"org_id": "o"}], "new": [1]});
        let worker = check(body).unwrap();
        let offer = Offer { capacity: 8, weight: 1, busy: 1, takes_calls: true };
        assert_eq!((worker.offer, worker.load), (offer, Some(0.125)));
        assert_eq!(worker.metrics, ["a 1"]);
    }

    #[test]
    fn a_worker_on_tcp_says_so() {
        let worker = |host| check(json!({"id": "w", "endpoint": "m", "host": host, "port": 8001}));
        assert_eq!(worker("10.0.0.7").unwrap().address, Address::Tcp("10.0.0.7:8001".into()));
        assert_eq!(worker("::1").unwrap().address, Address::Tcp("[::1]:8001".into()));
        assert!(worker("a/b").unwrap_err().contains("`host`"));
    }

    #[test]
    fn one_that_is_not_well_or_of_no_weight_gets_no_new_calls() {
        let takes = |extra: (&str, Value)| {
            let mut body = json!({"id": "w", "endpoint": "m", "server_socket": "/w"});
            body[extra.0] = extra.1;
            check(body).unwrap().offer.takes_calls
        };
        assert!(takes(("status", json!("healthy"))) && takes(("status", Value::Null)));
        assert!(!takes(("status", json!("unhealthy"))) && !takes(("weight", json!(0))));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (body, field) in [
            (json!({"id": "w", "endpoint": "m"}), "server_socket"),
            (json!({"id": "w", "endpoint": "m", "server_socket": "w.sock"}), "server_socket"),
            (json!({"id": "w", "endpoint": "m", "server_socket": "/w".repeat(60)}), "107"),
            (json!({"id": "", "endpoint": "m", "server_socket": "/w"}), "id"),
            (json!({"id": "w", "endpoint": "a/b", "server_socket": "/w"}), "endpoint"),
            (json!({"endpoint": "m", "server_socket": "/w"}), "id"),
            (json!({"id": "w", "endpoint": "m", "server_socket": "/w", "load": -1}), "load"),
            (
                json!({"id": "w", "endpoint": "m", "server_socket": "/w", "max_concurrent_reqs": 0}),
                "max_concurrent_reqs",
            ),
        ] {
            let error = check(body).unwrap_err();
            assert!(error.contains(field), "{error}");
        }
    }
}
