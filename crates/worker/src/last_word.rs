//! The call that a connection owes the gateway a word about.
//!
//! A gateway keeps the place of a call that it gave up until it hears that the call ended. Most
//! calls say so themselves, but two cannot. One was answered just then: the end of an answer says
//! that the place is free, but only to who still listens. The other never began: its head came
//! together with the end of the connection. So when a connection ends, the end of such a call is
//! reported. A gateway that did hear its answer does not mind.

use std::sync::Arc;

use api::worker::Outcome;
use parking_lot::Mutex;
use types::CallId;

/// What a connection remembers. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct LastWord(Arc<Mutex<Option<(CallId, Outcome)>>>);

impl LastWord {
    /// A call came, and may never begin. The one before it was answered, and that was heard.
    pub(crate) fn came(&self, call: Option<CallId>) {
        *self.0.lock() = call.map(|call| (call, Outcome::Cancelled));
    }

    /// A call was answered, and nothing else will tell of its end.
    pub(crate) fn answered(&self, call: CallId) {
        *self.0.lock() = Some((call, Outcome::Completed));
    }

    /// The call has begun, and will report its end itself.
    pub(crate) fn begun(&self) {
        *self.0.lock() = None;
    }

    /// The call of whose end nobody may have heard, and how it ended.
    pub(crate) fn take(&self) -> Option<(CallId, Outcome)> {
        self.0.lock().take()
    }
}
