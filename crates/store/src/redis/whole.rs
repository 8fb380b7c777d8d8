//! Tasks with all that Redis knows of them.

use futures_util::{StreamExt, TryStreamExt, stream};
use redis::Pipeline;
use types::{TaskId, Timestamp};
use uuid::Uuid;

use super::{
    Shared, attempts,
    fields::{self, Hash},
    keys,
    link::Question,
    notices,
};
use crate::{
    Cursor, FailedAttempt, Notice, Place, Restored, StoreError, WholePage, WholeTask,
    portable::Parts,
};

/// Tasks that are written without waiting for each other.
const WRITES_AT_ONCE: usize = 64;

impl Shared {
    pub(super) async fn read_whole(
        &self,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<WholePage, StoreError> {
        let limit = limit as usize;
        let mut found = self.oldest(after, limit + 1).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(seq, _)| Cursor(*seq));
        let ids: Vec<TaskId> = found.into_iter().map(|(_, id)| id).collect();
        Ok(WholePage { tasks: self.whole(&ids).await?, next })
    }

    /// The oldest tasks after a number with their own, oldest first, all of one moment.
    async fn oldest(
        &self,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<(u64, TaskId)>, StoreError> {
        let after = after.map_or_else(|| "-inf".to_owned(), |after| format!("({after}"));
        let mut pipe = Pipeline::new();
        pipe.atomic();
        for model in self.models().await? {
            for place in Place::ALL {
                let queue = self.keys.queue(&model, place);
                pipe.zrangebyscore_limit_withscores(queue, &after, "+inf", 0, limit as isize);
            }
        }
        if pipe.is_empty() {
            return Ok(Vec::new());
        }
        let found: Vec<Vec<(String, f64)>> = self.link.ask(Question::Pipe(&pipe)).await?;
        let parsed = |(id, seq): (String, f64)| Some((seq as u64, id.parse().ok()?));
        let mut oldest: Vec<_> = found.into_iter().flatten().filter_map(parsed).collect();
        oldest.sort_unstable();
        oldest.truncate(limit);
        Ok(oldest)
    }

    /// Those of these tasks that are there.
    async fn whole(&self, ids: &[TaskId]) -> Result<Vec<WholeTask>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = Pipeline::new();
        for id in ids {
            pipe.hgetall(self.keys.task(*id)).lrange(self.keys.attempts(*id), 0, -1);
        }
        let mut answers =
            self.link.ask::<Vec<redis::Value>>(Question::Pipe(&pipe)).await?.into_iter();
        let mut tasks = Vec::with_capacity(ids.len());
        while let (Some(hash), Some(failed)) = (answers.next(), answers.next()) {
            let unreadable = |error| self.link.unreadable(error);
            let hash: Hash = redis::from_redis_value(hash).map_err(unreadable)?;
            let failed: Vec<String> = redis::from_redis_value(failed).map_err(unreadable)?;
            // Removed since it was found, or not one of ours.
            let Some(record) = self.record(&hash)? else { continue };
            let failed = failed.iter().map(|text| self.failed_attempt(text));
            let failed: Vec<FailedAttempt> = failed.collect::<Result<_, _>>()?;
            let (sha256, notices) = self.key_and_notices(&hash).await?;
            tasks.push(WholeTask::new(record, sha256, failed, notices));
        }
        Ok(tasks)
    }

    /// What stands about a task in other keys than its own. Most tasks have neither.
    async fn key_and_notices(
        &self,
        hash: &Hash,
    ) -> Result<(Option<[u8; 32]>, Vec<Notice>), StoreError> {
        let (scope, ends) = (fields::word(hash, "scope"), fields::word(hash, "ends"));
        if scope.is_empty() && ends.is_empty() {
            return Ok((None, Vec::new()));
        }
        let ends: Vec<&str> = ends.lines().collect();
        let mut pipe = Pipeline::new();
        pipe.hget(self.keys.named(&format!("idempotency:{scope}")), "hash");
        for end in &ends {
            pipe.zscore(self.keys.named(notices::KEY), end);
        }
        let answers: Vec<Option<String>> = self.link.ask(Question::Pipe(&pipe)).await?;
        let mut answers = answers.into_iter();
        let sha256 = answers.next().flatten().as_deref().and_then(keys::unhex);
        let untold = ends.into_iter().zip(answers).filter(|(_, score)| score.is_some());
        Ok((sha256, untold.filter_map(|(end, _)| notices::parse(end)).collect()))
    }

    pub(super) async fn restore(
        &self,
        tasks: Vec<WholeTask>,
        now: Timestamp,
    ) -> Result<Vec<Restored>, StoreError> {
        // A visitor has not done it, and may be the first to write.
        self.migrate().await?;
        if tasks.is_empty() {
            return Ok(Vec::new());
        }
        // Their numbers are theirs from here on, so the order in which they are written is free.
        let mut pipe = Pipeline::new();
        pipe.incr(self.keys.named("seq"), tasks.len());
        let (last,): (u64,) = self.link.ask(Question::Pipe(&pipe)).await?;
        let op = format!("restore {}", Uuid::new_v4().simple());
        let first = last + 1 - tasks.len() as u64;
        stream::iter((first..).zip(tasks))
            .map(|(seq, task)| self.restore_one(task.put_back(now).into_parts(), seq, &op))
            .buffered(WRITES_AT_ONCE)
            .try_collect()
            .await
    }

    async fn restore_one(&self, parts: Parts, seq: u64, op: &str) -> Result<Restored, StoreError> {
        let Parts { task, step, updated, outcome, progress, attempts, notices } = parts;
        let hash = task.idempotency.as_ref().map(|given| keys::hex(&given.hash));
        let mut script = self.scripts.restore.key(&self.keys.0);
        script
            .arg(task.id.to_string())
            .arg(task.model.as_str())
            .arg(step.to.place.code())
            .arg(step.to.due.map_or_else(String::new, |due| due.millis().to_string()))
            .arg(keys::scope(&task))
            .arg(hash.unwrap_or_default())
            .arg(seq)
            .arg(op)
            .arg(attempts.len())
            .arg(notices.len());
        for failed in &attempts {
            script.arg(attempts::text(failed));
        }
        for notice in &notices {
            script.arg(notices::text(notice));
        }
        let mut pairs = fields::of_new(&task, &step, updated);
        pairs.extend(fields::of_outcome(outcome.as_ref()));
        pairs.extend(progress.map(|share| ("progress", share.to_string().into())));
        for (field, value) in pairs {
            script.arg(field).arg(&*value);
        }
        let (word, id): (String, String) = self.link.ask(Question::Script(&script)).await?;
        Ok(match &*word {
            "written" => Restored::Written,
            "taken" => Restored::KeyTaken { by: id.parse().unwrap_or(task.id) },
            _ => Restored::Exists,
        })
    }
}
