//! `POST /v1/embeddings`: texts to vectors.

use serde::{Deserialize, Serialize};

use super::{TextInput, Usage};

/// Texts to be turned into vectors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, expecting = "a JSON object")]
pub struct EmbeddingRequest {
    /// The model; may be left out where the server has a default.
    pub model: Option<String>,
    /// The texts.
    pub input: Option<TextInput>,
    /// `float` (the default) or `base64`: little-endian 32-bit floats.
    pub encoding_format: Option<String>,
    /// The length of the vectors; only the model's own.
    pub dimensions: Option<i64>,
}

/// The vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EmbeddingAnswer {
    /// `list`.
    pub object: String,
    /// In the order of the texts.
    pub data: Vec<EmbeddingData>,
    /// The model.
    pub model: String,
    /// Tokens of the texts.
    pub usage: Usage,
}

/// The vector of one text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EmbeddingData {
    /// `embedding`.
    pub object: String,
    /// Which text, from 0.
    pub index: usize,
    /// The vector.
    pub embedding: Vector,
}

/// A vector, as it was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Vector {
    /// Numbers.
    Floats(Vec<f32>),
    /// Base64 of little-endian 32-bit floats.
    Base64(String),
}
