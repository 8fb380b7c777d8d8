//! Scores and weighed sums in plain Rust.

use crate::{
    attention::workspace::{SCORE_STRIDE, WEIGHT_BYTES, sum_stride},
    gemm::portable::dot_bf16,
    isa::multiversion,
    kv::BLOCK_TOKENS,
    tile::{self, COLUMNS},
};

/// Queries, two of `[head_dim / 32][16][64 B]`, times the keys of a block: 32 scores for each row.
pub(super) fn scores(queries: [&[u8]; 2], keys: &[u8], rows: usize, scores: &mut [f32]) {
    let steps = queries[0].len() / tile::BYTES;
    for (row, scores) in scores.chunks_mut(SCORE_STRIDE).take(rows).enumerate() {
        for (half, scores) in scores[..BLOCK_TOKENS].chunks_exact_mut(COLUMNS).enumerate() {
            scores.fill(0.0);
            for step in 0..steps {
                let line = step * tile::BYTES + row % tile::ROWS * tile::ROW_BYTES;
                let line = &queries[row / tile::ROWS][line..][..tile::ROW_BYTES];
                let keys = &keys[(half * steps + step) * tile::BYTES..][..tile::BYTES];
                dot_bf16(line, keys, scores);
            }
        }
    }
}

/// Adds the values of each block, times the weights that each row gives its tokens.
pub(super) fn add_values(
    weights: &[u8],
    values: &[&[u8]],
    shape: (usize, usize),
    sums: &mut [f32],
) {
    let (rows, head_dim) = shape;
    let lines = weights.chunks_exact(WEIGHT_BYTES);
    for (lines, values) in lines.zip(values) {
        let lines = lines.chunks_exact(tile::ROW_BYTES);
        for (sums, line) in sums.chunks_exact_mut(sum_stride(head_dim)).zip(lines).take(rows) {
            let tiles = values.chunks_exact(tile::BYTES);
            for (sums, tile) in sums[..head_dim].chunks_exact_mut(COLUMNS).zip(tiles) {
                dot_bf16(line, tile, sums);
            }
        }
    }
}

multiversion! {
    /// Int8 tiles as bf16 tiles, without their scales: integers up to 127 are exact in bf16.
    pub(super) fn expand(from: &[u8], to: &mut [u8]) {
        let pairs = to.chunks_exact_mut(2 * tile::ROW_BYTES);
        for (from, to) in from.chunks_exact(tile::ROW_BYTES).zip(pairs) {
            let (first, second) = to.split_at_mut(tile::ROW_BYTES);
            let words = from.chunks_exact(4).zip(first.chunks_exact_mut(4));
            for ((word, first), second) in words.zip(second.chunks_exact_mut(4)) {
                let word = i32::from_le_bytes([word[0], word[1], word[2], word[3]]);
                // The float of such an integer has nothing in its lower half.
                let upper = |left: u32| ((word << left >> 24) as f32).to_bits();
                first.copy_from_slice(&(upper(24) >> 16 | upper(16)).to_le_bytes());
                second.copy_from_slice(&(upper(8) >> 16 | upper(0)).to_le_bytes());
            }
        }
    }
}
