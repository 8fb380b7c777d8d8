//! What a model is made of, whatever its family calls it.

use super::{Fields, Rope};
use crate::LoadError;

/// One supported model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ModelConfig {
    /// Writes text, token after token.
    Decoder(DecoderConfig),
    /// Turns a text into one vector.
    Encoder(EncoderConfig),
}

/// The sizes that every decoder has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct DecoderShape {
    pub(crate) vocab_size: usize,
    pub(crate) hidden_size: usize,
    /// Width of the feed-forward part.
    pub(crate) intermediate_size: usize,
    pub(crate) layers: usize,
    /// Query heads.
    pub(crate) heads: usize,
    /// Key and value heads; each serves `heads / kv_heads` query heads.
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    /// Positions that the model was made for.
    pub(crate) max_positions: usize,
    /// Added to the mean square in each RMS norm.
    pub(crate) norm_epsilon: f32,
}

/// A decoder: RMS norm, rotary positions, grouped queries, SwiGLU. Families differ in the rest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DecoderConfig {
    pub(crate) shape: DecoderShape,
    pub(crate) rope: Rope,
    /// The embedding table is the output head as well.
    pub(crate) tied_head: bool,
    /// Queries and keys are normalised per head (Qwen3).
    pub(crate) qk_norm: bool,
    /// The query, key and value projections add a bias.
    pub(crate) qkv_bias: bool,
    /// The output projection of attention adds a bias.
    pub(crate) output_bias: bool,
    /// Per layer: how many latest positions a token sees, itself included. `None`: all.
    pub(crate) windows: Vec<Option<usize>>,
}

/// A bidirectional encoder of the BERT kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EncoderConfig {
    pub(crate) vocab_size: usize,
    pub(crate) hidden_size: usize,
    pub(crate) intermediate_size: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    /// Rows of the table of positions.
    pub(crate) positions: usize,
    /// The row of the first token: 0, or behind the padding token's in RoBERTa's table.
    pub(crate) first_position: usize,
    /// Rows of the table of segments; ours is always the first.
    pub(crate) segments: usize,
    pub(crate) norm_epsilon: f32,
    /// What the names of all tensors may begin with: the name of the task model's inner model.
    pub(crate) prefix: &'static str,
}

impl EncoderConfig {
    /// Tokens of one text at most.
    pub(crate) fn max_tokens(&self) -> usize {
        self.positions - self.first_position
    }
}

impl DecoderShape {
    /// Reads the names that all supported decoders share. Without `head_dim` the heads divide the
    /// hidden size.
    ///
    /// # Errors
    /// [`LoadError::Field`] for what is missing, of the wrong type, or impossible.
    pub(crate) fn read(config: &Fields) -> Result<Self, LoadError> {
        let hidden_size = config.size("hidden_size")?;
        let heads = config.size("num_attention_heads")?;
        let kv_heads = config.size_or("num_key_value_heads", heads)?;
        if !heads.is_multiple_of(kv_heads) {
            let problem = format!("is {kv_heads}, which does not divide {heads} attention heads");
            return Err(config.wrong("num_key_value_heads", problem));
        }
        let head_dim = match config.has("head_dim") {
            true => config.size("head_dim")?,
            false => head_dim_of(config, hidden_size, heads)?,
        };
        check_head_dim(config, "head_dim", head_dim)?;
        config.only("hidden_act", &["silu"])?;
        Ok(Self {
            vocab_size: config.size("vocab_size")?,
            hidden_size,
            intermediate_size: config.size("intermediate_size")?,
            layers: config.layers("num_hidden_layers")?,
            heads,
            kv_heads,
            head_dim,
            max_positions: config.size("max_position_embeddings")?,
            norm_epsilon: config.positive("rms_norm_eps")? as f32,
        })
    }

    /// Width of the queries: all heads side by side.
    pub(crate) fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of the keys, and of the values.
    pub(crate) fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }
}

/// The width of one head when only the number of heads is given.
///
/// # Errors
/// [`LoadError::Field`] when the heads do not divide the hidden size.
pub(crate) fn head_dim_of(
    config: &Fields,
    hidden_size: usize,
    heads: usize,
) -> Result<usize, LoadError> {
    if hidden_size.is_multiple_of(heads) {
        return Ok(hidden_size / heads);
    }
    let problem = format!("is {heads}, which does not divide the hidden size {hidden_size}");
    Err(config.wrong("num_attention_heads", problem))
}

/// # Errors
/// [`LoadError::Field`], named `field`, when the kernels cannot do heads of this width.
pub(crate) fn check_head_dim(
    config: &Fields,
    field: &str,
    head_dim: usize,
) -> Result<(), LoadError> {
    if head_dim.is_multiple_of(32) && (32..=256).contains(&head_dim) {
        return Ok(());
    }
    let problem = format!("makes heads {head_dim} wide; supported are 32 to 256 in steps of 32");
    Err(config.wrong(field, problem))
}
