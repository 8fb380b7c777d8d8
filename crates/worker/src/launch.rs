//! What a worker was started with.

use std::env::{self, VarError};

use api::worker::LAUNCH_ENV;

use crate::{WorkerError, WorkerLaunch};

/// What the gateway that started this process wants of it ([`LAUNCH_ENV`]); `None` if a person
/// started it.
///
/// # Errors
/// [`WorkerError::Launch`] if the variable is set and cannot be understood.
pub fn launch() -> Result<Option<WorkerLaunch>, WorkerError> {
    match env::var(LAUNCH_ENV) {
        Ok(text) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|source| WorkerError::Launch { source: source.into() }),
        Err(VarError::NotPresent) => Ok(None),
        Err(error) => Err(WorkerError::Launch { source: error.into() }),
    }
}
