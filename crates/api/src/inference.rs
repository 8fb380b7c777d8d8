//! The inference of `ai-model-service`, as its clients write and read it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use types::Priority;

/// One request.
#[derive(Debug, Clone, PartialEq, Deserialize, utoipa::ToSchema)]
#[serde(expecting = "a JSON object with `input_data`")]
pub struct InferenceRequest {
    /// What the model works on.
    #[schema(value_type = Object)]
    pub input_data: Map<String, Value>,
    /// How it works.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub parameters: Map<String, Value>,
    /// Time that it has, in seconds, 1 to 300.
    #[serde(default = "thirty")]
    pub timeout: u32,
    /// The class it waits in: `low`, `normal` or `high`.
    #[serde(default)]
    #[schema(value_type = String)]
    pub priority: Priority,
}

const fn thirty() -> u32 {
    30
}

/// `POST /api/v1/models/{model}/batch_inference`.
#[derive(Debug, Clone, PartialEq, Deserialize, utoipa::ToSchema)]
#[serde(expecting = "a JSON object with `requests`")]
pub struct BatchInferenceRequest {
    /// The requests.
    pub requests: Vec<InferenceRequest>,
}

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InferenceResult {
    /// The task that made the call.
    pub request_id: String,
    /// The model.
    pub model_id: String,
    /// What the model answered; empty where it failed.
    #[schema(value_type = Object)]
    pub result: Map<String, Value>,
    /// How sure the model is, 0 to 1, if it says so.
    pub confidence: Option<f64>,
    /// Time from the submission to the end, in milliseconds.
    pub processing_time: u64,
    /// The version that the model or its configuration names; `unknown` where it failed.
    pub model_version: String,
    /// What the model says that it used.
    #[schema(value_type = Object)]
    pub resource_usage: Map<String, Value>,
    /// Why there is no result.
    pub error_message: Option<String>,
}
