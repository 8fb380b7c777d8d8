//! Registration with an IEOPS proxy that only listens and remembers.

use std::{convert::Infallible, sync::Arc, time::Duration};

use api::worker::Address;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::UnixListener,
    task::{AbortHandle, JoinHandle},
};
use tokio_util::sync::CancellationToken;
use worker::ieops::{Payload, Registration, Vitals, keep_registered};

use crate::support::eventually;

const REGISTER: &str = "/api/model/register";
const UNREGISTER: &str = "/api/model/unregister";

/// What a proxy was told, and how it answers.
struct Proxy {
    folder: TempDir,
    told: Arc<Mutex<Vec<(String, Value)>>>,
    refuses: Arc<Mutex<bool>>,
    serving: Option<AbortHandle>,
}

impl Proxy {
    fn absent() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, told: Arc::default(), refuses: Arc::default(), serving: None }
    }

    fn listening() -> Self {
        let mut proxy = Self::absent();
        proxy.appear();
        proxy
    }

    fn appear(&mut self) {
        let listener = UnixListener::bind(self.folder.path().join("proxy.sock")).unwrap();
        let (told, refuses) = (self.told.clone(), self.refuses.clone());
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (told, refuses) = (told.clone(), refuses.clone());
                let answer = service_fn(move |request: Request<Incoming>| {
                    note(request, told.clone(), *refuses.lock())
                });
                let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
                tokio::spawn(serving);
            }
        });
        self.serving = Some(serving.abort_handle());
    }

    /// Registers a worker that listens at `address`; beats every tenth of a second.
    fn tells(&self, address: &str, payload: Payload, look: fn() -> Vitals) -> Member {
        let registration = Registration {
            proxy_socket: self.folder.path().join("proxy.sock"),
            interval_s: 0.1,
            id: "app.x1".into(),
            endpoint: "app".into(),
            weight: 2,
            payload,
            ..Registration::default()
        };
        let stop = CancellationToken::new();
        let kept = keep_registered(registration, address.parse().unwrap(), look, stop.clone());
        Member { stop, kept: tokio::spawn(kept) }
    }

    fn all(&self, path: &str) -> Vec<Value> {
        let told = self.told.lock();
        told.iter().filter(|(to, _)| to == path).map(|(_, body)| body.clone()).collect()
    }

    async fn is_told(&self, path: &str, count: usize) -> Vec<Value> {
        eventually(|| self.all(path).len() >= count).await;
        self.all(path)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

async fn note(
    request: Request<Incoming>,
    told: Arc<Mutex<Vec<(String, Value)>>>,
    refuses: bool,
) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.headers()["host"], "localhost");
    assert_eq!(request.headers()["content-type"], "application/json");
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    told.lock().push((path, serde_json::from_slice(&body).unwrap()));
    let status = if refuses { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let body = Full::from(r#"{"message": "noted", "data": null}"#);
    Ok(Response::builder().status(status).body(body).unwrap())
}

struct Member {
    stop: CancellationToken,
    kept: JoinHandle<()>,
}

impl Member {
    async fn leaves(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.kept).await.unwrap().unwrap();
    }
}

fn half_busy() -> Vitals {
    let usage = vec![json!({"org_id": "o"})];
    Vitals { load: 0.5, healthy: true, metrics: vec!["calls 3".into()], usage }
}

#[tokio::test]
async fn a_worker_clears_leftovers_beats_and_says_goodbye() {
    let proxy = Proxy::listening();
    let member = proxy.tells("unix:/run/app/app.x1.sock", Payload::Union, Vitals::default);
    proxy.is_told(REGISTER, 3).await;
    assert_eq!(proxy.told.lock()[0], (UNREGISTER.into(), json!({"socket_dir": "/run/app"})));
    member.leaves().await;
    let last = proxy.told.lock().last().unwrap().clone();
    assert_eq!(last, (UNREGISTER.into(), json!({"id": "app.x1"})));
}

#[tokio::test]
async fn each_payload_has_the_fields_of_its_version() {
    let proxy = Proxy::listening();
    for (payload, expected) in [
        (
            Payload::V029,
            json!({"id": "app.x1", "server_socket": "/run/a.sock", "max_concurrent_reqs": 8,
                "endpoint": "app", "weight": 2}),
        ),
        (
            Payload::V058,
            json!({"id": "app.x1", "server_socket": "/run/a.sock", "max_concurrent_reqs": 8,
                "endpoint": "app", "type": "self-host", "load": 0.5, "status": "healthy",
                "metrics": ["calls 3"], "provider": "gmi", "usage_report": [{"org_id": "o"}]}),
        ),
        (
            Payload::Union,
            json!({"id": "app.x1", "server_socket": "/run/a.sock", "max_concurrent_reqs": 8,
                "endpoint": "app", "weight": 2, "type": "self-host", "load": 0.5,
                "status": "healthy", "metrics": ["calls 3"], "provider": "gmi",
                "usage_report": [{"org_id": "o"}]}),
        ),
    ] {
        proxy.told.lock().clear();
        let member = proxy.tells("unix:/run/a.sock", payload, half_busy);
        assert_eq!(proxy.is_told(REGISTER, 1).await[0], expected);
        member.leaves().await;
    }
}

#[tokio::test]
async fn on_tcp_the_proxy_is_told_where_the_worker_really_listens() {
    let proxy = Proxy::listening();
    let member = proxy.tells("tcp:0.0.0.0:8001", Payload::Union, Vitals::default);
    let beat = proxy.is_told(REGISTER, 1).await.remove(0);
    assert_eq!((&beat["host"], &beat["port"]), (&json!("127.0.0.1"), &json!(8001)));
    assert!(beat.get("server_socket").is_none(), "{beat}");
    assert!(proxy.all(UNREGISTER).is_empty(), "there is no folder to clear");
    member.leaves().await;
}

#[tokio::test]
async fn a_proxy_that_comes_late_is_found_and_one_that_is_absent_delays_no_end() {
    let mut proxy = Proxy::absent();
    let member = proxy.tells("unix:/run/a.sock", Payload::Union, Vitals::default);
    proxy.tells("unix:/run/b.sock", Payload::V029, Vitals::default).leaves().await;
    proxy.appear();
    proxy.is_told(REGISTER, 2).await;
    member.leaves().await;
}

#[tokio::test]
async fn usage_that_was_refused_is_told_again() {
    let proxy = Proxy::listening();
    *proxy.refuses.lock() = true;
    let member = proxy.tells("unix:/run/a.sock", Payload::V058, half_busy);
    // A beat and its retry say the same; the next one says it again, and more.
    let beats = proxy.is_told(REGISTER, 3).await;
    let records = |beat: &Value| beat["usage_report"].as_array().unwrap().len();
    assert_eq!(beats[..3].iter().map(records).collect::<Vec<_>>(), [1, 1, 2]);
    *proxy.refuses.lock() = false;
    eventually(|| proxy.all(REGISTER).last().is_some_and(|beat| records(beat) == 1)).await;
    member.leaves().await;
}

#[tokio::test]
async fn a_relative_socket_is_told_as_an_absolute_one() {
    let proxy = Proxy::listening();
    let registration = Registration {
        proxy_socket: proxy.folder.path().join("proxy.sock"),
        ..Registration::default()
    };
    let stop = CancellationToken::new();
    let address = Address::Unix("here.sock".into());
    let kept = tokio::spawn(keep_registered(registration, address, Vitals::default, stop.clone()));
    let told = proxy.is_told(REGISTER, 1).await[0]["server_socket"].clone();
    let expected = std::env::current_dir().unwrap().join("here.sock");
    assert_eq!(told, json!(expected));
    Member { stop, kept }.leaves().await;
}
