//! Qwen2 and Qwen2.5 (dense): biases on queries, keys and values; some layers may see a window only.

use crate::{
    LoadError,
    config::{DecoderConfig, DecoderShape, Fields, ModelConfig, Rope},
};

pub(crate) fn read(config: &Fields) -> Result<ModelConfig, LoadError> {
    let shape = DecoderShape::read(config)?;
    Ok(ModelConfig::Decoder(DecoderConfig {
        rope: Rope::read(config, 10_000.0)?,
        tied_head: config.optional("tie_word_embeddings")?.unwrap_or(false),
        qk_norm: false,
        qkv_bias: true,
        output_bias: false,
        windows: windows(config, shape.layers)?,
        shape,
    }))
}

/// The window of each layer, by Qwen's rules: only with `use_sliding_window`, then by `layer_types`,
/// or from layer `max_window_layers` on.
///
/// # Errors
/// [`LoadError::Field`] for what is missing or of the wrong type.
pub(crate) fn windows(config: &Fields, layers: usize) -> Result<Vec<Option<usize>>, LoadError> {
    if !config.optional("use_sliding_window")?.unwrap_or(false) || !config.has("sliding_window") {
        return Ok(vec![None; layers]);
    }
    let window = config.size("sliding_window")?;
    if let Some(types) = config.optional::<Vec<String>>("layer_types")? {
        if types.len() != layers {
            let problem = format!("has {} entries for {layers} layers", types.len());
            return Err(config.wrong("layer_types", problem));
        }
        let slides = |kind: &String| kind == "sliding_attention";
        return Ok(types.iter().map(|kind| slides(kind).then_some(window)).collect());
    }
    let first = config.optional::<usize>("max_window_layers")?.unwrap_or(layers);
    Ok((0..layers).map(|layer| (layer >= first).then_some(window)).collect())
}
