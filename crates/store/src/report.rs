//! What a look at a whole store has found.

use std::collections::BTreeMap;

use api::task::TaskState;
use serde::Serialize;
use types::TaskId;

/// Problems that are listed; of more only the number is told.
const LISTED_MAX: usize = 1000;

/// The state of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Where it is, without a password.
    pub store: String,
    /// What it is, with its version.
    pub engine: String,
    /// The version of its tables or keys.
    pub schema: i64,
    /// The latest version that this program knows; an older one is brought forward by `serve`.
    pub schema_known: i64,
    /// What may lose tasks although everything works.
    pub risks: Vec<String>,
    /// How many tasks stand in each state.
    pub tasks: BTreeMap<&'static str, u64>,
    /// How many documents there are of each kind.
    pub documents: BTreeMap<String, u64>,
    /// How many problems were found.
    pub problems_found: u64,
    /// The first thousand of them.
    pub problems: Vec<Problem>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The task that it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

impl Report {
    pub(crate) fn new(store: String, engine: String, schema: i64, schema_known: i64) -> Self {
        Self {
            store,
            engine,
            schema,
            schema_known,
            risks: Vec::new(),
            tasks: BTreeMap::new(),
            documents: BTreeMap::new(),
            problems_found: 0,
            problems: Vec::new(),
        }
    }

    /// Whether nothing is wrong.
    pub const fn is_sound(&self) -> bool {
        self.problems_found == 0
    }

    pub(crate) fn found(
        &mut self,
        task_id: Option<TaskId>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.problems_found += 1;
        if self.problems.len() < LISTED_MAX {
            let (problem, remedy) = (problem.into(), remedy.into());
            self.problems.push(Problem { task_id, problem, remedy });
        }
    }

    pub(crate) fn count(&mut self, state: TaskState, tasks: u64) {
        if tasks > 0 {
            *self.tasks.entry(state.as_str()).or_default() += tasks;
        }
    }
}
