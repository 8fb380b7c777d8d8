//! Tiles of the processor: leave to use them, their configuration, and products of tiles.
//!
//! The compiler knows nothing of tile registers, so each `asm!` block loads what it needs and stores
//! what it made; nothing is kept in tiles from one block to the next.

pub(crate) mod attention;
pub(crate) mod blocks;

use std::{
    arch::{asm, x86_64::__cpuid_count},
    marker::PhantomData,
};

use crate::tile;

/// `arch_prctl` that asks for the state component of tile data, number 18.
const ARCH_REQ_XCOMP_PERM: libc::c_ulong = 0x1023;
const XFEATURE_XTILEDATA: libc::c_ulong = 18;

/// Does this processor have tiles with bf16 and int8, and what else comes with them, and may this process use
/// them? The kernel grants it once for all threads, those to come included.
pub(crate) fn is_permitted() -> bool {
    const VBMI2: u32 = 1 << 6;
    const BF16: u32 = 1 << 22;
    const FP16: u32 = 1 << 23;
    const TILE: u32 = 1 << 24;
    const INT8: u32 = 1 << 25;
    const ALL: u32 = BF16 | FP16 | TILE | INT8;
    let features = __cpuid_count(7, 0);
    let has_all = features.edx & ALL == ALL && features.ecx & VBMI2 != 0;
    has_all && cfg!(target_os = "linux") && request()
}

#[cfg(target_os = "linux")]
fn request() -> bool {
    // SAFETY: the call changes nothing but what this process may do; older kernels refuse it.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn request() -> bool {
    false
}

/// The memory form of a tile configuration.
#[repr(C, align(64))]
struct Palette {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// Tiles 0 to 3 hold sums, 4 and 5 activations, 6 and 7 weights.
const TILES: usize = 8;
const FIRST_WEIGHTS: usize = 6;

/// This thread's tiles are configured while this lives.
pub(crate) struct Configured {
    /// It belongs to the thread that made it.
    of_thread: PhantomData<*const ()>,
}

impl Configured {
    /// Sums and activations of `rows` rows; those that are not there cost no time.
    ///
    /// # Safety
    /// [`is_permitted`] has said yes.
    pub(crate) unsafe fn new(rows: usize) -> Self {
        let rows = rows.clamp(1, tile::ROWS) as u8;
        let mut palette = Palette {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: [0; 16],
            rows: [0; 16],
        };
        palette.row_bytes[..TILES].fill(tile::ROW_BYTES as u16);
        palette.rows[..FIRST_WEIGHTS].fill(rows);
        palette.rows[FIRST_WEIGHTS..TILES].fill(tile::ROWS as u8);
        // SAFETY: the configuration is valid, and the caller has leave to use tiles.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const palette, options(nostack, readonly)) };
        Self { of_thread: PhantomData }
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        // SAFETY: nobody keeps anything in tiles; without it the system would save them at each switch.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}
