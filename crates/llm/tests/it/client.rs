//! A worker on a socket of its own, and a client that calls it.

use std::path::PathBuf;

use api::worker::{Address, WorkerLaunch};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use llm::{load::LoadedModel, serving};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::gateway::Gateway;

/// A worker that serves a model until it is dropped.
pub(crate) struct Served {
    dir: TempDir,
    pub(crate) gateway: Gateway,
    _serving: AbortOnDropHandle<()>,
}

impl Served {
    /// Serves a model, and joins a gateway that listens to what it reports.
    pub(crate) async fn start(model: LoadedModel) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let gateway = Gateway::start(dir.path());
        let launch = launch(dir.path().join("worker.sock"), gateway.address.clone());
        let worker = serving::worker(&launch, model).unwrap();
        let bound = worker.bind(launch).await.unwrap();
        let serving = tokio::spawn(async move {
            bound.run(CancellationToken::new()).await.unwrap();
        });
        gateway.is_joined().await;
        Self { dir, gateway, _serving: AbortOnDropHandle::new(serving) }
    }

    /// Posts JSON with some headers, and reads the head of the answer.
    pub(crate) async fn send(&self, path: &str, body: Vec<u8>, headers: &[(&str, &str)]) -> Reply {
        let stream = UnixStream::connect(self.dir.path().join("worker.sock")).await.unwrap();
        let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        });
        let mut request = Request::post(path).header("host", "worker");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = requests.send_request(request.body(Full::new(Bytes::from(body))).unwrap());
        let (head, body) = response.await.unwrap().into_parts();
        let connection = AbortOnDropHandle::new(connection);
        Reply { status: head.status, headers: head.headers, body, _connection: connection }
    }

    /// Posts JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        let json = [("content-type", "application/json")];
        self.send(path, body.to_string().into_bytes(), &json).await
    }

    /// Posts JSON; the answer must be 200 and JSON.
    pub(crate) async fn ask(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.post(path, body).await.json().await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Posts JSON, and reads the events that come.
    pub(crate) async fn events(&self, path: &str, body: &Value) -> Vec<Value> {
        let reply = self.post(path, body).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.headers["content-type"], "text/event-stream");
        events(&reply.text().await)
    }
}

/// The events of a stream, without the mark of its end, which must be there.
pub(crate) fn events(text: &str) -> Vec<Value> {
    let data = text.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    let mut data: Vec<_> = data.collect();
    assert_eq!(data.pop(), Some("[DONE]"), "{text}");
    data.into_iter().map(|json| serde_json::from_str(json).unwrap()).collect()
}

/// An answer that has begun. Dropping it ends the connection.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    _connection: AbortOnDropHandle<()>,
}

impl Reply {
    /// The next piece of the body.
    pub(crate) async fn piece(&mut self) -> Option<Bytes> {
        Some(self.body.frame().await?.unwrap().into_data().unwrap())
    }

    pub(crate) async fn text(self) -> String {
        let bytes = self.body.collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.into()).unwrap()
    }

    pub(crate) async fn json(self) -> (u16, Value) {
        let status = self.status.as_u16();
        (status, serde_json::from_str(&self.text().await).unwrap())
    }
}

fn launch(socket: PathBuf, gateway: Address) -> WorkerLaunch {
    WorkerLaunch {
        model: "tiny".parse().unwrap(),
        version: "1".into(),
        implementation: String::new(),
        listen: Address::Unix(socket),
        gateway: Some(gateway),
        join_token: String::new(),
        launch_id: String::new(),
        heartbeat_ms: 20,
        capacity: None,
        max_batch_size: None,
        max_wait_ms: None,
        warmup: None,
        engine: None,
        metadata: serde_json::Map::new(),
    }
}
