//! The OpenAI API: what is asked becomes sequences to generate, what is generated becomes answers.
//!
//! Pure: bodies, tokens and the time go in, bodies come out. Who listens and who generates is
//! somebody else's business.

mod answer;
mod chat;
mod choice;
mod completion;
mod embedding;
mod error;
mod messages;
mod plan;
mod read;
mod sampling;
mod shape;
#[cfg(test)]
mod tests;
mod tokenize;
mod tools;

pub use answer::{Answer, Ended};
pub use embedding::{EmbeddingCall, EmbeddingText};
pub use error::ApiError;

use engine::{SamplingParams, TokenId};
use time::OffsetDateTime;

use crate::{guide::Guide, stop::StopWatch};

/// What a request gets from outside: nothing here knows the time or draws lots.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// Makes the ids of the answer unique.
    pub id: String,
    /// Used if the request names none.
    pub seed: u64,
    /// The time.
    pub now: OffsetDateTime,
}

/// A request, understood.
pub struct Call {
    /// What is to be generated. A sequence is known to `answer` by its place here.
    pub sequences: Vec<Wanted>,
    /// Becomes the answer, as the tokens come.
    pub answer: Answer,
}

/// A sequence to be generated.
pub struct Wanted {
    /// Never empty.
    pub prompt: Vec<TokenId>,
    /// How tokens are chosen. Sequences of one prompt have seeds that count up.
    pub sampling: SamplingParams,
    /// At least 1; fits the context together with the prompt.
    pub max_tokens: usize,
    /// Tokens that end it.
    pub stop_tokens: Vec<TokenId>,
    /// What it must look like.
    pub guide: Option<Guide>,
    /// Says which token completes a stop string, if there are any.
    pub watch: Option<StopWatch>,
}
