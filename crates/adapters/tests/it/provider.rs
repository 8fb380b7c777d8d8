//! A provider for one test: it writes down what it sees and answers as the test says.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use api::{Body, BoxError};
use axum::{Router, extract::Request};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use http_body_util::{BodyExt, StreamBody};
use serde_json::Value;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

/// One request as the provider saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// How many came to this path before it.
    pub(crate) earlier: usize,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Runs until dropped.
pub(crate) struct Provider {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: JoinHandle<()>,
}

type Script = Arc<dyn Fn(Seen) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

impl Provider {
    /// Answers every request with what `script` makes of it.
    pub(crate) async fn start<F>(script: impl Fn(Seen) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let script: Script = Arc::new(move |seen| Box::pin(script(seen)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = seen.clone();
        let router = Router::new().fallback(move |request: Request| {
            let (notes, script) = (notes.clone(), script.clone());
            async move {
                let answer = script(note(&notes, request).await).await;
                answer.map(axum::body::Body::new)
            }
        });
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, seen, server }
    }

    /// Answers every request with the same JSON.
    pub(crate) async fn always(status: u16, json: Value) -> Self {
        Self::start(move |_| std::future::ready(json_answer(status, &json))).await
    }

    /// `path` at this provider.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The only request so far.
    #[track_caller]
    pub(crate) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.into_iter().next().unwrap()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn note(notes: &Mutex<Vec<Seen>>, request: Request) -> Seen {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut notes = notes.lock().unwrap();
    let earlier = notes.iter().filter(|seen| seen.uri.path() == parts.uri.path()).count();
    let seen = Seen { method: parts.method, uri: parts.uri, headers: parts.headers, body, earlier };
    notes.push(seen.clone());
    seen
}

pub(crate) fn json_answer(status: u16, json: &Value) -> Response<Body> {
    let mut answer = text_answer(status, json.to_string());
    answer.headers_mut().insert("content-type", "application/json".parse().unwrap());
    answer
}

pub(crate) fn text_answer(status: u16, text: impl Into<Bytes>) -> Response<Body> {
    let mut answer = Response::new(Body::full(text));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}

/// A body whose pieces the test sends one by one; the sender learns when nobody reads any more.
pub(crate) fn piecewise() -> (mpsc::Sender<&'static str>, Body) {
    let (sender, mut receiver) = mpsc::channel(1);
    let pieces = futures_util::stream::poll_fn(move |cx| {
        receiver.poll_recv(cx).map(|piece: Option<&'static str>| {
            piece.map(|piece| Ok::<_, BoxError>(http_body::Frame::data(Bytes::from(piece))))
        })
    });
    (sender, Body::stream(StreamBody::new(pieces)))
}

/// A script whose answer is a stream that the test holds the other end of.
pub(crate) async fn streaming(
    content_type: &'static str,
) -> (Provider, mpsc::Sender<&'static str>) {
    let (sender, body) = piecewise();
    let body = Mutex::new(Some(body));
    let provider = Provider::start(move |_| {
        let mut answer = Response::new(body.lock().unwrap().take().unwrap());
        answer.headers_mut().insert("content-type", content_type.parse().unwrap());
        std::future::ready(answer)
    })
    .await;
    (provider, sender)
}

/// A port where nobody listens.
pub(crate) async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
