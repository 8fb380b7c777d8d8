//! From a row of logits to a token.
//!
//! In this order: bias, penalties and mask change the logits; then the likeliest token is taken,
//! or temperature, min_p, top_k and top_p say what is left, and a draw decides. Log-probabilities
//! are those of the unchanged logits.

mod draw;
mod edits;
mod mask;
mod nucleus;
mod params;
mod rng;
mod select;
mod weights;

pub use mask::TokenMask;
pub use params::{BadSampling, SamplingParams};

use self::{draw::Draw, edits::Seen, select::Candidate};
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

/// Chooses tokens. It holds nothing but scratch space, so the choice depends on the arguments
/// alone; keep one per thread and use it again.
#[derive(Debug, Default)]
pub struct Sampler {
    draw: Draw,
    seen: Seen,
    /// The logits as the model gave them, kept while their probabilities are wanted.
    raw: Vec<f32>,
    top: Vec<Candidate>,
}

impl Sampler {
    /// Scratch space grows with the first use of each kind.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses the token that follows, from logits of the whole vocabulary, which it changes.
    /// Takes a few passes over them; greedy takes one.
    ///
    /// # Errors
    /// [`NoToken`]: nothing can follow. Trying again would end the same.
    pub fn sample(
        &mut self,
        logits: &mut [f32],
        context: &SampleContext<'_>,
    ) -> Result<Sampled, NoToken> {
        let params = context.params;
        if params.logprobs.is_some() {
            self.raw.clear();
            self.raw.extend_from_slice(logits);
        }
        edits::bias(logits, &params.logit_bias);
        if params.penalizes() {
            self.seen.penalize(logits, context);
        }
        if let Some(mask) = context.mask {
            mask.apply(logits);
        }
        let token = self.choose(logits, context).ok_or_else(|| why_none(logits, context))?;
        Ok(match params.logprobs {
            None => token.into(),
            Some(top) => self.told(token, top),
        })
    }

    fn choose(&mut self, logits: &[f32], context: &SampleContext<'_>) -> Option<TokenId> {
        let params = context.params;
        if params.is_greedy() {
            return select::argmax(logits);
        }
        let highest = Some(select::max(logits)).filter(|highest| highest.is_finite())?;
        let position = context.prompt.len() + context.output.len();
        self.draw.token(logits, highest, params, rng::uniform(params.seed, position))
    }

    /// A token with its log-probability and the likeliest ones.
    fn told(&mut self, token: TokenId, top: usize) -> Sampled {
        let all = weights::log_sum_exp(&self.raw, select::max(&self.raw));
        select::likeliest(&self.raw, top, &mut self.top);
        let top = self.top.iter().map(|it| (it.token, it.value - all)).collect();
        let logprob = self.raw.get(token as usize).map(|logit| logit - all);
        Sampled { token, logprob, top }
    }
}

fn why_none(logits: &[f32], context: &SampleContext<'_>) -> NoToken {
    let impossible = logits.iter().all(|&logit| logit == f32::NEG_INFINITY);
    if context.mask.is_some() && impossible { NoToken::NoneAllowed } else { NoToken::NotANumber }
}
