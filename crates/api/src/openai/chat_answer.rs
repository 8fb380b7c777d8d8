//! `POST /v1/chat/completions`: what is answered, whole or as a stream of chunks.

use serde::{Deserialize, Serialize};

use super::{ToolCall, ToolCallDelta, Usage};

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChatCompletion {
    /// `chatcmpl-…`.
    pub id: String,
    /// `chat.completion`.
    pub object: String,
    /// Unix time, in seconds.
    pub created: u64,
    /// The model.
    pub model: String,
    /// As many as were asked for.
    pub choices: Vec<ChatChoice>,
    /// Counted tokens.
    pub usage: Usage,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChatChoice {
    /// Which one, from 0.
    pub index: u32,
    /// What the assistant says.
    pub message: ChatMessage,
    /// Log-probabilities, if asked for.
    pub logprobs: Option<ChatLogprobs>,
    /// `stop`, `length` or `tool_calls`.
    pub finish_reason: String,
}

/// What the assistant says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChatMessage {
    /// `assistant`.
    pub role: String,
    /// What it says; null if it only calls tools.
    pub content: Option<String>,
    /// What it thought before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The functions that it calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
}

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChatChunk {
    /// `chatcmpl-…`, the same in every event.
    pub id: String,
    /// `chat.completion.chunk`.
    pub object: String,
    /// Unix time, in seconds.
    pub created: u64,
    /// The model.
    pub model: String,
    /// What this event adds; empty in the event that tells the usage.
    pub choices: Vec<ChatChunkChoice>,
    /// Counted tokens, in the last event if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// What an event adds to one answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChatChunkChoice {
    /// Which one, from 0.
    pub index: u32,
    /// What is added.
    pub delta: ChatDelta,
    /// Log-probabilities of what is added, if asked for.
    pub logprobs: Option<ChatLogprobs>,
    /// `stop`, `length` or `tool_calls` at the end, null before.
    pub finish_reason: Option<String>,
}

/// What is added to a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChatDelta {
    /// `assistant`, in the first event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// To be put after the content so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// To be put after the thoughts so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Pieces of calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCallDelta>>,
}

/// Log-probabilities of the tokens of a message's content.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChatLogprobs {
    /// One for each token.
    pub content: Vec<TokenLogprob>,
}

/// How likely a token was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenLogprob {
    /// The token as text; may show U+FFFD where it holds a part of a character.
    pub token: String,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// The token, exactly.
    pub bytes: Option<Vec<u8>>,
    /// The likeliest tokens for its place.
    pub top_logprobs: Vec<TopLogprob>,
}

/// A token that was likely.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TopLogprob {
    /// The token as text.
    pub token: String,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// The token, exactly.
    pub bytes: Option<Vec<u8>>,
}
