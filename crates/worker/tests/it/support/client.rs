//! A client with one connection, which it can drop at any moment.

use api::{Body, headers, worker::Address};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    task::JoinHandle,
};
use types::CallId;
use uuid::Uuid;

use super::soon;

/// One connection.
pub(crate) struct Client {
    requests: SendRequest<Body>,
    driver: JoinHandle<()>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) response: Response<Bytes>,
}

pub(crate) fn call_id(n: u128) -> CallId {
    CallId::new(Uuid::from_u128(n))
}

/// A POST to `/call` that carries the id of the call.
pub(crate) fn request(id: u128, body: impl Into<Bytes>) -> Request<Body> {
    request_to(Method::POST, "/call", id, body)
}

pub(crate) fn request_to(
    method: Method,
    path: &str,
    id: u128,
    body: impl Into<Bytes>,
) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "worker")
        .header(headers::CALL_ID, call_id(id).to_string())
        .body(Body::full(body))
        .unwrap()
}

impl Client {
    pub(crate) async fn connect(address: &Address) -> Self {
        match address {
            Address::Unix(path) => Self::over(UnixStream::connect(path).await.unwrap()).await,
            Address::Tcp(host) => Self::over(TcpStream::connect(host).await.unwrap()).await,
        }
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (requests, driver) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let driver = tokio::spawn(async move {
            let _ = driver.with_upgrades().await;
        });
        Self { requests, driver }
    }

    /// Sends a request and gives the head of the answer, the body still to be read.
    pub(crate) async fn begin(&mut self, request: Request<Body>) -> Response<Incoming> {
        self.requests.ready().await.unwrap();
        soon(self.requests.send_request(request)).await.unwrap()
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&mut self, request: Request<Body>) -> Answered {
        let response = self.begin(request).await;
        let (head, body) = response.into_parts();
        let body = soon(body.collect()).await.unwrap().to_bytes();
        Answered { response: Response::from_parts(head, body) }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answered {
        self.send(request_to(Method::GET, path, 1, "")).await
    }

    pub(crate) async fn post(&mut self, body: impl Into<Bytes>) -> Answered {
        self.send(request(1, body)).await
    }

    /// Sends a request in the background.
    pub(crate) fn sending(mut self, request: Request<Body>) -> JoinHandle<Answered> {
        tokio::spawn(async move { self.send(request).await })
    }

    /// Sends a request and closes the connection once it is written, before any answer.
    pub(crate) async fn send_and_leave(
        mut self,
        request: Request<Body>,
        arrived: impl Future<Output = ()>,
    ) {
        self.requests.ready().await.unwrap();
        let answer = self.requests.send_request(request);
        tokio::select! {
            _ = answer => panic!("the worker answered"),
            () = soon(arrived) => {}
        }
        self.leave().await;
    }

    /// Waits until the worker closes the connection.
    pub(crate) async fn cut(self) {
        self.driver.await.unwrap();
    }

    /// Closes the connection.
    pub(crate) async fn leave(self) {
        self.driver.abort();
        let _ = self.driver.await;
    }
}

impl Answered {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(self.response.body()).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(self.response.body()).unwrap()
    }

    /// Checks a problem: status, slug (in body and header) and a part of the detail.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str, detail: &str) {
        assert_eq!(self.status(), status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("x-error-code"), code);
        let problem = self.json();
        assert_eq!(problem["code"], code);
        assert_eq!(problem["status"], status);
        let told = problem["detail"].as_str().unwrap();
        assert!(told.contains(detail), "{told}");
    }

    /// Checks that the call may go to another worker.
    #[track_caller]
    pub(crate) fn was_not_begun(&self) {
        assert_eq!(self.status(), 503, "{}", self.text());
        assert_eq!(self.header("x-not-begun"), "1");
    }
}
