//! A store that forgets everything at its end: the plain model that the others are compared with,
//! and a quick stand-in for tests of what is built on top.

mod documents;
mod whole;

use std::{
    collections::BTreeMap,
    iter,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use types::{ModelName, TaskId, Timestamp};

use self::documents::Documents;
use crate::{
    Cancelled, Changed, Cursor, Discarded, EndedTask, FailedAttempt, Fence, Finished, Idempotency,
    Lease, ModelTasks, NewTask, Next, Notice, Outcome, Owner, Place, Progress, Replayed, Restored,
    Standing, StoreError, Submitted, Swept, TaskFilter, TaskList, TaskRecord, TaskStore, WholePage,
    WholeTask,
    standing::{Moment, Step, Tick},
};

/// Tasks in memory. [`MemoryStore::restarted`] gives what a restarted server would find.
#[derive(Debug, Default)]
pub struct MemoryStore {
    owner: Owner,
    shelf: Arc<Mutex<Shelf>>,
    documents: Arc<Documents>,
}

/// All records in the order of their submission. Everything is a walk over them: it is meant to be
/// obviously right, not fast.
#[derive(Debug, Default)]
struct Shelf {
    lives: u64,
    last: u64,
    records: BTreeMap<u64, Kept>,
}

#[derive(Debug)]
struct Kept {
    record: TaskRecord,
    idempotency: Option<Idempotency>,
    attempts: Vec<FailedAttempt>,
    notices: Vec<Notice>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default().restarted()
    }

    /// The same records in the hands of the next server.
    #[must_use]
    pub fn restarted(&self) -> Self {
        let mut shelf = self.shelf();
        shelf.lives += 1;
        Self {
            owner: Owner(shelf.lives),
            shelf: self.shelf.clone(),
            documents: self.documents.clone(),
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn find(&mut self, id: TaskId) -> Option<&mut Kept> {
        self.records.values_mut().find(|kept| kept.record.id == id)
    }

    fn add(&mut self, task: NewTask, standing: Standing, updated: Timestamp) -> &mut TaskRecord {
        self.last += 1;
        let record = TaskRecord {
            id: task.id,
            model: task.model,
            tenant: task.tenant,
            request: task.request,
            idempotency_key: task.idempotency.as_ref().map(|given| given.key.clone()),
            standing,
            answer: None,
            error: None,
            webhook: task.webhook,
            progress: Progress::default(),
            created: task.created,
            updated,
        };
        let kept = Kept {
            record,
            idempotency: task.idempotency,
            attempts: Vec::new(),
            notices: Vec::new(),
        };
        &mut self.records.entry(self.last).or_insert(kept).record
    }

    /// The task that was submitted under the same key, if there is one.
    fn twin(&self, task: &NewTask) -> Option<Submitted> {
        let given = task.idempotency.as_ref()?;
        let twin = self.records.values().find(|kept| {
            kept.record.model == task.model
                && kept.record.tenant == task.tenant
                && kept.record.idempotency_key.as_ref() == Some(&given.key)
        })?;
        Some(if twin.idempotency.as_ref() == Some(given) {
            Submitted::Existing(Box::new(twin.record.clone()))
        } else {
            Submitted::Conflict { id: twin.record.id }
        })
    }

    fn next_ready(&mut self, model: &ModelName) -> Option<&mut Kept> {
        self.records
            .iter_mut()
            .filter(|(_, kept)| kept.record.model == *model)
            .filter(|(_, kept)| matches!(kept.record.standing.place, Place::Ready(_)))
            .min_by_key(|(seq, kept)| (kept.record.standing.place.code(), **seq))
            .map(|(_, kept)| kept)
    }

    fn claim(
        &mut self,
        model: &ModelName,
        owner: Owner,
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Option<TaskRecord> {
        loop {
            let kept = self.next_ready(model)?;
            let at = Moment { id: kept.record.id, now };
            if let Some(step) = kept.record.standing.too_late(at) {
                take(kept, step, now);
                continue;
            }
            let claimed = kept.record.standing.claimed(owner, lease_until, at)?;
            take(kept, claimed.into(), now);
            kept.record.progress = Progress::default();
            return Some(kept.record.clone());
        }
    }

    fn obeying(&mut self, fence: &Fence) -> Option<&mut Kept> {
        self.find(fence.id).filter(|kept| kept.record.standing.obeys(fence))
    }

    fn waiting(&self, model: &ModelName) -> u64 {
        let waits = |kept: &&Kept| {
            kept.record.model == *model
                && matches!(kept.record.standing.place, Place::Ready(_) | Place::Delayed)
        };
        self.records.values().filter(waits).count() as u64
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.records.values().filter_map(|kept| kept.record.standing.due).min()
    }
}

fn take(kept: &mut Kept, step: Step, now: Timestamp) {
    let Kept { record, attempts, notices, .. } = kept;
    attempts.extend(step.failed_attempt(&record.standing, record.updated, now));
    if attempts.len() > FailedAttempt::KEPT_MAX {
        attempts.remove(1);
    }
    record.standing = step.to;
    record.updated = now;
    record.error = step.error.or(record.error.take());
    if record.webhook.is_some() && record.state().is_terminal() {
        let attempt = record.standing.attempt;
        notices.push(Notice { task: record.id, attempt, state: record.state() });
    }
}

impl Swept {
    /// Notes that `record` has taken a step.
    fn note(&mut self, record: &TaskRecord) {
        let Standing { place, attempt, .. } = record.standing;
        self.changed.push(Changed { id: record.id, model: record.model.clone(), place, attempt });
    }
}

#[async_trait]
impl TaskStore for MemoryStore {
    fn owner(&self) -> Owner {
        self.owner
    }

    async fn submit(&self, task: NewTask) -> Result<Submitted, StoreError> {
        let mut shelf = self.shelf();
        if let Some(twin) = shelf.twin(&task) {
            return Ok(twin);
        }
        if shelf.waiting(&task.model) >= task.queued_max {
            return Ok(Submitted::Full);
        }
        let (standing, created) = (Standing::new(&task), task.created);
        shelf.add(task, standing, created);
        Ok(Submitted::New)
    }

    async fn keep(&self, ended: EndedTask) -> Result<(), StoreError> {
        let EndedTask { mut task, outcome, ended } = ended;
        task.idempotency = None;
        let step = Standing::ended(&task, &outcome, self.owner, ended);
        let mut shelf = self.shelf();
        let record = shelf.add(task, step.to, ended);
        record.error = step.error;
        record.answer = answer(outcome);
        Ok(())
    }

    async fn peek(&self, model: &ModelName) -> Result<Option<Next>, StoreError> {
        let next = self.shelf().next_ready(model).map(|Kept { record, .. }| Next {
            priority: record.standing.priority,
            tenant: record.tenant.clone(),
        });
        Ok(next)
    }

    async fn claim(
        &self,
        model: &ModelName,
        limit: usize,
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let mut shelf = self.shelf();
        let claim = || shelf.claim(model, self.owner, lease_until, now);
        Ok(iter::from_fn(claim).take(limit).collect())
    }

    async fn finish(
        &self,
        fence: Fence,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<Finished, StoreError> {
        let mut shelf = self.shelf();
        let Some(kept) = shelf.obeying(&fence) else { return Ok(Finished::Fenced) };
        take(kept, kept.record.standing.settled(&outcome, Moment { id: fence.id, now }), now);
        let record = &mut kept.record;
        if let Some(answer) = answer(outcome) {
            record.answer = Some(answer);
            record.error = None;
        }
        Ok(Finished::Applied(record.state()))
    }

    async fn renew(
        &self,
        fence: Fence,
        lease_until: Timestamp,
        progress: Option<f64>,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        let mut shelf = self.shelf();
        let Some(Kept { record, .. }) = shelf.obeying(&fence) else { return Ok(Lease::Lost) };
        record.standing = record.standing.renewed(lease_until, Moment { id: fence.id, now });
        record.progress.fraction = progress.or(record.progress.fraction);
        Ok(Lease::Held)
    }

    async fn cancel(&self, id: TaskId, now: Timestamp) -> Result<Cancelled, StoreError> {
        let mut shelf = self.shelf();
        let Some(kept) = shelf.find(id) else { return Ok(Cancelled::Unknown) };
        let Some(step) = kept.record.standing.cancelled(Moment { id, now }) else {
            return Ok(Cancelled::Ended(kept.record.state()));
        };
        take(kept, step, now);
        Ok(Cancelled::Now)
    }

    async fn replay(&self, id: TaskId, now: Timestamp) -> Result<Replayed, StoreError> {
        let mut shelf = self.shelf();
        let Some(kept) = shelf.find(id) else { return Ok(Replayed::Unknown) };
        let Some(standing) = kept.record.standing.replayed(Moment { id, now }) else {
            return Ok(Replayed::Refused(kept.record.state()));
        };
        take(kept, standing.into(), now);
        Ok(Replayed::Queued)
    }

    async fn discard(&self, id: TaskId) -> Result<Discarded, StoreError> {
        let mut shelf = self.shelf();
        let Some(kept) = shelf.find(id) else { return Ok(Discarded::Unknown) };
        if kept.record.standing.place != Place::Dead {
            return Ok(Discarded::Refused(kept.record.state()));
        }
        shelf.records.retain(|_, kept| kept.record.id != id);
        Ok(Discarded::Removed)
    }

    async fn attempts(&self, id: TaskId) -> Result<Vec<FailedAttempt>, StoreError> {
        Ok(self.shelf().find(id).map(|kept| kept.attempts.clone()).unwrap_or_default())
    }

    async fn notices(&self, limit: u32) -> Result<Vec<Notice>, StoreError> {
        let shelf = self.shelf();
        let all = shelf.records.values().flat_map(|kept| &kept.notices);
        Ok(all.take(limit as usize).copied().collect())
    }

    async fn forget_notice(&self, notice: Notice) -> Result<(), StoreError> {
        if let Some(kept) = self.shelf().find(notice.task) {
            kept.notices.retain(|known| *known != notice);
        }
        Ok(())
    }

    async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        Ok(self.shelf().find(id).map(|kept| kept.record.clone()))
    }

    async fn list(
        &self,
        filter: &TaskFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<TaskList, StoreError> {
        let shelf = self.shelf();
        let matches = |record: &TaskRecord| {
            filter.model.as_ref().is_none_or(|model| *model == record.model)
                && filter.state.is_none_or(|state| state == record.state())
                && filter.tenant.as_ref().is_none_or(|tenant| *tenant == record.tenant)
                && filter.error_code.is_none_or(|code| {
                    record.error.as_ref().is_some_and(|error| error.code == code)
                })
        };
        let mut found = shelf
            .records
            .iter()
            .rev()
            .filter(|(seq, kept)| {
                after.is_none_or(|after| **seq < after.0) && matches(&kept.record)
            })
            .map(|(seq, kept)| (*seq, kept.record.clone()));
        let page: Vec<_> = found.by_ref().take(limit as usize).collect();
        let next = found.next().and_then(|_| page.last()).map(|(seq, _)| Cursor(*seq));
        Ok(TaskList { tasks: page.into_iter().map(|(_, record)| record).collect(), next })
    }

    async fn read_whole(&self, after: Option<Cursor>, limit: u32) -> Result<WholePage, StoreError> {
        Ok(self.shelf().read_whole(after, limit))
    }

    async fn restore(
        &self,
        tasks: Vec<WholeTask>,
        now: Timestamp,
    ) -> Result<Vec<Restored>, StoreError> {
        let mut shelf = self.shelf();
        Ok(tasks.into_iter().map(|whole| shelf.restore(whole.put_back(now))).collect())
    }

    async fn recover(&self, now: Timestamp) -> Result<Swept, StoreError> {
        let mut shelf = self.shelf();
        let mut swept = Swept::default();
        for kept in shelf.records.values_mut() {
            let standing = kept.record.standing;
            if standing.place == Place::Running && standing.owner != self.owner {
                take(kept, standing.abandoned(Moment { id: kept.record.id, now }), now);
                swept.note(&kept.record);
            }
        }
        swept.next_due = shelf.next_due();
        Ok(swept)
    }

    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<Swept, StoreError> {
        let mut shelf = self.shelf();
        let mut swept = Swept::default();
        let mut done = [0; Place::ALL.len()];
        shelf.records.retain(|_, kept| {
            let standing = kept.record.standing;
            let done = &mut done[standing.place.code() as usize];
            if standing.due.is_none_or(|due| due > now) || *done == limit {
                return true;
            }
            *done += 1;
            match standing.tick(Moment { id: kept.record.id, now }) {
                Tick::Step(step) => {
                    take(kept, step, now);
                    swept.note(&kept.record);
                    true
                }
                Tick::Remove => {
                    swept.removed += 1;
                    false
                }
            }
        });
        swept.more = done.contains(&limit);
        swept.next_due = shelf.next_due();
        Ok(swept)
    }

    async fn stats(&self) -> Result<Vec<ModelTasks>, StoreError> {
        let shelf = self.shelf();
        let records = shelf.records.values().map(|kept| &kept.record);
        Ok(ModelTasks::count_all(
            records.map(|record| (record.model.clone(), record.standing.place, 1)),
        ))
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn close(&self) {}
}

fn answer(outcome: Outcome) -> Option<crate::StoredAnswer> {
    match outcome {
        Outcome::Completed(answer) => Some(answer),
        _ => None,
    }
}
