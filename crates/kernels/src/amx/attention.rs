//! Products of tiles for attention: queries with keys, weights with values.

pub(crate) mod planes;

use std::arch::asm;

use crate::tile;

/// Where sums lie: `[16 or 32 rows][32]` of f32, `stride` bytes from row to row.
#[derive(Clone, Copy)]
pub(crate) struct Sums {
    pub(crate) first: *mut u8,
    pub(crate) stride: usize,
}

impl Sums {
    /// The rows from 16 on.
    fn second(self) -> *mut u8 {
        self.first.wrapping_add(tile::ROWS * self.stride)
    }
}

/// Up to 16 queries times 32 keys, from zero. Keys are two rows of `steps` tiles.
///
/// # Safety
/// Tiles are configured with as many rows as there are queries; operands are as long as `steps` says.
#[inline(always)]
pub(crate) unsafe fn scores_of_one(queries: *const u8, keys: *const u8, steps: usize, to: Sums) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "2:",
            "tileloadd tmm4, [{q}+{s}]",
            "tileloadd tmm6, [{k0}+{s}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{k1}+{s}]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "add {q}, 1024",
            "add {k0}, 1024",
            "add {k1}, 1024",
            "dec {n}",
            "jnz 2b",
            "tilestored [{c}+{cs}], tmm0",
            "tilestored [{c}+{cs}+64], tmm1",
            q = inout(reg) queries => _,
            k0 = inout(reg) keys => _,
            k1 = inout(reg) keys.wrapping_add(steps * tile::BYTES) => _,
            n = inout(reg) steps => _,
            s = in(reg) 64usize,
            c = in(reg) to.first,
            cs = in(reg) to.stride,
            options(nostack),
        );
    }
}

/// 32 queries times 32 keys, from zero.
///
/// # Safety
/// As `scores_of_one`, with 16 rows.
#[inline(always)]
pub(crate) unsafe fn scores_of_two(
    queries: [*const u8; 2],
    keys: *const u8,
    steps: usize,
    to: Sums,
) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{q0}+{s}]",
            "tileloadd tmm6, [{k0}+{s}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{k1}+{s}]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{q1}+{s}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {q0}, 1024",
            "add {q1}, 1024",
            "add {k0}, 1024",
            "add {k1}, 1024",
            "dec {n}",
            "jnz 2b",
            "tilestored [{c}+{cs}], tmm0",
            "tilestored [{c}+{cs}+64], tmm1",
            "tilestored [{d}+{cs}], tmm2",
            "tilestored [{d}+{cs}+64], tmm3",
            q0 = inout(reg) queries[0] => _,
            q1 = inout(reg) queries[1] => _,
            k0 = inout(reg) keys => _,
            k1 = inout(reg) keys.wrapping_add(steps * tile::BYTES) => _,
            n = inout(reg) steps => _,
            s = in(reg) 64usize,
            c = in(reg) to.first,
            d = in(reg) to.second(),
            cs = in(reg) to.stride,
            options(nostack),
        );
    }
}

/// Adds up to 16 rows of weights times 32 dimensions of values, block by block. Weights are two tiles per
/// block, of which the first is used; values are two tiles at `offset` of each block.
///
/// # Safety
/// Tiles are configured with as many rows as sums have; operands are as long as `blocks` says, and there
/// is at least one block.
#[inline(always)]
pub(crate) unsafe fn values_of_one(
    weights: *const u8,
    blocks: &[*const u8],
    offset: usize,
    to: Sums,
) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "tileloadd tmm0, [{c}+{cs}]",
            "tileloadd tmm1, [{c}+{cs}+64]",
            "2:",
            "mov {v}, [{list}]",
            "add {v}, {offset}",
            "tileloadd tmm4, [{w}+{s}]",
            "tileloadd tmm6, [{v}+{s}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{v}+{s}+1024]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "add {w}, 2048",
            "add {list}, 8",
            "dec {n}",
            "jnz 2b",
            "tilestored [{c}+{cs}], tmm0",
            "tilestored [{c}+{cs}+64], tmm1",
            v = out(reg) _,
            w = inout(reg) weights => _,
            list = inout(reg) blocks.as_ptr() => _,
            offset = in(reg) offset,
            n = inout(reg) blocks.len() => _,
            s = in(reg) 64usize,
            c = in(reg) to.first,
            cs = in(reg) to.stride,
            options(nostack),
        );
    }
}

/// As `values_of_one`, for 32 rows.
///
/// # Safety
/// As `values_of_one`, with 16 rows per tile.
#[inline(always)]
pub(crate) unsafe fn values_of_two(
    weights: *const u8,
    blocks: &[*const u8],
    offset: usize,
    to: Sums,
) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "tileloadd tmm0, [{c}+{cs}]",
            "tileloadd tmm1, [{c}+{cs}+64]",
            "tileloadd tmm2, [{d}+{cs}]",
            "tileloadd tmm3, [{d}+{cs}+64]",
            "2:",
            "mov {v}, [{list}]",
            "add {v}, {offset}",
            "tileloadd tmm4, [{w}+{s}]",
            "tileloadd tmm6, [{v}+{s}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{v}+{s}+1024]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{w}+{s}+1024]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {w}, 2048",
            "add {list}, 8",
            "dec {n}",
            "jnz 2b",
            "tilestored [{c}+{cs}], tmm0",
            "tilestored [{c}+{cs}+64], tmm1",
            "tilestored [{d}+{cs}], tmm2",
            "tilestored [{d}+{cs}+64], tmm3",
            v = out(reg) _,
            w = inout(reg) weights => _,
            list = inout(reg) blocks.as_ptr() => _,
            offset = in(reg) offset,
            n = inout(reg) blocks.len() => _,
            s = in(reg) 64usize,
            c = in(reg) to.first,
            d = in(reg) to.second(),
            cs = in(reg) to.stride,
            options(nostack),
        );
    }
}
