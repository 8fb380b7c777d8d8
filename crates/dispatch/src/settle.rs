//! The answer on its way to the caller, until its last byte.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use api::{Body, BoxError, broken_off, headers};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use telemetry::metrics::Outcome;
use tokio::time::{Sleep, sleep_until};
use types::{ErrorCode, Fault};

use crate::InFlight;

/// Found among the extensions of an answer with status 101: keeps the call's place while its
/// WebSocket is open. Dropping the last copy ends the call.
#[derive(Debug, Clone)]
pub struct Tunnel(#[expect(dead_code, reason = "held for its drop")] Arc<Mutex<TunnelEnd>>);

#[derive(Debug)]
struct TunnelEnd(InFlight);

impl Drop for TunnelEnd {
    fn drop(&mut self) {
        self.0.ended(Outcome::Completed);
    }
}

/// Ties the place of a call to its answer.
pub(crate) fn settle(response: Response<Body>, mut in_flight: InFlight) -> Response<Body> {
    in_flight.answered();
    let (mut parts, body) = response.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        in_flight.converses();
        parts.extensions.insert(Tunnel(Arc::new(Mutex::new(TunnelEnd(in_flight)))));
        return Response::from_parts(parts, body);
    }
    let outcome = outcome_of(parts.status, &parts.headers);
    let mut body = SettlingBody { body, in_flight: Some(in_flight), outcome, alarm: None };
    if body.body.is_end_stream() {
        body.end(outcome);
        return Response::from_parts(parts, body.body);
    }
    if let Body::Full(_) = &body.body {
        body.end(outcome);
        return Response::from_parts(parts, body.body);
    }
    Response::from_parts(parts, Body::stream(body))
}

fn outcome_of(status: StatusCode, headers: &HeaderMap) -> Outcome {
    if !status.is_client_error() && !status.is_server_error() {
        return Outcome::Completed;
    }
    let named = headers.get(headers::ERROR_CODE).and_then(|slug| slug.to_str().ok());
    let code = named.and_then(ErrorCode::from_slug).unwrap_or(if status.is_client_error() {
        ErrorCode::InvalidInput
    } else {
        ErrorCode::HandlerFailed
    });
    Outcome::Failed(code)
}

struct SettlingBody {
    body: Body,
    in_flight: Option<InFlight>,
    outcome: Outcome,
    /// Set only once the answer makes its reader wait.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl SettlingBody {
    fn end(&mut self, outcome: Outcome) {
        match self.in_flight.take() {
            // A worker that says so answers for a call whose code may still run.
            Some(in_flight) if outcome == Outcome::Failed(ErrorCode::DeadlineExceeded) => {
                in_flight.given_up(outcome);
            }
            Some(mut in_flight) => in_flight.ended(outcome),
            None => {}
        }
    }

    fn give_up(&mut self, code: ErrorCode) {
        if let Some(in_flight) = self.in_flight.take() {
            in_flight.given_up(Outcome::Failed(code));
        }
    }

    /// Why the call must be given up now, if it must.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Fault> {
        let Some(in_flight) = &mut self.in_flight else { return Poll::Pending };
        if let Poll::Ready(fault) = in_flight.poll_silent(cx) {
            return Poll::Ready(fault);
        }
        let timeout_at = in_flight.timeout_at();
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(timeout_at)));
        alarm.as_mut().poll(cx).map(|()| {
            let detail = "the time of this call ran out in the middle of its answer";
            Fault::new(ErrorCode::DeadlineExceeded, detail)
        })
    }
}

impl HttpBody for SettlingBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let settling = self.get_mut();
        match Pin::new(&mut settling.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if settling.body.is_end_stream() {
                    settling.end(settling.outcome);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                settling.end(settling.outcome);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                let fault = broken_off(error);
                settling.give_up(fault.code);
                Poll::Ready(Some(Err(fault.into())))
            }
            Poll::Pending => settling.poll_alarm(cx).map(|fault| {
                settling.give_up(fault.code);
                settling.body = Body::empty();
                Some(Err(fault.into()))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
