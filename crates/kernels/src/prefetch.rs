//! Asking memory for what is needed soon.

/// Which cache it should come to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Level {
    First,
    Second,
}

/// Fetches all cache lines of `bytes`.
#[inline(always)]
pub(crate) fn lines(bytes: &[u8], level: Level) {
    for line in bytes.chunks(64) {
        fetch(line.as_ptr(), level);
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn fetch(line: *const u8, level: Level) {
    use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};
    // SAFETY: a prefetch reads nothing and may point anywhere.
    unsafe {
        match level {
            Level::First => _mm_prefetch::<_MM_HINT_T0>(line.cast()),
            Level::Second => _mm_prefetch::<_MM_HINT_T1>(line.cast()),
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn fetch(_line: *const u8, _level: Level) {}
