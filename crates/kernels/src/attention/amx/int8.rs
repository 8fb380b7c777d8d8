//! Attention to keys and values of 8 bits: tiles multiply them as they are stored, with queries and weights that are
//! integers of 16 bits.

use std::{
    arch::x86_64::{
        __m512, _mm256_set1_epi8, _mm256_storeu_si256, _mm256_xor_si256, _mm512_add_epi32,
        _mm512_add_ps, _mm512_castsi512_si256, _mm512_cvtepi32_ps, _mm512_cvtps_epi32,
        _mm512_extracti64x4_epi64, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512,
        _mm512_mask_max_ps, _mm512_maskz_mov_ps, _mm512_maskz_mul_ps, _mm512_mul_ps,
        _mm512_permutex2var_epi8, _mm512_reduce_add_ps, _mm512_reduce_max_ps, _mm512_set1_ps,
        _mm512_setzero_ps, _mm512_slli_epi32, _mm512_storeu_ps, _mm512_storeu_si512, _mm512_sub_ps,
    },
    ops::Range,
};

use crate::{
    activations::INT16_MAX,
    amx::attention::planes::{PlaneSums, Planes},
    attention::{
        GROUP_BLOCKS, GROUP_TOKENS, Task,
        avx512::mask,
        softmax::{self, State},
        workspace::{Integers, SCORE_STRIDE, Workspace, sum_stride},
    },
    avx512::exp2,
    kv::{BLOCK_TOKENS, tiles_bytes},
    lanes::{self, LANES},
    prefetch,
    spans::QUERY_ROWS,
    tile::{self, COLUMNS, STRIP},
};

/// Bytes of a plane of the weights of 16 rows.
const PLANE: usize = tile::ROWS * GROUP_TOKENS;
/// Tiles of values of a group, for the same dimensions: each has the tokens of two blocks.
const PAIRS: usize = GROUP_BLOCKS / 2;
/// Less is as good as nothing, and has no inverse that could be trusted.
const NEXT_TO_NOTHING: f32 = 1e-30;

impl Task<'_> {
    /// Leaves the result in `work`.
    ///
    /// # Safety
    /// The processor has what `Isa::Amx` needs, and tiles are configured for these rows.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(in crate::attention) unsafe fn run_integers(
        &self,
        work: &mut Workspace<'_>,
        next: Option<&Self>,
    ) {
        let mut rows = softmax::Rows::new(self.block.rows);
        work.clear_sums(self.block.rows);
        for group in self.groups() {
            let blocks = self.blocks_of(&group);
            let blocks = &blocks[..group.blocks];
            let ahead = self.blocks_after(&group, next);
            work.read_scales(self.isa, self.cache, blocks);
            let mut work = work.integers();
            // SAFETY: the caller's promise.
            unsafe {
                self.scores_of_group(blocks, &ahead, &mut work);
                let mut scales = [0.0; QUERY_ROWS];
                for (row, (state, scale)) in rows.states().zip(&mut scales).enumerate() {
                    let visible = self.visible(row, &group);
                    let row = row_of(&mut work, row, group.blocks, self.cache.shape().head_dim);
                    *scale = weigh(row, visible, state);
                }
                self.pair_values(blocks, &ahead, work.values);
                self.add_values_of_group(blocks.len().div_ceil(2), &scales, &mut work);
            }
        }
        rows.divide(self.isa, work);
    }

    /// The scores of all rows and tokens of a group. Meanwhile fetches the keys of the blocks `ahead`, line by line
    /// between products: all at once, they would keep what is used now from being read.
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn scores_of_group(
        &self,
        blocks: &[&[u8]],
        ahead: &[&[u8]; GROUP_BLOCKS],
        work: &mut Integers<'_>,
    ) {
        let halves = self.block.rows.div_ceil(tile::ROWS);
        let queries = self.query_planes();
        let head_dim = self.cache.shape().head_dim;
        let (steps, part) = (head_dim.div_ceil(tile::DEPTH_INT8), self.part_bytes());
        let combine = |index: usize, work: &mut Integers<'_>| {
            let (block, half) = (index / halves, index % halves);
            let rows = (self.block.rows - half * tile::ROWS).min(tile::ROWS);
            // SAFETY: the caller's promise.
            unsafe { combine_scores(block, half * tile::ROWS, &queries[half].1[..rows], work) };
        };
        for (index, (&block, ahead)) in blocks.iter().zip(ahead).enumerate() {
            // Behind the last key of a narrow head are values, which meet zeros.
            assert!(block.len() >= part + steps * tile::BYTES, "keys, and values behind them");
            for (half, &(planes, _)) in queries.iter().enumerate().take(halves) {
                let columns = block.as_ptr();
                let planes = Planes {
                    high: planes.as_ptr(),
                    low: planes[planes.len() / 2..].as_ptr(),
                    row: tile::ROW_BYTES,
                    step: tile::BYTES,
                    columns: [columns, columns.wrapping_add(COLUMNS * head_dim)],
                    steps,
                };
                // SAFETY: queries have these steps, and so have keys with what is behind them.
                unsafe {
                    let sums = match ahead.is_empty() {
                        true => PlaneSums::of(planes, columns),
                        false => PlaneSums::streaming(planes, ahead.as_ptr()),
                    };
                    let index = index * halves + half;
                    if index > 0 {
                        combine(index - 1, work);
                    }
                    sums.store(work.products.as_mut_ptr().cast());
                }
            }
        }
        combine(blocks.len() * halves - 1, work);
    }

    /// Both tiles of queries, as `query_tiles`, with the scales of their rows.
    fn query_planes(&self) -> [(&[u8], &[f32]); 2] {
        self.query_places().map(|index| self.queries.planes(index, self.head))
    }

    /// Puts the values of two blocks side by side, as tiles of 64 tokens. Meanwhile fetches those of the blocks
    /// `ahead`.
    #[target_feature(enable = "avx512f")]
    unsafe fn pair_values(&self, blocks: &[&[u8]], ahead: &[&[u8]; GROUP_BLOCKS], to: &mut [u8]) {
        const HALF: usize = tile::BYTES / 2;
        let part = self.part_bytes();
        let bytes = tiles_bytes(self.cache.format(), self.cache.shape().head_dim);
        for (index, (&block, &ahead)) in blocks.iter().zip(ahead).enumerate() {
            // Fetching what is already here costs next to nothing.
            let ahead = if ahead.is_empty() { block } else { ahead };
            let values = block[part..][..bytes].chunks_exact(HALF);
            let tiles = to.chunks_exact_mut(PAIRS * tile::BYTES);
            let ahead = ahead[part..].chunks_exact(HALF);
            for ((from, to), ahead) in values.zip(tiles).zip(ahead) {
                let to = &mut to[index * HALF..][..HALF];
                let lines = from.chunks_exact(tile::ROW_BYTES);
                let lines = lines.zip(ahead.chunks_exact(tile::ROW_BYTES));
                for ((from, ahead), to) in lines.zip(to.chunks_exact_mut(tile::ROW_BYTES)) {
                    prefetch::line(ahead);
                    // SAFETY: 64 bytes each.
                    unsafe {
                        let line = _mm512_loadu_si512(from.as_ptr().cast());
                        _mm512_storeu_si512(to.as_mut_ptr().cast(), line);
                    }
                }
            }
        }
    }

    /// Adds the values of a group, `pairs` tiles for the same dimensions, times weights and the scales of their rows.
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn add_values_of_group(
        &self,
        pairs: usize,
        scales: &[f32; QUERY_ROWS],
        work: &mut Integers<'_>,
    ) {
        let halves = self.block.rows.div_ceil(tile::ROWS);
        let head_dim = self.cache.shape().head_dim;
        assert!(work.values.len() >= head_dim / COLUMNS * PAIRS * tile::BYTES, "room for values");
        assert!(work.weights.len() >= 4 * PLANE, "weights of all rows");
        let combine = |index: usize, work: &mut Integers<'_>| {
            let (column, half) = (index / halves, index % halves);
            let rows = half * tile::ROWS..self.block.rows.min((half + 1) * tile::ROWS);
            let start = rows.start * sum_stride(head_dim) + column * STRIP;
            let sums = &mut work.sums[start..];
            // SAFETY: the caller's promise.
            unsafe { combine_sums(work.products, &scales[rows], sums, sum_stride(head_dim)) };
        };
        let columns = head_dim / STRIP;
        for index in 0..columns * halves {
            let (column, half) = (index / halves, index % halves);
            let weights = work.weights[half * 2 * PLANE..].as_ptr();
            let values = work.values[column * 2 * PAIRS * tile::BYTES..].as_ptr();
            let planes = Planes {
                high: weights,
                low: weights.wrapping_add(PLANE),
                row: GROUP_TOKENS,
                step: tile::ROW_BYTES,
                columns: [values, values.wrapping_add(PAIRS * tile::BYTES)],
                steps: pairs,
            };
            // SAFETY: there are weights and values for these pairs, as checked above.
            unsafe {
                let sums = PlaneSums::of(planes, values);
                if index > 0 {
                    combine(index - 1, work);
                }
                sums.store(work.products.as_mut_ptr().cast());
            }
        }
        combine(columns * halves - 1, work);
    }
}

/// Sixteen sums of both planes.
///
/// # Safety
/// Both have sixteen integers.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn whole(high: &[f32], low: &[f32]) -> __m512 {
    // SAFETY: the caller's promise.
    unsafe {
        let high = _mm512_loadu_si512(high.as_ptr().cast());
        let low = _mm512_loadu_si512(low.as_ptr().cast());
        _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_slli_epi32::<8>(high), low))
    }
}

/// Products of a block and the rows from `first` on become scores; `of_rows` are the scales of these rows.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn combine_scores(block: usize, first: usize, of_rows: &[f32], work: &mut Integers<'_>) {
    let (high, low) = work.products.split_at(tile::ROWS * STRIP);
    let keys = &work.key_scales[block * BLOCK_TOKENS..][..BLOCK_TOKENS];
    // SAFETY: twice sixteen scales.
    let of_keys =
        unsafe { [_mm512_loadu_ps(keys.as_ptr()), _mm512_loadu_ps(keys[LANES..].as_ptr())] };
    let rows = high.chunks_exact(STRIP).zip(low.chunks_exact(STRIP));
    let scores = work.scores[first * SCORE_STRIDE..].chunks_mut(SCORE_STRIDE);
    for ((&of_row, (high, low)), scores) in of_rows.iter().zip(rows).zip(scores) {
        let of_row = _mm512_set1_ps(of_row);
        let scores = &mut scores[block * BLOCK_TOKENS..][..BLOCK_TOKENS];
        for (half, of_keys) in of_keys.into_iter().enumerate() {
            let lanes = half * LANES..(half + 1) * LANES;
            // SAFETY: sixteen products and scores.
            unsafe {
                let sum = _mm512_mul_ps(whole(&high[lanes.clone()], &low[lanes.clone()]), of_row);
                _mm512_storeu_ps(scores[lanes].as_mut_ptr(), _mm512_mul_ps(sum, of_keys));
            }
        }
    }
}

/// Adds products, times the scale of each row, to sums whose rows are `stride` apart.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn combine_sums(products: &[f32], of_rows: &[f32], sums: &mut [f32], stride: usize) {
    let (high, low) = products.split_at(tile::ROWS * STRIP);
    let rows = high.chunks_exact(STRIP).zip(low.chunks_exact(STRIP));
    for ((&of_row, (high, low)), sums) in of_rows.iter().zip(rows).zip(sums.chunks_mut(stride)) {
        let of_row = _mm512_set1_ps(of_row);
        for (half, sums) in sums[..STRIP].chunks_exact_mut(LANES).enumerate() {
            let lanes = half * LANES..(half + 1) * LANES;
            // SAFETY: sixteen products and sums.
            unsafe {
                let sum = whole(&high[lanes.clone()], &low[lanes]);
                let sum = _mm512_fmadd_ps(sum, of_row, _mm512_loadu_ps(sums.as_ptr()));
                _mm512_storeu_ps(sums.as_mut_ptr(), sum);
            }
        }
    }
}

/// What the softmax of one row reads and writes.
struct Row<'w> {
    scores: &'w [f32],
    value_scales: &'w [f32],
    /// Of the row in either plane, up to the end of the last pair of blocks.
    high: &'w mut [u8],
    low: &'w mut [u8],
    sums: &'w mut [f32],
}

fn row_of<'w>(work: &'w mut Integers<'_>, row: usize, blocks: usize, head_dim: usize) -> Row<'w> {
    let tokens = blocks.next_multiple_of(2) * BLOCK_TOKENS;
    let planes = &mut work.weights[row / tile::ROWS * 2 * PLANE..][..2 * PLANE];
    let (high, low) = planes.split_at_mut(PLANE);
    let line = row % tile::ROWS * GROUP_TOKENS;
    Row {
        scores: &work.scores[row * SCORE_STRIDE..][..blocks * BLOCK_TOKENS],
        value_scales: work.value_scales,
        high: &mut high[line..][..tokens],
        low: &mut low[line..][..tokens],
        sums: &mut work.sums[row * sum_stride(head_dim)..][..head_dim],
    }
}

/// Turns the scores of a row and group into weights, each times the scale of its token's values, and scales earlier
/// sums to the new maximum. Gives the scale of the weights.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn weigh(row: Row<'_>, visible: Range<usize>, state: &mut State) -> f32 {
    let Row { scores, value_scales, high, low, sums } = row;
    let mut max = _mm512_set1_ps(f32::NEG_INFINITY);
    let mut of_values = _mm512_setzero_ps();
    let seen = visible.end.div_ceil(BLOCK_TOKENS);
    let chunks = scores.chunks_exact(LANES).zip(value_scales.chunks_exact(LANES));
    for (index, (scores, scales)) in chunks.enumerate().take(2 * seen) {
        let mask = mask(&visible, index * LANES);
        // SAFETY: sixteen scores, and as many scales.
        unsafe {
            max = _mm512_mask_max_ps(max, mask, max, _mm512_loadu_ps(scores.as_ptr()));
            let scales = _mm512_loadu_ps(scales.as_ptr());
            of_values = _mm512_mask_max_ps(of_values, mask, of_values, scales);
        }
    }
    let of_group = _mm512_reduce_max_ps(max);
    let max = lanes::larger(state.max, of_group);
    if max > state.max {
        let factor = lanes::exp2(state.max - max);
        *state = State { max, sum: state.sum * factor };
        rescale(sums, factor);
    }
    // No weight is larger. It may be several times as large as the largest; there are bits to spare.
    let bound = lanes::exp2(of_group - max) * _mm512_reduce_max_ps(of_values);
    let inverse = if bound > NEXT_TO_NOTHING { INT16_MAX / bound } else { 0.0 };
    let (max, inverse) = (_mm512_set1_ps(max), _mm512_set1_ps(inverse));
    let mut sum = _mm512_setzero_ps();
    let (high, unseen_high) = high.split_at_mut(seen * BLOCK_TOKENS);
    let (low, unseen_low) = low.split_at_mut(seen * BLOCK_TOKENS);
    unseen_high.fill(0);
    unseen_low.fill(0);
    let digits = high.chunks_exact_mut(BLOCK_TOKENS).zip(low.chunks_exact_mut(BLOCK_TOKENS));
    let chunks =
        scores.chunks_exact(BLOCK_TOKENS).zip(value_scales.chunks_exact(BLOCK_TOKENS)).enumerate();
    for ((high, low), (index, (scores, scales))) in digits.zip(chunks) {
        let mut weights = [_mm512_setzero_ps(); 2];
        for (half, of_values) in weights.iter_mut().enumerate() {
            let mask = mask(&visible, index * BLOCK_TOKENS + half * LANES);
            // SAFETY: sixteen of each.
            unsafe {
                let score = _mm512_loadu_ps(scores[half * LANES..][..LANES].as_ptr());
                let weight = _mm512_maskz_mov_ps(mask, exp2(_mm512_sub_ps(score, max)));
                sum = _mm512_add_ps(sum, weight);
                let scale = _mm512_loadu_ps(scales[half * LANES..][..LANES].as_ptr());
                *of_values = _mm512_maskz_mul_ps(mask, weight, scale);
            }
        }
        // SAFETY: 32 bytes each.
        unsafe { put_digits(weights, inverse, high, low) };
    }
    state.sum += _mm512_reduce_add_ps(sum);
    bound / INT16_MAX
}

/// Of words `a` and `b`, two registers of sixteen: their lowest bytes, and then those above.
static TWO_BYTES: [u8; 64] = {
    let mut table = [0; 64];
    let mut index = 0;
    while index < 64 {
        table[index] = (index % 32 * 4 + index / 32) as u8;
        index += 1;
    }
    table
};

/// The nearest integers to 32 values times `factor`, as two digits of 8 bits, the low one with a sign.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn put_digits(values: [__m512; 2], factor: __m512, high: &mut [u8], low: &mut [u8]) {
    // With 128 more, the upper byte is the high digit, and the lower one the low digit and 128.
    let [a, b] = values
        .map(|values| _mm512_cvtps_epi32(_mm512_fmadd_ps(values, factor, _mm512_set1_ps(128.0))));
    // SAFETY: a table of 64 bytes; the caller has 32 bytes in either.
    unsafe {
        let table = _mm512_loadu_si512(TWO_BYTES.as_ptr().cast());
        let bytes = _mm512_permutex2var_epi8(a, table, b);
        let lower = _mm256_xor_si256(_mm512_castsi512_si256(bytes), _mm256_set1_epi8(-128));
        _mm256_storeu_si256(low.as_mut_ptr().cast(), lower);
        _mm256_storeu_si256(high.as_mut_ptr().cast(), _mm512_extracti64x4_epi64::<1>(bytes));
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rescale(sums: &mut [f32], factor: f32) {
    let factor = _mm512_set1_ps(factor);
    for chunk in sums.chunks_exact_mut(LANES) {
        // SAFETY: sixteen sums.
        unsafe {
            let sum = _mm512_mul_ps(_mm512_loadu_ps(chunk.as_ptr()), factor);
            _mm512_storeu_ps(chunk.as_mut_ptr(), sum);
        }
    }
}
