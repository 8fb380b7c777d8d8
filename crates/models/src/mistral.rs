//! Mistral (dense): Llama with an optional sliding window in every layer.

use crate::{
    LoadError,
    config::{DecoderConfig, DecoderShape, Fields, ModelConfig, Rope},
};

pub(crate) fn read(config: &Fields) -> Result<ModelConfig, LoadError> {
    let shape = DecoderShape::read(config)?;
    let window = match config.has("sliding_window") {
        true => Some(config.size("sliding_window")?),
        false => None,
    };
    Ok(ModelConfig::Decoder(DecoderConfig {
        rope: Rope::read(config, 10_000.0)?,
        tied_head: config.optional("tie_word_embeddings")?.unwrap_or(false),
        qk_norm: false,
        qkv_bias: false,
        output_bias: false,
        windows: vec![window; shape.layers],
        shape,
    }))
}
