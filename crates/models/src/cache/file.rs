//! The file: a header with the checksum of every piece, then the pieces.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use kernels::Slab;

use super::checksum::checksum;

const MAGIC: &[u8; 8] = b"packed01";
/// Pieces start on a cache line, as in memory, and are followed by zeros up to the next one.
const LINE: usize = 64;

/// What stands before the pieces.
pub(super) struct Header(Vec<u8>);

impl Header {
    pub(super) fn of(key: &[u8; 32], pieces: &[&[u8]]) -> Self {
        Self::with_sums(key, pieces.iter().map(|piece| (piece.len(), checksum(piece))))
    }

    fn with_sums(key: &[u8; 32], pieces: impl Iterator<Item = (usize, u64)>) -> Self {
        let mut bytes = [MAGIC.as_slice(), key].concat();
        for (length, sum) in pieces {
            bytes.extend((length as u64).to_le_bytes());
            bytes.extend(sum.to_le_bytes());
        }
        let sum = checksum(&bytes);
        bytes.extend(sum.to_le_bytes());
        Self(bytes)
    }

    /// The header's length for so many pieces.
    fn len(pieces: usize) -> usize {
        MAGIC.len() + 32 + pieces * 16 + 8
    }

    /// The checksum that this header states for a piece.
    fn sum(&self, piece: usize) -> u64 {
        let at = MAGIC.len() + 32 + piece * 16 + 8;
        self.0[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

/// Writes header and pieces to a new file.
///
/// # Errors
/// Those of the file system: the disk is full, say.
pub(super) fn write(path: &Path, header: &Header, pieces: &[&[u8]]) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for part in std::iter::once(&header.0.as_slice()).chain(pieces) {
        file.write_all(part)?;
        file.write_all(&[0; LINE][..part.len().next_multiple_of(LINE) - part.len()])?;
    }
    file.flush()
}

/// Fills the pieces from a file that must have exactly these, under this key. `done` is told the
/// bytes that are ready.
///
/// # Errors
/// Those of the file system, and [`io::ErrorKind::InvalidData`] for another file, another key and
/// any damage.
pub(super) fn read(
    path: &Path,
    key: &[u8; 32],
    pieces: &mut [Slab],
    threads: usize,
    done: &mut dyn FnMut(usize),
) -> io::Result<()> {
    let file = File::open(path)?;
    let mut found = vec![0; Header::len(pieces.len())];
    file.read_exact_at(&mut found, 0)?;
    let found = Header(found);
    // Built from what we expect and the sums that it states, a whole header comes out the same.
    let sums: Vec<_> = (0..pieces.len()).map(|i| (pieces[i].len(), found.sum(i))).collect();
    if found.0 != Header::with_sums(key, sums.iter().copied()).0 {
        return Err(damaged("its header is another"));
    }
    let mut offset = found.0.len().next_multiple_of(LINE) as u64;
    let jobs = pieces.iter_mut().zip(sums).map(|(piece, (length, sum))| {
        let at = offset;
        offset += length.next_multiple_of(LINE) as u64;
        Job { piece, at, sum }
    });
    let jobs = Jobs { waiting: Mutex::new(jobs.collect()), ready: AtomicUsize::new(0) };
    thread::scope(|scope| {
        let helpers: Vec<_> =
            (1..threads).map(|_| scope.spawn(|| jobs.work(&file, &mut |_| ()))).collect();
        let mine = jobs.work(&file, done);
        let theirs = helpers.into_iter().map(|helper| {
            helper.join().unwrap_or_else(|_| Err(damaged("a thread that read it has panicked")))
        });
        theirs.fold(mine, Result::and)
    })?;
    done(jobs.ready.into_inner());
    Ok(())
}

/// A piece to be filled.
struct Job<'a> {
    piece: &'a mut Slab,
    at: u64,
    sum: u64,
}

/// What the reading threads share.
struct Jobs<'a> {
    waiting: Mutex<Vec<Job<'a>>>,
    /// Bytes.
    ready: AtomicUsize,
}

impl Jobs<'_> {
    fn work(&self, file: &File, done: &mut dyn FnMut(usize)) -> io::Result<()> {
        loop {
            let job = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(Job { piece, at, sum }) = job else { return Ok(()) };
            file.read_exact_at(piece, at)?;
            if checksum(piece) != sum {
                return Err(damaged("a checksum is wrong"));
            }
            done(self.ready.fetch_add(piece.len(), Ordering::Relaxed) + piece.len());
        }
    }
}

fn damaged(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
