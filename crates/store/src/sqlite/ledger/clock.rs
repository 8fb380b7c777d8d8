//! What time alone changes, and what a new server finds.

use rusqlite::params;
use types::Timestamp;

use super::{
    Ledger,
    tally::model_name,
    task::{Entry, entry_columns},
    to_sql,
};
use crate::{
    Changed, Place, Standing, Swept,
    standing::{Step, Tick},
};

pub(super) const DUE: &str = concat!(
    "SELECT ",
    entry_columns!(),
    " FROM task WHERE place = ?1 AND due <= ?2 ORDER BY due LIMIT ?3"
);

/// `due IS NOT NULL` is always true of what runs; it lets SQLite use the index over `due`.
pub(super) const OF_EARLIER: &str = concat!(
    "SELECT ",
    entry_columns!(),
    " FROM task WHERE place = ?1 AND due IS NOT NULL AND owner <> ?2"
);

impl Ledger {
    pub(in crate::sqlite) fn sweep(
        &mut self,
        now: Timestamp,
        limit: u32,
    ) -> rusqlite::Result<Swept> {
        let mut swept = Swept::default();
        for place in Place::ALL {
            let due = self.due(place, now, limit)?;
            swept.more |= due.len() >= limit as usize;
            for entry in due {
                match entry.standing.tick(entry.at(now)) {
                    Tick::Step(step) => self.take(&entry, &step, now, &mut swept)?,
                    Tick::Remove => {
                        self.remove(&entry)?;
                        swept.removed += 1;
                    }
                }
            }
        }
        swept.next_due = self.next_due()?;
        Ok(swept)
    }

    pub(in crate::sqlite) fn recover(&mut self, now: Timestamp) -> rusqlite::Result<Swept> {
        let mut swept = Swept::default();
        for entry in self.of_earlier_servers()? {
            self.take(&entry, &entry.standing.abandoned(entry.at(now)), now, &mut swept)?;
        }
        swept.next_due = self.next_due()?;
        Ok(swept)
    }

    fn take(
        &mut self,
        entry: &Entry,
        step: &Step,
        now: Timestamp,
        swept: &mut Swept,
    ) -> rusqlite::Result<()> {
        self.step(entry, step, now)?;
        let Standing { place, attempt, .. } = step.to;
        if let Some(model) = model_name(&self.connection, entry.model)? {
            swept.changed.push(Changed { id: entry.id, model, place, attempt });
        }
        Ok(())
    }

    fn due(&self, place: Place, now: Timestamp, limit: u32) -> rusqlite::Result<Vec<Entry>> {
        self.connection
            .prepare_cached(DUE)?
            .query_map(params![place.code(), to_sql(now.millis()), limit], Entry::read)?
            .collect()
    }

    fn of_earlier_servers(&self) -> rusqlite::Result<Vec<Entry>> {
        self.connection
            .prepare_cached(OF_EARLIER)?
            .query_map(params![Place::Running.code(), to_sql(self.owner.0)], Entry::read)?
            .collect()
    }
}
