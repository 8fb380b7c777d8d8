//! Who of this process holds which range of which file. To the server all locks of one mount
//! have one owner, so it cannot tell two holders in this process apart.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::backend::LockRequest;

/// A range that is held.
#[derive(Debug, Clone, Copy)]
struct Held {
    holder: u64,
    request: LockRequest,
}

/// The holders of this process, per file number.
#[derive(Debug, Default)]
pub(super) struct LockTable {
    files: Mutex<HashMap<u64, Vec<Held>>>,
}

impl LockTable {
    /// Notes a holder; `false` if another one is in the way.
    pub(super) fn take(&self, file: u64, holder: u64, request: LockRequest) -> bool {
        let mut files = self.files.lock();
        let held = files.entry(file).or_default();
        let in_the_way = held.iter().any(|other| {
            other.holder != holder
                && (other.request.exclusive || request.exclusive)
                && overlap(other.request, request)
        });
        if !in_the_way {
            held.push(Held { holder, request });
        }
        !in_the_way
    }

    /// Forgets one range of a holder. `true` if nobody else of this process still needs it, so
    /// that the server is to be told.
    pub(super) fn give_back(&self, file: u64, holder: u64, request: LockRequest) -> bool {
        let mut files = self.files.lock();
        let Some(held) = files.get_mut(&file) else { return true };
        let mine = held.iter().position(|one| one.holder == holder && one.request == request);
        if let Some(mine) = mine {
            held.swap_remove(mine);
        }
        let last = !held.iter().any(|other| overlap(other.request, request));
        if held.is_empty() {
            files.remove(&file);
        }
        last
    }
}

fn overlap(a: LockRequest, b: LockRequest) -> bool {
    let end = |one: LockRequest| match one.length {
        0 => u64::MAX,
        length => one.start.saturating_add(length),
    };
    a.start < end(b) && b.start < end(a)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn range(exclusive: bool, start: u64, length: u64) -> LockRequest {
        LockRequest { exclusive, start, length, lease: Duration::ZERO }
    }

    #[test]
    fn readers_share_and_a_writer_waits_for_all_of_them() {
        let table = LockTable::default();
        assert!(table.take(1, 1, range(false, 0, 0)));
        assert!(table.take(1, 2, range(false, 0, 0)));
        assert!(!table.take(1, 3, range(true, 0, 0)));
        assert!(!table.give_back(1, 1, range(false, 0, 0)), "the other reader still needs it");
        assert!(table.give_back(1, 2, range(false, 0, 0)));
        assert!(table.take(1, 3, range(true, 0, 0)));
    }

    #[test]
    fn ranges_that_do_not_touch_do_not_wait_for_each_other() {
        let table = LockTable::default();
        assert!(table.take(1, 1, range(true, 0, 10)));
        assert!(table.take(1, 2, range(true, 10, 10)));
        assert!(!table.take(1, 3, range(true, 9, 2)));
        assert!(table.take(2, 3, range(true, 0, 0)), "another file");
    }
}
