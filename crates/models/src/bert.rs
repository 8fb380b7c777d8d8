//! BERT, RoBERTa and XLM-R encoders: learned positions, layer norm after each part, exact GELU.

use crate::{
    LoadError,
    config::{EncoderConfig, Fields, ModelConfig, check_head_dim, head_dim_of},
};

pub(crate) fn read(config: &Fields) -> Result<ModelConfig, LoadError> {
    Ok(ModelConfig::Encoder(encoder(config, "bert.")?))
}

/// The same model, but its table of positions begins behind the padding token's row.
pub(crate) fn read_roberta(config: &Fields) -> Result<ModelConfig, LoadError> {
    let padding: usize = config.optional("pad_token_id")?.unwrap_or(1);
    let mut encoder = encoder(config, "roberta.")?;
    encoder.first_position = padding + 1;
    if encoder.first_position >= encoder.positions {
        return Err(config.wrong("pad_token_id", "leaves no row for positions"));
    }
    Ok(ModelConfig::Encoder(encoder))
}

fn encoder(config: &Fields, prefix: &'static str) -> Result<EncoderConfig, LoadError> {
    let hidden_size = config.size("hidden_size")?;
    let heads = config.size("num_attention_heads")?;
    let head_dim = head_dim_of(config, hidden_size, heads)?;
    check_head_dim(config, "num_attention_heads", head_dim)?;
    config.only("hidden_act", &["gelu"])?;
    config.only("position_embedding_type", &["absolute"])?;
    Ok(EncoderConfig {
        vocab_size: config.size("vocab_size")?,
        hidden_size,
        intermediate_size: config.size("intermediate_size")?,
        layers: config.layers("num_hidden_layers")?,
        heads,
        positions: config.size("max_position_embeddings")?,
        first_position: 0,
        segments: config.size("type_vocab_size")?,
        norm_epsilon: config.positive("layer_norm_eps")? as f32,
        prefix,
    })
}
