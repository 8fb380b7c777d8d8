//! generation_config.json: what the model's makers suggest when a request does not say.

use std::path::Path;

use serde::Deserialize;

use crate::{LoadError, config::Fields};

/// The suggestions of generation_config.json; all empty when there is no such file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GenerationDefaults {
    /// Tokens that end an answer. From config.json when generation_config.json has none.
    pub eos_token_ids: Vec<u32>,
    /// False asks for the most likely token always.
    pub do_sample: Option<bool>,
    /// Above 0.
    pub temperature: Option<f32>,
    /// Of the probability mass, 0 to 1.
    pub top_p: Option<f32>,
    /// Tokens; 0 means all.
    pub top_k: Option<u32>,
    /// Of the most likely token's probability, 0 to 1.
    pub min_p: Option<f32>,
    /// 1 changes nothing.
    pub repetition_penalty: Option<f32>,
}

/// One id, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum TokenIds {
    One(u32),
    Many(Vec<u32>),
}

impl GenerationDefaults {
    /// Reads `generation_config.json` of the model directory, and the end tokens of `config`.
    ///
    /// # Errors
    /// [`LoadError`] when the file is there and cannot be read, or a field has the wrong type.
    pub(crate) fn read(directory: &Path, config: &Fields) -> Result<Self, LoadError> {
        let path = directory.join("generation_config.json");
        if !path.exists() {
            return Ok(Self { eos_token_ids: end_tokens(config)?, ..Self::default() });
        }
        let fields = Fields::open(&path)?;
        let eos_token_ids = match end_tokens(&fields)? {
            ids if ids.is_empty() => end_tokens(config)?,
            ids => ids,
        };
        Ok(Self {
            eos_token_ids,
            do_sample: fields.optional("do_sample")?,
            temperature: fields.optional("temperature")?,
            top_p: fields.optional("top_p")?,
            top_k: fields.optional("top_k")?,
            min_p: fields.optional("min_p")?,
            repetition_penalty: fields.optional("repetition_penalty")?,
        })
    }
}

fn end_tokens(fields: &Fields) -> Result<Vec<u32>, LoadError> {
    Ok(match fields.optional::<TokenIds>("eos_token_id")? {
        None => Vec::new(),
        Some(TokenIds::One(id)) => vec![id],
        Some(TokenIds::Many(ids)) => ids,
    })
}
