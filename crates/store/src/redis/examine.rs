//! Looks at all keys of ours, in pages, beside servers that work: each task is judged on what a script
//! has read of it at one moment.

use api::task::TaskState;
use redis::Pipeline;
use types::TaskId;

use super::{
    RedisStore, Shared,
    fields::{self, Hash},
    link::Question,
    schema,
};
use crate::{Place, Report, StoreError, TaskRecord};

/// Keys or entries that are looked at together.
const PAGE: usize = 500;

/// What a task lacks, or has too much.
const DISCARD: &str = "restore a copy of Redis; or stop the servers and give the task up: ";

/// What [`look.lua`](scripts/look.lua) gives of a task.
type Looked = (Hash, String, String, String);

impl RedisStore {
    /// Looks at every record and every index, and changes nothing. Servers may go on meanwhile.
    ///
    /// # Errors
    /// [`StoreError`] if Redis cannot be reached, or a later version of this program uses it.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn examine(&self) -> Result<Report, StoreError> {
        let shared = &self.shared;
        let (engine, found) = (shared.link.version().await?, shared.schema().await?);
        let shown = shared.link.shown().to_owned();
        let mut report = Report::new(shown, engine, found, schema::known());
        report.risks = shared.link.risks().iter().map(ToString::to_string).collect();
        // Not counted while keys are walked: that may come by a key twice.
        for model in shared.stats().await? {
            for state in TaskState::ALL {
                report.count(state, model.count(state));
            }
        }
        shared.examine_indexes(&mut report).await?;
        shared.examine_keys(&mut report).await?;
        Ok(report)
    }
}

impl Shared {
    /// Whatever stands in an index must belong there.
    async fn examine_indexes(&self, report: &mut Report) -> Result<(), StoreError> {
        for place in Place::ALL {
            self.examine_index("due", &self.keys.due(place), report).await?;
            for model in self.models().await? {
                self.examine_index("queue", &self.keys.queue(&model, place), report).await?;
            }
        }
        Ok(())
    }

    async fn examine_index(
        &self,
        kind: &str,
        index: &str,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let mut cursor = 0_u64;
        loop {
            let mut pipe = Pipeline::new();
            pipe.cmd("ZSCAN").arg(index).arg(cursor).arg("COUNT").arg(PAGE);
            let ((next, entries),): ((u64, Vec<(String, f64)>),) =
                self.link.ask(Question::Pipe(&pipe)).await?;
            let mut script = self.scripts.strays.key(&self.keys.0);
            script.arg(kind).arg(index);
            for (id, _) in &entries {
                script.arg(id);
            }
            let strays: Vec<String> = self.link.ask(Question::Script(&script)).await?;
            for id in strays {
                let problem =
                    format!("it stands in `{index}`, and its record says otherwise or is gone");
                report.found(id.parse().ok(), problem, format!("run ZREM {index} {id}"));
            }
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }

    /// Every record must be readable and stand where it says.
    async fn examine_keys(&self, report: &mut Report) -> Result<(), StoreError> {
        let pattern = format!("{}*", glob(&self.keys.0));
        let mut cursor = 0_u64;
        loop {
            let mut pipe = Pipeline::new();
            pipe.cmd("SCAN").arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(PAGE);
            let ((next, keys),): ((u64, Vec<String>),) =
                self.link.ask(Question::Pipe(&pipe)).await?;
            let names = keys.iter().filter_map(|key| key.strip_prefix(&self.keys.0));
            let mut tasks: Vec<TaskId> = Vec::new();
            for name in names {
                if let Some(id) = name.strip_prefix("task:") {
                    tasks.extend(id.parse::<TaskId>());
                } else if let Some((kind, id)) =
                    name.strip_prefix("document:").and_then(|name| name.split_once(':'))
                {
                    self.examine_document(kind, id, report).await?;
                }
            }
            self.examine_tasks(&tasks, report).await?;
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }

    async fn examine_tasks(&self, ids: &[TaskId], report: &mut Report) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut script = self.scripts.look.key(&self.keys.0);
        for id in ids {
            script.arg(id.to_string());
        }
        let looked: Vec<Looked> = self.link.ask(Question::Script(&script)).await?;
        for (id, looked) in ids.iter().zip(looked) {
            self.judge(*id, &looked, report);
        }
        self.examine_attempts(ids, report).await
    }

    async fn examine_attempts(
        &self,
        ids: &[TaskId],
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let mut pipe = Pipeline::new();
        for id in ids {
            pipe.lrange(self.keys.attempts(*id), 0, -1);
        }
        let found: Vec<Vec<String>> = self.link.ask(Question::Pipe(&pipe)).await?;
        for (id, texts) in ids.iter().zip(found) {
            if texts.iter().any(|text| self.failed_attempt(text).is_err()) {
                let remedy = format!("forget them: DEL {}", self.keys.attempts(*id));
                report.found(Some(*id), "its earlier attempts cannot be read", remedy);
            }
        }
        Ok(())
    }

    fn judge(&self, id: TaskId, (hash, queued, due, holder): &Looked, report: &mut Report) {
        let task = self.keys.task(id);
        let record = match fields::record(hash) {
            Ok(Some(record)) => record,
            // Removed since it was found, or a record of another program.
            Ok(None) => return,
            Err(error) => {
                let remedy = format!("{DISCARD}DEL {task}, and check again");
                return report.found(
                    Some(id),
                    format!("its record cannot be read: {error}"),
                    remedy,
                );
            }
        };
        let TaskRecord { model, standing, .. } = &record;
        let place = standing.place;
        let seq = fields::word(hash, "seq");
        if !same(queued, seq) {
            let queue = self.keys.queue(model, place);
            let problem = format!("it stands nowhere in `{queue}`, where it belongs");
            report.found(Some(id), problem, format!("run ZADD {queue} {seq} {id}"));
        }
        let wanted = standing.due.map_or_else(String::new, |due| due.millis().to_string());
        if !same(due, &wanted) {
            let index = self.keys.due(place);
            let problem = format!("`{index}` does not hold the moment at which time changes it");
            let remedy = match standing.due {
                Some(_) => format!("run ZADD {index} {wanted} {id}"),
                None => format!("run ZREM {index} {id}"),
            };
            report.found(Some(id), problem, remedy);
        }
        let scope = fields::word(hash, "scope");
        if !scope.is_empty() && *holder != id.to_string() {
            let problem = "its idempotency key does not lead to it, so it may be submitted twice";
            let key = self.keys.named(&format!("idempotency:{scope}"));
            report.found(Some(id), problem, format!("run HSET {key} id {id}"));
        }
    }

    async fn examine_document(
        &self,
        kind: &str,
        id: &str,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let Some(document) = self.documents_named(kind, vec![id.to_owned()]).await?.pop() else {
            return Ok(());
        };
        *report.documents.entry(kind.to_owned()).or_default() += 1;
        let mut pipe = Pipeline::new();
        let all = self.keys.documents(kind, None);
        let group = self.keys.documents(kind, Some(&document.label));
        pipe.zscore(&all, id).zscore(&group, id);
        let listed: Vec<Option<f64>> = self.link.ask(Question::Pipe(&pipe)).await?;
        for (index, score) in [all, group].iter().zip(listed) {
            if score.is_none() {
                let problem = format!("the document `{kind}` {id} is missing in `{index}`");
                report.found(None, problem, format!("run ZADD {index} 0 {id}"));
            }
        }
        Ok(())
    }
}

/// Whether two numbers, or two empty texts, are the same.
fn same(one: &str, other: &str) -> bool {
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => one.to_bits() == other.to_bits(),
        _ => one == other,
    }
}

/// A prefix as a pattern that matches only itself.
fn glob(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len());
    for letter in prefix.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}
