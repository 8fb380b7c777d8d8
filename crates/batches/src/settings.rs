//! Limits and times.

use std::time::Duration;

/// What an operator may set about files and batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchSettings {
    /// Tells this life of this server from others on the same store.
    pub server: u64,
    /// Whether other servers may use the store at the same time.
    pub shared: bool,
    /// Largest file that is taken, in bytes.
    pub file_bytes_max: u64,
    /// Lines of a batch.
    pub lines_max: u32,
    /// Longest line, in bytes.
    pub line_bytes_max: usize,
    /// Lines of one batch that are tasks at a time.
    pub window: usize,
    /// Batches that this server runs at a time.
    pub running_max: usize,
    /// A batch whose server is not heard of for so long is taken by another.
    pub lease: Duration,
}

impl BatchSettings {
    /// How long a batch that should have ended is left to the server that has its files.
    pub(crate) const fn grace(&self) -> Duration {
        self.lease.saturating_mul(10)
    }
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self {
            server: 0,
            shared: false,
            // What the API that this follows takes.
            file_bytes_max: 512 << 20,
            lines_max: 50_000,
            line_bytes_max: 64 << 20,
            // Keeps any model busy, and leaves the queue of tasks to others.
            window: 128,
            running_max: 8,
            lease: Duration::from_secs(10),
        }
    }
}
