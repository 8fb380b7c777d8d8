//! The end of a stream that takes too long: its code is silent or never stops, or its reader is slow.

use std::{sync::Weak, time::Instant};

use bytes::Bytes;
use tokio::time::sleep_until;

use crate::stream::Stream;

/// When a stream is cut, and what its reader is told then.
pub(crate) struct StreamLimit {
    deadline: Instant,
    last: Bytes,
}

impl StreamLimit {
    /// A limit that ends a stream with `last`.
    pub(crate) const fn new(deadline: Instant, last: Bytes) -> Self {
        Self { deadline, last }
    }

    /// Waits for the deadline, and ends the stream if it is still there.
    pub(crate) async fn keep(self, stream: Weak<Stream>) {
        sleep_until(self.deadline.into()).await;
        if let Some(stream) = stream.upgrade() {
            stream.expire(&self.last);
        }
    }
}
