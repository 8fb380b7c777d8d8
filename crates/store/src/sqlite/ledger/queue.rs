//! What callers ask of the queue: submit, claim, finish, renew, cancel, replay.

use rusqlite::{OptionalExtension, params};
use types::{ModelName, TaskId, Timestamp};

use super::{Ledger, tally::NameId, task::Entry, to_sql};
use crate::{
    Cancelled, Discarded, EndedTask, Fence, Finished, Lease, NewTask, Outcome, Place, Replayed,
    Standing, StoredAnswer, Submitted, TaskRecord, sqlite::rows, standing::Step,
};

/// The two names of a task, as numbers.
#[derive(Clone, Copy)]
pub(super) struct Names {
    pub(super) model: NameId,
    pub(super) tenant: NameId,
}

impl Ledger {
    pub(in crate::sqlite) fn submit(&mut self, task: &NewTask) -> rusqlite::Result<Submitted> {
        let names = self.names(task)?;
        if let Some(twin) = self.twin(task, names)? {
            return Ok(twin);
        }
        if self.tally.waiting(names.model) >= task.queued_max {
            return Ok(Submitted::Full);
        }
        self.insert(task, names, &Standing::new(task).into(), task.created)?;
        Ok(Submitted::New)
    }

    pub(in crate::sqlite) fn keep(&mut self, ended: &EndedTask) -> rusqlite::Result<()> {
        let EndedTask { task, outcome, ended } = ended;
        let names = self.names(task)?;
        let step = Standing::ended(task, outcome, self.owner, *ended);
        let seq = self.insert(task, names, &step, *ended)?;
        self.write_answer(seq, outcome)
    }

    pub(in crate::sqlite) fn claim(
        &mut self,
        model: &ModelName,
        limit: usize,
        lease_until: Timestamp,
        now: Timestamp,
    ) -> rusqlite::Result<Vec<TaskRecord>> {
        let model = self.tally.name(&self.connection, model.as_str())?;
        let mut claimed = Vec::with_capacity(limit);
        while claimed.len() < limit {
            match self.claim_next(model, lease_until, now)? {
                Some(record) => claimed.push(record),
                None => break,
            }
        }
        Ok(claimed)
    }

    fn claim_next(
        &mut self,
        model: NameId,
        lease_until: Timestamp,
        now: Timestamp,
    ) -> rusqlite::Result<Option<TaskRecord>> {
        while let Some(entry) = self.next_ready(model)? {
            let at = entry.at(now);
            if let Some(step) = entry.standing.too_late(at) {
                self.step(&entry, &step, now)?;
                continue;
            }
            let claimed = entry.standing.claimed(self.owner, lease_until, at);
            let Some(claimed) = claimed else { return Ok(None) };
            self.step(&entry, &claimed.into(), now)?;
            self.write_progress(entry.seq, None)?;
            return rows::by_seq(&self.connection, entry.seq);
        }
        Ok(None)
    }

    pub(in crate::sqlite) fn finish(
        &mut self,
        fence: &Fence,
        outcome: &Outcome,
        now: Timestamp,
    ) -> rusqlite::Result<Finished> {
        let Some(entry) = self.obeying(fence)? else { return Ok(Finished::Fenced) };
        let step = entry.standing.settled(outcome, entry.at(now));
        self.step(&entry, &step, now)?;
        self.write_answer(entry.seq, outcome)?;
        Ok(Finished::Applied(step.to.state()))
    }

    pub(in crate::sqlite) fn renew(
        &mut self,
        fence: &Fence,
        lease_until: Timestamp,
        progress: Option<f64>,
        now: Timestamp,
    ) -> rusqlite::Result<Lease> {
        let Some(entry) = self.obeying(fence)? else { return Ok(Lease::Lost) };
        let due = entry.standing.renewed(lease_until, entry.at(now)).due;
        self.connection
            .prepare_cached("UPDATE task SET due = ?2 WHERE seq = ?1")?
            .execute(params![entry.seq, due.map(|due| to_sql(due.millis()))])?;
        if progress.is_some() {
            self.write_progress(entry.seq, progress)?;
        }
        Ok(Lease::Held)
    }

    pub(in crate::sqlite) fn cancel(
        &mut self,
        id: TaskId,
        now: Timestamp,
    ) -> rusqlite::Result<Cancelled> {
        let Some(entry) = self.entry(id)? else { return Ok(Cancelled::Unknown) };
        let Some(step) = entry.standing.cancelled(entry.at(now)) else {
            return Ok(Cancelled::Ended(entry.standing.state()));
        };
        self.step(&entry, &step, now)?;
        Ok(Cancelled::Now)
    }

    pub(in crate::sqlite) fn replay(
        &mut self,
        id: TaskId,
        now: Timestamp,
    ) -> rusqlite::Result<Replayed> {
        let Some(entry) = self.entry(id)? else { return Ok(Replayed::Unknown) };
        let Some(standing) = entry.standing.replayed(entry.at(now)) else {
            return Ok(Replayed::Refused(entry.standing.state()));
        };
        self.step(&entry, &standing.into(), now)?;
        Ok(Replayed::Queued)
    }

    pub(in crate::sqlite) fn discard(&mut self, id: TaskId) -> rusqlite::Result<Discarded> {
        let Some(entry) = self.entry(id)? else { return Ok(Discarded::Unknown) };
        if entry.standing.place != Place::Dead {
            return Ok(Discarded::Refused(entry.standing.state()));
        }
        self.remove(&entry)?;
        Ok(Discarded::Removed)
    }

    pub(super) fn names(&mut self, task: &NewTask) -> rusqlite::Result<Names> {
        let model = self.tally.name(&self.connection, task.model.as_str())?;
        let tenant = self.tally.name(&self.connection, task.tenant.as_str())?;
        Ok(Names { model, tenant })
    }

    /// The task that was submitted under the same key, if there is one.
    fn twin(&self, task: &NewTask, names: Names) -> rusqlite::Result<Option<Submitted>> {
        let Some(given) = &task.idempotency else { return Ok(None) };
        let found: Option<(i64, [u8; 32])> = self
            .connection
            .prepare_cached(
                "SELECT seq, request_hash FROM task \
                 WHERE tenant = ?1 AND model = ?2 AND idempotency_key = ?3",
            )?
            .query_row(params![names.tenant, names.model, given.key], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((seq, hash)) = found else { return Ok(None) };
        let record = rows::by_seq(&self.connection, seq)?;
        Ok(record.map(|record| {
            if hash == given.hash {
                Submitted::Existing(Box::new(record))
            } else {
                Submitted::Conflict { id: record.id }
            }
        }))
    }

    pub(super) fn insert(
        &mut self,
        task: &NewTask,
        names: Names,
        step: &Step,
        updated: Timestamp,
    ) -> rusqlite::Result<i64> {
        let seq = self.insert_task(task, names, step, updated)?;
        let headers = rows::headers_to_sql(&task.request.headers)?;
        self.connection
            .prepare_cached(
                "INSERT INTO request (seq, route, content_type, headers, body) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                seq,
                task.request.route,
                task.request.content_type,
                headers,
                &*task.request.body,
            ])?;
        self.tally.arrived(names.model, step.to.place);
        Ok(seq)
    }

    fn insert_task(
        &self,
        task: &NewTask,
        names: Names,
        step: &Step,
        updated: Timestamp,
    ) -> rusqlite::Result<i64> {
        let standing = &step.to;
        let key = task.idempotency.as_ref().map(|given| given.key.as_str());
        let hash = task.idempotency.as_ref().map(|given| given.hash);
        self.connection
            .prepare_cached(
                "INSERT INTO task (id, model, tenant, place, priority, attempt, failures, \
                 attempts_max, backoff_ms, backoff_ms_max, owner, due, deadline, keep_ms, created, updated, error_code, \
                 error_detail, idempotency_key, request_hash, webhook) VALUES \
                 (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, \
                 ?20, ?21)",
            )?
            .execute(params![
                task.id.uuid().as_bytes(),
                names.model,
                names.tenant,
                standing.place.code(),
                crate::Place::Ready(standing.priority).code(),
                standing.attempt,
                standing.failures,
                standing.retry.attempts_max,
                rows::duration_to_sql(standing.retry.backoff.base),
                rows::duration_to_sql(standing.retry.backoff.max),
                to_sql(standing.owner.0),
                standing.due.map(|due| to_sql(due.millis())),
                standing.deadline.map(|deadline| to_sql(deadline.millis())),
                rows::duration_to_sql(standing.keep_for),
                to_sql(task.created.millis()),
                to_sql(updated.millis()),
                step.error.as_ref().map(|error| error.code.slug()),
                step.error.as_ref().map(|error| &error.detail),
                key,
                hash,
                rows::webhook_to_sql(task.webhook.as_ref())?,
            ])?;
        Ok(self.connection.last_insert_rowid())
    }

    pub(super) fn write_answer(&self, seq: i64, outcome: &Outcome) -> rusqlite::Result<()> {
        let Outcome::Completed(StoredAnswer { content_type, body }) = outcome else {
            return Ok(());
        };
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO answer (seq, content_type, body) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![seq, content_type, &**body])
            .map(drop)
    }

    pub(super) fn write_progress(&self, seq: i64, progress: Option<f64>) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("UPDATE task SET progress = ?2 WHERE seq = ?1")?
            .execute(params![seq, progress])
            .map(drop)
    }

    fn obeying(&self, fence: &Fence) -> rusqlite::Result<Option<Entry>> {
        Ok(self.entry(fence.id)?.filter(|entry| entry.standing.obeys(fence)))
    }
}
