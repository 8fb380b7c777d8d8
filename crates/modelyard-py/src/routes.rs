//! The HTTP side of a route: reads the body, hands the call to Python, waits for the answer.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use tokio::{sync::oneshot, time::timeout_at};
use types::{ErrorCode, Fault};
use worker::{Answer, Handler, Incoming};

use crate::{
    batches::Grouping,
    call::{Call, Reply},
    handler::{Dialect, Manner},
    inbox::{CallKey, Inbox, Work},
    promise::Answers,
};

/// Where a route leaves its calls.
#[derive(Clone)]
pub(crate) enum Desk {
    /// Calls go to Python one by one.
    Inbox,
    /// Calls are grouped first.
    Grouping(Arc<Grouping>),
}

/// One route of a Python model.
#[derive(Clone)]
pub(crate) struct PythonRoute {
    /// Position among the routes, by which Python knows it.
    pub(crate) route: usize,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) desk: Desk,
    pub(crate) answers: Arc<Answers>,
    /// Names for calls, shared by all routes.
    pub(crate) keys: Arc<AtomicU64>,
    /// What is special about it, if it is one of `modelyard.handler`.
    pub(crate) dialect: Option<Arc<Dialect>>,
}

impl Handler for PythonRoute {
    fn call(&self, incoming: Incoming) -> Answer {
        Box::pin(self.clone().serve(incoming))
    }

    fn queues(&self) -> bool {
        true
    }
}

impl PythonRoute {
    async fn serve(self, mut incoming: Incoming) -> Reply {
        let manner = self.dialect.as_ref().map(|dialect| Manner::new(dialect, &incoming));
        let body = incoming.read_body().await?;
        let key = self.keys.fetch_add(1, Relaxed);
        let (promise, answer) = self.answers.promise();
        let call =
            Call::open(key, incoming, body, Arc::clone(&self.inbox), promise, manner.clone());
        match &self.desk {
            Desk::Inbox => self.inbox.push(self.route, Work::One(call)),
            Desk::Grouping(grouping) => grouping.push(call),
        }
        let mut attendance = Attendance { route: &self, key, answered: false };
        let reply = match manner.and_then(|manner| Some((manner.deadline()?, manner))) {
            None => answer.await,
            Some((deadline, manner)) => match timeout_at(deadline.into(), answer).await {
                Ok(reply) => reply,
                // Leaving tells the code.
                Err(_) => return Ok(manner.too_late()),
            },
        };
        attendance.answered = true;
        reply.unwrap_or_else(|oneshot::error::RecvError { .. }| Err(unanswered()))
    }
}

fn unanswered() -> Fault {
    Fault::new(ErrorCode::InternalError, "the call was dropped without an answer")
}

/// Someone waits for the answer. Dropped before it came, the code is told.
struct Attendance<'a> {
    route: &'a PythonRoute,
    key: CallKey,
    answered: bool,
}

impl Drop for Attendance<'_> {
    fn drop(&mut self) {
        if !self.answered {
            let PythonRoute { inbox, desk, .. } = self.route;
            inbox.withdraw(self.key);
            if let Desk::Grouping(grouping) = desk {
                grouping.withdraw(self.key);
            }
            inbox.left(self.key);
        }
    }
}
