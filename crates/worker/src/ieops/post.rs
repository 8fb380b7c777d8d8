//! One request to the proxy, over a connection of its own: there are a few a minute.

use std::{io, path::Path, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::{
    net::UnixStream,
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Of a refusal so much is logged, in characters.
const SHOWN_MAX: usize = 200;
/// Wait before the first retry; so much more before each further one.
const RETRY_WAIT: Duration = Duration::from_millis(100);

/// How hard it is tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Persistence {
    pub(super) answer_within: Duration,
    pub(super) retries: u32,
}

/// Why the proxy did not take something.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    #[error("the proxy's socket cannot be opened")]
    Connect(#[from] io::Error),
    #[error("the proxy did not answer as HTTP")]
    Http(#[from] hyper::Error),
    #[error("the proxy did not answer in time")]
    Late,
    #[error("the proxy answered {status}: {text}")]
    Refused { status: StatusCode, text: String },
    #[error("the request cannot be written")]
    Request(#[from] http::Error),
    #[error("the body cannot be written")]
    Body(#[from] serde_json::Error),
}

/// Posts until it is taken, or there are no retries left.
pub(super) async fn post(
    socket: &Path,
    path: &str,
    body: &impl Serialize,
    persistence: Persistence,
) -> Result<(), PostError> {
    let body = Bytes::from(serde_json::to_vec(body)?);
    let mut wait = RETRY_WAIT;
    for _ in 0..persistence.retries {
        if attempt(socket, path, body.clone(), persistence.answer_within).await.is_ok() {
            return Ok(());
        }
        sleep(wait).await;
        wait += RETRY_WAIT;
    }
    attempt(socket, path, body, persistence.answer_within).await
}

async fn attempt(
    socket: &Path,
    path: &str,
    body: Bytes,
    answer_within: Duration,
) -> Result<(), PostError> {
    timeout(answer_within, exchange(socket, path, body)).await.unwrap_or(Err(PostError::Late))
}

async fn exchange(socket: &Path, path: &str, body: Bytes) -> Result<(), PostError> {
    let stream = UnixStream::connect(socket).await?;
    let (mut requests, driver) = http1::handshake(TokioIo::new(stream)).await?;
    let _driver = AbortOnDropHandle::new(tokio::spawn(async move {
        // The request that fails tells why.
        let _ = driver.await;
    }));
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))?;
    let (head, body) = requests.send_request(request).await?.into_parts();
    if head.status == StatusCode::OK {
        return Ok(());
    }
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let text = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).chars().take(SHOWN_MAX).collect();
    Err(PostError::Refused { status: head.status, text })
}
