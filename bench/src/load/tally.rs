//! What is counted while load runs.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::{histogram_of_seconds, line::Sent};
use crate::framing::Answer;

/// The counts of one thread, or of all together.
#[derive(Debug)]
pub(super) struct Tally {
    /// From due to answered, in nanoseconds.
    pub(super) latencies: Histogram<u64>,
    /// From due to sent, in nanoseconds: how late this program itself was, and how long a request
    /// waited for a free connection.
    pub(super) lags: Histogram<u64>,
    /// When the last answer that counts came.
    pub(super) last: Option<Instant>,
    /// Answers with another status than 2xx.
    pub(super) non2xx: u64,
    /// Requests that broke off, and connections that could not be made.
    pub(super) errors: u64,
    /// Requests without an answer when time was up.
    pub(super) unanswered: u64,
    /// Requests that were due and never sent.
    pub(super) unsent: u64,
    /// Connections that the server closed between two requests.
    pub(super) reopened: u64,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            latencies: histogram_of_seconds(),
            lags: histogram_of_seconds(),
            last: None,
            non2xx: 0,
            errors: 0,
            unanswered: 0,
            unsent: 0,
            reopened: 0,
        }
    }

    /// Counts an answer that came at `now`.
    pub(super) fn answered(&mut self, sent: Sent, answer: Answer, now: Instant) {
        record(&mut self.latencies, now - sent.due);
        record(&mut self.lags, sent.at - sent.due);
        self.last = self.last.max(Some(now));
        self.non2xx += u64::from(!(200..300).contains(&answer.status));
    }

    /// Both together.
    pub(super) fn with(mut self, other: &Self) -> Self {
        // All have the same bounds, so adding cannot fail.
        let _ = self.latencies.add(&other.latencies);
        let _ = self.lags.add(&other.lags);
        self.last = self.last.max(other.last);
        self.non2xx += other.non2xx;
        self.errors += other.errors;
        self.unanswered += other.unanswered;
        self.unsent += other.unsent;
        self.reopened += other.reopened;
        self
    }
}

fn record(times: &mut Histogram<u64>, time: Duration) {
    times.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
}
