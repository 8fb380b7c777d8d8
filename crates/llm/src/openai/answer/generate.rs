//! Answers of `POST /generate`.

use api::openai::{GenerateAnswer, Generated};
use bytes::Bytes;

use super::body;
use crate::{openai::choice::Delta, parse::Piece};

pub(in crate::openai) struct GenerateStyle {
    results: Vec<Generated>,
}

impl GenerateStyle {
    /// One sequence for each prompt.
    pub(in crate::openai) fn new(prompts: Vec<String>) -> Self {
        let results = prompts.into_iter().map(|prompt| Generated { prompt, text: String::new() });
        Self { results: results.collect() }
    }

    pub(super) fn tell(&mut self, sequence: usize, delta: Delta) {
        if let Some(result) = self.results.get_mut(sequence) {
            for piece in delta.pieces {
                if let Piece::Content(text) = piece {
                    result.text.push_str(&text);
                }
            }
        }
    }

    pub(super) fn whole(&mut self) -> Bytes {
        body(&GenerateAnswer { results: std::mem::take(&mut self.results) })
    }
}
