//! `POST /v1/completions`: texts to be continued, and how.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{SamplingFields, TextInput, Usage};

/// Texts to be continued.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, expecting = "a JSON object")]
pub struct CompletionRequest {
    /// The model; may be left out where the server has a default.
    pub model: Option<String>,
    /// The texts.
    pub prompt: Option<TextInput>,
    /// How tokens are chosen, when generation stops, what the text must look like.
    #[serde(flatten)]
    pub sampling: SamplingFields,
    /// How many likely tokens are told for each place, 0 to 20.
    pub logprobs: Option<i64>,
    /// Whether the answer begins with the prompt.
    pub echo: Option<bool>,
    /// Only the value of `n`.
    pub best_of: Option<i64>,
    /// Not supported: what comes after the answer.
    pub suffix: Option<String>,
}

/// The continued texts; also one event of a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Completion {
    /// `cmpl-…`.
    pub id: String,
    /// `text_completion`.
    pub object: String,
    /// Unix time, in seconds.
    pub created: u64,
    /// The model.
    pub model: String,
    /// `n` for each prompt, prompts in order.
    pub choices: Vec<CompletionChoice>,
    /// Counted tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// One continued text, or a piece of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CompletionChoice {
    /// Which one, from 0.
    pub index: u32,
    /// The text, or what this event adds.
    pub text: String,
    /// Log-probabilities, if asked for.
    pub logprobs: Option<CompletionLogprobs>,
    /// `stop` or `length`; null before the end.
    pub finish_reason: Option<String>,
}

/// Log-probabilities in the shape of this older call: four lists of equal length.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CompletionLogprobs {
    /// Where each token begins in the text, in characters.
    pub text_offset: Vec<usize>,
    /// How likely each was.
    pub token_logprobs: Vec<Option<f32>>,
    /// The tokens.
    pub tokens: Vec<String>,
    /// The likeliest tokens for each place.
    #[schema(value_type = Vec<Object>)]
    pub top_logprobs: Vec<Option<Map<String, Value>>>,
}
