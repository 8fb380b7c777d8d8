//! The Llama 3 family (and Llama 2): no norms or biases beyond the common ones.

use crate::{
    LoadError,
    config::{DecoderConfig, DecoderShape, Fields, ModelConfig, Rope},
};

pub(crate) fn read(config: &Fields) -> Result<ModelConfig, LoadError> {
    let shape = DecoderShape::read(config)?;
    let bias = config.optional("attention_bias")?.unwrap_or(false);
    if config.optional("mlp_bias")?.unwrap_or(false) {
        return Err(config.wrong("mlp_bias", "must be false: not supported"));
    }
    Ok(ModelConfig::Decoder(DecoderConfig {
        rope: Rope::read(config, 10_000.0)?,
        tied_head: config.optional("tie_word_embeddings")?.unwrap_or(false),
        qk_norm: false,
        qkv_bias: bias,
        output_bias: bias,
        windows: vec![None; shape.layers],
        shape,
    }))
}
