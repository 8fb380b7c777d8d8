//! `POST /generate` of `ai-platform`: plain prompts, plain texts.

use serde::{Deserialize, Serialize};

use super::SamplingFields;

/// Prompts to be continued, as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, expecting = "a JSON object")]
pub struct GenerateRequest {
    /// The model; may be left out where the server has a default.
    pub model: Option<String>,
    /// The prompts.
    pub prompts: Vec<String>,
    /// How they are continued; `temperature` is 0.6 and `max_tokens` 256 if not given. The same
    /// fields count beside it where it does not have them.
    pub sampling_params: SamplingFields,
}

/// What was made of the prompts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GenerateAnswer {
    /// In the order of the prompts.
    pub results: Vec<Generated>,
}

/// What was made of one prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Generated {
    /// The prompt.
    pub prompt: String,
    /// What follows it.
    pub text: String,
}
