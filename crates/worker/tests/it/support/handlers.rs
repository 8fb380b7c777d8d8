//! Handlers that tell what happens to them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use api::Body;
use http::Response;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use types::Fault;
use worker::{Answer, Handler, Incoming, Running};

/// Answers at once.
pub(crate) async fn ok(_: Incoming) -> Result<Response<Body>, Fault> {
    Ok(Response::new(Body::full("ok")))
}

/// Counts what is alive.
#[derive(Clone, Default)]
pub(crate) struct Census(Arc<AtomicUsize>);

/// Alive as long as it is held.
pub(crate) struct Alive(Census);

impl Census {
    pub(crate) fn born(&self) -> Alive {
        self.0.fetch_add(1, SeqCst);
        Alive(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, SeqCst);
    }
}

/// A door that calls wait at until they are let through.
#[derive(Clone)]
pub(crate) struct Gate {
    open: Arc<Semaphore>,
    /// Calls that wait here.
    pub(crate) inside: Census,
}

impl Gate {
    pub(crate) fn closed() -> Self {
        Self { open: Arc::new(Semaphore::new(0)), inside: Census::default() }
    }

    /// Lets calls through.
    pub(crate) fn let_through(&self, calls: usize) {
        self.open.add_permits(calls);
    }

    /// Waits until so many calls are inside.
    pub(crate) async fn holds(&self, calls: usize) {
        super::eventually(|| self.inside.count() == calls).await;
    }
}

impl Handler for Gate {
    fn call(&self, _: Incoming) -> Answer {
        let gate = self.clone();
        Box::pin(async move {
            let _alive = gate.inside.born();
            gate.open.acquire().await.unwrap().forget();
            Ok(Response::new(Body::full("through")))
        })
    }
}

/// A queue of calls, as a handler has one whose code runs elsewhere: on a thread, in a batch. What
/// is in the queue stays there although the client left.
#[derive(Clone, Default)]
pub(crate) struct Queue {
    waiting: Arc<Mutex<Vec<Running>>>,
    answer: Arc<Notify>,
}

impl Queue {
    pub(crate) async fn holds(&self, calls: usize) {
        super::eventually(|| self.waiting.lock().len() == calls).await;
    }

    /// Takes the oldest call out.
    pub(crate) fn take(&self) -> Running {
        self.waiting.lock().remove(0)
    }

    /// Answers every call that waits for its answer.
    pub(crate) fn answer(&self) {
        self.answer.notify_waiters();
    }
}

impl Handler for Queue {
    fn call(&self, incoming: Incoming) -> Answer {
        let queue = self.clone();
        Box::pin(async move {
            let answered = queue.answer.notified();
            queue.waiting.lock().push(incoming.running);
            answered.await;
            Ok(Response::new(Body::full("answered")))
        })
    }

    fn queues(&self) -> bool {
        true
    }
}
