//! What the model's authors recommend: `generation_config.json`.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use engine::{SamplingParams, TokenId};
use serde::Deserialize;

/// A file of defaults that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DefaultsError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A field has a value that it cannot have.
    #[error("{}: {reason}", path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// The field and what is wrong with it.
        reason: String,
    },
}

/// What holds where a request says nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Defaults {
    /// How tokens are chosen.
    pub sampling: SamplingParams,
    /// Longest answer, in tokens.
    pub max_tokens: Option<usize>,
    /// Tokens that end a text.
    pub end_tokens: Vec<TokenId>,
}

/// One token or several.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a token id or an array of token ids")]
enum Tokens {
    One(TokenId),
    Several(Vec<TokenId>),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GenerationConfig {
    do_sample: Option<bool>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    top_k: Option<usize>,
    min_p: Option<f32>,
    repetition_penalty: Option<f32>,
    max_new_tokens: Option<usize>,
    eos_token_id: Option<Tokens>,
}

/// The one field of `config.json` that matters here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct EndConfig {
    eos_token_id: Option<Tokens>,
}

impl Defaults {
    /// Reads `generation_config.json` of a model's folder, if there is one. The tokens that end a
    /// text stand there, or else in `config.json`.
    ///
    /// # Errors
    /// [`DefaultsError`] if the file is damaged or asks for the impossible.
    pub fn open(folder: &Path) -> Result<Self, DefaultsError> {
        let path = folder.join("generation_config.json");
        let config: GenerationConfig = read(&path)?;
        let end = match config.eos_token_id {
            Some(end) => Some(end),
            None => read::<EndConfig>(&folder.join("config.json"))?.eos_token_id,
        };
        let usual = SamplingParams::default();
        let temperature = match config.do_sample {
            Some(false) => 0.0,
            _ => config.temperature.unwrap_or(usual.temperature),
        };
        let sampling = SamplingParams {
            temperature,
            top_p: config.top_p.unwrap_or(usual.top_p),
            top_k: config.top_k.unwrap_or(usual.top_k),
            min_p: config.min_p.unwrap_or(usual.min_p),
            repetition_penalty: config.repetition_penalty.unwrap_or(usual.repetition_penalty),
            ..usual
        };
        if let Err(error) = sampling.check() {
            return Err(DefaultsError::Invalid { path, reason: error.to_string() });
        }
        let end_tokens = match end {
            None => Vec::new(),
            Some(Tokens::One(token)) => vec![token],
            Some(Tokens::Several(tokens)) => tokens,
        };
        Ok(Self { sampling, max_tokens: config.max_new_tokens, end_tokens })
    }
}

/// An absent file says nothing.
fn read<T: Default + serde::de::DeserializeOwned>(path: &Path) -> Result<T, DefaultsError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(T::default()),
        Err(source) => return Err(DefaultsError::Read { path: path.to_owned(), source }),
    };
    let mut json = serde_json::Deserializer::from_slice(&bytes);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let reason = format!("`{}`: {}", error.path(), error.inner());
        DefaultsError::Invalid { path: path.to_owned(), reason }
    })
}

#[cfg(test)]
mod tests;
