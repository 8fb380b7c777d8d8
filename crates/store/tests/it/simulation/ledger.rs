//! What clients know, seen from outside: what they were promised, and what must follow from it.

use std::collections::BTreeMap;

use store::{Finished, Outcome, TaskRecord};
use types::TaskId;

/// What is known of one acknowledged task.
#[derive(Debug, Default)]
struct Known {
    /// The highest attempt that was ever begun.
    attempt: u32,
    /// What was read of it when it had ended; a replay begins anew.
    ended: Option<TaskRecord>,
    /// The answer that a store took.
    answer: Option<Outcome>,
}

/// Every acknowledged task.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    tasks: BTreeMap<TaskId, Known>,
}

impl Ledger {
    pub(super) fn acknowledged(&mut self, id: TaskId) {
        self.tasks.entry(id).or_default();
    }

    pub(super) fn ids(&self) -> impl ExactSizeIterator<Item = TaskId> {
        self.tasks.keys().copied()
    }

    /// An attempt began: it has a number that none had before, and belongs to a task that goes on.
    pub(super) fn claimed(&mut self, record: &TaskRecord) {
        let known = self.known(record.id);
        assert!(known.ended.is_none(), "{} ran after its end", record.id);
        let attempt = record.standing.attempt;
        assert!(attempt > known.attempt, "attempt {attempt} of {} was begun twice", record.id);
        known.attempt = attempt;
    }

    /// An attempt ended. Told twice, it is taken once.
    pub(super) fn finished(&mut self, id: TaskId, attempt: u32, outcome: &Outcome, how: Finished) {
        let known = self.known(id);
        let Finished::Applied(state) = how else { return };
        assert_eq!(known.attempt, attempt, "an earlier attempt of {id} was listened to");
        assert!(known.ended.is_none(), "{id} ended twice");
        if state.is_terminal() && matches!(outcome, Outcome::Completed(_)) {
            assert!(known.answer.replace(outcome.clone()).is_none(), "{id} has two answers");
        }
    }

    /// A person wants another life for it.
    pub(super) fn replayed(&mut self, id: TaskId) {
        let known = self.known(id);
        assert_eq!(known.answer, None, "{id} has its answer and was replayed");
        known.ended = None;
    }

    /// What is read of a task now agrees with all that was known of it.
    pub(super) fn read(&mut self, id: TaskId, found: Option<TaskRecord>) {
        let known = self.known(id);
        let found = found.unwrap_or_else(|| panic!("{id} was acknowledged and is lost"));
        assert!(found.standing.attempt >= known.attempt, "{id} forgot an attempt");
        let answer = found.answer.clone().map(Outcome::Completed);
        assert_eq!(answer, known.answer, "{id} shows another answer than the one that was taken");
        if let Some(before) = &known.ended {
            assert_eq!(&found, before, "{id} changed after its end");
        } else if found.state().is_terminal() {
            known.ended = Some(found);
        }
    }

    /// What a store shows of a task that it knew already.
    pub(super) fn read_again(&mut self, found: &TaskRecord) {
        self.read(found.id, Some(found.clone()));
    }

    /// All of them have ended.
    pub(super) fn check_all_ended(&self) {
        for (id, known) in &self.tasks {
            assert!(known.ended.is_some(), "{id} was acknowledged and never ended");
        }
    }

    fn known(&mut self, id: TaskId) -> &mut Known {
        self.tasks.get_mut(&id).unwrap_or_else(|| panic!("{id} was never acknowledged"))
    }
}
