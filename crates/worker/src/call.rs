//! One call of an HTTP route, from its head to its answer.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use api::{Body, headers, worker::Outcome};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Request, Response};
use http_body::Body as HttpBody;
use types::{CallId, ErrorCode, Fault};
use uuid::Uuid;

use crate::{
    Handler, Incoming, Running, answer_body::AnswerBody, last_word::LastWord, ledger,
    refusal::Refusal, request_body, request_body::BodyLimits, routes::ServedRoute,
    running::Attendance, server::Server,
};

/// What the head of a call says.
pub(crate) struct CallHead {
    pub(crate) call_id: CallId,
    /// When the caller stops waiting.
    pub(crate) deadline: Option<Instant>,
}

/// How the work for a call ended.
enum End {
    Answered(Response<Body>),
    Faulted(Fault),
    /// It took too long.
    TimeUp,
    /// It had not begun when the worker began to drain.
    Withdrawn,
}

/// Has a call answered. Dropping the future cancels the call.
pub(crate) async fn perform<B>(
    server: &Server,
    last_word: &LastWord,
    route: &ServedRoute,
    handler: &dyn Handler,
    request: Request<B>,
) -> Result<Response<AnswerBody>, Refusal>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<api::BoxError>,
{
    let CallHead { call_id, deadline } = CallHead::read(request.headers(), route.timeout)?;
    let attendance = match admit(server, call_id) {
        Ok(attendance) => attendance.on(last_word),
        Err(refusal) => {
            request_body::hear_out(request.into_body()).await;
            return Err(refusal);
        }
    };
    let incoming = Arrival { request, deadline, running: attendance.running().clone() };
    let work = AssertUnwindSafe(incoming.work(handler, server.bodies)).catch_unwind();
    let end = tokio::select! {
        biased;
        end = work => match end {
            Ok(Ok(response)) => End::Answered(response),
            Ok(Err(fault)) => End::Faulted(fault),
            Err(panic) => End::Faulted(panicked(&*panic)),
        },
        () = until(deadline) => End::TimeUp,
        () = withdrawn(attendance.running()) => End::Withdrawn,
    };
    finish(end, attendance, deadline)
}

/// Takes a place for a call.
pub(crate) fn admit(server: &Server, call_id: CallId) -> Result<Attendance, Refusal> {
    server.ledger.admit(call_id).map_err(|refusal| match refusal {
        ledger::Refusal::Full => Refusal::full(),
        ledger::Refusal::Draining => Refusal::draining(),
    })
}

/// A call that was taken in.
struct Arrival<B> {
    request: Request<B>,
    deadline: Option<Instant>,
    running: Running,
}

impl<B> Arrival<B>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<api::BoxError>,
{
    async fn work(
        self,
        handler: &dyn Handler,
        bodies: BodyLimits,
    ) -> Result<Response<Body>, Fault> {
        let Self { request, deadline, running } = self;
        let (head, body) = request.into_parts();
        let body = request_body::take(body, bodies).await?;
        if !handler.queues() && !running.begin() {
            return Err(Refusal::draining().into_fault());
        }
        let request = Request::from_parts(head, body);
        let call_id = running.call_id();
        handler.call(Incoming { call_id, request, deadline, running }).await
    }
}

fn finish(
    end: End,
    attendance: Attendance,
    deadline: Option<Instant>,
) -> Result<Response<AnswerBody>, Refusal> {
    match end {
        End::Answered(response) if says_time_up(response.headers()) => {
            attendance.gave_up();
            Ok(response.map(AnswerBody::whole))
        }
        End::Answered(response) => {
            Ok(response.map(|body| AnswerBody::new(body, attendance, deadline)))
        }
        End::Faulted(fault) => {
            log_fault(&fault, attendance.running());
            match fault.code {
                ErrorCode::DeadlineExceeded => attendance.gave_up(),
                _ => attendance.answered(Outcome::Failed),
            }
            Err(fault.into())
        }
        End::TimeUp => {
            attendance.gave_up();
            Err(time_up().into())
        }
        End::Withdrawn => {
            attendance.left_to_others();
            Err(Refusal::draining())
        }
    }
}

/// Whether the code itself answers that time was up. The gateway keeps the place of such a call
/// until a report says that it ended, because most of them are still running.
fn says_time_up(head: &HeaderMap) -> bool {
    head.get(&headers::ERROR_CODE).is_some_and(|slug| slug == ErrorCode::DeadlineExceeded.slug())
}

/// The cause of a fault is for the operator only.
fn log_fault(fault: &Fault, running: &Running) {
    let cause = fault.source.as_ref().map(ToString::to_string);
    if fault.code.status() >= 500 {
        tracing::warn!(call_id = %running.call_id(), %fault, cause, "a call failed");
    } else {
        tracing::debug!(call_id = %running.call_id(), %fault, cause, "a call was refused");
    }
}

pub(crate) fn time_up() -> Fault {
    Fault::new(ErrorCode::DeadlineExceeded, "the call did not end in the time that it was given")
}

/// The fault of a handler that panicked.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Fault {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let detail = format!("the code of the model panicked: {}", text.unwrap_or("without a word"));
    Fault::new(ErrorCode::HandlerFailed, detail)
}

/// Waits for a moment that may never come.
pub(crate) async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

/// Waits until the worker drains while the call has not begun, and takes the call back.
async fn withdrawn(running: &Running) {
    if !running.has_begun() {
        running.draining().await;
        if running.withdraw() {
            return;
        }
    }
    std::future::pending::<()>().await;
}

impl CallHead {
    /// The id of a call, if it has a good one.
    pub(crate) fn call_id(head: &HeaderMap) -> Option<CallId> {
        head.get(&headers::CALL_ID)?.to_str().ok()?.parse().ok()
    }

    /// Reads the headers of a call. `timeout` is the route's own.
    pub(crate) fn read(head: &HeaderMap, timeout: Option<Duration>) -> Result<Self, Fault> {
        let call_id = match Self::call_id(head) {
            Some(call_id) => call_id,
            None if head.contains_key(&headers::CALL_ID) => {
                return Err(bad_header("`x-call-id` must be a UUID"));
            }
            None => CallId::new(Uuid::now_v7()),
        };
        let asked = match head.get(&headers::DEADLINE_MS) {
            None => None,
            Some(value) => {
                let text = value.to_str().ok();
                let millis = text.and_then(|text| text.parse().ok()).ok_or_else(|| {
                    bad_header("`x-deadline-ms` must be a whole number of milliseconds")
                })?;
                Some(Duration::from_millis(millis))
            }
        };
        let limit = match (asked, timeout) {
            (Some(asked), Some(timeout)) => Some(asked.min(timeout)),
            (asked, timeout) => asked.or(timeout),
        };
        // A deadline beyond the end of time is none.
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        Ok(Self { call_id, deadline })
    }
}

fn bad_header(detail: &'static str) -> Fault {
    Fault::new(ErrorCode::InvalidHeader, detail)
}
