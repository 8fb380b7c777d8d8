//! 8-bit weights and activations: integer sums of what has a scale of its own, and their sums in f32.

use std::arch::x86_64::{
    _mm512_add_ps, _mm512_cvtepi32_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps,
    _mm512_set1_ps, _mm512_storeu_ps,
};

use super::{BLOCK_ROWS, activations, block_of};
use crate::{
    activations::SCALED_TILES,
    amx::blocks::{self, Operands},
    gemm::{Done, Panel},
    linear::W8A8_SCALES,
    tile::{self, COLUMNS, STRIP},
};

/// Up to 16 rows: weights pass through only once, as fast as memory gives them.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
pub(super) unsafe fn narrow(panel: &Panel<'_>, sums: &mut [f32], partial: &mut [f32]) {
    let a = activations(panel, panel.x.high, panel.row, 0);
    for part in Part::all(panel) {
        let operands = Operands {
            a: a.wrapping_add(part.step * tile::BYTES),
            a_stride: 0,
            b: panel.weights[part.step * 2 * tile::BYTES..].as_ptr(),
            steps: part.taken,
            c: partial.as_mut_ptr().cast(),
            first: true,
        };
        // SAFETY: activations and weights have these steps, partial sums 16 rows.
        unsafe {
            blocks::narrow_int8(operands);
            add_part(panel, &part, 0, partial, &mut sums[..panel.rows * STRIP]);
        }
    }
}

/// More rows: some steps at a time, and within them 32 rows at a time.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
pub(super) unsafe fn wide(
    panel: &Panel<'_>,
    sums: &mut [f32],
    partial: &mut [f32],
    done: &mut Done<'_>,
) {
    let count = panel.rows.div_ceil(BLOCK_ROWS);
    for part in Part::all(panel) {
        for block in 0..count {
            let first = block * BLOCK_ROWS;
            let rows = &mut sums[first * STRIP..(first + BLOCK_ROWS).min(panel.rows) * STRIP];
            // SAFETY: activations and weights have these steps, partial sums 32 rows.
            unsafe {
                block_of(panel, (part.step, part.taken, block, count), true, partial);
                add_part(panel, &part, first, partial, rows);
            }
            if part.is_last {
                done(first, rows);
            }
        }
    }
}

/// Steps of int8 activations that have one scale per row.
struct Part {
    index: usize,
    step: usize,
    taken: usize,
    is_last: bool,
}

impl Part {
    /// All parts of a panel.
    fn all(panel: &Panel<'_>) -> impl Iterator<Item = Self> + use<> {
        let steps = panel.x.depth_tiles;
        (0..steps).step_by(SCALED_TILES).enumerate().map(move |(index, step)| Self {
            index,
            step,
            taken: SCALED_TILES.min(steps - step),
            is_last: step + SCALED_TILES >= steps,
        })
    }
}

/// Adds integer sums of a part, times the scales of their rows and columns, to `sums`; those of the first part
/// overwrite them. `first` is the first row, counted in the panel.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn add_part(
    panel: &Panel<'_>,
    part: &Part,
    first: usize,
    partial: &[f32],
    sums: &mut [f32],
) {
    let scales = &panel.w8a8().1[part.index * W8A8_SCALES..][..W8A8_SCALES];
    // SAFETY: twice sixteen f32.
    let of_columns = unsafe {
        [
            _mm512_loadu_ps(scales.as_ptr().cast()),
            _mm512_loadu_ps(scales[COLUMNS * 4..].as_ptr().cast()),
        ]
    };
    let rows = sums.chunks_exact_mut(STRIP).zip(partial.chunks_exact(STRIP));
    for (row, (sums, partial)) in rows.enumerate() {
        let of_row = _mm512_set1_ps(panel.x.scale(panel.row + first + row, part.index));
        let halves = sums.chunks_exact_mut(COLUMNS).zip(partial.chunks_exact(COLUMNS));
        for ((sums, partial), of_columns) in halves.zip(of_columns) {
            // SAFETY: sixteen values of four bytes each.
            unsafe {
                let sum = _mm512_cvtepi32_ps(_mm512_loadu_si512(partial.as_ptr().cast()));
                let mut value = _mm512_mul_ps(_mm512_mul_ps(sum, of_row), of_columns);
                if part.index > 0 {
                    value = _mm512_add_ps(_mm512_loadu_ps(sums.as_ptr()), value);
                }
                _mm512_storeu_ps(sums.as_mut_ptr(), value);
            }
        }
    }
}
