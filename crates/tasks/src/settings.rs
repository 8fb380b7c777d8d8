//! Limits and times.

use std::time::Duration;

use crate::{ResultSettings, Webhooks};

/// What an operator may set about tasks.
#[derive(Debug, Clone)]
pub struct TaskSettings {
    /// A running task that is not renewed for so long is given to the next; it is renewed three
    /// times as often.
    pub lease: Duration,
    /// How long the record of a task is kept after its end.
    pub keep_for: Duration,
    /// Tasks of one model that may wait; one more is refused.
    pub queued_max: u64,
    /// Largest answer that is kept, in bytes.
    pub answer_bytes_max: usize,
    /// Time that running tasks get to finish before they are put back.
    pub drain: Duration,
    /// Records of synchronous calls.
    pub recent: RecentSettings,
    /// Where large results are kept.
    pub results: ResultSettings,
    /// How those are told who wait for the end of a task; `None` if nobody is.
    pub webhooks: Option<Webhooks>,
}

impl Default for TaskSettings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            keep_for: Duration::from_secs(7 * 24 * 3600),
            // A gigabyte or so of small tasks: far beyond a backlog that anybody wants to wait for.
            queued_max: 1_000_000,
            answer_bytes_max: 64 << 20,
            drain: Duration::from_secs(30),
            recent: RecentSettings::default(),
            results: ResultSettings::default(),
            webhooks: None,
        }
    }
}

/// How many synchronous calls are remembered, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentSettings {
    /// Calls that are remembered; 0 switches it off.
    pub calls_max: usize,
    /// Their payloads and results together, in bytes.
    pub bytes_max: usize,
    /// How long each is remembered.
    pub keep_for: Duration,
    /// Whether ended calls are also written to the store. They are written shortly after their
    /// answer; when the disk falls behind, some are not.
    pub stored: bool,
}

impl Default for RecentSettings {
    fn default() -> Self {
        Self {
            calls_max: 10_000,
            bytes_max: 64 << 20,
            keep_for: Duration::from_secs(3600),
            stored: false,
        }
    }
}
