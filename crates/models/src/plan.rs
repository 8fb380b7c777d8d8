//! The arithmetic of memory, before anything is allocated.

use kernels::{Cpu, KvCache, Rope};

use crate::{
    Options,
    config::{DecoderConfig, EncoderConfig},
    decoder, encoder,
    options::Formats,
    packing::LinearSize,
};

/// What loading takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Packed weights.
    pub weights_bytes: usize,
    /// Keys and values of one token in all layers.
    pub kv_bytes_per_token: usize,
    /// What forward passes work in: rows of the largest batch, angles of the longest sequence that the KV
    /// blocks of the options allow, what each thread keeps for itself.
    pub scratch_bytes: usize,
    /// All of it, with the KV blocks of the options.
    pub total_bytes: usize,
}

impl Plan {
    pub(crate) fn of_decoder(config: &DecoderConfig, options: &Options) -> Self {
        let shape = &config.shape;
        let formats = Formats::of(options.format);
        let block = KvCache::bytes(options.kv_format, decoder::head_shape(shape), shape.layers, 1);
        let rope = Rope::bytes(decoder::rope_positions(config, options), shape.head_dim);
        let weights_bytes = footprint(&decoder::linear_sizes(config, formats));
        let scratch_bytes = decoder::Work::bytes(shape, formats, options)
            + rope
            + Cpu::scratch_bytes(options.threads);
        Self {
            weights_bytes,
            kv_bytes_per_token: block / engine::BLOCK_TOKENS,
            scratch_bytes,
            total_bytes: weights_bytes + scratch_bytes + block * options.kv_blocks,
        }
    }

    pub(crate) fn of_encoder(config: &EncoderConfig, options: &Options) -> Self {
        let formats = Formats::of(options.format);
        let weights_bytes = footprint(&encoder::linear_sizes(config, formats));
        let positions = config.positions * config.hidden_size * size_of::<f32>();
        let scratch_bytes = encoder::Work::bytes(config, formats, options)
            + positions
            + Cpu::scratch_bytes(options.threads);
        Self {
            weights_bytes,
            kv_bytes_per_token: 0,
            scratch_bytes,
            total_bytes: weights_bytes + scratch_bytes,
        }
    }
}

fn footprint(sizes: &[LinearSize]) -> usize {
    sizes.iter().map(|size| size.footprint()).sum()
}
