//! One call, from its arrival until nothing works for it any more.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::SeqCst},
    },
};

use api::worker::{Outcome, Report};
use parking_lot::Mutex;
use tokio::sync::Notify;
use types::CallId;

use crate::{last_word::LastWord, ledger::Ledger};

/// The call waits; it may still be withdrawn.
const WAITING: u8 = 0;
/// Its code has started.
const BEGUN: u8 = 1;
/// It was taken back before its code started.
const WITHDRAWN: u8 = 2;

const NO_KEY: usize = usize::MAX;

/// Held while the code of a call runs.
///
/// The call keeps its place in the worker, and is named in heartbeats, until the **last** clone is
/// dropped. That may be after the client left: a function that runs on a thread cannot be stopped,
/// and the gateway must know that it still runs. Drop every clone before the answer is given, or
/// the gateway may send the next call while this one still holds its place.
#[derive(Clone)]
pub struct Running(Arc<Call>);

struct Call {
    call_id: CallId,
    ledger: Arc<Ledger>,
    stage: AtomicU8,
    /// Where the ledger lists it, once begun.
    key: AtomicUsize,
    cancelled: AtomicBool,
    failed: AtomicBool,
    /// The end of the answer has told, or will tell, the gateway that the place is free.
    told: bool,
    cancel: Notify,
    usage: Mutex<BTreeMap<String, u64>>,
}

impl Running {
    /// The attempt that this call is.
    pub fn call_id(&self) -> CallId {
        self.0.call_id
    }

    /// Says that the code of the call starts now. Only for handlers whose calls wait in a queue
    /// ([`Handler::queues`](crate::Handler::queues)); calls of others have begun before.
    ///
    /// Returns `false` if the call was withdrawn meanwhile (its client left, its time is up, or the
    /// worker drains): its code must not run.
    #[must_use = "a call that was withdrawn must not run"]
    pub fn begin(&self) -> bool {
        match self.0.stage.compare_exchange(WAITING, BEGUN, SeqCst, SeqCst) {
            Ok(_) => {
                self.0.key.store(self.0.ledger.begin(self.0.call_id), SeqCst);
                true
            }
            Err(stage) => stage == BEGUN,
        }
    }

    /// Whether the code of the call has started.
    pub fn has_begun(&self) -> bool {
        self.0.stage.load(SeqCst) == BEGUN
    }

    /// Whether nobody waits for the answer any more.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(SeqCst)
    }

    /// Waits until nobody waits for the answer any more.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing.
    pub async fn cancelled(&self) {
        loop {
            let cancel = self.0.cancel.notified();
            if self.is_cancelled() {
                return;
            }
            cancel.await;
        }
    }

    /// Whether the worker takes nothing new. The server itself refuses the calls that wait.
    pub fn is_draining(&self) -> bool {
        self.0.ledger.is_draining()
    }

    /// Waits until the worker takes nothing new.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing.
    pub async fn draining(&self) {
        self.0.ledger.draining().await;
    }

    /// Tells the gateway how far the call is: `fraction` from 0 to 1, a word for a person, a
    /// partial result. Also proves that the call is not stuck. When too many reports wait, the
    /// report is dropped.
    pub fn progress(
        &self,
        fraction: Option<f64>,
        message: Option<String>,
        partial: Option<serde_json::Value>,
    ) {
        self.0.ledger.progressed(self.0.key.load(SeqCst));
        if !self.is_cancelled() {
            let fraction = fraction.filter(|share| !share.is_nan()).map(|f| f.clamp(0.0, 1.0));
            let call_id = self.0.call_id;
            self.0.ledger.report(Report::Progress { call_id, fraction, message, partial });
        }
    }

    /// Adds to what the call used, for example `usage("completion_tokens", 12)`. It is reported
    /// when the call ends, however it ends.
    pub fn usage(&self, unit: &str, n: u64) {
        let mut usage = self.0.usage.lock();
        match usage.get_mut(unit) {
            Some(sum) => *sum = sum.saturating_add(n),
            None => drop(usage.insert(unit.to_owned(), n)),
        }
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn cancel(&self) {
        self.withdraw();
        self.0.cancelled.store(true, SeqCst);
        self.0.cancel.notify_waiters();
    }

    /// Takes the call back unless its code has started; whether that went.
    pub(crate) fn withdraw(&self) -> bool {
        self.0.stage.compare_exchange(WAITING, WITHDRAWN, SeqCst, SeqCst).is_ok()
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Running").field(&self.0.call_id).finish()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let key = self.key.load(SeqCst);
        if key != NO_KEY {
            self.ledger.end(key);
        }
        let usage = std::mem::take(self.usage.get_mut());
        if !self.told || !usage.is_empty() {
            let outcome = match () {
                () if self.failed.load(SeqCst) => Outcome::Failed,
                () if self.cancelled.load(SeqCst) => Outcome::Cancelled,
                () => Outcome::Completed,
            };
            self.ledger.report(Report::Ended { call_id: self.call_id, outcome, usage });
        }
        self.ledger.leave();
    }
}

/// The server's own hold on a call: someone waits for the answer. Dropped before the answer was
/// given, it cancels the call.
pub(crate) struct Attendance {
    running: Running,
    answered: bool,
    last_word: LastWord,
}

impl Attendance {
    pub(crate) fn new(ledger: Arc<Ledger>, call_id: CallId) -> Self {
        let call = Call {
            call_id,
            ledger,
            stage: AtomicU8::new(WAITING),
            key: AtomicUsize::new(NO_KEY),
            cancelled: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            told: false,
            cancel: Notify::new(),
            usage: Mutex::new(BTreeMap::new()),
        };
        let running = Running(Arc::new(call));
        Self { running, answered: false, last_word: LastWord::default() }
    }

    /// The answer goes over the connection that remembers this.
    pub(crate) fn on(mut self, last_word: &LastWord) -> Self {
        last_word.begun();
        self.last_word = last_word.clone();
        self
    }

    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// The call was taken from its code, because its time is up. The gateway keeps its place until
    /// a report says that it ended, which may be now.
    pub(crate) fn gave_up(mut self) {
        self.running.cancel();
        self.answered = true;
    }

    /// The call was taken back before it began, and is left to another worker.
    pub(crate) fn left_to_others(self) {
        self.running.cancel();
        self.answered(Outcome::Cancelled);
    }

    /// The answer was given, as far as the code is concerned.
    pub(crate) fn answered(mut self, outcome: Outcome) {
        self.answered = true;
        self.running.0.failed.store(outcome == Outcome::Failed, SeqCst);
        // Whoever else still holds the call keeps its place beyond the answer; then the end of the
        // answer does not say that the place is free, and a report must.
        if let Some(call) = Arc::get_mut(&mut self.running.0) {
            call.told = true;
            // What was used is reported in any case, and with it the end.
            if call.usage.get_mut().is_empty() {
                self.last_word.answered(call.call_id);
            }
        }
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        if !self.answered {
            self.running.0.failed.store(std::thread::panicking(), SeqCst);
            self.running.cancel();
        }
    }
}
