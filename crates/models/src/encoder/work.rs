//! What a forward pass of an encoder works in, allocated once.

use kernels::{Activations, HeadShape, KvCache, KvFormat, Queries, Rows};

use crate::{LoadError, Options, config::EncoderConfig, options::Formats};

/// The matrices of a pass, each with room for the largest batch.
#[derive(Debug)]
pub(crate) struct Work {
    /// Rows of a batch at most; every single text fits.
    rows: usize,
    /// Texts of a batch at most.
    texts: usize,
    pub(super) hidden: Rows,
    pub(super) normed: Activations,
    pub(super) queries: Queries,
    /// Keys and values of one layer.
    pub(super) cache: KvCache,
    pub(super) attended: Activations,
    pub(super) wide: Activations,
}

fn head_shape(config: &EncoderConfig) -> HeadShape {
    let (heads, head_dim) = (config.heads, config.hidden_size / config.heads);
    HeadShape { heads, kv_heads: heads, head_dim }
}

fn rows(config: &EncoderConfig, options: &Options) -> usize {
    options.max_batch_tokens.max(config.max_tokens())
}

/// Every text begins a block of its own.
fn kv_blocks(config: &EncoderConfig, options: &Options) -> usize {
    engine::blocks_for(rows(config, options)) + options.max_sequences
}

impl Work {
    pub(super) fn new(
        config: &EncoderConfig,
        formats: Formats,
        options: &Options,
    ) -> Result<Self, LoadError> {
        let rows = rows(config, options);
        let heads = head_shape(config);
        let activations = |columns| Activations::new(formats.layers, rows, columns);
        let blocks = kv_blocks(config, options);
        Ok(Self {
            rows,
            texts: options.max_sequences,
            hidden: Rows::new(rows, config.hidden_size)?,
            normed: activations(config.hidden_size)?,
            queries: Queries::new(heads, rows)?,
            cache: KvCache::new(KvFormat::Bf16, heads, 1, blocks)?,
            attended: activations(config.hidden_size)?,
            wide: activations(config.intermediate_size)?,
        })
    }

    /// Bytes that `new` asks for.
    pub(crate) fn bytes(config: &EncoderConfig, formats: Formats, options: &Options) -> usize {
        let rows = rows(config, options);
        let heads = head_shape(config);
        let activations = |columns| Activations::bytes(formats.layers, rows, columns);
        Rows::bytes(rows, config.hidden_size)
            + 2 * activations(config.hidden_size)
            + Queries::bytes(heads, rows)
            + KvCache::bytes(KvFormat::Bf16, heads, 1, kv_blocks(config, options))
            + activations(config.intermediate_size)
    }

    /// How many of the first `texts` are run together; at least one.
    pub(super) fn texts_that_fit(&self, texts: &[Vec<u32>]) -> usize {
        let mut rows = 0;
        let fits = texts.iter().take(self.texts).take_while(|text| {
            rows += text.len();
            rows <= self.rows
        });
        fits.count().max(1)
    }

    /// Blocks of the cache for each text.
    pub(super) fn blocks(&self, texts: &[Vec<u32>]) -> Vec<Vec<u32>> {
        let mut free = 0..self.cache.blocks() as u32;
        let count = |text: &Vec<u32>| engine::blocks_for(text.len());
        texts.iter().map(|text| free.by_ref().take(count(text)).collect()).collect()
    }
}
