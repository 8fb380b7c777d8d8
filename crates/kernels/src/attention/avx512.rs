//! Softmax, the expansion of int8, scores and weighed sums with AVX-512.

use std::{
    arch::x86_64::{
        __m512i, __mmask16, _mm512_add_ps, _mm512_and_si512, _mm512_castps_si512,
        _mm512_cvtepi32_ps, _mm512_cvtne2ps_pbh, _mm512_loadu_ps, _mm512_loadu_si512,
        _mm512_mask_max_ps, _mm512_maskz_mov_ps, _mm512_mul_ps, _mm512_or_si512,
        _mm512_reduce_add_ps, _mm512_reduce_max_ps, _mm512_set1_epi32, _mm512_set1_ps,
        _mm512_setzero_ps, _mm512_slli_epi32, _mm512_srli_epi32, _mm512_storeu_ps,
        _mm512_storeu_si512, _mm512_sub_ps,
    },
    ops::Range,
};

use crate::{
    attention::{
        softmax::State,
        workspace::{RowOfScores, SCORE_STRIDE, WEIGHT_BYTES, sum_stride},
    },
    avx512::exp2,
    gemm::avx512::dot_bf16,
    kv::BLOCK_TOKENS,
    lanes::{self, LANES},
    prefetch, tile,
};

/// Which of the lanes from `start` on lie in the range.
#[inline(always)]
pub(super) fn mask(visible: &Range<usize>, start: usize) -> __mmask16 {
    if visible.start <= start && start + LANES <= visible.end {
        return !0;
    }
    let up_to = |end: usize| (1u32 << end.saturating_sub(start).min(LANES)) - 1;
    (up_to(visible.end) & !up_to(visible.start)) as __mmask16
}

/// One row of a group.
///
/// # Safety
/// The processor has AVX-512 with BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn weigh(row: RowOfScores<'_>, visible: Range<usize>, state: &mut State) {
    let RowOfScores { scores, scales, lines, sums } = row;
    let mut max = _mm512_set1_ps(f32::NEG_INFINITY);
    // What lies behind the last visible token is neither scaled nor looked at.
    let seen = visible.end.div_ceil(LANES);
    for (index, chunk) in scores.chunks_exact_mut(LANES).enumerate().take(seen) {
        let start = index * LANES;
        // SAFETY: sixteen scores, and as many scales.
        unsafe {
            let mut score = _mm512_loadu_ps(chunk.as_ptr());
            if let Some((keys, _)) = scales {
                score = _mm512_mul_ps(score, _mm512_loadu_ps(keys[start..start + LANES].as_ptr()));
                _mm512_storeu_ps(chunk.as_mut_ptr(), score);
            }
            max = _mm512_mask_max_ps(max, mask(&visible, start), max, score);
        }
    }
    let max = lanes::larger(state.max, _mm512_reduce_max_ps(max));
    if max > state.max {
        let factor = lanes::exp2(state.max - max);
        *state = State { max, sum: state.sum * factor };
        let factor = _mm512_set1_ps(factor);
        for chunk in sums.chunks_exact_mut(LANES) {
            // SAFETY: sixteen sums.
            unsafe {
                let sum = _mm512_mul_ps(_mm512_loadu_ps(chunk.as_ptr()), factor);
                _mm512_storeu_ps(chunk.as_mut_ptr(), sum);
            }
        }
    }
    let max = _mm512_set1_ps(max);
    let mut sum = [_mm512_setzero_ps(); 2];
    let blocks = scores.chunks_exact(tile::DEPTH_BF16).zip(lines.chunks_mut(WEIGHT_BYTES));
    for (index, (chunk, line)) in blocks.enumerate() {
        let line = &mut line[..tile::ROW_BYTES];
        if index * tile::DEPTH_BF16 >= visible.end {
            line.fill(0);
            continue;
        }
        let mut weights = [_mm512_setzero_ps(); 2];
        for (half, weight) in weights.iter_mut().enumerate() {
            let start = index * tile::DEPTH_BF16 + half * LANES;
            // SAFETY: sixteen scores, and as many scales.
            unsafe {
                let score = _mm512_loadu_ps(chunk[half * LANES..][..LANES].as_ptr());
                *weight =
                    _mm512_maskz_mov_ps(mask(&visible, start), exp2(_mm512_sub_ps(score, max)));
                sum[half] = _mm512_add_ps(sum[half], *weight);
                if let Some((_, values)) = scales {
                    let scale = _mm512_loadu_ps(values[start..start + LANES].as_ptr());
                    *weight = _mm512_mul_ps(*weight, scale);
                }
            }
        }
        let packed = _mm512_cvtne2ps_pbh(weights[1], weights[0]);
        // SAFETY: 32 bf16 are 64 bytes, which the line has.
        unsafe {
            let packed = std::mem::transmute::<std::arch::x86_64::__m512bh, __m512i>(packed);
            _mm512_storeu_si512(line.as_mut_ptr().cast(), packed);
        }
    }
    state.sum += _mm512_reduce_add_ps(_mm512_add_ps(sum[0], sum[1]));
}

/// Int8 tiles as bf16 tiles, each value 2^24 times as large as it was. Between its lines it fetches those of
/// `ahead`, which is at least as long as `from` or empty, so that memory and arithmetic work at the same time.
///
/// # Safety
/// The processor has AVX-512, and `to` is twice as long as `from`.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn expand(from: &[u8], to: &mut [u8], ahead: &[u8]) {
    let top = _mm512_set1_epi32(0xff00_0000_u32 as i32);
    // Fetching what is already here costs next to nothing.
    let ahead = if ahead.is_empty() { from } else { ahead };
    prefetch::lines(&ahead[from.len()..]);
    let pairs = to.chunks_exact_mut(2 * tile::ROW_BYTES);
    let lines = from.chunks_exact(tile::ROW_BYTES).zip(ahead.chunks_exact(tile::ROW_BYTES));
    for ((from, ahead), to) in lines.zip(pairs) {
        prefetch::line(ahead);
        // A byte at the top of a word, with zeros below, is an integer whose float has nothing in its
        // lower half: the bf16 of 2^24 times the byte.
        let float = |word: __m512i| _mm512_castps_si512(_mm512_cvtepi32_ps(word));
        // SAFETY: 64 bytes in, 128 out.
        unsafe {
            let words = _mm512_loadu_si512(from.as_ptr().cast());
            let pair = |low: __m512i, high: __m512i| {
                let high = float(_mm512_and_si512(high, top));
                _mm512_or_si512(_mm512_srli_epi32::<16>(float(_mm512_and_si512(low, top))), high)
            };
            let first = pair(_mm512_slli_epi32::<24>(words), _mm512_slli_epi32::<16>(words));
            let second = pair(_mm512_slli_epi32::<8>(words), words);
            _mm512_storeu_si512(to.as_mut_ptr().cast(), first);
            _mm512_storeu_si512(to.as_mut_ptr().add(tile::ROW_BYTES).cast(), second);
        }
    }
}

/// What `expand` multiplies values with.
pub(super) const EXPANDED_SCALE: f32 = 1.0 / (1u32 << 24) as f32;

/// Queries, two of `[head_dim / 32][16][64 B]`, times the keys of a block: 32 scores for each row.
///
/// # Safety
/// The processor has AVX-512 with BF16.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn scores(queries: [&[u8]; 2], keys: &[u8], rows: usize, scores: &mut [f32]) {
    let steps = queries[0].len() / tile::BYTES;
    for (row, scores) in scores.chunks_mut(SCORE_STRIDE).take(rows).enumerate() {
        let queries = queries[row / tile::ROWS];
        let mut sums = [[_mm512_setzero_ps(); 1]; 2];
        for step in 0..steps {
            let line = &queries[step * tile::BYTES + row % tile::ROWS * tile::ROW_BYTES..];
            for (half, sums) in sums.iter_mut().enumerate() {
                let keys = &keys[(half * steps + step) * tile::BYTES..][..tile::BYTES];
                // SAFETY: a line of 64 bytes and a tile.
                unsafe { dot_bf16([line[..tile::ROW_BYTES].as_ptr()], keys.as_ptr(), sums) };
            }
        }
        for (to, sum) in scores[..BLOCK_TOKENS].chunks_exact_mut(LANES).zip(sums.as_flattened()) {
            // SAFETY: sixteen scores.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), *sum) };
        }
    }
}

/// Adds the values of each block, times the weights that each row gives its tokens.
///
/// # Safety
/// The processor has AVX-512 with BF16.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn add_values(
    weights: &[u8],
    values: &[&[u8]],
    (rows, head_dim): (usize, usize),
    sums: &mut [f32],
) {
    for (row, sums) in sums.chunks_exact_mut(sum_stride(head_dim)).take(rows).enumerate() {
        for (index, to) in sums[..head_dim].chunks_exact_mut(LANES).enumerate() {
            // SAFETY: sixteen sums.
            let mut sum = [unsafe { _mm512_loadu_ps(to.as_ptr()) }];
            for (values, weights) in values.iter().zip(weights.chunks_exact(WEIGHT_BYTES)) {
                let line = &weights[row * tile::ROW_BYTES..][..tile::ROW_BYTES];
                let tile = &values[index * tile::BYTES..][..tile::BYTES];
                // SAFETY: a line of 64 bytes and a tile.
                unsafe { dot_bf16([line.as_ptr()], tile.as_ptr(), &mut sum) };
            }
            // SAFETY: sixteen sums.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), sum[0]) };
        }
    }
}
