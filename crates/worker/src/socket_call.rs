//! A call that becomes a WebSocket, up to the decision whether it does.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use api::{Body, worker::Outcome};
use futures_util::FutureExt;
use http::Response;
use tokio::sync::{mpsc, oneshot};
use types::Fault;

use crate::{
    Acceptance, Incoming, Message, Parting, Socket, SocketHandler, SocketLife, SocketSender,
    call::{panicked, time_up, until},
    running::Attendance,
    socket::{Decision, MESSAGES_WAITING_MAX, Outgoing},
    upgrade::forbidden,
};

/// What every socket of a worker keeps to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SocketLimits {
    pub(crate) message_bytes_max: usize,
    /// Silence of the peer after which it is asked whether it is there.
    pub(crate) ping_interval: Duration,
}

/// A call that becomes a socket.
pub(crate) struct SocketCall {
    pub(crate) life: SocketLife,
    pub(crate) to_handler: mpsc::Sender<Message>,
    /// For what the peer says when it closes.
    pub(crate) parting: Arc<OnceLock<Parting>>,
    pub(crate) from_handler: mpsc::Receiver<Outgoing>,
    pub(crate) attendance: Attendance,
    pub(crate) limits: SocketLimits,
}

/// What becomes of a call that wanted a socket.
pub(crate) enum Verdict {
    /// It gets one.
    Accepted(Acceptance, SocketCall),
    /// It gets this answer.
    Refused(Response<Body>),
    /// It failed before there was a socket.
    Failed(Fault),
}

impl SocketCall {
    /// Begins the call, and waits for its decision if the handler accepts itself.
    pub(crate) async fn begin(
        handler: &Arc<dyn SocketHandler>,
        incoming: Incoming,
        attendance: Attendance,
        limits: SocketLimits,
    ) -> Verdict {
        let (to_handler, inbox) = mpsc::channel(MESSAGES_WAITING_MAX);
        let (outbox, from_handler) = mpsc::channel(MESSAGES_WAITING_MAX);
        let (decide, decision) = oneshot::channel();
        let decides = handler.accepts_itself();
        let deadline = incoming.deadline;
        let parting = Arc::default();
        let sender = SocketSender::new(outbox);
        let socket = Socket::new(inbox, sender, Arc::clone(&parting), decides.then_some(decide));
        let life = life(Arc::clone(handler), incoming, socket);
        let call = Self { life, to_handler, parting, from_handler, attendance, limits };
        if decides {
            call.decided(decision, deadline).await
        } else {
            Verdict::Accepted(Acceptance::default(), call)
        }
    }

    async fn decided(
        mut self,
        mut decision: oneshot::Receiver<Decision>,
        deadline: Option<Instant>,
    ) -> Verdict {
        let mut open = true;
        let decided = loop {
            tokio::select! {
                biased;
                decided = &mut decision, if open => match decided {
                    Ok(decided) => break decided,
                    // It dropped the socket; its end says what that means.
                    Err(_) => open = false,
                },
                ended = &mut self.life => match (decision.try_recv(), ended) {
                    (Ok(decided), ended) => {
                        self.life = Box::pin(std::future::ready(ended));
                        break decided;
                    }
                    (Err(_), Ok(())) => break Decision::Refuse(forbidden()),
                    (Err(_), Err(fault)) => {
                        self.attendance.answered(Outcome::Failed);
                        return Verdict::Failed(fault);
                    }
                },
                () = until(deadline) => {
                    self.attendance.gave_up();
                    return Verdict::Failed(time_up());
                }
            }
        };
        match decided {
            Decision::Accept(acceptance) => Verdict::Accepted(acceptance, self),
            Decision::Refuse(answer) => {
                // Who refuses is done.
                drop(self.life);
                self.attendance.answered(Outcome::Completed);
                Verdict::Refused(answer)
            }
        }
    }
}

/// The handler at work; it begins when it is first polled.
fn life(handler: Arc<dyn SocketHandler>, incoming: Incoming, socket: Socket) -> SocketLife {
    let life = async move { handler.call(incoming, socket).await };
    let life = AssertUnwindSafe(life).catch_unwind();
    Box::pin(life.map(|ended| ended.unwrap_or_else(|panic| Err(panicked(&*panic)))))
}
