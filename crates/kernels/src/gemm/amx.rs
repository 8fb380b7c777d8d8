//! The product with AMX tiles.

mod int4;
mod int8;
mod w8a8;

use crate::{
    amx::{
        Configured,
        blocks::{self, Operands},
    },
    format::WeightFormat,
    gemm::{Done, Panel, SUMS, WORK, avx512},
    scratch::PANEL_ROWS,
    tile::{self, STRIP},
};

/// Steps of the inner dimension that are taken at a time, so that a strip's weights of these steps stay
/// in the first-level cache while activations pass from the second.
const BLOCK_STEPS: usize = 8;
/// Rows of a wide block.
const BLOCK_ROWS: usize = 32;
/// Blocks of rows, up to which weights come no faster than memory gives them.
const STREAMING_BLOCKS: usize = 4;
/// Rows, up to which 4-bit weights are multiplied without tiles: to bring each group's sums out of them would take
/// longer. Sums of integers are the same either way.
const FEW_ROWS: usize = 4;
/// Bytes of the next strip that a step of a wide block fetches.
const NEXT_STRIP_BYTES: usize = 128;

/// Sets this thread's tiles up for panels of `rows` rows.
pub(super) fn configure(rows: usize) -> Configured {
    // SAFETY: an `Isa::Amx` in use means that tiles are permitted.
    unsafe { Configured::new(rows) }
}

/// Computes a panel and hands its rows on, `done(first, [rows][32])`, while they are in the first-level
/// cache. Tiles are configured for it.
///
/// # Safety
/// The processor has AMX and AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
pub(super) unsafe fn panel(panel: &Panel<'_>, work: &mut [f32], done: &mut Done<'_>) {
    assert!(work.len() >= WORK && panel.rows <= PANEL_ROWS, "working space for a panel");
    let (sums, rest) = work.split_at_mut(SUMS);
    // SAFETY: the caller's promise; all working space is there.
    unsafe {
        match panel.format {
            WeightFormat::Int4 if panel.rows <= FEW_ROWS => {
                avx512::panel(panel, sums);
                done(0, &mut sums[..panel.rows * STRIP]);
            }
            WeightFormat::Int4 => int4::product(panel, sums, rest, done),
            _ if panel.rows <= tile::ROWS => {
                match panel.format {
                    WeightFormat::Int8 => int8::narrow(panel, sums, rest),
                    WeightFormat::W8a8 => w8a8::narrow(panel, sums, rest),
                    WeightFormat::Bf16 | WeightFormat::Int4 => narrow(panel, sums),
                }
                done(0, &mut sums[..panel.rows * STRIP]);
            }
            WeightFormat::Int8 => int8::wide(panel, sums, rest, done),
            WeightFormat::Bf16 => wide(panel, sums, done),
            WeightFormat::W8a8 => w8a8::wide(panel, sums, rest, done),
        }
    }
}

/// Activations of a panel from step `step` on.
fn activations(panel: &Panel<'_>, plane: &[u8], row: usize, step: usize) -> *const u8 {
    let tiles = row / tile::ROWS * panel.x.depth_tiles + step;
    plane[tiles * tile::BYTES..].as_ptr()
}

/// Up to 16 rows of bf16: weights pass through only once, as fast as memory gives them.
unsafe fn narrow(panel: &Panel<'_>, sums: &mut [f32]) {
    let operands = Operands {
        a: activations(panel, panel.x.high, panel.row, 0),
        a_stride: 0,
        b: panel.weights.as_ptr(),
        steps: panel.x.depth_tiles,
        c: sums.as_mut_ptr().cast(),
        first: true,
    };
    // SAFETY: activations and weights have these steps, sums 16 rows.
    unsafe { blocks::narrow_bf16(operands) };
}

/// More rows of bf16: some steps at a time, and within them 32 rows at a time.
unsafe fn wide(panel: &Panel<'_>, sums: &mut [f32], done: &mut Done<'_>) {
    let steps = panel.x.depth_tiles;
    let count = panel.rows.div_ceil(BLOCK_ROWS);
    // Where weights pass through only once or twice, it is not worth while.
    let most = if count <= 2 { steps } else { BLOCK_STEPS };
    for step in (0..steps).step_by(most) {
        let taken = most.min(steps - step);
        for block in 0..count {
            let sums = &mut sums[block * BLOCK_ROWS * STRIP..];
            // SAFETY: activations and weights have these steps, sums a row for every row of every block.
            unsafe { block_of(panel, (step, taken, block, count), step == 0, sums) };
            if step + taken == steps {
                let rows = BLOCK_ROWS.min(panel.rows - block * BLOCK_ROWS);
                done(block * BLOCK_ROWS, &mut sums[..rows * STRIP]);
            }
        }
    }
}

/// 32 rows times some steps of the strip.
unsafe fn block_of(
    panel: &Panel<'_>,
    (step, taken, block, count): (usize, usize, usize, usize),
    first: bool,
    sums: &mut [f32],
) {
    let b = panel.weights[step * 2 * tile::BYTES..].as_ptr();
    let operands = Operands {
        a: activations(panel, panel.x.high, panel.row + block * BLOCK_ROWS, step),
        a_stride: panel.x.depth_tiles * tile::BYTES,
        b,
        steps: taken,
        c: sums.as_mut_ptr().cast(),
        first,
    };
    // With few rows memory is the limit, and the first of them fetches for all. With many, the next strip,
    // which lies behind this one, comes to the cache bit by bit.
    let is_streaming = count <= STREAMING_BLOCKS && block == 0;
    let ahead = b.wrapping_add(2 * tile::BYTES);
    let next = b.wrapping_add(panel.weights.len() + block * taken * NEXT_STRIP_BYTES);
    // SAFETY: the caller's promise.
    unsafe {
        match (panel.format, is_streaming) {
            (WeightFormat::Bf16, true) => blocks::streaming_bf16(operands, ahead),
            (WeightFormat::Bf16, false) => blocks::wide_bf16(operands, next),
            (_, true) => blocks::streaming_int8(operands, ahead),
            (_, false) => blocks::wide_int8(operands, next),
        }
    }
}
