//! Answers on their way from Python to the HTTP side.
//!
//! To wake a task of another thread costs a system call each time. So answers are left here, and
//! the HTTP side is woken once for all that came; it hands them to their calls on its own thread,
//! where that costs next to nothing.

use std::{mem, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::call::Reply;

/// What is ready for the HTTP side. Its length is bounded by the worker's capacity.
#[derive(Default)]
pub(crate) struct Answers {
    kept: Mutex<Vec<(oneshot::Sender<Reply>, Reply)>>,
    came: Notify,
}

impl Answers {
    /// An answer that is owed, and where it will come out.
    pub(crate) fn promise(self: &Arc<Self>) -> (Promise, oneshot::Receiver<Reply>) {
        let (sender, receiver) = oneshot::channel();
        (Promise { sender, answers: Arc::clone(self) }, receiver)
    }

    /// Hands answers to their calls, for ever.
    pub(crate) async fn hand_over(self: Arc<Self>) {
        loop {
            self.came.notified().await;
            let kept = mem::take(&mut *self.kept.lock());
            for (sender, reply) in kept {
                // Whoever left does not mind.
                drop(sender.send(reply));
            }
        }
    }
}

/// The duty to answer a call.
pub(crate) struct Promise {
    sender: oneshot::Sender<Reply>,
    answers: Arc<Answers>,
}

impl Promise {
    /// Answers, from whichever thread.
    pub(crate) fn keep(self, reply: Reply) {
        let is_first = {
            let mut kept = self.answers.kept.lock();
            kept.push((self.sender, reply));
            kept.len() == 1
        };
        if is_first {
            self.answers.came.notify_one();
        }
    }
}
