//! From a row of logits to a token.

mod mask;
mod params;

pub use mask::TokenMask;
pub use params::{BadSampling, SamplingParams};

use crate::ids::TokenId;

/// What a token is chosen from, apart from the logits. [`Engine::context`](crate::Engine::context)
/// lends it.
#[derive(Debug, Clone, Copy)]
pub struct SampleContext<'a> {
    /// How to choose.
    pub params: &'a SamplingParams,
    /// The tokens before the first generated one.
    pub prompt: &'a [TokenId],
    /// The tokens generated so far.
    pub output: &'a [TokenId],
    /// The only tokens allowed.
    pub mask: Option<TokenMask<'a>>,
}

/// A chosen token.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    /// Which one.
    pub token: TokenId,
    /// Its log-probability, if asked for.
    pub logprob: Option<f32>,
    /// The likeliest tokens at its place with their log-probabilities, best first.
    pub top: Vec<(TokenId, f32)>,
}

impl From<TokenId> for Sampled {
    /// What [`Row::Argmax`](crate::Row::Argmax) tells.
    fn from(token: TokenId) -> Self {
        Self { token, logprob: None, top: Vec::new() }
    }
}

/// No token can be chosen; the sequence cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// The mask allows nothing.
    #[error("the grammar allows no token here")]
    NoneAllowed,
    /// The model computed nonsense.
    #[error("no logit of the model is a number")]
    NotANumber,
}
