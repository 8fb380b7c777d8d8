//! What was read of the attempts that run here, so that their ends need not be decided on what is read
//! once more. Whoever decides on it finds out when it is not so any more: the revision has changed.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::queue::Entry;
use crate::Fence;

/// More attempts than run at once. Those of which nobody tells the end are forgotten with all others.
const HELD_MAX: usize = 8192;

#[derive(Default)]
pub(super) struct Held(Mutex<HashMap<Fence, Entry>>);

impl Held {
    pub(super) fn add(&self, entry: Entry) {
        let Entry { id, standing, .. } = &entry;
        let fence = Fence { id: *id, owner: standing.owner, attempt: standing.attempt };
        let mut held = self.0.lock();
        if held.len() >= HELD_MAX {
            held.clear();
        }
        held.insert(fence, entry);
    }

    pub(super) fn take(&self, fence: &Fence) -> Option<Entry> {
        self.0.lock().remove(fence)
    }
}
