//! Products of tiles: a block of 32 by 32 sums, or of up to 16 by 32.

use std::arch::asm;

/// Offsets of the cache lines of a tile, for `.irp`.
macro_rules! lines {
    () => {
        "0,64,128,192,256,320,384,448,512,576,640,704,768,832,896,960"
    };
}

/// The same for two tiles.
macro_rules! two_tiles {
    () => {
        concat!(
            lines!(),
            ",1024,1088,1152,1216,1280,1344,1408,1472,1536,1600,1664,1728,1792,1856,1920,1984"
        )
    };
}

/// Where a block's operands lie. All point to tiles of 1 KiB.
#[derive(Clone, Copy)]
pub(crate) struct Operands {
    /// Activations of the first 16 rows, one tile per step.
    pub(crate) a: *const u8,
    /// Bytes from there to the next 16 rows.
    pub(crate) a_stride: usize,
    /// Weights, two tiles side by side per step.
    pub(crate) b: *const u8,
    pub(crate) steps: usize,
    /// Sums, `[32][32]` of 4 bytes.
    pub(crate) c: *mut u8,
    /// Whether sums start from zero; otherwise from what is there.
    pub(crate) first: bool,
}

/// Defines a product of 32 rows with one instruction and one way to prefetch.
macro_rules! wide {
    ($name:ident, $dot:literal, $fetch:literal, $fetched:expr, $advance:literal) => {
        /// 32 rows. Meanwhile walks through `ahead`, and fetches it.
        ///
        /// # Safety
        /// Tiles are configured with 16 rows, and the operands are as long as `steps` says.
        #[inline(always)]
        pub(crate) unsafe fn $name(operands: Operands, ahead: *const u8) {
            let Operands { a, a_stride, b, steps, c, first } = operands;
            // SAFETY: the caller's promise; a prefetch may point anywhere.
            unsafe {
                asm!(
                    "test {first:e}, {first:e}",
                    "jz 3f",
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "jmp 2f",
                    "3:",
                    "tileloadd tmm0, [{c}+{cs}]",
                    "tileloadd tmm1, [{c}+{cs}+64]",
                    "tileloadd tmm2, [{c}+{cs}+2048]",
                    "tileloadd tmm3, [{c}+{cs}+2112]",
                    "2:",
                    "tileloadd tmm4, [{a0}+{s}]",
                    "tileloadd tmm6, [{b}+{s}]",
                    concat!($dot, " tmm0, tmm4, tmm6"),
                    "tileloadd tmm7, [{b}+{s}+1024]",
                    concat!($dot, " tmm1, tmm4, tmm7"),
                    "tileloadd tmm5, [{a1}+{s}]",
                    concat!($dot, " tmm2, tmm5, tmm6"),
                    concat!($dot, " tmm3, tmm5, tmm7"),
                    concat!(".irp o,", $fetched),
                    concat!($fetch, " [{ahead}+\\o]"),
                    ".endr",
                    "add {a0}, 1024",
                    "add {a1}, 1024",
                    "add {b}, 2048",
                    concat!("add {ahead}, ", $advance),
                    "dec {k}",
                    "jnz 2b",
                    "tilestored [{c}+{cs}], tmm0",
                    "tilestored [{c}+{cs}+64], tmm1",
                    "tilestored [{c}+{cs}+2048], tmm2",
                    "tilestored [{c}+{cs}+2112], tmm3",
                    first = in(reg) u32::from(first),
                    a0 = inout(reg) a => _,
                    a1 = inout(reg) a.wrapping_add(a_stride) => _,
                    b = inout(reg) b => _,
                    k = inout(reg) steps => _,
                    c = in(reg) c,
                    s = in(reg) 64usize,
                    cs = in(reg) 128usize,
                    ahead = inout(reg) ahead => _,
                    options(nostack),
                );
            }
        }
    };
}

// For many rows: little by little, `ahead` comes to the first level.
wide!(wide_bf16, "tdpbf16ps", "prefetcht0", "0,64", "128");
wide!(wide_int8, "tdpbssd", "prefetcht0", "0,64", "128");
// For few rows, when memory is the limit: as much of `ahead` as a step uses comes to the second level.
wide!(streaming_bf16, "tdpbf16ps", "prefetcht1", two_tiles!(), "2048");
wide!(streaming_int8, "tdpbssd", "prefetcht1", two_tiles!(), "2048");

/// Defines a product of up to 16 rows, for which the weights come from memory: it prefetches them far
/// ahead into the second level and near ahead into the first.
macro_rules! narrow {
    ($name:ident, $dot:literal) => {
        /// Up to 16 rows, from zero; `a_stride` and `first` do not matter.
        ///
        /// # Safety
        /// Tiles are configured with as many rows as `c` has, and the operands are as long as `steps` says.
        #[inline(always)]
        pub(crate) unsafe fn $name(operands: Operands) {
            let Operands { a, b, steps, c, .. } = operands;
            // SAFETY: the caller's promise; a prefetch may point anywhere.
            unsafe {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "2:",
                    "tileloadd tmm4, [{a}+{s}]",
                    concat!(".irp o,", lines!()),
                    "prefetcht1 [{b}+16384+\\o]",
                    "prefetcht0 [{b}+4096+\\o]",
                    ".endr",
                    "tileloadd tmm6, [{b}+{s}]",
                    concat!($dot, " tmm0, tmm4, tmm6"),
                    concat!(".irp o,", lines!()),
                    "prefetcht1 [{b}+17408+\\o]",
                    "prefetcht0 [{b}+5120+\\o]",
                    ".endr",
                    "tileloadd tmm7, [{b}+{s}+1024]",
                    concat!($dot, " tmm1, tmm4, tmm7"),
                    "add {a}, 1024",
                    "add {b}, 2048",
                    "dec {k}",
                    "jnz 2b",
                    "tilestored [{c}+{cs}], tmm0",
                    "tilestored [{c}+{cs}+64], tmm1",
                    a = inout(reg) a => _,
                    b = inout(reg) b => _,
                    k = inout(reg) steps => _,
                    c = in(reg) c,
                    s = in(reg) 64usize,
                    cs = in(reg) 128usize,
                    options(nostack),
                );
            }
        }
    };
}

narrow!(narrow_bf16, "tdpbf16ps");
narrow!(narrow_int8, "tdpbssd");

/// Up to 16 rows of two planes of activations, the second `a_stride` bytes after the first: sums of the
/// first go to `c`, of the second to `low`. From zero.
///
/// # Safety
/// As of the other narrow products.
#[inline(always)]
pub(crate) unsafe fn narrow_planes(operands: Operands, low: *mut u8) {
    let Operands { a, a_stride, b, steps, c, .. } = operands;
    // SAFETY: the caller's promise; a prefetch may point anywhere.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{a}+{s}]",
            "tileloadd tmm5, [{l}+{s}]",
            concat!(".irp o,", lines!()),
            "prefetcht1 [{b}+16384+\\o]",
            "prefetcht0 [{b}+4096+\\o]",
            ".endr",
            "tileloadd tmm6, [{b}+{s}]",
            "tdpbssd tmm0, tmm4, tmm6",
            "tdpbssd tmm2, tmm5, tmm6",
            concat!(".irp o,", lines!()),
            "prefetcht1 [{b}+17408+\\o]",
            "prefetcht0 [{b}+5120+\\o]",
            ".endr",
            "tileloadd tmm7, [{b}+{s}+1024]",
            "tdpbssd tmm1, tmm4, tmm7",
            "tdpbssd tmm3, tmm5, tmm7",
            "add {a}, 1024",
            "add {l}, 1024",
            "add {b}, 2048",
            "dec {k}",
            "jnz 2b",
            "tilestored [{c}+{cs}], tmm0",
            "tilestored [{c}+{cs}+64], tmm1",
            "tilestored [{d}+{cs}], tmm2",
            "tilestored [{d}+{cs}+64], tmm3",
            a = inout(reg) a => _,
            l = inout(reg) a.wrapping_add(a_stride) => _,
            b = inout(reg) b => _,
            k = inout(reg) steps => _,
            c = in(reg) c,
            d = in(reg) low,
            s = in(reg) 64usize,
            cs = in(reg) 128usize,
            options(nostack),
        );
    }
}

/// One step of two planes of up to 16 rows, with weights that are in the cache. As `narrow_planes` otherwise.
///
/// # Safety
/// As of the other narrow products.
#[inline(always)]
pub(crate) unsafe fn planes_of_group(operands: Operands, low: *mut u8) {
    let Operands { a, a_stride, b, c, .. } = operands;
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "tileloadd tmm4, [{a}+{s}]",
            "tileloadd tmm5, [{l}+{s}]",
            "tileloadd tmm6, [{b}+{s}]",
            "tileloadd tmm7, [{b}+{s}+1024]",
            "tdpbssd tmm0, tmm4, tmm6",
            "tdpbssd tmm2, tmm5, tmm6",
            "tdpbssd tmm1, tmm4, tmm7",
            "tdpbssd tmm3, tmm5, tmm7",
            "tilestored [{c}+{cs}], tmm0",
            "tilestored [{c}+{cs}+64], tmm1",
            "tilestored [{d}+{cs}], tmm2",
            "tilestored [{d}+{cs}+64], tmm3",
            a = in(reg) a,
            l = in(reg) a.wrapping_add(a_stride),
            b = in(reg) b,
            c = in(reg) c,
            d = in(reg) low,
            s = in(reg) 64usize,
            cs = in(reg) 128usize,
            options(nostack),
        );
    }
}
