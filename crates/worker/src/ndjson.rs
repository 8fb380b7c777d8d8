//! A stream of JSON values, one on each line.

use std::future::Future;

use api::{Body, Problem};
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use serde::Serialize;
use types::Fault;

use crate::{
    feed::{self, Gone, PieceSender, Style},
    json::not_serializable,
};

/// Sends lines. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LineSender(PieceSender);

/// Why a line was not sent.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// Nobody reads any more.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// The value is not JSON.
    #[error("the value cannot be written as JSON")]
    NotJson(#[from] serde_json::Error),
}

impl From<LineError> for Fault {
    fn from(error: LineError) -> Self {
        match error {
            LineError::Gone(gone) => gone.into(),
            LineError::NotJson(error) => not_serializable(error),
        }
    }
}

impl LineSender {
    /// Sends a value; waits while the client does not read.
    ///
    /// # Errors
    /// [`LineError`] if the client left or the value is not JSON.
    ///
    /// # Cancel safety
    /// Dropping it before it is done sends nothing.
    pub async fn send(&self, value: &(impl Serialize + Sync)) -> Result<(), LineError> {
        Ok(self.0.send(line(value)?).await?)
    }

    /// As [`Self::send`], for a thread that may block; not for asynchronous code.
    ///
    /// # Errors
    /// [`LineError`] if the client left or the value is not JSON.
    pub fn blocking_send(&self, value: &impl Serialize) -> Result<(), LineError> {
        Ok(self.0.blocking_send(line(value)?)?)
    }
}

fn line(value: &impl Serialize) -> Result<Bytes, serde_json::Error> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line.into())
}

/// An answer whose lines come from a future that runs while the client reads, and is dropped when
/// it leaves. A fault becomes a last line `{"error": problem}`. At most `waiting_max` lines wait
/// for the client.
pub fn respond<A>(waiting_max: usize, produce: impl FnOnce(LineSender) -> A) -> Response<Body>
where
    A: Future<Output = Result<(), Fault>> + Send + 'static,
{
    response(feed::produced(style(waiting_max), |sender| produce(LineSender(sender))))
}

/// An answer whose lines come from elsewhere, for example from a thread. It ends when every sender
/// is gone.
pub fn channel(waiting_max: usize) -> (LineSender, Response<Body>) {
    let (sender, body) = feed::channel(style(waiting_max));
    (LineSender(sender), response(body))
}

/// The line that tells a fault.
pub fn fault_line(fault: &Fault) -> Bytes {
    #[derive(Serialize)]
    struct Failed {
        error: Problem,
    }
    // Strings and numbers always serialise.
    line(&Failed { error: Problem::new(fault, "") }).unwrap_or_default()
}

/// The head of an answer of lines around its body.
pub fn response(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let content_type = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

fn style(waiting_max: usize) -> Style {
    Style { waiting_max, keep_alive: None, fault: fault_line }
}
