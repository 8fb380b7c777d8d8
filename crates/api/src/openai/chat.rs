//! `POST /v1/chat/completions`: what is asked.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{PastCall, SamplingFields, Tool, ToolChoice};

/// A conversation to be continued.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, expecting = "a JSON object")]
pub struct ChatRequest {
    /// The model; may be left out where the server has a default.
    pub model: Option<String>,
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// How tokens are chosen, when generation stops, what the text must look like.
    #[serde(flatten)]
    pub sampling: SamplingFields,
    /// Whether the log-probability of each token is told.
    pub logprobs: Option<bool>,
    /// How many likely tokens are told for each place, 0 to 20; needs `logprobs`.
    pub top_logprobs: Option<i64>,
    /// Functions that the model may call.
    pub tools: Option<Vec<Tool>>,
    /// Whether it may, must, or must not call one.
    pub tool_choice: Option<ToolChoice>,
    /// `false` allows one call at most.
    pub parallel_tool_calls: Option<bool>,
    /// The newer name of `max_tokens`.
    pub max_completion_tokens: Option<i64>,
    /// Short for `chat_template_kwargs.enable_thinking`.
    pub enable_thinking: Option<bool>,
    /// Variables for the model's chat template.
    pub chat_template_kwargs: Option<Map<String, Value>>,
    /// Whether the prompt ends with the head of the assistant's answer; the default.
    pub add_generation_prompt: Option<bool>,
    /// Not supported: the last message would be continued.
    pub continue_final_message: Option<bool>,
    /// Not supported: the model's own template is used.
    pub chat_template: Option<String>,
    /// Not supported: the older form of `tools`.
    #[schema(value_type = Option<Object>)]
    pub functions: Option<Value>,
}

/// One message of a conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, expecting = "a JSON object")]
pub struct Message {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// What was said; may be absent beside `tool_calls`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// Who said it, where several share a role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What an assistant thought before it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Functions that an assistant called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<PastCall>>,
    /// The call that a `tool` message answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged, expecting = "expected a string or an array of content parts")]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Parts, of which only text is supported.
    Parts(Vec<ContentPart>),
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ContentPart {
    /// `text`; others are refused.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What the answer must look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ResponseFormat {
    /// `text`, `json_object` or `json_schema`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The schema, for `json_schema`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<JsonSchemaFormat>,
}

/// A schema with its name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, expecting = "a JSON object")]
pub struct JsonSchemaFormat {
    /// A name for the model and for people.
    pub name: Option<String>,
    /// What the answer is for.
    pub description: Option<String>,
    /// JSON schema of the answer.
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Value>,
    /// The answer always fits the schema here, whatever this says.
    pub strict: Option<bool>,
}
