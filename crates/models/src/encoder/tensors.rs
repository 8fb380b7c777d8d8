//! The tensors of a BERT checkpoint.

use crate::{
    LoadError,
    checkpoint::{Checkpoint, Tensor},
    config::EncoderConfig,
    decoder::Projection,
};

/// Everything that an encoder needs, checked for presence, shape and dtype.
pub(crate) struct EncoderTensors<'a> {
    /// `[vocabulary, hidden]`
    pub(crate) words: Tensor<'a>,
    /// `[positions, hidden]`
    pub(crate) positions: Tensor<'a>,
    /// `[segments, hidden]`
    pub(crate) segments: Tensor<'a>,
    pub(crate) norm: Norm<'a>,
    pub(crate) layers: Vec<EncoderLayerTensors<'a>>,
}

/// One layer's tensors.
pub(crate) struct EncoderLayerTensors<'a> {
    pub(crate) query: Projection<'a>,
    pub(crate) key: Projection<'a>,
    pub(crate) value: Projection<'a>,
    pub(crate) output: Projection<'a>,
    pub(crate) attention_norm: Norm<'a>,
    pub(crate) up: Projection<'a>,
    pub(crate) down: Projection<'a>,
    pub(crate) norm: Norm<'a>,
}

/// Scale and shift of a layer norm, `[hidden]` each.
pub(crate) struct Norm<'a> {
    pub(crate) weight: Tensor<'a>,
    pub(crate) bias: Tensor<'a>,
}

impl<'a> EncoderTensors<'a> {
    /// Finds all tensors that `config` implies.
    ///
    /// # Errors
    /// [`LoadError`] naming the tensor that is missing, or of another shape or dtype.
    pub(crate) fn find(
        checkpoint: &'a Checkpoint,
        config: &EncoderConfig,
    ) -> Result<Self, LoadError> {
        let hidden = config.hidden_size;
        // Bare encoders have no prefix; those saved with a task's head have the family's.
        let words = format!("{}embeddings.word_embeddings.weight", config.prefix);
        let prefix = if checkpoint.has(&words) { config.prefix } else { "" };
        let table = |name: &str, rows| {
            checkpoint.tensor(&format!("{prefix}embeddings.{name}.weight"), &[rows, hidden])
        };
        Ok(Self {
            words: table("word_embeddings", config.vocab_size)?,
            positions: table("position_embeddings", config.positions)?,
            segments: table("token_type_embeddings", config.segments)?,
            norm: Norm::find(checkpoint, &format!("{prefix}embeddings.LayerNorm"), hidden)?,
            layers: (0..config.layers)
                .map(|layer| {
                    let prefix = format!("{prefix}encoder.layer.{layer}.");
                    EncoderLayerTensors::find(checkpoint, config, &prefix)
                })
                .collect::<Result<_, _>>()?,
        })
    }
}

impl<'a> EncoderLayerTensors<'a> {
    fn find(
        checkpoint: &'a Checkpoint,
        config: &EncoderConfig,
        prefix: &str,
    ) -> Result<Self, LoadError> {
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let linear = |part: &str, n, k| {
            Projection::find(checkpoint, &format!("{prefix}{part}"), [n, k], true)
        };
        let norm = |part: &str| Norm::find(checkpoint, &format!("{prefix}{part}"), hidden);
        Ok(Self {
            query: linear("attention.self.query", hidden, hidden)?,
            key: linear("attention.self.key", hidden, hidden)?,
            value: linear("attention.self.value", hidden, hidden)?,
            output: linear("attention.output.dense", hidden, hidden)?,
            attention_norm: norm("attention.output.LayerNorm")?,
            up: linear("intermediate.dense", wide, hidden)?,
            down: linear("output.dense", hidden, wide)?,
            norm: norm("output.LayerNorm")?,
        })
    }
}

impl<'a> Norm<'a> {
    fn find(checkpoint: &'a Checkpoint, name: &str, width: usize) -> Result<Self, LoadError> {
        Ok(Self {
            weight: checkpoint.tensor(&format!("{name}.weight"), &[width])?,
            bias: checkpoint.tensor(&format!("{name}.bias"), &[width])?,
        })
    }
}
