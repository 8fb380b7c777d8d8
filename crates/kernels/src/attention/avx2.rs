//! Scores and weighed sums with AVX2.

use std::arch::x86_64::{_mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps};

use crate::{
    attention::workspace::{SCORE_STRIDE, WEIGHT_BYTES, sum_stride},
    gemm::avx2::dot_bf16,
    kv::BLOCK_TOKENS,
    tile::{self, COLUMNS},
};

/// Queries, two of `[head_dim / 32][16][64 B]`, times the keys of a block: 32 scores for each row.
///
/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn scores(queries: [&[u8]; 2], keys: &[u8], rows: usize, scores: &mut [f32]) {
    let steps = queries[0].len() / tile::BYTES;
    for (row, scores) in scores.chunks_mut(SCORE_STRIDE).take(rows).enumerate() {
        let queries = queries[row / tile::ROWS];
        for (half, to) in scores[..BLOCK_TOKENS].chunks_exact_mut(COLUMNS).enumerate() {
            let mut sums = [_mm256_setzero_ps(); 2];
            for step in 0..steps {
                let line = &queries[step * tile::BYTES + row % tile::ROWS * tile::ROW_BYTES..];
                let keys = &keys[(half * steps + step) * tile::BYTES..][..tile::BYTES];
                // SAFETY: the caller's promise.
                unsafe { dot_bf16(&line[..tile::ROW_BYTES], keys, &mut sums) };
            }
            // SAFETY: sixteen scores.
            unsafe {
                _mm256_storeu_ps(to.as_mut_ptr(), sums[0]);
                _mm256_storeu_ps(to[8..].as_mut_ptr(), sums[1]);
            }
        }
    }
}

/// Adds the values of each block, times the weights that each row gives its tokens.
///
/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn add_values(
    weights: &[u8],
    values: &[&[u8]],
    (rows, head_dim): (usize, usize),
    sums: &mut [f32],
) {
    for (row, sums) in sums.chunks_exact_mut(sum_stride(head_dim)).take(rows).enumerate() {
        for (index, to) in sums[..head_dim].chunks_exact_mut(COLUMNS).enumerate() {
            // SAFETY: sixteen sums.
            let mut both =
                unsafe { [_mm256_loadu_ps(to.as_ptr()), _mm256_loadu_ps(to[8..].as_ptr())] };
            for (values, weights) in values.iter().zip(weights.chunks_exact(WEIGHT_BYTES)) {
                let line = &weights[row * tile::ROW_BYTES..][..tile::ROW_BYTES];
                let tile = &values[index * tile::BYTES..][..tile::BYTES];
                // SAFETY: the caller's promise.
                unsafe { dot_bf16(line, tile, &mut both) };
            }
            // SAFETY: sixteen sums.
            unsafe {
                _mm256_storeu_ps(to.as_mut_ptr(), both[0]);
                _mm256_storeu_ps(to[8..].as_mut_ptr(), both[1]);
            }
        }
    }
}
