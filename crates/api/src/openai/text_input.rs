//! Texts that a request gives, also as tokens.

use serde::{Deserialize, Serialize};

/// Texts, or texts that are tokens already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(
    untagged,
    expecting = "expected a string, an array of strings, an array of token ids, or an array of such arrays"
)]
pub enum TextInput {
    /// One text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
    /// The token ids of one text.
    Tokens(Vec<u32>),
    /// The token ids of several texts.
    TokenLists(Vec<Vec<u32>>),
}
