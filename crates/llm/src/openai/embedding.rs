//! `POST /v1/embeddings`: texts to token lists, vectors to the answer.

use std::path::Path;

use api::openai::{EmbeddingAnswer, EmbeddingData, EmbeddingRequest, TextInput, Usage, Vector};
use data_encoding::BASE64;
use engine::TokenId;

use super::{ApiError, read::read, tokenize::check};
use crate::{
    text::TextFacts,
    tokenizer::{Tokenizer, TokenizerError},
};

/// The text side of a model that makes vectors.
pub struct EmbeddingText {
    facts: TextFacts,
    tokenizer: Tokenizer,
    /// Numbers of a vector.
    dimensions: usize,
}

/// A request for vectors, understood.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingCall {
    /// The tokens of each text; each fits the model.
    pub inputs: Vec<Vec<TokenId>>,
    model: String,
    is_base64: bool,
}

impl EmbeddingText {
    /// Reads the folder of a model that makes vectors of so many numbers.
    ///
    /// # Errors
    /// [`TokenizerError`] names the file and what is wrong with it.
    pub fn open(
        folder: &Path,
        facts: TextFacts,
        dimensions: usize,
    ) -> Result<Self, TokenizerError> {
        let tokenizer = Tokenizer::open(folder, facts.vocab_size)?;
        Ok(Self { facts, tokenizer, dimensions })
    }

    /// Reads a request for vectors.
    ///
    /// # Errors
    /// [`ApiError`] names the field and the fix.
    pub fn read(&self, body: &[u8]) -> Result<EmbeddingCall, ApiError> {
        let request: EmbeddingRequest = read(body)?;
        let is_base64 = match request.encoding_format.as_deref() {
            None | Some("float") => false,
            Some("base64") => true,
            Some(other) => {
                let words = format!("`encoding_format` is `float` or `base64`, not `{other}`");
                return Err(ApiError::invalid("encoding_format", words));
            }
        };
        if request.dimensions.is_some_and(|asked| usize::try_from(asked) != Ok(self.dimensions)) {
            let words = format!(
                "the vectors of this model have {} numbers; leave `dimensions` out",
                self.dimensions
            );
            return Err(ApiError::invalid("dimensions", words));
        }
        let input = request.input.ok_or_else(|| {
            ApiError::invalid("input", "`input` is missing; give a text or an array of texts")
        })?;
        let inputs = match input {
            TextInput::Text(text) => vec![self.encode(&text)?],
            TextInput::Texts(texts) => {
                texts.iter().map(|text| self.encode(text)).collect::<Result<_, _>>()?
            }
            TextInput::Tokens(tokens) => vec![tokens],
            TextInput::TokenLists(lists) => lists,
        };
        self.check_all(&inputs)?;
        Ok(EmbeddingCall { inputs, model: self.facts.name.clone(), is_base64 })
    }

    fn encode(&self, text: &str) -> Result<Vec<TokenId>, ApiError> {
        self.tokenizer
            .encode(text, true)
            .map_err(|error| ApiError::invalid("input", error.to_string()))
    }

    fn check_all(&self, inputs: &[Vec<TokenId>]) -> Result<(), ApiError> {
        let (texts, most) = (inputs.len(), self.facts.max_sequences);
        if texts == 0 || texts > most {
            let words = format!("`input` has 1 to {most} texts, not {texts}");
            return Err(ApiError::invalid("input", words));
        }
        for (number, tokens) in inputs.iter().enumerate() {
            check("input", tokens, self.facts.vocab_size)?;
            let (length, most) = (tokens.len(), self.facts.max_model_len);
            if length > most {
                let message = format!(
                    "text {number} of `input` has {length} tokens, and this model reads at most {most}; shorten it"
                );
                let param = Some(format!("input[{number}]"));
                return Err(ApiError { code: types::ErrorCode::ContextOverflow, message, param });
            }
        }
        Ok(())
    }
}

impl EmbeddingCall {
    /// The answer, from the vector of each text.
    pub fn answer(&self, vectors: Vec<Vec<f32>>) -> EmbeddingAnswer {
        let encode = |vector: Vec<f32>| match self.is_base64 {
            false => Vector::Floats(vector),
            true => {
                let bytes: Vec<u8> =
                    vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                Vector::Base64(BASE64.encode(&bytes))
            }
        };
        let data = vectors.into_iter().enumerate().map(|(index, vector)| EmbeddingData {
            object: "embedding".into(),
            index,
            embedding: encode(vector),
        });
        EmbeddingAnswer {
            object: "list".into(),
            data: data.collect(),
            model: self.model.clone(),
            usage: self.usage(),
        }
    }

    /// The tokens of all texts.
    pub fn usage(&self) -> Usage {
        let tokens: usize = self.inputs.iter().map(Vec::len).sum();
        let tokens = u64::try_from(tokens).unwrap_or(u64::MAX);
        Usage { prompt_tokens: tokens, total_tokens: tokens, ..Usage::default() }
    }
}

#[cfg(test)]
mod tests;
