//! The history of a task: a list of how its attempts failed, each in JSON.

use redis::Pipeline;
use serde::{Deserialize, Serialize};
use types::{ErrorCode, TaskId, Timestamp};

use super::{Shared, link::Question};
use crate::{FailedAttempt, Owner, StoreError, TaskError};

/// One entry of the list.
#[derive(Serialize, Deserialize)]
struct Entry {
    attempt: u32,
    owner: u64,
    began: u64,
    ended: u64,
    code: String,
    detail: String,
}

/// As it is written.
pub(super) fn text(failed: &FailedAttempt) -> String {
    let FailedAttempt { attempt, owner, began, ended, error } = failed;
    let entry = Entry {
        attempt: *attempt,
        owner: owner.0,
        began: began.millis(),
        ended: ended.millis(),
        code: error.code.slug().into(),
        detail: error.detail.clone(),
    };
    // Numbers and texts can always be written.
    serde_json::to_string(&entry).unwrap_or_default()
}

impl Shared {
    /// How earlier attempts of a task failed.
    pub(super) async fn attempts(&self, id: TaskId) -> Result<Vec<FailedAttempt>, StoreError> {
        let mut pipe = Pipeline::new();
        pipe.lrange(self.keys.attempts(id), 0, -1);
        let (entries,): (Vec<String>,) = self.link.ask(Question::Pipe(&pipe)).await?;
        entries.iter().map(|text| self.failed_attempt(text)).collect()
    }

    /// Reads one entry of the list.
    pub(super) fn failed_attempt(&self, text: &str) -> Result<FailedAttempt, StoreError> {
        let Entry { attempt, owner, began, ended, code, detail } =
            serde_json::from_str(text).map_err(|error| self.link.unreadable(error))?;
        // A later version may have known more codes.
        let code = ErrorCode::from_slug(&code).unwrap_or(ErrorCode::InternalError);
        Ok(FailedAttempt {
            attempt,
            owner: Owner(owner),
            began: Timestamp::from_millis(began),
            ended: Timestamp::from_millis(ended),
            error: TaskError { code, detail },
        })
    }
}
