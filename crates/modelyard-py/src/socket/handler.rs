//! The HTTP side of a WebSocket route: hands the socket to Python, and carries messages.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use api::Body;
use http::Response;
use types::{ErrorCode, Fault};
use worker::{Closed, Incoming, Parting, Running, SocketHandler, SocketLife, SocketSender};

use super::{
    Socket,
    line::{BROKEN, Decision, Line, Said},
    news::News,
};
use crate::inbox::{CallKey, Inbox, Work};

/// Code of a close because the server stops (RFC 6455, registry of codes: service restart).
const RESTART: u16 = 1012;

/// One WebSocket route of a Python worker.
#[derive(Clone)]
pub(crate) struct PythonSocket {
    /// Position among the routes, by which Python knows it.
    pub(crate) route: usize,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) news: Arc<News>,
    /// Names for calls, shared by all routes.
    pub(crate) keys: Arc<AtomicU64>,
    /// Python decides who gets a socket, and may do something after its peer has closed.
    pub(crate) raw: bool,
}

impl SocketHandler for PythonSocket {
    fn call(&self, incoming: Incoming, socket: worker::Socket) -> SocketLife {
        Box::pin(self.clone().serve(incoming, socket))
    }

    fn accepts_itself(&self) -> bool {
        self.raw
    }
}

impl PythonSocket {
    async fn serve(self, incoming: Incoming, mut socket: worker::Socket) -> Result<(), Fault> {
        let key: CallKey = self.keys.fetch_add(1, Relaxed);
        let line = Line::new(key, Arc::clone(&self.inbox), Arc::clone(&self.news));
        let _attendance = Attendance(Arc::clone(&line));
        let draining = incoming.running.clone();
        let theirs = Socket::new(Arc::clone(&line), incoming);
        self.inbox.push(self.route, Work::Socket(theirs));
        if self.raw
            && let Some(end) = decided(&line, &mut socket).await
        {
            return end;
        }
        let sender = socket.sender();
        tokio::select! {
            end = speak(&line, &sender) => end,
            never = self.listen(&line, &mut socket) => never,
            never = wind_down(&line, &draining) => never,
        }
    }

    /// Carries what the peer says.
    async fn listen(&self, line: &Line, socket: &mut worker::Socket) -> Result<(), Fault> {
        loop {
            while !line.has_room() {
                line.made_room.notified().await;
            }
            match socket.recv().await {
                Some(message) => line.deliver(message),
                None => {
                    let parting = socket.parting().cloned();
                    line.part(parting.unwrap_or_else(broken), !self.raw);
                    return pending().await;
                }
            }
        }
    }
}

/// Carries what Python says, until its code has ended.
async fn speak(line: &Line, sender: &SocketSender) -> Result<(), Fault> {
    loop {
        let all_said = line.take_said();
        if all_said.is_empty() {
            line.said.notified().await;
        }
        for said in all_said {
            // What cannot be sent is lost: the peer is gone, or was told goodbye.
            let (Ok(()) | Err(Closed)) = match said {
                Said::Message(message) => sender.send(message).await,
                Said::Close { code, reason } => sender.close(code, reason).await,
                Said::End(None) => return goodbye(line, sender).await,
                Said::End(Some(error)) => return Err(Fault::new(ErrorCode::HandlerFailed, error)),
            };
        }
        line.make_room();
    }
}

/// The code has ended well. A worker that stops says so; otherwise the close is an ordinary one.
async fn goodbye(line: &Line, sender: &SocketSender) -> Result<(), Fault> {
    if line.winds_down() {
        let (Ok(()) | Err(Closed)) = sender.close(RESTART, "the worker stops").await;
    }
    Ok(())
}

/// Waits until Python has decided who gets a socket; how it ends if the client does not.
async fn decided(line: &Line, socket: &mut worker::Socket) -> Option<Result<(), Fault>> {
    loop {
        match line.take_decision() {
            Some(Decision::Accept(acceptance)) => {
                // A client that did not wait is noticed elsewhere.
                let (Ok(()) | Err(Closed)) = socket.accept(acceptance);
                return None;
            }
            Some(Decision::Refuse { status, headers, body }) => {
                let mut answer = Response::new(Body::full(body));
                *answer.status_mut() = status;
                *answer.headers_mut() = headers;
                let (Ok(()) | Err(Closed)) = socket.refuse(answer);
                return Some(Ok(()));
            }
            None => {}
        }
        // Nothing but its end can be said by code that has decided nothing.
        if let Some(Said::End(error)) = line.take_said().pop_back() {
            return Some(match error {
                None => Ok(()),
                Some(error) => Err(Fault::new(ErrorCode::HandlerFailed, error)),
            });
        }
        line.said.notified().await;
    }
}

/// Takes nothing new once the server stops.
async fn wind_down(line: &Line, running: &Running) -> Result<(), Fault> {
    running.draining().await;
    line.wind_down(Parting { code: RESTART, reason: String::new() });
    pending().await
}

fn broken() -> Parting {
    Parting { code: BROKEN, reason: String::new() }
}

/// The peer is there. Dropped before the code has ended, the code is told to stop.
struct Attendance(Arc<Line>);

impl Drop for Attendance {
    fn drop(&mut self) {
        self.0.part(broken(), true);
    }
}
