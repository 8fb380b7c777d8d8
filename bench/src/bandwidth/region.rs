//! Memory in huge pages, and asking for a line before it is used: what safe Rust cannot say.
#![expect(unsafe_code, reason = "an instrument has to measure the memory, not the page tables")]

use std::{io, num::NonZeroUsize, os::raw::c_void, ptr::NonNull, slice, thread};

use nix::sys::mman::{self, MapFlags, MmapAdvise, ProtFlags};

/// Anonymous memory, in huge pages where the system has them, each page present.
pub(super) struct Region {
    address: NonNull<c_void>,
    bytes: NonZeroUsize,
}

impl Region {
    /// `threads` fill it: the first touch decides which memory a page comes from.
    pub(super) fn new(bytes: usize, threads: usize) -> io::Result<Self> {
        let bytes = NonZeroUsize::new(bytes).ok_or(io::ErrorKind::InvalidInput)?;
        let (access, flags) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE);
        // SAFETY: the system chooses the address, so no memory of ours is replaced.
        let address = unsafe { mman::mmap_anonymous(None, bytes, access, flags) }?;
        let mut region = Self { address, bytes };
        // SAFETY: the range was mapped just above. Advice changes no contents.
        let advised =
            unsafe { mman::madvise(region.address, bytes.get(), MmapAdvise::MADV_HUGEPAGE) };
        // A system without huge pages is measured without them.
        let _ = advised;
        region.fill(threads);
        Ok(region)
    }

    pub(super) fn words(&self) -> &[u64] {
        // SAFETY: mapped for as long as `self`, zeroed by the system, and aligned to a page.
        unsafe { slice::from_raw_parts(self.address.as_ptr().cast(), self.len()) }
    }

    fn fill(&mut self, threads: usize) {
        let length = self.len();
        // SAFETY: as in `words`, and `self` is borrowed alone.
        let words =
            unsafe { slice::from_raw_parts_mut(self.address.as_ptr().cast::<u64>(), length) };
        thread::scope(|scope| {
            for part in words.chunks_mut(length.div_ceil(threads)) {
                scope.spawn(|| part.fill(1));
            }
        });
    }

    fn len(&self) -> usize {
        self.bytes.get() / size_of::<u64>()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length; every borrow of it has ended.
        let unmapped = unsafe { mman::munmap(self.address, self.bytes.get()) };
        debug_assert!(unmapped.is_ok(), "a mapping can be taken back");
    }
}

/// Asks for the line at `address` in the first cache.
pub(super) fn prefetch_near(address: *const u64) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint. It reads nothing that the program could see and never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Asks for the line at `address` in the second cache.
pub(super) fn prefetch_far(address: *const u64) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: as in `prefetch_near`.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
