//! Memory from the system, on huge pages where it has them.

use std::{
    io,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    ptr::{self, NonNull},
    slice,
    sync::Arc,
};

/// Every piece starts on a cache line, which is also a row of a tile.
const LINE_BYTES: usize = 64;
pub(crate) const HUGE_PAGE_BYTES: usize = 2 << 20;
/// The smallest pages that a system has.
const PAGE_BYTES: usize = 4096;

/// Memory could not be had.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The system refused.
    #[error("the system refused {bytes} bytes of memory")]
    Refused {
        /// What was asked for.
        bytes: usize,
        /// Its reason.
        source: io::Error,
    },
    /// A piece was to be taken beyond the end.
    #[error("{asked} bytes were asked of an arena with {left} bytes left")]
    Exhausted {
        /// The piece.
        asked: usize,
        /// What there is.
        left: usize,
    },
}

/// A mapping, given back when the last piece of it is dropped.
#[derive(Debug)]
struct Map {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a mapping is plain memory; who may touch which part is the matter of `Slab`.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    /// Zeroed memory of nobody else.
    fn new(bytes: usize) -> Result<Self, MemoryError> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping at an address of the system's choice touches nobody's memory.
        let base = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
        match NonNull::new(base.cast::<u8>()) {
            Some(base) if base.as_ptr().cast() != libc::MAP_FAILED => Ok(Self { base, bytes }),
            _ => Err(MemoryError::Refused { bytes, source: io::Error::last_os_error() }),
        }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and with its last `Slab` gone nobody refers to it.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

/// A region that is handed out front to back.
#[derive(Debug)]
pub struct Arena {
    map: Arc<Map>,
    start: usize,
    bytes: usize,
    used: usize,
}

impl Arena {
    /// Zeroed memory, on huge pages where the system has them. It costs nothing until it is touched.
    ///
    /// # Errors
    /// [`MemoryError::Refused`].
    pub fn anonymous(bytes: usize) -> Result<Self, MemoryError> {
        let lines = bytes.checked_next_multiple_of(LINE_BYTES);
        let Some(whole) = lines.and_then(|lines| lines.checked_add(HUGE_PAGE_BYTES)) else {
            return Err(MemoryError::Refused { bytes, source: io::ErrorKind::OutOfMemory.into() });
        };
        let map = Map::new(whole)?;
        let start = map.base.as_ptr().align_offset(HUGE_PAGE_BYTES);
        #[cfg(target_os = "linux")]
        // SAFETY: the range lies within our own mapping; the advice changes no contents.
        unsafe {
            libc::madvise(map.base.as_ptr().add(start).cast(), whole - start, libc::MADV_HUGEPAGE);
        }
        Ok(Self { map: Arc::new(map), start, bytes, used: 0 })
    }

    /// What `take` uses for a piece of `bytes`.
    pub const fn footprint(bytes: usize) -> usize {
        bytes.next_multiple_of(LINE_BYTES)
    }

    /// Bytes that are left.
    pub fn left(&self) -> usize {
        self.bytes.next_multiple_of(LINE_BYTES) - self.used
    }

    /// The next `bytes`, which start on a cache line.
    ///
    /// # Errors
    /// [`MemoryError::Exhausted`].
    pub fn take(&mut self, bytes: usize) -> Result<Slab, MemoryError> {
        if bytes > self.bytes.saturating_sub(self.used) {
            return Err(MemoryError::Exhausted { asked: bytes, left: self.left() });
        }
        let offset = self.start + self.used;
        // SAFETY: `offset + bytes` lies within the mapping, as just checked.
        let base = unsafe { self.map.base.add(offset) };
        self.used += Self::footprint(bytes);
        Ok(Slab { base, bytes, _map: self.map.clone() })
    }
}

/// A piece of an [`Arena`], which it owns alone.
#[derive(Debug)]
pub struct Slab {
    base: NonNull<u8>,
    bytes: usize,
    _map: Arc<Map>,
}

// SAFETY: pieces of one arena never overlap, so a slab is like a `Box<[u8]>`.
unsafe impl Send for Slab {}
// SAFETY: as above.
unsafe impl Sync for Slab {}

impl Deref for Slab {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the piece is mapped, readable, and as long as it says; it lives as long as the slab.
        unsafe { slice::from_raw_parts(self.base.as_ptr(), self.bytes) }
    }
}

impl DerefMut for Slab {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; it is writable and ours alone.
        unsafe { slice::from_raw_parts_mut(self.base.as_ptr(), self.bytes) }
    }
}

mod plain {
    /// Any bytes are a value of these, and zero bytes are zero.
    pub(crate) trait Plain: Copy + Send + Sync + 'static {}
    impl Plain for u8 {}
    impl Plain for i8 {}
    impl Plain for u16 {}
    impl Plain for i32 {}
    impl Plain for f32 {}
}
pub(crate) use plain::Plain;

/// Zeroed numbers that start on a cache line.
#[derive(Debug)]
pub(crate) struct Buffer<T> {
    slab: Slab,
    kind: PhantomData<T>,
}

impl<T: Plain> Buffer<T> {
    pub(crate) fn zeroed(length: usize) -> Result<Self, MemoryError> {
        // More than there are addresses is refused below.
        let bytes = length.saturating_mul(size_of::<T>());
        Ok(Self { slab: Arena::anonymous(bytes)?.take(bytes)?, kind: PhantomData })
    }

    pub(crate) fn shared(&mut self) -> Shared<'_, T> {
        Shared::new(self)
    }
}

impl<T: Plain> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        let length = self.slab.len() / size_of::<T>();
        // SAFETY: a slab starts on a cache line, and any of its bytes are a `T`.
        unsafe { slice::from_raw_parts(self.slab.as_ptr().cast(), length) }
    }
}

impl<T: Plain> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let length = self.slab.len() / size_of::<T>();
        // SAFETY: as in `deref`.
        unsafe { slice::from_raw_parts_mut(self.slab.as_mut_ptr().cast(), length) }
    }
}

/// Has the system hand out the pages of some zeroed memory.
pub(crate) fn touch(zeroed: &mut [u8]) {
    for byte in zeroed.iter_mut().step_by(PAGE_BYTES) {
        // SAFETY: an ordinary write that the compiler may not leave out.
        unsafe { ptr::write_volatile(byte, 0) };
    }
}

/// The bytes of f32 numbers: any bytes are a number.
pub(crate) fn bytes_of(numbers: &mut [f32]) -> &mut [u8] {
    let bytes = size_of_val(numbers);
    // SAFETY: the same memory, for as long; bytes need no alignment.
    unsafe { slice::from_raw_parts_mut(numbers.as_mut_ptr().cast(), bytes) }
}

/// A slice that the threads of one operation write to, each its own part.
#[derive(Debug)]
pub(crate) struct Shared<'a, T> {
    base: *mut T,
    length: usize,
    of: PhantomData<&'a mut [T]>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Shared<'_, T> {}

// SAFETY: it gives out its parts only through `part`, whose callers promise not to overlap.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(all: &'a mut [T]) -> Self {
        Self { base: all.as_mut_ptr(), length: all.len(), of: PhantomData }
    }

    /// `length` elements from `start`.
    ///
    /// # Safety
    /// While the part is in use, nobody else uses any element of it.
    #[inline(always)]
    pub(crate) unsafe fn part(self, start: usize, length: usize) -> &'a mut [T] {
        assert!(start <= self.length && length <= self.length - start, "a part beyond the end");
        // SAFETY: within the slice, as just checked, and not shared, as the caller promises.
        unsafe { slice::from_raw_parts_mut(self.base.add(start), length) }
    }
}
