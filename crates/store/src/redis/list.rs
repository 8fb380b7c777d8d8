//! Pages of tasks, newest first, and counts.
//!
//! For each model and place that may match, its newest entries are read in order, and the newest of
//! all of them make the page. There are few models and nine places.

use redis::Pipeline;
use types::{ModelName, TaskId};

use super::{Shared, link::Question};
use crate::{Cursor, ModelTasks, Place, StoreError, TaskFilter, TaskList, TaskRecord};

/// Tasks that are looked at together where only some may match.
const LOOK_MIN: usize = 512;

/// What is read at once.
struct Scan {
    models: Vec<ModelName>,
    places: Vec<Place>,
}

impl Shared {
    pub(super) async fn list(
        &self,
        filter: &TaskFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<TaskList, StoreError> {
        let limit = limit as usize;
        let models = match &filter.model {
            Some(model) => vec![model.clone()],
            None => self.models().await?,
        };
        let scan = Scan { models, places: filter.places() };
        let is_narrow = filter.tenant.is_some() || filter.error_code.is_some();
        let mut found: Vec<(u64, TaskRecord)> = Vec::new();
        let mut before = after.map(|cursor| cursor.0);
        // One more than asked for tells whether there is another page.
        while found.len() <= limit {
            let look = if is_narrow { LOOK_MIN.max(limit + 1) } else { limit + 1 };
            let newest = self.newest(&scan, before, look).await?;
            let Some(&(last, _)) = newest.last() else { break };
            before = Some(last);
            let mut newest = self.matching(filter, newest).await?;
            let room = limit + 1 - found.len();
            if newest.len() > room {
                newest.truncate(room);
                before = newest.last().map(|&(seq, _)| seq);
            }
            let read = self.records(newest).await?;
            // A task may have taken a step since it was found.
            let matches = |state| filter.state.is_none_or(|wanted| wanted == state);
            found.extend(read.into_iter().filter(|(_, record)| matches(record.state())));
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(seq, _)| Cursor(*seq));
        Ok(TaskList { tasks: found.into_iter().map(|(_, record)| record).collect(), next })
    }

    /// The newest tasks of a scan with their numbers, newest first, all of one moment.
    async fn newest(
        &self,
        scan: &Scan,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, TaskId)>, StoreError> {
        let before = before.map_or_else(|| "+inf".to_owned(), |seq| format!("({seq}"));
        let mut pipe = Pipeline::new();
        pipe.atomic();
        for model in &scan.models {
            for place in &scan.places {
                let queue = self.keys.queue(model, *place);
                pipe.zrevrangebyscore_limit_withscores(queue, &before, "-inf", 0, limit as isize);
            }
        }
        if pipe.is_empty() {
            return Ok(Vec::new());
        }
        let found: Vec<Vec<(String, f64)>> = self.link.ask(Question::Pipe(&pipe)).await?;
        let mut newest: Vec<_> = found
            .into_iter()
            .flatten()
            .filter_map(|(id, seq)| Some((seq as u64, id.parse().ok()?)))
            .collect();
        newest.sort_unstable_by(|a, b| b.cmp(a));
        newest.truncate(limit);
        Ok(newest)
    }

    /// Those of the tenant and with the error that are asked for. Only these fields are read: most
    /// tasks of a long list may have others.
    async fn matching(
        &self,
        filter: &TaskFilter,
        tasks: Vec<(u64, TaskId)>,
    ) -> Result<Vec<(u64, TaskId)>, StoreError> {
        let TaskFilter { tenant, error_code, .. } = filter;
        if tasks.is_empty() || (tenant.is_none() && error_code.is_none()) {
            return Ok(tasks);
        }
        let mut pipe = Pipeline::new();
        for (_, id) in &tasks {
            pipe.hmget(self.keys.task(*id), &["tenant", "error_code"]);
        }
        let fields: Vec<[Option<String>; 2]> = self.link.ask(Question::Pipe(&pipe)).await?;
        let matches = |[theirs, code]: &[Option<String>; 2]| {
            tenant.as_ref().is_none_or(|wanted| theirs.as_deref() == Some(wanted.as_str()))
                && error_code.is_none_or(|wanted| code.as_deref() == Some(wanted.slug()))
        };
        let found = tasks.into_iter().zip(fields).filter(|(_, fields)| matches(fields));
        Ok(found.map(|(task, _)| task).collect())
    }

    /// The records of these tasks; those that were removed meanwhile are left out.
    async fn records(
        &self,
        tasks: Vec<(u64, TaskId)>,
    ) -> Result<Vec<(u64, TaskRecord)>, StoreError> {
        if tasks.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = Pipeline::new();
        for (_, id) in &tasks {
            pipe.hgetall(self.keys.task(*id));
        }
        let hashes: Vec<super::fields::Hash> = self.link.ask(Question::Pipe(&pipe)).await?;
        let mut records = Vec::with_capacity(tasks.len());
        for ((seq, _), hash) in tasks.into_iter().zip(hashes) {
            records.extend(self.record(&hash)?.map(|record| (seq, record)));
        }
        Ok(records)
    }

    pub(super) async fn stats(&self) -> Result<Vec<ModelTasks>, StoreError> {
        let models = self.models().await?;
        let mut pipe = Pipeline::new();
        pipe.atomic();
        for model in &models {
            for place in Place::ALL {
                pipe.zcard(self.keys.queue(model, place));
            }
        }
        if pipe.is_empty() {
            return Ok(Vec::new());
        }
        let counts: Vec<u64> = self.link.ask(Question::Pipe(&pipe)).await?;
        let places = models.iter().flat_map(|model| Place::ALL.map(|place| (model.clone(), place)));
        let found = places.zip(counts).map(|((model, place), count)| (model, place, count));
        Ok(ModelTasks::count_all(found.filter(|(_, _, count)| *count > 0)))
    }
}
