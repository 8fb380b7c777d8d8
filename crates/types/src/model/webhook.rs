//! What of tasks is told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens to a task that a webhook can be told of: its ends, and its progress where that is
/// named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WebhookEvent {
    /// It has its result.
    Completed,
    /// It ended with an error that is not tried again.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// It used up its attempts.
    Dead,
    /// Its code said how far it is.
    Progress,
}

impl WebhookEvent {
    /// Every event.
    pub const ALL: [Self; 5] =
        [Self::Completed, Self::Failed, Self::Cancelled, Self::Dead, Self::Progress];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
            Self::Progress => "progress",
        }
    }
}

impl std::str::FromStr for WebhookEvent {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.trim();
        let known = Self::ALL.into_iter().find(|event| event.as_str() == word);
        known.ok_or_else(|| {
            format!("`{word}` is not completed, failed, cancelled, dead or progress")
        })
    }
}
