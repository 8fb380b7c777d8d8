//! The fields that chat and text completion share.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ResponseFormat;

/// How tokens are chosen, when generation stops, what the text must look like.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct SamplingFields {
    /// How many answers to each prompt.
    pub n: Option<i64>,
    /// Longest answer, in tokens.
    pub max_tokens: Option<i64>,
    /// 0 takes the likeliest token; up to 2.
    pub temperature: Option<f64>,
    /// Takes the likeliest tokens that together have this share, above 0 and up to 1.
    pub top_p: Option<f64>,
    /// Takes this many of the likeliest tokens; 0 or -1 takes all.
    pub top_k: Option<i64>,
    /// Drops tokens less likely than this share of the likeliest, 0 to 1.
    pub min_p: Option<f64>,
    /// Against tokens that were already said, -2 to 2.
    pub presence_penalty: Option<f64>,
    /// The same, growing with each time, -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// Divides the score of tokens that were seen, prompt included; above 0, 1 changes nothing.
    pub repetition_penalty: Option<f64>,
    /// Added to the scores of tokens, by token id, -100 to 100.
    pub logit_bias: Option<BTreeMap<String, f64>>,
    /// The same seed gives the same answer.
    pub seed: Option<i64>,
    /// Texts that end the answer; they are not part of it.
    pub stop: Option<OneOrMany>,
    /// Tokens that end the answer, besides the model's own.
    pub stop_token_ids: Option<Vec<i64>>,
    /// Goes on past the model's end-of-text token.
    pub ignore_eos: Option<bool>,
    /// `false` shows special tokens in the text.
    pub skip_special_tokens: Option<bool>,
    /// Answers as server-sent events while it is made.
    pub stream: Option<bool>,
    /// What the stream tells besides.
    pub stream_options: Option<StreamOptions>,
    /// What the answer must look like.
    pub response_format: Option<ResponseFormat>,
    /// JSON schema that the answer must fit, or the schema as text.
    #[schema(value_type = Option<Object>)]
    pub guided_json: Option<Value>,
    /// Regular expression that the whole answer must match.
    pub guided_regex: Option<String>,
    /// The answer is one of these.
    pub guided_choice: Option<Vec<String>>,
    /// Lark grammar that the answer must follow.
    pub guided_grammar: Option<String>,
    /// Regular expression of the whitespace that guided JSON may have; none by default.
    pub guided_whitespace_pattern: Option<String>,
    /// The newer names of the `guided_` fields.
    pub structured_outputs: Option<StructuredOutputs>,
}

/// The newer names of the `guided_` fields.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct StructuredOutputs {
    /// JSON schema that the answer must fit, or the schema as text.
    #[schema(value_type = Option<Object>)]
    pub json: Option<Value>,
    /// Any JSON object.
    pub json_object: Option<bool>,
    /// Regular expression that the whole answer must match.
    pub regex: Option<String>,
    /// The answer is one of these.
    pub choice: Option<Vec<String>>,
    /// Lark grammar that the answer must follow.
    pub grammar: Option<String>,
    /// Regular expression of the whitespace that JSON may have; none by default.
    pub whitespace_pattern: Option<String>,
}

/// What a stream tells besides the text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct StreamOptions {
    /// The last event before `[DONE]` carries the usage.
    pub include_usage: Option<bool>,
}

/// One text or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged, expecting = "expected a string or an array of strings")]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}
