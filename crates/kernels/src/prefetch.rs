//! Asking memory for what is needed soon, into the second-level cache.

/// Fetches all cache lines of `bytes`.
#[inline(always)]
pub(crate) fn lines(bytes: &[u8]) {
    for line in bytes.chunks(64) {
        fetch(line.as_ptr());
    }
}

/// Fetches the cache line where `bytes` begins.
#[inline(always)]
pub(crate) fn line(bytes: &[u8]) {
    fetch(bytes.as_ptr());
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn fetch(line: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
    // SAFETY: a prefetch reads nothing and may point anywhere.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(line.cast()) };
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn fetch(_line: *const u8) {}
