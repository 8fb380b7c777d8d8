//! 8-bit weights and activations: integer sums of what has a scale of its own, and their sums in f32.

use std::{
    arch::x86_64::{
        _mm512_add_ps, _mm512_cvtepi32_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps,
        _mm512_set1_ps, _mm512_storeu_ps,
    },
    ops::Range,
};

use super::{BLOCK_ROWS, NEXT_STRIP_BYTES, STREAMING_BLOCKS, activations, block_of};
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
    let mut pending = Pending { panel, partial, block: None };
    for part in Part::all(panel) {
        for block in 0..count {
            if count <= STREAMING_BLOCKS {
                // SAFETY: activations and weights have these steps, partial sums 32 rows.
                unsafe {
                    let taken = (part.step, part.taken, block, count);
                    block_of(panel, taken, true, pending.partial);
                    pending.block = Some((part, block));
                    pending.finish(0, sums, done);
                }
            } else {
                // SAFETY: as above.
                unsafe { pending.replace((part, block), sums, done) };
            }
        }
    }
    // SAFETY: as above.
    unsafe { pending.finish(0, sums, done) };
}

/// A block whose integer sums have been made, but not added. That is done while the tile unit works on the next
/// block, some rows after each of its steps: all at once would keep the next steps from the processor's window.
struct Pending<'a, 'b> {
    panel: &'a Panel<'b>,
    partial: &'a mut [f32],
    block: Option<(Part, usize)>,
}

impl Pending<'_, '_> {
    /// Makes the sums of a block, and adds those of the block before.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    unsafe fn replace(
        &mut self,
        (part, block): (Part, usize),
        sums: &mut [f32],
        done: &mut Done<'_>,
    ) {
        let Part { step, taken, .. } = part;
        let stride = self.panel.x.depth_tiles * tile::BYTES;
        let a =
            activations(self.panel, self.panel.x.high, self.panel.row + block * BLOCK_ROWS, step);
        let b = self.panel.weights[step * 2 * tile::BYTES..].as_ptr();
        let next = b.wrapping_add(self.panel.weights.len() + block * taken * NEXT_STRIP_BYTES);
        let rows = BLOCK_ROWS.div_ceil(taken);
        // SAFETY: the caller's promise; nothing else uses tiles from here to `store`.
        unsafe {
            let mut tiles = blocks::WideSums::new();
            for index in 0..taken {
                let a = a.wrapping_add(index * tile::BYTES);
                let b = b.wrapping_add(index * 2 * tile::BYTES);
                let ahead = next.wrapping_add(index * NEXT_STRIP_BYTES);
                tiles.add([a, a.wrapping_add(stride)], b, ahead);
                self.add_rows(index * rows..(index + 1) * rows, sums);
            }
            self.finish(BLOCK_ROWS, sums, done);
            tiles.store(self.partial.as_mut_ptr().cast());
        }
        self.block = Some((part, block));
    }

    /// Adds the rows from `from` on, and hands the block on if it is complete.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    unsafe fn finish(&mut self, from: usize, sums: &mut [f32], done: &mut Done<'_>) {
        // SAFETY: the caller's promise.
        unsafe { self.add_rows(from..BLOCK_ROWS, sums) };
        if let Some((part, block)) = self.block.take()
            && part.is_last
        {
            let first = block * BLOCK_ROWS;
            let end = (first + BLOCK_ROWS).min(self.panel.rows);
            done(first, &mut sums[first * STRIP..end * STRIP]);
        }
    }

    /// Adds some rows of the block, as far as they are there.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn add_rows(&self, rows: Range<usize>, sums: &mut [f32]) {
        let Some((part, block)) = &self.block else { return };
        let first = block * BLOCK_ROWS;
        let end = rows.end.min(BLOCK_ROWS).min(self.panel.rows - first);
        if rows.start < end {
            let sums = &mut sums[(first + rows.start) * STRIP..(first + end) * STRIP];
            let partial = &self.partial[rows.start * STRIP..];
            // SAFETY: the caller's promise.
            unsafe { add_part(self.panel, part, first + rows.start, partial, sums) };
        }
    }
}

/// Steps of int8 activations that have one scale per row.
#[derive(Clone, Copy)]
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
