//! Memory from the system: huge pages for what is read often, and mapped files.

use std::{
    fs::File,
    io,
    marker::PhantomData,
    ops::{Deref, DerefMut, Range},
    os::fd::AsRawFd,
    ptr::{self, NonNull},
    slice,
    sync::Arc,
};

/// Every piece starts on a cache line, which is also a row of a tile.
const LINE_BYTES: usize = 64;
const HUGE_PAGE_BYTES: usize = 2 << 20;
/// Whole multiples of any system's pages, so that advice never reaches too far.
const PAGE_BYTES: usize = 64 << 10;

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
    fn new(bytes: usize, flags: libc::c_int, file: libc::c_int) -> Result<Self, MemoryError> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the system's choice touches nobody's memory.
        let base = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, file, 0) };
        match NonNull::new(base.cast::<u8>()) {
            Some(base) if base.as_ptr().cast() != libc::MAP_FAILED => Ok(Self { base, bytes }),
            _ => Err(MemoryError::Refused { bytes, source: io::Error::last_os_error() }),
        }
    }

    /// The contents of a file; what is written to it stays in this process.
    fn of_file(file: &File) -> Result<Self, MemoryError> {
        let refused = |source| MemoryError::Refused { bytes: 0, source };
        let length = file.metadata().map_err(refused)?.len();
        let bytes =
            usize::try_from(length).map_err(|_| refused(io::ErrorKind::FileTooLarge.into()))?;
        Self::new(bytes, libc::MAP_PRIVATE, file.as_raw_fd())
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
        let whole = bytes.next_multiple_of(LINE_BYTES) + HUGE_PAGE_BYTES;
        let map = Map::new(whole, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
        let start = map.base.as_ptr().align_offset(HUGE_PAGE_BYTES);
        #[cfg(target_os = "linux")]
        // SAFETY: the range lies within our own mapping; the advice changes no contents.
        unsafe {
            libc::madvise(map.base.as_ptr().add(start).cast(), whole - start, libc::MADV_HUGEPAGE);
        }
        Ok(Self { map: Arc::new(map), start, bytes, used: 0 })
    }

    /// The contents of a file. Pages are read when they are first touched and shared between
    /// processes; what is written to a piece stays in this process. Nobody may shorten the file meanwhile.
    ///
    /// # Errors
    /// [`MemoryError::Refused`] also when the file is empty or its length cannot be read.
    pub fn map(file: &File) -> Result<Self, MemoryError> {
        let map = Map::of_file(file)?;
        let bytes = map.bytes;
        // SAFETY: as in `anonymous`.
        unsafe { libc::madvise(map.base.as_ptr().cast(), bytes, libc::MADV_WILLNEED) };
        Ok(Self { map: Arc::new(map), start: 0, bytes, used: 0 })
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
        // SAFETY: as in `deref`; it is writable (privately, if it comes from a file) and ours alone.
        unsafe { slice::from_raw_parts_mut(self.base.as_ptr(), self.bytes) }
    }
}

/// A file to be read once, front to back: it takes memory only between a touch and a `forget`.
#[derive(Debug)]
pub struct FileView {
    map: Map,
}

impl FileView {
    /// Maps a file that nobody shortens or changes meanwhile.
    ///
    /// # Errors
    /// [`MemoryError::Refused`] also when the file is empty or its length cannot be read.
    pub fn open(file: &File) -> Result<Self, MemoryError> {
        Ok(Self { map: Map::of_file(file)? })
    }

    /// Gives back the memory of the pages that lie wholly in `range`. Their bytes stay what they
    /// are: the system reads them again when they are touched again.
    pub fn forget(&self, range: Range<usize>) {
        let first = range.start.next_multiple_of(PAGE_BYTES);
        let end = range.end.min(self.map.bytes) / PAGE_BYTES * PAGE_BYTES;
        if first < end {
            // SAFETY: the pages lie within our mapping. Nothing is ever written to it, so what they
            // are read from again is what they held.
            unsafe {
                let first_page = self.map.base.as_ptr().add(first);
                libc::madvise(first_page.cast(), end - first, libc::MADV_DONTNEED);
            }
        }
    }
}

impl Deref for FileView {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is readable, as long as it says, and lives as long as the view.
        unsafe { slice::from_raw_parts(self.map.base.as_ptr(), self.map.bytes) }
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
        let bytes = length * size_of::<T>();
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
