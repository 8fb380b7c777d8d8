//! The file: a header with a checksum of every chunk, then the pieces.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use kernels::Slab;

use super::checksum::checksum;

const MAGIC: &[u8; 8] = b"packed02";
/// Pieces start on a cache line, as in memory, and are followed by zeros up to the next one.
const LINE: usize = 64;
/// What a thread reads and sums up at a time: it is still in its second-level cache then, and no
/// large piece keeps one thread busy when the others are done.
const CHUNK: usize = 1 << 20;

/// What stands before the pieces: magic, key, the sums of all chunks, and a sum of these.
struct Header(Vec<u8>);

impl Header {
    fn new(key: &[u8; 32], sums: impl Iterator<Item = u64>) -> Self {
        let mut bytes = [MAGIC.as_slice(), key].concat();
        bytes.extend(sums.flat_map(u64::to_le_bytes));
        bytes.extend(checksum(&bytes).to_le_bytes());
        Self(bytes)
    }

    /// Bytes of the header of a file that has so many chunks.
    const fn bytes(chunks: usize) -> usize {
        MAGIC.len() + 32 + chunks * 8 + 8
    }

    /// Reads the header of a file that has so many chunks.
    fn read(file: &File, chunks: usize) -> io::Result<Self> {
        let mut bytes = vec![0; Self::bytes(chunks)];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(Self(bytes))
    }

    fn sums(&self) -> impl Iterator<Item = u64> {
        let words = self.0[MAGIC.len() + 32..].as_chunks::<8>().0;
        words[..words.len() - 1].iter().map(|word| u64::from_le_bytes(*word))
    }

    /// Where the first piece begins.
    fn end(&self) -> usize {
        self.0.len().next_multiple_of(LINE)
    }
}

/// Bytes of the file that `write` makes of these pieces.
pub(super) fn bytes(pieces: &[&[u8]]) -> u64 {
    let chunks: usize = pieces.iter().map(|piece| piece.len().div_ceil(CHUNK)).sum();
    let lines = |bytes: usize| bytes.next_multiple_of(LINE) as u64;
    lines(Header::bytes(chunks)) + pieces.iter().map(|piece| lines(piece.len())).sum::<u64>()
}

/// Writes header and pieces to a new file.
///
/// # Errors
/// Those of the file system: the disk is full, say.
pub(super) fn write(file: &mut File, key: &[u8; 32], pieces: &[&[u8]]) -> io::Result<()> {
    let chunks = pieces.iter().flat_map(|piece| piece.chunks(CHUNK));
    let header = Header::new(key, chunks.map(checksum));
    let mut file = BufWriter::new(file);
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
    file: &File,
    key: &[u8; 32],
    pieces: &mut [Slab],
    threads: usize,
    done: &mut dyn FnMut(usize),
) -> io::Result<()> {
    let chunks = pieces.iter().map(|piece| piece.len().div_ceil(CHUNK)).sum();
    let header = Header::read(file, chunks)?;
    // Built anew from the sums that it states, the header we expect comes out the same.
    if header.0 != Header::new(key, header.sums()).0 {
        return Err(damaged("its header is another"));
    }
    let mut offset = header.end() as u64;
    let chunks = pieces.iter_mut().flat_map(|piece| {
        let first = offset;
        offset += piece.len().next_multiple_of(LINE) as u64;
        (first..).step_by(CHUNK).zip(piece.chunks_mut(CHUNK))
    });
    let jobs = chunks.zip(header.sums()).map(|((at, chunk), sum)| Job { chunk, at, sum });
    let jobs = Jobs { waiting: Mutex::new(jobs), ready: AtomicUsize::new(0) };
    thread::scope(|scope| {
        let helpers: Vec<_> =
            (1..threads).map(|_| scope.spawn(|| jobs.work(file, &mut |_| ()))).collect();
        let mine = jobs.work(file, done);
        let theirs = helpers.into_iter().map(|helper| {
            helper.join().unwrap_or_else(|_| Err(damaged("a thread that read it has panicked")))
        });
        theirs.fold(mine, Result::and)
    })?;
    done(jobs.ready.into_inner());
    Ok(())
}

/// A chunk to be filled.
struct Job<'a> {
    chunk: &'a mut [u8],
    at: u64,
    sum: u64,
}

/// What the reading threads share.
struct Jobs<I> {
    waiting: Mutex<I>,
    /// Bytes.
    ready: AtomicUsize,
}

impl<'a, I: Iterator<Item = Job<'a>>> Jobs<I> {
    fn work(&self, file: &File, done: &mut dyn FnMut(usize)) -> io::Result<()> {
        let next = || self.waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some(Job { chunk, at, sum }) = next() {
            file.read_exact_at(chunk, at)?;
            if checksum(chunk) != sum {
                return Err(damaged("a checksum is wrong"));
            }
            done(self.ready.fetch_add(chunk.len(), Ordering::Relaxed) + chunk.len());
        }
        Ok(())
    }
}

fn damaged(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
