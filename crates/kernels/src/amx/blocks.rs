//! Products of tiles: a block of 32 by 32 sums, or of up to 16 by 32.

use std::arch::asm;

/// Offsets of the cache lines of a tile, for `.irp`.
macro_rules! lines {
    () => {
        "0,64,128,192,256,320,384,448,512,576,640,704,768,832,896,960"
    };
}

/// Assembly that fetches two tiles' worth of lines for `.irp`, those at a register now and those that follow it near
/// into the first level and far into the second. How they take turns matters: line by line of either tile,
/// each together with the two that it leads, they come a fifth faster than tile after tile.
macro_rules! stream {
    ($from:literal) => {
        concat!(
            ".irp o,",
            lines!(),
            concat!("\nprefetcht0 [", $from, "+4096+\\o]"),
            concat!("\nprefetcht1 [", $from, "+16384+\\o]"),
            concat!("\nprefetcht0 [", $from, "+\\o]"),
            concat!("\nprefetcht0 [", $from, "+5120+\\o]"),
            concat!("\nprefetcht1 [", $from, "+17408+\\o]"),
            concat!("\nprefetcht0 [", $from, "+1024+\\o]"),
            "\n.endr"
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
    ($name:ident, $dot:literal, $fetch:expr, $advance:literal) => {
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
                    $fetch,
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
wide!(wide_bf16, "tdpbf16ps", "prefetcht0 [{ahead}]\nprefetcht0 [{ahead}+64]", "128");
wide!(wide_int8, "tdpbssd", "prefetcht0 [{ahead}]\nprefetcht0 [{ahead}+64]", "128");
// For few rows, when memory is the limit: the weights themselves are `ahead`.
wide!(streaming_bf16, "tdpbf16ps", stream!("{ahead}"), "2048");
wide!(streaming_int8, "tdpbssd", stream!("{ahead}"), "2048");

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
                    stream!("{b}"),
                    "tileloadd tmm4, [{a}+{s}]",
                    "tileloadd tmm6, [{b}+{s}]",
                    concat!($dot, " tmm0, tmm4, tmm6"),
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

/// Up to 16 rows, step by step: their sums stay in tiles from `new` to `store`, while other code makes the
/// weights of the next step. The compiler uses no tiles, and nobody else may meanwhile.
pub(crate) struct NarrowSums(());

impl NarrowSums {
    /// Zeros.
    ///
    /// # Safety
    /// Tiles are configured, and stay so; no other product is made before `store`.
    #[inline(always)]
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: the caller's promise.
        unsafe { asm!("tilezero tmm0", "tilezero tmm1", options(nostack, nomem)) };
        Self(())
    }

    /// Adds the bf16 product of a tile of activations and two tiles of weights.
    ///
    /// # Safety
    /// Tiles of 1 KiB are there.
    #[inline(always)]
    pub(crate) unsafe fn add(&mut self, a: *const u8, b: *const u8) {
        // SAFETY: the caller's promise.
        unsafe {
            asm!(
                "tileloadd tmm4, [{a}+{s}]",
                "tileloadd tmm6, [{b}+{s}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{b}+{s}+1024]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                a = in(reg) a,
                b = in(reg) b,
                s = in(reg) 64usize,
                options(nostack, readonly),
            );
        }
    }

    /// Gives the sums, `[rows][32]` of f32.
    ///
    /// # Safety
    /// `c` has as many rows as tiles are configured with.
    #[inline(always)]
    pub(crate) unsafe fn store(self, c: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe {
            asm!(
                "tilestored [{c}+{cs}], tmm0",
                "tilestored [{c}+{cs}+64], tmm1",
                c = in(reg) c,
                cs = in(reg) 128usize,
                options(nostack),
            );
        }
    }
}

/// One step of two planes of up to 16 rows of activations, the second `a_stride` bytes after the first, with
/// weights that are in the cache: sums of the first go to `c`, of the second to `low`. From zero.
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
