//! Texts to tokens: the model's own `tokenizer.json`.

mod shrinkage;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use engine::TokenId;
use tokenizers::Tokenizer as HfTokenizer;

use crate::vocabulary::{Unsupported, Vocabulary};

/// A tokenizer that cannot be used with its model.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// There is none.
    #[error("{} is missing; the model's folder needs its tokenizer", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what the library knows.
    #[error("{} is not a valid tokenizer: {reason}", path.display())]
    Invalid {
        /// Where it is.
        path: PathBuf,
        /// What the library says.
        reason: String,
    },
    /// It makes tokens that the model does not know.
    #[error(
        "{} does not match the model: it has a token {token}, but `vocab_size` of config.json is {vocab_size}",
        path.display()
    )]
    Mismatch {
        /// Where it is.
        path: PathBuf,
        /// Its highest token.
        token: TokenId,
        /// Tokens of the model.
        vocab_size: usize,
    },
    /// Its tokens cannot be turned back into text.
    #[error("{}: {source}", path.display())]
    Decoder {
        /// Where it is.
        path: PathBuf,
        /// Which part of it is unknown.
        source: Unsupported,
    },
}

/// A text that the tokenizer could not cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the text cannot be cut into tokens: {reason}")]
pub struct EncodeError {
    /// What the library says.
    pub reason: String,
}

/// Cuts texts into tokens. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: Arc<HfTokenizer>,
    /// Its highest token.
    highest: TokenId,
    path: PathBuf,
}

impl Tokenizer {
    /// Reads `tokenizer.json` of a model's folder; `vocab_size` is the model's.
    ///
    /// # Errors
    /// [`TokenizerError`] if it is missing, damaged, or makes tokens beyond `vocab_size`.
    pub fn open(folder: &Path, vocab_size: usize) -> Result<Self, TokenizerError> {
        let path = folder.join("tokenizer.json");
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(TokenizerError::Missing { path });
            }
            Err(source) => return Err(TokenizerError::Read { path, source }),
        };
        Self::read(&bytes, vocab_size, path)
    }

    fn read(bytes: &[u8], vocab_size: usize, path: PathBuf) -> Result<Self, TokenizerError> {
        let mut inner = match HfTokenizer::from_bytes(bytes) {
            Ok(inner) => inner,
            Err(error) => {
                return Err(TokenizerError::Invalid { path, reason: error.to_string() });
            }
        };
        // Cutting off or filling up would falsify the count of tokens; who limits says so.
        inner.with_padding(None);
        if let Err(error) = inner.with_truncation(None) {
            return Err(TokenizerError::Invalid { path, reason: error.to_string() });
        }
        let highest = inner.get_vocab(true).into_values().max();
        match highest {
            None => Err(TokenizerError::Invalid { path, reason: "its vocabulary is empty".into() }),
            Some(token) if token as usize >= vocab_size => {
                Err(TokenizerError::Mismatch { path, token, vocab_size })
            }
            Some(highest) => Ok(Self { inner: Arc::new(inner), highest, path }),
        }
    }

    /// Cuts a text. Special tokens that stand in it as text, as chat templates write them, become
    /// those tokens. `add_special` adds the model's own first and last tokens besides.
    ///
    /// # Errors
    /// [`EncodeError`] if the tokenizer has no token for a part of the text, and none for "unknown".
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<TokenId>, EncodeError> {
        let encoding = self.inner.encode_fast(text, add_special);
        let encoding = encoding.map_err(|error| EncodeError { reason: error.to_string() })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The tokens of a text stand for at least one byte of this many; `None` where that cannot be
    /// said.
    pub(crate) fn shrinkage(&self) -> Option<usize> {
        shrinkage::shrinkage(&self.inner)
    }

    /// The token that is exactly this text.
    pub fn token(&self, text: &str) -> Option<TokenId> {
        self.inner.token_to_id(text)
    }

    /// The bytes behind each token; only models that write text need them.
    ///
    /// # Errors
    /// [`TokenizerError::Decoder`] if tokens are not made of bytes in a way known here.
    pub fn vocabulary(&self) -> Result<Vocabulary, TokenizerError> {
        Vocabulary::of(&self.inner, self.highest)
            .map_err(|source| TokenizerError::Decoder { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests;
