//! The version of the keys, and how those of an older one are brought forward.

use redis::Script;

use super::{Shared, link::Question};
use crate::StoreError;

/// Each script takes the keys from the version of its index, counted from 1, to the next, in one
/// atomic step that also writes the version: it ends with `redis.call('SET', prefix .. 'schema', N)`
/// and does nothing where that is there already. Never change one that was released; add another.
/// A server of the older version that still runs then must be stopped by its operator first.
const STEPS: &[&str] = &[];

/// The latest version of the keys.
pub(super) const fn known() -> i64 {
    version_after(STEPS)
}

const fn version_after(steps: &[&str]) -> i64 {
    steps.len() as i64 + 1
}

impl Shared {
    /// Brings the keys to our version.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for those of a later one.
    pub(super) async fn migrate(&self) -> Result<(), StoreError> {
        self.bring_forward(STEPS).await
    }

    /// The version of the keys, without changing it.
    pub(super) async fn schema(&self) -> Result<i64, StoreError> {
        self.version(known(), false).await
    }

    async fn version(&self, ours: i64, may_write: bool) -> Result<i64, StoreError> {
        let mut script = self.scripts.schema.key(&self.keys.0);
        script.arg(ours).arg(i32::from(may_write));
        self.link.ask(Question::Script(&script)).await
    }

    async fn bring_forward(&self, steps: &[&str]) -> Result<(), StoreError> {
        let known = version_after(steps);
        let mut found = self.version(known, true).await?;
        while let Some(step) = usize::try_from(found - 1).ok().and_then(|at| steps.get(at)) {
            let step = Script::new(&format!("{}{step}", include_str!("scripts/common.lua")));
            let step = step.key(&self.keys.0);
            let (): () = self.link.ask(Question::Script(&step)).await?;
            tracing::info!(from = found, to = found + 1, "the task store was brought forward");
            found += 1;
        }
        if found == known { Ok(()) } else { Err(self.link.newer(found, known)) }
    }
}

#[cfg(test)]
mod tests;
