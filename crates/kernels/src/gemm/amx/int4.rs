//! 4-bit weights, expanded to int8 tiles in the cache and summed group by group.

use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm256_loadu_si256, _mm512_add_epi32,
    _mm512_add_ps, _mm512_castsi512_ps, _mm512_cvtepi32_ps, _mm512_cvtepu16_epi32, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_mul_ps, _mm512_permutexvar_epi8, _mm512_set1_ps, _mm512_slli_epi32,
    _mm512_srli_epi16, _mm512_storeu_ps, _mm512_storeu_si512,
};

use super::{BLOCK_ROWS, activations};
use crate::{
    amx::blocks::{self, Operands},
    gemm::{Done, EXPANDED_BYTES, EXPANDED_STEPS, Panel, SUMS},
    linear::{INT4_GROUP, INT4_TILES},
    memory::bytes_of,
    tile::{self, COLUMNS, STRIP},
};

/// Bytes between what is used and what is fetched meanwhile, for the first level and for the second.
const NEAR: usize = 4 << 10;
const FAR: usize = 16 << 10;
/// f32 words of a wide block.
const BLOCK_SUMS: usize = BLOCK_ROWS * STRIP;

/// 4-bit weights: expanded to int8 tiles in the cache, summed group by group.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
pub(super) unsafe fn product(
    panel: &Panel<'_>,
    results: &mut [f32],
    work: &mut [f32],
    done: &mut Done<'_>,
) {
    let (partial, expanded) = work.split_at_mut(SUMS);
    let expanded = bytes_of(&mut expanded[..EXPANDED_BYTES / 4]);
    results[..panel.rows * STRIP].fill(0.0);
    for step in (0..panel.x.depth_tiles).step_by(EXPANDED_STEPS) {
        let rest = panel.weights[step * INT4_GROUP..].chunks_exact(INT4_GROUP);
        let groups = rest.take(EXPANDED_STEPS);
        for (group, to) in groups.clone().zip(expanded.chunks_exact_mut(2 * tile::BYTES)) {
            // SAFETY: a group and its two tiles.
            unsafe { expand(group, to) };
        }
        let is_last = step + EXPANDED_STEPS >= panel.x.depth_tiles;
        for first in (0..panel.rows).step_by(BLOCK_ROWS) {
            let rows = &mut results[first * STRIP..(first + BLOCK_ROWS).min(panel.rows) * STRIP];
            let tiles = expanded.chunks_exact(2 * tile::BYTES);
            for (group, (packed, tiles)) in groups.clone().zip(tiles).enumerate() {
                // SAFETY: one step of both planes; partial sums have twice 32 rows; a group has scales.
                unsafe {
                    partial_sums(panel, panel.row + first, step + group, tiles, partial);
                    add_group(&packed[INT4_TILES..], partial, rows);
                }
            }
            if is_last {
                for (row, values) in rows.chunks_exact_mut(STRIP).enumerate() {
                    let scale = panel.x.scale(panel.row + first + row, 0);
                    values.iter_mut().for_each(|value| *value *= scale);
                }
                done(first, rows);
            }
        }
    }
}

/// One group's integer sums, of the high plane and then of the low one.
unsafe fn partial_sums(
    panel: &Panel<'_>,
    row: usize,
    step: usize,
    tiles: &[u8],
    partial: &mut [f32],
) {
    let (high, low) = partial.split_at_mut(BLOCK_SUMS);
    let a = activations(panel, panel.x.high, row, step);
    let a_low = activations(panel, panel.x.low, row, step);
    let wide = Operands {
        a,
        a_stride: panel.x.depth_tiles * tile::BYTES,
        b: tiles.as_ptr(),
        steps: 1,
        c: high.as_mut_ptr().cast(),
        first: true,
    };
    // SAFETY: the caller's promise.
    unsafe {
        if panel.rows <= tile::ROWS {
            let planes = Operands { a_stride: a_low as usize - a as usize, ..wide };
            blocks::planes_of_group(planes, low.as_mut_ptr().cast());
        } else {
            blocks::wide_int8(wide, tiles.as_ptr());
            let low = Operands { a: a_low, c: low.as_mut_ptr().cast(), ..wide };
            blocks::wide_int8(low, tiles.as_ptr());
        }
    }
}

/// Adds a group's sums, times its scales, to the results.
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn add_group(scales: &[u8], partial: &[f32], results: &mut [f32]) {
    let (high, low) = partial.split_at(BLOCK_SUMS);
    let mut of_columns = [_mm512_set1_ps(0.0); 2];
    for (half, of_columns) in of_columns.iter_mut().enumerate() {
        let from = &scales[half * COLUMNS * 2..][..COLUMNS * 2];
        // SAFETY: sixteen bf16.
        let bits = unsafe { _mm256_loadu_si256(from.as_ptr().cast()) };
        *of_columns = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bits)));
    }
    let each = results
        .chunks_exact_mut(COLUMNS)
        .zip(high.chunks_exact(COLUMNS))
        .zip(low.chunks_exact(COLUMNS));
    for (index, ((result, high), low)) in each.enumerate() {
        // SAFETY: sixteen values of four bytes each.
        unsafe {
            let upper = _mm512_loadu_si512(high.as_ptr().cast());
            let lower = _mm512_loadu_si512(low.as_ptr().cast());
            let sum = _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_slli_epi32::<8>(upper), lower));
            let value = _mm512_mul_ps(sum, of_columns[index % 2]);
            let value = _mm512_add_ps(_mm512_loadu_ps(result.as_ptr()), value);
            _mm512_storeu_ps(result.as_mut_ptr(), value);
        }
    }
}

/// The weights that sixteen nibbles stand for, four times: indexes are taken modulo 64.
static NIBBLES: [i8; 64] = {
    let mut table = [0; 64];
    let mut index = 0;
    while index < 64 {
        table[index] = (index % 16) as i8 - 8;
        index += 1;
    }
    table
};

/// Two half tiles of nibbles to two tiles of int8. Lines of both halves are read in turns, as memory gives them fastest.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn expand(group: &[u8], to: &mut [u8]) {
    // SAFETY: 64 bytes.
    let table: __m512i = unsafe { _mm512_loadu_si512(NIBBLES.as_ptr().cast()) };
    let (first, second) = group[..INT4_TILES].split_at(INT4_TILES / 2);
    let (to_first, to_second) = to[..2 * tile::BYTES].split_at_mut(tile::BYTES);
    let to_first = to_first.as_chunks_mut::<{ 2 * tile::ROW_BYTES }>().0.iter_mut();
    let to_second = to_second.as_chunks_mut::<{ 2 * tile::ROW_BYTES }>().0;
    let first = first.as_chunks::<{ tile::ROW_BYTES }>().0.iter().zip(to_first);
    let second = second.as_chunks::<{ tile::ROW_BYTES }>().0.iter().zip(to_second);
    for (from, to) in first.zip(second).flat_map(|(first, second)| [first, second]) {
        // SAFETY: 64 bytes in, 128 out; a prefetch may point anywhere.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().wrapping_add(NEAR).cast());
            _mm_prefetch::<_MM_HINT_T1>(from.as_ptr().wrapping_add(FAR).cast());
            let pairs = _mm512_loadu_si512(from.as_ptr().cast());
            // Only the low six bits of an index count, and the table repeats every sixteen.
            let even = _mm512_permutexvar_epi8(pairs, table);
            let odd = _mm512_permutexvar_epi8(_mm512_srli_epi16::<4>(pairs), table);
            _mm512_storeu_si512(to.as_mut_ptr().cast(), even);
            _mm512_storeu_si512(to.as_mut_ptr().add(tile::ROW_BYTES).cast(), odd);
        }
    }
}
