//! How an image task fails. The texts are those of `ray-service`; clients match on them.

use std::time::Duration;

use api::{Begun, BoxError, EndpointError};
use types::{ErrorCode, Fault};

use crate::{deadline::Seconds, refusal::refuse, upstream::NoAnswer};

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("payload.{0} is required")]
    Missing(&'static str),
    #[error("create_task failed: {code} -> {body}")]
    Create { code: u64, body: String },
    #[error("get_result failed: {code} -> {body}")]
    Ask { code: u64, body: String },
    #[error("Polling task {task_id} timed out after {}", Seconds(*after))]
    TimedOut { task_id: String, after: Duration },
    #[error("Task {task_id} failed: {message}")]
    Failed { task_id: String, message: String },
    #[error("Unexpected response: {0}")]
    Unexpected(String),
    #[error("Network error: {0}")]
    Network(NoAnswer),
    #[error("Network error: the answer broke off")]
    BrokenOff(BoxError),
}

impl From<NoAnswer> for Trouble {
    fn from(error: NoAnswer) -> Self {
        Self::Network(error)
    }
}

impl Trouble {
    /// Whether the next question about the same task may well be answered.
    pub(super) const fn may_pass(&self) -> bool {
        match self {
            Self::Network(_) | Self::BrokenOff(_) => true,
            Self::Ask { code, .. } => *code >= 500,
            _ => false,
        }
    }
}

impl From<Trouble> for EndpointError {
    /// All of them are 500 with the text as `detail`, a wrong payload too: so it is in
    /// `ray-service`, and its clients expect it.
    fn from(trouble: Trouble) -> Self {
        let detail = trouble.to_string();
        match trouble {
            Trouble::Missing(_) => refuse(ErrorCode::HandlerFailed, detail),
            Trouble::Network(error) => {
                let begun = match &error {
                    NoAnswer::Send(error) => error.begun(),
                    NoAnswer::Late(_) => Begun::Maybe,
                };
                let fault = Fault::new(ErrorCode::ProviderFailed, detail).caused_by(error);
                Self { begun, fault }
            }
            Trouble::BrokenOff(cause) => {
                Self::maybe_begun(Fault::new(ErrorCode::ProviderFailed, detail).caused_by(cause))
            }
            _ => Self::maybe_begun(Fault::new(ErrorCode::ProviderFailed, detail)),
        }
    }
}
