//! Sending to an external API: within the deadline, again where that is safe.

use std::time::SystemTime;

use api::{Body, EndpointError};
use http::{Request, Response};
use tokio::time::{sleep, timeout_at};
use types::{ErrorCode, Fault, RetrySpec};

use crate::{
    client::{HttpClient, SendError},
    deadline::{Deadline, Seconds, timed},
    headers::retry_after,
    retry::{self, Ending, Repeat},
};

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// It could not be sent, or the answer broke off.
    #[error("{}", .0.with_cause())]
    Send(#[from] SendError),
    /// Its time was up first.
    #[error("no answer came within {}", Seconds(.0.total))]
    Late(Deadline),
}

impl From<NoAnswer> for EndpointError {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::Send(error) => Self {
                begun: error.begun(),
                fault: Fault::new(ErrorCode::ProviderFailed, error.with_cause()).caused_by(error),
            },
            NoAnswer::Late(deadline) => Self::maybe_begun(Fault::new(
                ErrorCode::DeadlineExceeded,
                format!("the external service did not answer within {}", Seconds(deadline.total)),
            )),
        }
    }
}

/// The way to one model's provider.
#[derive(Debug)]
pub(crate) struct Upstream {
    client: HttpClient,
    retry: RetrySpec,
}

impl Upstream {
    pub(crate) const fn new(client: HttpClient, retry: RetrySpec) -> Self {
        Self { client, retry }
    }

    /// Attempts in all that one call may make.
    pub(crate) const fn attempts_max(&self) -> u32 {
        self.retry.attempts_max
    }

    /// Sends once. The answer's body keeps to the deadline too.
    pub(crate) async fn send_once(
        &self,
        request: Request<Body>,
        deadline: Deadline,
    ) -> Result<Response<Body>, NoAnswer> {
        match timeout_at(deadline.at, self.client.send(request)).await {
            Ok(answer) => Ok(answer?.map(|body| timed(body, deadline))),
            Err(_) => Err(NoAnswer::Late(deadline)),
        }
    }

    /// Sends, and sends again where the model's settings and the state of things allow it. What
    /// the last attempt brought is returned, a busy answer included.
    pub(crate) async fn send(
        &self,
        request: Request<Body>,
        repeat: Repeat,
        deadline: Deadline,
    ) -> Result<Response<Body>, NoAnswer> {
        let (parts, mut body) = request.into_parts();
        let mut attempt = 1;
        loop {
            let copy = body.try_clone();
            let request = Request::from_parts(parts.clone(), body);
            let outcome = self.send_once(request, deadline).await;
            let wait = retry::wait(&self.retry, repeat, ending(&outcome), attempt);
            // A wait that eats up the deadline helps nobody: better tell what is known now.
            match (wait.filter(|&wait| wait < deadline.left()), copy) {
                (Some(wait), Some(copy)) => {
                    tracing::debug!(attempt, ?wait, uri = %parts.uri.path(), "will send again");
                    drop(outcome);
                    sleep(wait).await;
                    body = copy;
                    attempt += 1;
                }
                _ => return outcome,
            }
        }
    }
}

fn ending(outcome: &Result<Response<Body>, NoAnswer>) -> Ending {
    match outcome {
        Ok(answer) => {
            Ending::Answered(answer.status(), retry_after(answer.headers(), SystemTime::now()))
        }
        Err(NoAnswer::Send(SendError::Connect { .. })) => Ending::NotConnected,
        Err(NoAnswer::Send(SendError::Broken { .. }) | NoAnswer::Late(_)) => Ending::Broken,
    }
}
