//! 8-bit weights, expanded to bf16 tiles in the cache.

use super::{BLOCK_ROWS, NEXT_STRIP_BYTES, activations};
use crate::{
    amx::blocks::{self, Operands},
    gemm::{Done, EXPANDED_BYTES, EXPANDED_STEPS, Panel, expand, scale_columns},
    isa::Isa,
    linear::int8,
    memory::bytes_of,
    tile::{self, STRIP},
};

/// Up to 16 rows of bf16 and weights of 8 bits, which are expanded one step before they are used.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2")]
pub(super) unsafe fn narrow(panel: &Panel<'_>, sums: &mut [f32], work: &mut [f32]) {
    let expanded = bytes_of(&mut work[..EXPANDED_BYTES / 4]);
    let (even, odd) = expanded.split_at_mut(2 * tile::BYTES);
    let (mut now, mut before) = (even, &mut odd[..2 * tile::BYTES]);
    let a = activations(panel, panel.x.high, panel.row, 0);
    let (groups, scales) = panel.weights.split_at(panel.weights.len() - int8::TRAILER);
    // SAFETY: activations and weights have these steps, sums 16 rows; nothing else uses tiles meanwhile.
    unsafe {
        let mut tiles = blocks::NarrowSums::new();
        for (step, group) in groups.chunks_exact(int8::GROUP).enumerate() {
            expand::fp16::int8_group(group, now);
            if step > 0 {
                tiles.add(a.wrapping_add((step - 1) * tile::BYTES), before.as_ptr());
            }
            std::mem::swap(&mut now, &mut before);
        }
        tiles.add(a.wrapping_add((panel.x.depth_tiles - 1) * tile::BYTES), before.as_ptr());
        tiles.store(sums.as_mut_ptr().cast());
    }
    scale_columns(Isa::Amx, &mut sums[..panel.rows * STRIP], scales);
}

/// More rows: some steps of weights are expanded to bf16 tiles in the cache, which then meet all rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2")]
pub(super) unsafe fn wide(
    panel: &Panel<'_>,
    sums: &mut [f32],
    work: &mut [f32],
    done: &mut Done<'_>,
) {
    let expanded = bytes_of(&mut work[..EXPANDED_BYTES / 4]);
    let count = panel.rows.div_ceil(BLOCK_ROWS);
    for step in (0..panel.x.depth_tiles).step_by(EXPANDED_STEPS) {
        let taken = EXPANDED_STEPS.min(panel.x.depth_tiles - step);
        let groups = &panel.weights[step * int8::GROUP..][..taken * int8::GROUP];
        // SAFETY: two tiles for each group.
        unsafe { expand::fp16::int8(groups, expanded) };
        for block in 0..count {
            let sums = &mut sums[block * BLOCK_ROWS * STRIP..];
            let operands = Operands {
                a: activations(panel, panel.x.high, panel.row + block * BLOCK_ROWS, step),
                a_stride: panel.x.depth_tiles * tile::BYTES,
                b: expanded.as_ptr(),
                steps: taken,
                c: sums.as_mut_ptr().cast(),
                first: step == 0,
            };
            // What is expanded next comes to the cache bit by bit.
            let next =
                groups.as_ptr().wrapping_add(groups.len() + block * taken * NEXT_STRIP_BYTES);
            // SAFETY: activations and expanded weights have these steps, sums a row for every row.
            unsafe { blocks::wide_bf16(operands, next) };
            if step + taken == panel.x.depth_tiles {
                let rows = BLOCK_ROWS.min(panel.rows - block * BLOCK_ROWS);
                let rows = &mut sums[..rows * STRIP];
                scale_columns(
                    Isa::Amx,
                    rows,
                    &panel.weights[panel.weights.len() - int8::TRAILER..],
                );
                done(block * BLOCK_ROWS, rows);
            }
        }
    }
}
