//! Asks a worker that has just registered what can be called. It may still be on its way to its
//! socket, so it is asked until it answers.

use std::time::Duration;

use api::{
    Body, Endpoint,
    worker::{Address, DESCRIBE_PATH},
};
use bytes::Bytes;
use fleet::HttpEndpoint;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use tokio::time::{sleep, timeout};

use crate::routes::{self, Told};

/// Wait before the second try; it doubles up to [`WAIT_MAX`].
const WAIT_FIRST: Duration = Duration::from_millis(20);
/// Longest wait between two tries.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// How long one question may take: what answers it may be busy with a call.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Whether something listens is known at once.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Asks until there is an answer. One that knows none of the questions has routes that nobody knows.
///
/// # Cancel safety
/// May be dropped at any time.
pub(crate) async fn visit(address: &Address) -> Told {
    let endpoint = HttpEndpoint::new(address.clone(), None);
    let mut wait = WAIT_FIRST;
    let listed = loop {
        match ask(&endpoint, Uri::from_static("/routes")).await {
            Some(body) => break routes::listed(&body),
            None => sleep(wait).await,
        }
        wait = (wait * 2).min(WAIT_MAX);
    };
    if !listed.is_empty() {
        return Told::of(listed);
    }
    // The package lists nothing with newer releases of its own framework.
    let document = ask(&endpoint, Uri::from_static("/openapi.json")).await.unwrap_or_default();
    let documented = routes::documented(&document);
    if !documented.is_empty() {
        return Told::of(documented);
    }
    // A worker in Rust, which describes itself.
    let description = ask(&endpoint, Uri::from_static(DESCRIBE_PATH)).await.unwrap_or_default();
    Told::described(&description).unwrap_or_default()
}

/// The body of the answer, empty unless it is a success; `None` if there was no answer.
async fn ask(endpoint: &HttpEndpoint, uri: Uri) -> Option<Bytes> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = uri;
    request
        .headers_mut()
        .insert(header::ACCEPT, http::HeaderValue::from_static("application/json"));
    let answered = async {
        let answer = endpoint.call(request).await.ok()?;
        if answer.status() != StatusCode::OK {
            return Some(Bytes::new());
        }
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        Some(body.map(http_body_util::Collected::to_bytes).unwrap_or_default())
    };
    timeout(ANSWER_WITHIN, answered).await.ok()?
}

/// Whether something listens there. A full backlog is somebody who lives.
pub(crate) async fn lives(address: &Address) -> bool {
    let connected = async {
        match address {
            Address::Unix(path) => tokio::net::UnixStream::connect(path).await.map(drop),
            Address::Tcp(host) => tokio::net::TcpStream::connect(host).await.map(drop),
        }
    };
    match timeout(CONNECT_WITHIN, connected).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => error.kind() == std::io::ErrorKind::WouldBlock,
        Err(_) => false,
    }
}
