//! Reports on their way to the gateway.

use std::collections::VecDeque;

use api::worker::Report;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Progress is news: when this many reports wait, more of it is worth nothing.
const PROGRESS_REPORTS_MAX: usize = 1_024;

/// Ends are kept, because the gateway counts places by them. A worker that cannot send for so
/// long that this many calls end has lost its lease, and its places with it, long before.
const REPORTS_MAX: usize = 65_536;

/// A bounded queue that is filled by calls, from any thread, and emptied by the membership loop.
#[derive(Default)]
pub(crate) struct Outbox {
    waiting: Mutex<VecDeque<Report>>,
    filled: Notify,
}

impl Outbox {
    /// Queues a report without waiting. Progress gives way first when the queue fills up.
    pub(crate) fn push(&self, report: Report) {
        let len_max = match report {
            Report::Progress { .. } => PROGRESS_REPORTS_MAX,
            Report::Ended { .. } => REPORTS_MAX,
        };
        let mut waiting = self.waiting.lock();
        if waiting.len() < len_max {
            waiting.push_back(report);
            drop(waiting);
            self.filled.notify_one();
        }
    }

    /// Takes up to `len_max` of the oldest reports.
    pub(crate) fn take(&self, len_max: usize) -> Vec<Report> {
        let mut waiting = self.waiting.lock();
        let len = waiting.len().min(len_max);
        waiting.drain(..len).collect()
    }

    /// Gives back what could not be sent, in front of everything else.
    pub(crate) fn put_back(&self, reports: Vec<Report>) {
        let mut waiting = self.waiting.lock();
        for report in reports.into_iter().rev() {
            waiting.push_front(report);
        }
    }

    /// Waits until something can be taken. Losing the race in a `select!` loses nothing.
    pub(crate) async fn filled(&self) {
        loop {
            let filled = self.filled.notified();
            if !self.waiting.lock().is_empty() {
                return;
            }
            filled.await;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.lock().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use api::worker::Outcome;
    use types::CallId;
    use uuid::Uuid;

    use super::*;

    fn progress(n: u128) -> Report {
        let call_id = CallId::new(Uuid::from_u128(n));
        Report::Progress { call_id, fraction: None, message: None, partial: None }
    }

    fn ended(n: u128) -> Report {
        let call_id = CallId::new(Uuid::from_u128(n));
        Report::Ended { call_id, outcome: Outcome::Cancelled, usage: Default::default() }
    }

    #[test]
    fn a_full_outbox_drops_progress_and_keeps_ends() {
        let outbox = Outbox::default();
        (0..2_000).for_each(|n| outbox.push(progress(n)));
        outbox.push(ended(7));
        let reports = outbox.take(usize::MAX);
        assert_eq!(reports.len(), PROGRESS_REPORTS_MAX + 1);
        assert_eq!(reports.last(), Some(&ended(7)));
    }

    #[test]
    fn what_could_not_be_sent_goes_first_the_next_time() {
        let outbox = Outbox::default();
        (1..=4).for_each(|n| outbox.push(ended(n)));
        let unsent = outbox.take(2);
        outbox.put_back(unsent);
        assert_eq!(outbox.take(3), [ended(1), ended(2), ended(3)]);
    }
}
