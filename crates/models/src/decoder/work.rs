//! What a forward pass works in, allocated once.

use kernels::{Activations, HeadShape, MemoryError, Predictions, Queries, Rows};

use crate::{
    Options,
    config::{DecoderConfig, DecoderShape},
    options::Formats,
};

/// The matrices of a pass, each with room for the largest batch.
#[derive(Debug)]
pub(crate) struct Work {
    /// The residual stream.
    pub(super) hidden: Rows,
    pub(super) normed: Activations,
    pub(super) queries: Queries,
    pub(super) attended: Activations,
    pub(super) gated: Activations,
    /// The rows that go through the head.
    pub(super) last: Activations,
    pub(super) predictions: Predictions,
}

pub(crate) fn head_shape(shape: &DecoderShape) -> HeadShape {
    HeadShape { heads: shape.heads, kv_heads: shape.kv_heads, head_dim: shape.head_dim }
}

/// Positions that a sequence can have: no more than the model knows, nor than the cache holds.
pub(crate) fn rope_positions(config: &DecoderConfig, options: &Options) -> usize {
    config.shape.max_positions.min(options.kv_blocks * engine::BLOCK_TOKENS)
}

impl Work {
    pub(super) fn new(
        shape: &DecoderShape,
        formats: Formats,
        options: &Options,
    ) -> Result<Self, MemoryError> {
        let rows = options.max_batch_tokens;
        let heads = head_shape(shape);
        let activations = |columns| Activations::new(formats.layers, rows, columns);
        Ok(Self {
            hidden: Rows::new(rows, shape.hidden_size)?,
            normed: activations(shape.hidden_size)?,
            queries: Queries::new(heads, rows)?,
            attended: activations(shape.query_width())?,
            gated: activations(shape.intermediate_size)?,
            last: Activations::new(formats.head, options.max_sequences, shape.hidden_size)?,
            predictions: Predictions::new(options.max_sequences, shape.vocab_size)?,
        })
    }

    /// Bytes that `new` asks for.
    pub(crate) fn bytes(shape: &DecoderShape, formats: Formats, options: &Options) -> usize {
        let rows = options.max_batch_tokens;
        let heads = head_shape(shape);
        let activations = |columns| Activations::bytes(formats.layers, rows, columns);
        Rows::bytes(rows, shape.hidden_size)
            + activations(shape.hidden_size)
            + Queries::bytes(heads, rows)
            + activations(shape.query_width())
            + activations(shape.intermediate_size)
            + Activations::bytes(formats.head, options.max_sequences, shape.hidden_size)
            + Predictions::bytes(options.max_sequences, shape.vocab_size)
    }
}
