//! The last call whose answer alone told the gateway that its place is free.
//!
//! The end of an answer says that, but only to who hears it: a gateway that gave the call up while
//! the answer was under way closed the connection, and still keeps the place. So when a connection
//! ends, the end of its last call is reported as well. A gateway that did hear it does not mind.

use std::sync::Arc;

use parking_lot::Mutex;
use types::CallId;

/// What a connection remembers. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct LastWord(Arc<Mutex<Option<CallId>>>);

impl LastWord {
    /// The answer to this call is on its way, and nothing else will tell of its end.
    pub(crate) fn said(&self, call: CallId) {
        *self.0.lock() = Some(call);
    }

    /// Another call came: the answer before it was heard.
    pub(crate) fn heard(&self) {
        *self.0.lock() = None;
    }

    /// The call whose answer may not have been heard.
    pub(crate) fn take(&self) -> Option<CallId> {
        self.0.lock().take()
    }
}
