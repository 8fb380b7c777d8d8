//! Tiles of the processor: leave to use them, and their configuration.

use std::arch::x86_64::__cpuid_count;

/// `arch_prctl` that asks for the state component of tile data, number 18.
const ARCH_REQ_XCOMP_PERM: libc::c_ulong = 0x1023;
const XFEATURE_XTILEDATA: libc::c_ulong = 18;

/// Does this processor have tiles with bf16 and int8, and may this process use them? The kernel
/// grants it once for all threads, those to come included.
pub(crate) fn is_permitted() -> bool {
    const BF16: u32 = 1 << 22;
    const TILE: u32 = 1 << 24;
    const INT8: u32 = 1 << 25;
    let features = __cpuid_count(7, 0).edx;
    let has_all = features & (BF16 | TILE | INT8) == BF16 | TILE | INT8;
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
