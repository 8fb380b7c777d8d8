//! Which sockets Python has done something with, for the HTTP side.
//!
//! As with answers ([`crate::promise`]): to wake another thread costs a system call, so the HTTP
//! side is woken once for all sockets.

use std::{
    mem,
    sync::{Arc, atomic::Ordering::AcqRel},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::line::Line;

/// What is new for the HTTP side. Its length is bounded by the worker's capacity: a socket is in
/// here once.
#[derive(Default)]
pub(crate) struct News {
    stirred: Mutex<Vec<Arc<Line>>>,
    came: Notify,
}

impl News {
    /// Has the HTTP side look at a socket, from whichever thread.
    pub(crate) fn tell(&self, line: &Arc<Line>) {
        if line.listed.swap(true, AcqRel) {
            return;
        }
        let is_first = {
            let mut stirred = self.stirred.lock();
            stirred.push(Arc::clone(line));
            stirred.len() == 1
        };
        if is_first {
            self.came.notify_one();
        }
    }

    /// Wakes the sockets on their own thread, for ever.
    pub(crate) async fn hand_over(self: Arc<Self>) {
        loop {
            self.came.notified().await;
            for line in mem::take(&mut *self.stirred.lock()) {
                line.listed.swap(false, AcqRel);
                line.said.notify_one();
                line.made_room.notify_one();
            }
        }
    }
}
