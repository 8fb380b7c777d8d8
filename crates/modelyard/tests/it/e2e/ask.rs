//! One request over a connection of its own, and its answer.

use api::{Body, BoxError, Problem, problem::PROBLEM_JSON, worker::Address};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::{TcpStream, UnixStream},
    task::AbortHandle,
};

/// A request that is being put together.
pub(crate) struct Ask {
    door: Address,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Body,
}

impl Ask {
    pub(crate) fn new(door: &Address, method: Method, path: &str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("yard"));
        Self { door: door.clone(), method, path: path.into(), headers, body: Body::empty() }
    }

    /// Adds a header, whose value may be any bytes that HTTP can carry.
    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.headers.append(name, HeaderValue::from_bytes(value.as_ref()).unwrap());
        self
    }

    /// Sends this text as JSON, as it stands.
    pub(crate) fn json(self, text: &(impl ToString + ?Sized)) -> Self {
        self.header("content-type", "application/json").body(Body::full(text.to_string()))
    }

    pub(crate) fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// Sends it and waits for the head of the answer. Dropping the future, or the answer before its
    /// end, closes the connection.
    pub(crate) async fn send(self) -> Answer {
        self.attempt().await.unwrap()
    }

    /// As [`Self::send`], where the connection itself may fail.
    pub(crate) async fn attempt(self) -> Result<Answer, BoxError> {
        let (mut sender, line) = connect(&self.door).await?;
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.path.parse()?;
        *request.headers_mut() = self.headers;
        let (head, body) = sender.send_request(request).await?.into_parts();
        let status = head.status.as_u16();
        Ok(Answer { status, headers: head.headers, body, _line: line })
    }
}

/// The task that moves the bytes of a connection; the connection closes when this is dropped.
struct Line(AbortHandle);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn connect(door: &Address) -> Result<(SendRequest<Body>, Line), BoxError> {
    match door {
        Address::Tcp(host) => {
            let (sender, connection) =
                http1::handshake(TokioIo::new(TcpStream::connect(host).await?)).await?;
            Ok((sender, Line(tokio::spawn(connection).abort_handle())))
        }
        Address::Unix(path) => {
            let (sender, connection) =
                http1::handshake(TokioIo::new(UnixStream::connect(path).await?)).await?;
            Ok((sender, Line(tokio::spawn(connection).abort_handle())))
        }
    }
}

/// An answer whose body is still to be read.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    _line: Line,
}

impl Answer {
    /// A header as text; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    /// The next piece of the body as text; `None` at its proper end.
    pub(crate) async fn piece(&mut self) -> Result<Option<String>, hyper::Error> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(data) = frame?.into_data() {
                return Ok(Some(String::from_utf8(data.into()).unwrap()));
            }
        }
        Ok(None)
    }

    /// All of the body as text, where the connection itself may fail.
    pub(crate) async fn whole(self) -> Result<String, hyper::Error> {
        Ok(String::from_utf8(self.body.collect().await?.to_bytes().into()).unwrap())
    }

    pub(crate) async fn bytes(self) -> Bytes {
        self.body.collect().await.unwrap().to_bytes()
    }

    pub(crate) async fn text(self) -> String {
        self.whole().await.unwrap()
    }

    /// The JSON of a good answer.
    #[track_caller]
    pub(crate) fn json(self) -> impl Future<Output = Value> {
        let place = std::panic::Location::caller();
        async move {
            let status = self.status;
            let text = self.text().await;
            assert!(status < 300, "{place}: {status} {text}");
            serde_json::from_str(&text).unwrap()
        }
    }

    /// The problem that a refused request was answered with, once it keeps every promise of one.
    #[track_caller]
    pub(crate) fn problem(self) -> impl Future<Output = Problem> {
        let place = std::panic::Location::caller();
        async move {
            let (status, kind) = (self.status, self.header("content-type"));
            let (request_id, retry) = (self.header("x-request-id"), self.header("retry-after"));
            let text = self.text().await;
            assert_eq!(kind, PROBLEM_JSON, "{place}: {status} {text}");
            let problem: Problem = serde_json::from_str(&text).unwrap();
            let code = problem.error_code().unwrap_or_else(|| panic!("{place}: {text}"));
            assert_eq!((status, problem.status), (code.status(), code.status()), "{place}: {text}");
            assert_eq!(problem.kind, format!("docs/errors/{}.md", code.slug()), "{place}");
            assert_eq!(problem.title, code.title(), "{place}");
            assert!(!request_id.is_empty() && problem.request_id == request_id, "{place}: {text}");
            assert!(!problem.detail.is_empty(), "{place}: {text}");
            let told = problem.retry_after.map(|seconds| seconds.to_string()).unwrap_or_default();
            assert_eq!(told, retry, "{place}: {text}");
            problem
        }
    }

    /// Code and detail of a problem.
    #[track_caller]
    pub(crate) fn refusal(self) -> impl Future<Output = (String, String)> {
        let problem = self.problem();
        async move {
            let problem = problem.await;
            (problem.code, problem.detail)
        }
    }
}
