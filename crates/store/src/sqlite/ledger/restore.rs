//! Tasks that another store had.

use rusqlite::params;

use super::{Ledger, to_sql};
use crate::{
    FailedAttempt, Place, Restored, WholeTask, portable::Parts, sqlite::whole::key_holder,
};

impl Ledger {
    /// Writes a task; none runs.
    pub(in crate::sqlite) fn restore(&mut self, whole: &WholeTask) -> rusqlite::Result<Restored> {
        let parts = whole.clone().into_parts();
        let Parts { task, step, updated, outcome, progress, attempts, notices } = &parts;
        if self.entry(task.id)?.is_some() {
            return Ok(Restored::Exists);
        }
        let names = self.names(task)?;
        if let Some(given) = &task.idempotency
            && let Some(by) = key_holder(&self.connection, names.tenant, names.model, &given.key)?
        {
            return Ok(Restored::KeyTaken { by });
        }
        let seq = self.insert(task, names, step, *updated)?;
        if let Some(outcome) = outcome {
            self.write_answer(seq, outcome)?;
        }
        if progress.is_some() {
            self.write_progress(seq, *progress)?;
        }
        for failed in attempts {
            self.restore_attempt(seq, failed)?;
        }
        for notice in notices {
            let Some(place) = Place::of_end(notice.state) else { continue };
            self.note_end(seq, notice.attempt, place)?;
        }
        Ok(Restored::Written)
    }

    fn restore_attempt(&self, seq: i64, failed: &FailedAttempt) -> rusqlite::Result<()> {
        let FailedAttempt { attempt, owner, began, ended, error } = failed;
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO attempt \
                 (seq, number, owner, began, ended, error_code, error_detail) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                seq,
                attempt,
                to_sql(owner.0),
                to_sql(began.millis()),
                to_sql(ended.millis()),
                error.code.slug(),
                error.detail,
            ])
            .map(drop)
    }
}
