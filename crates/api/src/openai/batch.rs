//! Batches: many calls in one file, answered in another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// `POST /v1/batches`.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, expecting = "a JSON object")]
pub struct BatchRequest {
    /// A file with the purpose `batch`: one call a line.
    pub input_file_id: Option<String>,
    /// What every line calls: `/v1/chat/completions`, `/v1/completions`, `/v1/embeddings`,
    /// `/invoke/{model}` or `/invoke/{model}/{route}`.
    pub endpoint: Option<String>,
    /// Time for all of it, for example `24h`.
    pub completion_window: Option<String>,
    /// Up to 16 short texts of the client's.
    pub metadata: Option<BTreeMap<String, String>>,
    /// When the files of its results are deleted.
    pub output_expires_after: Option<ExpiresAfter>,
}

/// When a file is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExpiresAfter {
    /// Always `created_at`.
    pub anchor: String,
    /// So many seconds after it.
    pub seconds: u64,
}

/// Where a batch stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum BatchStatus {
    /// Its file is being checked, or waits to be.
    #[default]
    Validating,
    /// Its file cannot be used; nothing was called.
    Failed,
    /// Its lines are called.
    InProgress,
    /// Its lines are done, and its results are written.
    Finalizing,
    /// Every line has an answer or an error.
    Completed,
    /// Its time was over before all lines were done.
    Expired,
    /// Somebody wants it to end.
    Cancelling,
    /// Ended before all lines were done.
    Cancelled,
}

impl BatchStatus {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Validating => "validating",
            Self::Failed => "failed",
            Self::InProgress => "in_progress",
            Self::Finalizing => "finalizing",
            Self::Completed => "completed",
            Self::Expired => "expired",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it changes no more.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Failed | Self::Completed | Self::Expired | Self::Cancelled)
    }
}

/// One batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BatchObject {
    /// `batch_…`
    pub id: String,
    /// Always `batch`.
    pub object: String,
    /// What every line calls.
    pub endpoint: String,
    /// What is wrong with its file.
    pub errors: Option<BatchErrors>,
    /// The file with its calls.
    pub input_file_id: String,
    /// Time for all of it, as it was asked for.
    pub completion_window: String,
    /// Where it stands.
    pub status: BatchStatus,
    /// The file with the answers, once it has ended with any.
    pub output_file_id: Option<String>,
    /// The file with what was not answered, once it has ended with any.
    pub error_file_id: Option<String>,
    /// Unix times of its steps, in seconds.
    pub created_at: u64,
    /// When its first line could be called.
    pub in_progress_at: Option<u64>,
    /// When its time is over.
    pub expires_at: Option<u64>,
    /// When its last line was done.
    pub finalizing_at: Option<u64>,
    /// When all was written.
    pub completed_at: Option<u64>,
    /// When its file was refused.
    pub failed_at: Option<u64>,
    /// When it ended because its time was over.
    pub expired_at: Option<u64>,
    /// When it was asked to end.
    pub cancelling_at: Option<u64>,
    /// When it ended because of that.
    pub cancelled_at: Option<u64>,
    /// How many lines stand where.
    pub request_counts: RequestCounts,
    /// What its client wrote on it.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// How many lines of a batch stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RequestCounts {
    /// All of them.
    pub total: u32,
    /// Have an answer.
    pub completed: u32,
    /// Have an error.
    pub failed: u32,
}

/// What is wrong with the file of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BatchErrors {
    /// Always `list`.
    pub object: String,
    /// In the order of the lines.
    pub data: Vec<LineError>,
}

/// What is wrong with one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LineError {
    /// A word to match on.
    pub code: String,
    /// The line, from 1; absent where it is about the whole file.
    pub line: Option<u32>,
    /// For a person: what is wrong, and the fix.
    pub message: String,
    /// The field at fault.
    pub param: Option<String>,
}

/// One line of a file of results.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutputLine {
    /// Names the call.
    pub id: String,
    /// The client's name for it.
    pub custom_id: String,
    /// What was answered, unless it was never called.
    pub response: Option<OutputResponse>,
    /// Why it was never called.
    pub error: Option<OutputError>,
}

/// What a line was answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutputResponse {
    /// As a call of its own would have been answered.
    pub status_code: u16,
    /// The task that made the call.
    pub request_id: String,
    /// The answer, or the error in the shape of this API.
    pub body: Box<RawValue>,
}

/// Why a line was never called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputError {
    /// A word to match on.
    pub code: String,
    /// For a person.
    pub message: String,
}
