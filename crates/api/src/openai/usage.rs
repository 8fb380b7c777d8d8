//! How many tokens a request took.

use serde::{Deserialize, Serialize};

/// Counted tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Usage {
    /// Tokens of the prompts; a prompt with several answers counts once.
    pub prompt_tokens: u64,
    /// Tokens that were made, over all answers.
    #[serde(default)]
    pub completion_tokens: u64,
    /// Both.
    pub total_tokens: u64,
    /// More about the prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens_details: Option<PromptDetails>,
    /// More about the answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens_details: Option<CompletionDetails>,
}

/// More about the tokens of the prompts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PromptDetails {
    /// Those that were known from earlier requests and not computed again.
    pub cached_tokens: u64,
}

/// More about the tokens of the answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CompletionDetails {
    /// Those that were thought and not said.
    pub reasoning_tokens: u64,
}
