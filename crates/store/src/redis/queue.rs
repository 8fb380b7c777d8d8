//! What callers ask of the queue: submit, claim, finish, renew, cancel, replay.
//!
//! What a step leads to is decided here by [`Standing`], on one revision of the record; a script
//! writes it only if that is still the revision. Whoever comes second looks again.

use redis::Pipeline;
use types::{ModelName, TaskId, Timestamp};

use super::{
    Shared, attempts,
    fields::{self, Hash, Unreadable},
    keys,
    link::Question,
};
use crate::{
    Cancelled, Discarded, EndedTask, FailedAttempt, Fence, Finished, Lease, NewTask, Next, Outcome,
    Place, Progress, Replayed, Standing, StoreError, Submitted, TaskRecord,
    standing::{Moment, Step},
};

/// A larger payload is left out of the event log; the record has it.
const LOGGED_BYTES_MAX: usize = 64 << 10;

/// What a step is decided on.
pub(super) struct Entry {
    pub(super) id: TaskId,
    pub(super) model: ModelName,
    pub(super) standing: Standing,
    /// Counts the changes of the record.
    pub(super) rev: u64,
    /// When it took its last step.
    updated: Timestamp,
    /// What changed it last.
    op: String,
}

impl Entry {
    pub(super) const fn at(&self, now: Timestamp) -> Moment {
        Moment { id: self.id, now }
    }
}

impl Shared {
    pub(super) async fn submit(&self, task: &NewTask) -> Result<Submitted, StoreError> {
        loop {
            let step = Standing::new(task).into();
            let (word, twin) = self.insert(task, &step, None, task.created).await?;
            let id = twin.parse().unwrap_or(task.id);
            match &*word {
                "full" => return Ok(Submitted::Full),
                "conflict" => return Ok(Submitted::Conflict { id }),
                "existing" => match self.get(id).await? {
                    Some(record) => return Ok(Submitted::Existing(Box::new(record))),
                    // Removed a moment ago, and its key with it.
                    None => continue,
                },
                _ => return Ok(Submitted::New),
            }
        }
    }

    pub(super) async fn keep(&self, ended: EndedTask) -> Result<(), StoreError> {
        let EndedTask { mut task, outcome, ended } = ended;
        task.idempotency = None;
        task.queued_max = u64::MAX;
        let step = Standing::ended(&task, &outcome, self.owner(), ended);
        self.insert(&task, &step, Some(&outcome), ended).await.map(drop)
    }

    async fn insert(
        &self,
        task: &NewTask,
        step: &Step,
        outcome: Option<&Outcome>,
        updated: Timestamp,
    ) -> Result<(String, String), StoreError> {
        let queued_max = (task.queued_max != u64::MAX).then_some(task.queued_max);
        let hash = task.idempotency.as_ref().map(|given| keys::hex(&given.hash));
        let body = &task.request.body;
        let mut pairs = fields::of_new(task, step, updated);
        pairs.extend(fields::of_outcome(outcome));
        let ask = |again: bool| {
            let mut script = self.scripts.submit.key(&self.keys.0);
            script
                .arg(i32::from(again))
                .arg(task.id.to_string())
                .arg(task.model.as_str())
                .arg(step.to.place.code())
                .arg(step.to.due.map_or_else(String::new, |due| due.millis().to_string()))
                .arg(queued_max.map_or_else(String::new, |max| max.to_string()))
                .arg(keys::scope(task))
                .arg(hash.as_deref().unwrap_or_default())
                .arg(self.owner().0)
                .arg(if body.len() > LOGGED_BYTES_MAX { &[][..] } else { &**body })
                .arg(step.to.state().status())
                .arg(&*fields::seconds(updated));
            for (field, value) in &pairs {
                script.arg(field).arg(&**value);
            }
            script
        };
        self.link.ask(Question::Told { first: &ask(false), again: &ask(true) }).await
    }

    pub(super) async fn peek(&self, model: &ModelName) -> Result<Option<Next>, StoreError> {
        let mut script = self.scripts.peek.key(&self.keys.0);
        script.arg(model.as_str());
        let found: Option<(i64, String)> = self.link.ask(Question::Script(&script)).await?;
        Ok(found.and_then(|(place, tenant)| match Place::from_code(place)? {
            Place::Ready(priority) => Some(Next { priority, tenant: tenant.parse().ok()? }),
            _ => None,
        }))
    }

    pub(super) async fn claim(
        &self,
        model: &ModelName,
        limit: usize,
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let mut claimed = Vec::new();
        while claimed.len() < limit {
            let wanted = limit - claimed.len();
            let (hashes, late) = match self.claim_once(model, wanted, lease_until, now).await {
                Ok(found) => found,
                // Those before are this server's, and would wait for the end of their leases.
                Err(error) if claimed.is_empty() => return Err(error),
                Err(_) => break,
            };
            claimed.extend(hashes.iter().filter_map(|hash| self.claimed(hash)));
            let Ok(late) = late.parse() else { break };
            if let Err(error) = self.expire(late, now).await {
                if claimed.is_empty() {
                    return Err(error);
                }
                break;
            }
        }
        Ok(claimed)
    }

    /// The record of a task that is this server's now; one that cannot be read is left to the end of
    /// its lease, and does not take the others with it.
    fn claimed(&self, hash: &Hash) -> Option<TaskRecord> {
        let read = self.record(hash).and_then(|record| Ok((record, self.entry(hash)?)));
        match read {
            Ok((record, entry)) => {
                self.held.add(entry);
                record
            }
            Err(error) => {
                let id = fields::word(hash, "task_id");
                tracing::error!(id, %error, "a task was claimed and its record cannot be read");
                None
            }
        }
    }

    /// Claims until a task comes whose deadline has passed, and tells which.
    async fn claim_once(
        &self,
        model: &ModelName,
        limit: usize,
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Result<(Vec<Hash>, String), StoreError> {
        let op = self.operation();
        let ask = |again: bool| {
            let mut script = self.scripts.claim.key(&self.keys.0);
            script
                .arg(model.as_str())
                .arg(limit)
                .arg(self.owner().0)
                .arg(now.millis())
                .arg(&*fields::seconds(now))
                .arg(lease_until.millis())
                .arg(&op)
                .arg(i32::from(again));
            script
        };
        let question = Question::Told { first: &ask(false), again: &ask(true) };
        self.link.ask(question).await
    }

    /// Ends a task whose deadline passed while it waited.
    async fn expire(&self, id: TaskId, now: Timestamp) -> Result<(), StoreError> {
        let late = |entry: &Entry| entry.standing.too_late(entry.at(now));
        self.change(id, &self.operation(), None, now, late).await.map(drop)
    }

    pub(super) async fn finish(
        &self,
        fence: Fence,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<Finished, StoreError> {
        let settled = |entry: &Entry| {
            let holds = entry.standing.obeys(&fence);
            holds.then(|| entry.standing.settled(outcome, entry.at(now)))
        };
        let ended = self.end(fence, outcome, now, settled).await;
        // The caller says it again after an error, and must then learn whether it had been taken.
        let mut doubtful = self.doubtful.lock();
        match &ended {
            Ok(_) => doubtful.remove(&fence),
            Err(_) => doubtful.insert(fence),
        };
        ended
    }

    async fn end(
        &self,
        fence: Fence,
        outcome: &Outcome,
        now: Timestamp,
        settled: impl Fn(&Entry) -> Option<Step> + Send + Sync,
    ) -> Result<Finished, StoreError> {
        let op = format!("end {} {}", fence.owner.0, fence.attempt);
        if self.doubtful.lock().contains(&fence) {
            let found = self.entries(&[fence.id]).await?.pop();
            if let Some(entry) = found.filter(|entry| entry.op == op) {
                return Ok(Finished::Applied(entry.standing.state()));
            }
        }
        if let Some(entry) = self.held.take(&fence)
            && let Some(step) = settled(&entry)
            && self.write(&entry, &step, Some(outcome), now, &op).await?
        {
            return Ok(Finished::Applied(step.to.state()));
        }
        Ok(match self.change(fence.id, &op, Some(outcome), now, settled).await? {
            Change::Done(standing) => Finished::Applied(standing.state()),
            Change::Refused(_) | Change::Unknown => Finished::Fenced,
        })
    }

    pub(super) async fn renew(
        &self,
        fence: Fence,
        lease_until: Timestamp,
        progress: Option<f64>,
    ) -> Result<Lease, StoreError> {
        let mut script = self.scripts.renew.key(&self.keys.0);
        script
            .arg(fence.id.to_string())
            .arg(fence.owner.0)
            .arg(fence.attempt)
            .arg(lease_until.millis())
            .arg(progress.map_or_else(String::new, |share| share.to_string()));
        let held: bool = self.link.ask(Question::Script(&script)).await?;
        Ok(if held { Lease::Held } else { Lease::Lost })
    }

    pub(super) async fn show(&self, fence: Fence, progress: &Progress) -> Result<(), StoreError> {
        let mut script = self.scripts.show.key(&self.keys.0);
        let Progress { fraction, message, partial } = progress;
        script
            .arg(fence.id.to_string())
            .arg(fence.owner.0)
            .arg(fence.attempt)
            .arg(fraction.map_or_else(String::new, |share| share.to_string()))
            .arg(message.as_deref().unwrap_or_default())
            .arg(partial.as_deref().unwrap_or_default());
        self.link.ask::<i64>(Question::Script(&script)).await.map(drop)
    }

    pub(super) async fn cancel(&self, id: TaskId, now: Timestamp) -> Result<Cancelled, StoreError> {
        let cancelled = |entry: &Entry| entry.standing.cancelled(entry.at(now));
        Ok(match self.change(id, &self.operation(), None, now, cancelled).await? {
            Change::Done(_) => Cancelled::Now,
            Change::Refused(standing) => Cancelled::Ended(standing.state()),
            Change::Unknown => Cancelled::Unknown,
        })
    }

    pub(super) async fn replay(&self, id: TaskId, now: Timestamp) -> Result<Replayed, StoreError> {
        let replayed = |entry: &Entry| entry.standing.replayed(entry.at(now)).map(Step::from);
        Ok(match self.change(id, &self.operation(), None, now, replayed).await? {
            Change::Done(_) => Replayed::Queued,
            Change::Refused(standing) => Replayed::Refused(standing.state()),
            Change::Unknown => Replayed::Unknown,
        })
    }

    pub(super) async fn discard(&self, id: TaskId) -> Result<Discarded, StoreError> {
        loop {
            let Some(entry) = self.entries(&[id]).await?.pop() else {
                return Ok(Discarded::Unknown);
            };
            if entry.standing.place != Place::Dead {
                return Ok(Discarded::Refused(entry.standing.state()));
            }
            if self.remove(&entry).await? {
                return Ok(Discarded::Removed);
            }
        }
    }

    /// Removes a task; false if its record has changed since `entry` was read. One that is gone is
    /// removed: the answer to an earlier try may have been lost.
    pub(super) async fn remove(&self, entry: &Entry) -> Result<bool, StoreError> {
        let mut script = self.scripts.remove.key(&self.keys.0);
        script.arg(entry.id.to_string()).arg(entry.rev);
        let word: String = self.link.ask(Question::Script(&script)).await?;
        Ok(word != "stale")
    }

    /// Looks, decides, writes, and looks again if somebody was quicker.
    async fn change(
        &self,
        id: TaskId,
        op: &str,
        outcome: Option<&Outcome>,
        now: Timestamp,
        decide: impl Fn(&Entry) -> Option<Step> + Send + Sync,
    ) -> Result<Change, StoreError> {
        loop {
            let Some(entry) = self.entries(&[id]).await?.pop() else { return Ok(Change::Unknown) };
            let Some(step) = decide(&entry) else { return Ok(Change::Refused(entry.standing)) };
            if self.write(&entry, &step, outcome, now, op).await? {
                return Ok(Change::Done(step.to));
            }
        }
    }

    /// Writes a step; false if the record has changed since `entry` was read.
    pub(super) async fn write(
        &self,
        entry: &Entry,
        step: &Step,
        outcome: Option<&Outcome>,
        now: Timestamp,
        op: &str,
    ) -> Result<bool, StoreError> {
        let failed = step.failed_attempt(&entry.standing, entry.updated, now);
        let mut script = self.scripts.step.key(&self.keys.0);
        script
            .arg(entry.id.to_string())
            .arg(entry.rev)
            .arg(self.owner().0)
            .arg(op)
            .arg(step.to.place.code())
            .arg(step.to.due.map_or_else(String::new, |due| due.millis().to_string()))
            .arg(step.to.attempt)
            .arg(failed.map_or_else(String::new, |failed| attempts::text(&failed)))
            .arg(FailedAttempt::KEPT_MAX);
        for (field, value) in fields::of_step(step, Some(&entry.standing), now) {
            script.arg(field).arg(&*value);
        }
        for (field, value) in fields::of_outcome(outcome) {
            script.arg(field).arg(&*value);
        }
        let word: String = self.link.ask(Question::Script(&script)).await?;
        Ok(word == "done")
    }

    pub(super) async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        let mut pipe = Pipeline::new();
        pipe.hgetall(self.keys.task(id));
        let (hash,): (Hash,) = self.link.ask(Question::Pipe(&pipe)).await?;
        self.record(&hash)
    }

    /// What stands about these tasks; those that are gone are left out.
    pub(super) async fn entries(&self, ids: &[TaskId]) -> Result<Vec<Entry>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = Pipeline::new();
        for id in ids {
            pipe.hmget(self.keys.task(*id), &fields::STANDING);
        }
        let found: Vec<Vec<Option<bytes::Bytes>>> = self.link.ask(Question::Pipe(&pipe)).await?;
        let entries = ids.iter().zip(found).filter(|(_, values)| values[0].is_some());
        entries.map(|(id, values)| self.entry_of(*id, values)).collect()
    }

    fn entry_of(&self, id: TaskId, values: Vec<Option<bytes::Bytes>>) -> Result<Entry, StoreError> {
        let named = fields::STANDING.iter().map(|name| (*name).to_owned());
        let mut hash: Hash =
            named.zip(values).filter_map(|(name, value)| Some((name, value?))).collect();
        hash.insert("task_id".into(), id.to_string().into());
        self.entry(&hash)
    }

    fn entry(&self, hash: &Hash) -> Result<Entry, StoreError> {
        let read = || -> Result<Entry, Unreadable> {
            let (id, model) = (fields::parsed(hash, "task_id")?, fields::parsed(hash, "model")?);
            let (rev, op) = (fields::parsed(hash, "rev")?, fields::word(hash, "op").to_owned());
            let updated = fields::timestamp(fields::parsed(hash, "updated")?);
            Ok(Entry { id, model, rev, op, updated, standing: fields::standing(hash)? })
        };
        read().map_err(|error| self.link.unreadable(error))
    }

    pub(super) fn record(&self, hash: &Hash) -> Result<Option<TaskRecord>, StoreError> {
        fields::record(hash).map_err(|error| self.link.unreadable(error))
    }
}

/// How a change went.
enum Change {
    /// It is written; the task stands here now.
    Done(Standing),
    /// It does not apply to a task that stands here.
    Refused(Standing),
    /// No such task.
    Unknown,
}
