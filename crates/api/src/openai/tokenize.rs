//! `POST /tokenize` and `/detokenize`: how a model cuts texts.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Message, Tool};

/// A text, or a conversation, to be cut into tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, expecting = "a JSON object")]
pub struct TokenizeRequest {
    /// The model; may be left out where the server has a default.
    pub model: Option<String>,
    /// A text; or give `messages`.
    pub prompt: Option<String>,
    /// A conversation; or give `prompt`.
    pub messages: Option<Vec<Message>>,
    /// Functions that the template tells the model of.
    pub tools: Option<Vec<Tool>>,
    /// Whether a conversation ends with the head of the assistant's answer; the default.
    pub add_generation_prompt: Option<bool>,
    /// Whether the model's own first and last tokens are added; the default for texts only.
    pub add_special_tokens: Option<bool>,
    /// Variables for the model's chat template.
    pub chat_template_kwargs: Option<Map<String, Value>>,
}

/// The tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenizeAnswer {
    /// How many.
    pub count: usize,
    /// How many the model can take.
    pub max_model_len: usize,
    /// Their ids.
    pub tokens: Vec<u32>,
}

/// Tokens to be put together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, expecting = "a JSON object")]
pub struct DetokenizeRequest {
    /// The model; may be left out where the server has a default.
    pub model: Option<String>,
    /// Their ids.
    pub tokens: Vec<u32>,
}

/// The text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DetokenizeAnswer {
    /// The text, special tokens included.
    pub prompt: String,
}
