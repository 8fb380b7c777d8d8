//! Qwen3 (dense): queries and keys are normalised per head, before their rotation.

use crate::{
    LoadError,
    config::{DecoderConfig, DecoderShape, Fields, ModelConfig, Rope},
    qwen2,
};

pub(crate) fn read(config: &Fields) -> Result<ModelConfig, LoadError> {
    let shape = DecoderShape::read(config)?;
    let bias = config.optional("attention_bias")?.unwrap_or(false);
    Ok(ModelConfig::Decoder(DecoderConfig {
        rope: Rope::read(config, 10_000.0)?,
        tied_head: config.optional("tie_word_embeddings")?.unwrap_or(false),
        qk_norm: true,
        qkv_bias: bias,
        output_bias: bias,
        windows: qwen2::windows(config, shape.layers)?,
        shape,
    }))
}
