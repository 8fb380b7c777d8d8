//! Tasks with all that is known of them, in memory.

use super::{Kept, Shelf};
use crate::{Cursor, Idempotency, Restored, WholePage, WholeTask};

impl Shelf {
    pub(super) fn read_whole(&self, after: Option<Cursor>, limit: u32) -> WholePage {
        let first = after.map_or(0, |after| after.0 + 1);
        let mut newer = self.records.range(first..);
        let page: Vec<_> = newer.by_ref().take(limit as usize).collect();
        let next = newer.next().and(page.last()).map(|(seq, _)| Cursor(**seq));
        let whole = |(_, kept): (&u64, &Kept)| {
            let Kept { record, idempotency, attempts, notices } = kept;
            let hash = idempotency.as_ref().map(|given| given.hash);
            WholeTask::new(record.clone(), hash, attempts.clone(), notices.clone())
        };
        WholePage { tasks: page.into_iter().map(whole).collect(), next }
    }

    /// Writes a task; none runs.
    pub(super) fn restore(&mut self, whole: WholeTask) -> Restored {
        let WholeTask { record, idempotency, attempts, notices } = whole;
        if self.find(record.id).is_some() {
            return Restored::Exists;
        }
        let has_key = |Idempotency { key, .. }: &Idempotency| {
            let mut others = self.records.values().map(|kept| &kept.record);
            others.find(|other| {
                other.model == record.model
                    && other.tenant == record.tenant
                    && other.idempotency_key.as_ref() == Some(key)
            })
        };
        if let Some(other) = idempotency.as_ref().and_then(has_key) {
            return Restored::KeyTaken { by: other.id };
        }
        self.last += 1;
        self.records.insert(self.last, Kept { record, idempotency, attempts, notices });
        Restored::Written
    }
}
