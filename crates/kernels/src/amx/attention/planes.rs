//! Products of 16-bit integers, in two planes of int8, with columns of int8: exact.

use std::arch::asm;

use crate::tile;

/// Up to 16 rows of two planes, and 32 columns.
#[derive(Clone, Copy)]
pub(crate) struct Planes {
    /// The first tile of either plane.
    pub(crate) high: *const u8,
    pub(crate) low: *const u8,
    /// Bytes from row to row of a tile, and from tile to tile.
    pub(crate) row: usize,
    pub(crate) step: usize,
    /// The first tile of either sixteen columns; the others follow it.
    pub(crate) columns: [*const u8; 2],
    pub(crate) steps: usize,
}

/// i32 of all sums: `[2 planes][16 rows][32]`.
pub(crate) const SUMS: usize = 2 * tile::ROWS * tile::STRIP;

/// Assembly that fetches sixteen lines.
macro_rules! fetch {
    ($offset:literal) => {
        concat!(
            ".irp o,0,64,128,192,256,320,384,448,512,576,640,704,768,832,896,960\n",
            concat!("prefetcht1 [{ahead}", $offset, "+\\o]\n"),
            ".endr"
        )
    };
}

/// Defines the product, with what it does after either tile of columns is loaded.
macro_rules! product {
    ($(#[$meta:meta])* $name:ident, $first:expr, $second:expr) => {
        $(#[$meta])*
        ///
        /// # Safety
        /// Tiles are configured, and stay so; no other product is made before `store`. Operands are as long as `steps`
        /// says, which is at least 1.
        #[inline(always)]
        pub(crate) unsafe fn $name(planes: Planes, ahead: *const u8) -> Self {
            let Planes { high, low, row, step, columns, steps } = planes;
            // SAFETY: the caller's promise; a prefetch may point anywhere.
            unsafe {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "2:",
                    "tileloadd tmm4, [{h}+{r}]",
                    "tileloadd tmm6, [{b0}+{s}]",
                    $first,
                    "tdpbssd tmm0, tmm4, tmm6",
                    "tileloadd tmm5, [{l}+{r}]",
                    "tdpbssd tmm2, tmm5, tmm6",
                    "tileloadd tmm7, [{b1}+{s}]",
                    $second,
                    "tdpbssd tmm1, tmm4, tmm7",
                    "tdpbssd tmm3, tmm5, tmm7",
                    "add {h}, {step}",
                    "add {l}, {step}",
                    "add {b0}, 1024",
                    "add {b1}, 1024",
                    "add {ahead}, 2048",
                    "dec {n}",
                    "jnz 2b",
                    h = inout(reg) high => _,
                    l = inout(reg) low => _,
                    r = in(reg) row,
                    step = in(reg) step,
                    b0 = inout(reg) columns[0] => _,
                    b1 = inout(reg) columns[1] => _,
                    n = inout(reg) steps => _,
                    s = in(reg) 64usize,
                    ahead = inout(reg) ahead => _,
                    options(nostack, readonly),
                );
            }
            Self(())
        }
    };
}

/// The sums of both planes. They stay in tiles from `of` to `store`: so the sums before these can be worked on
/// meanwhile, which they could not after `store`, because loads wait for tiles to be stored.
pub(crate) struct PlaneSums(());

impl PlaneSums {
    product!(
        /// Multiplies.
        of, "", ""
    );
    product!(
        /// Multiplies, and meanwhile fetches `ahead`, as many bytes as there are columns, to the second level.
        streaming, fetch!(""), fetch!("+1024")
    );

    /// Gives the sums.
    ///
    /// # Safety
    /// `to` has room for [`SUMS`].
    #[inline(always)]
    pub(crate) unsafe fn store(self, to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe {
            asm!(
                "tilestored [{c}+{cs}], tmm0",
                "tilestored [{c}+{cs}+64], tmm1",
                "tilestored [{c}+{cs}+2048], tmm2",
                "tilestored [{c}+{cs}+2112], tmm3",
                c = in(reg) to,
                cs = in(reg) 128usize,
                options(nostack),
            );
        }
    }
}
