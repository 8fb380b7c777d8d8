//! An open file as callers use it: any offset, any length, several requests in flight.
//!
//! Writes return once they are on their way and are waited for by `flush`; what fails on the way
//! is said by the next call. Reads in order are read ahead.

mod reads;
mod writes;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::{Instant, sleep_until},
};

use self::{reads::Reads, writes::Writes};
use crate::{
    backend::{Access, Chunks, LockRequest, Meta, Opened},
    cache::FileCache,
    error::{Error, Kind, Result},
    place::Place,
};

/// Requests of one file in flight. With 512 KiB each, 4 MiB are on their way, which fills
/// 10 Gbit/s over a round trip of 3 ms.
const DEPTH: usize = 8;
/// Rhythm in which a lock that is taken is asked for again.
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// An open file. All of its methods may be called from several tasks; they take turns.
#[derive(Debug)]
pub struct File {
    opened: Arc<dyn Opened>,
    place: Place,
    access: Access,
    chunks: Chunks,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    writes: Writes,
    reads: Reads,
    closed: bool,
}

impl File {
    pub(crate) fn new(
        opened: Arc<dyn Opened>,
        place: Place,
        access: Access,
        chunks: Chunks,
        cache: Option<FileCache>,
    ) -> Self {
        let mut writes = Writes::default();
        if opened.is_dirty() {
            writes.touch();
        }
        let state = State { writes, reads: Reads::new(cache), closed: false };
        Self { opened, place, access, chunks, state: Mutex::new(state) }
    }

    /// The most that goes into one request, in bytes.
    pub const fn chunks(&self) -> Chunks {
        self.chunks
    }

    /// Up to `length` bytes from `offset`, in pieces; fewer only at the end of the file.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing; what was read ahead is kept.
    ///
    /// # Errors
    /// What the server says; an earlier write that failed; [`Kind::Closed`].
    pub async fn read_at(&self, offset: u64, length: usize) -> Result<Vec<Bytes>> {
        if !self.access.read {
            return Err(self.not_open_for("reading"));
        }
        let mut state = self.state().await?;
        state.writes.drain().await?;
        state.reads.read(&self.opened, self.chunks.read, offset, length, 0).await
    }

    /// Fills `buffer` from `offset`, while more is on its way; how much was there before the end
    /// of the file.
    ///
    /// # Cancel safety
    /// As [`Self::read_at`].
    ///
    /// # Errors
    /// As [`Self::read_at`].
    pub async fn read_into(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        if !self.access.read {
            return Err(self.not_open_for("reading"));
        }
        let mut state = self.state().await?;
        state.writes.drain().await?;
        let until = offset.saturating_add(buffer.len() as u64);
        let (chunk, mut done) = (self.chunks.read, 0);
        while done < buffer.len() {
            let length = chunk.min(buffer.len() - done);
            let at = offset + done as u64;
            let pieces = state.reads.read(&self.opened, chunk, at, length, until).await?;
            for piece in &pieces {
                buffer[done..done + piece.len()].copy_from_slice(piece);
                done += piece.len();
            }
            if pieces.iter().map(Bytes::len).sum::<usize>() < length {
                break;
            }
        }
        Ok(done)
    }

    /// Sends `data` on its way to `offset`.
    ///
    /// # Cancel safety
    /// Dropping the future may leave a part of the data written.
    ///
    /// # Errors
    /// What the server said to this or an earlier write; [`Kind::Closed`].
    pub async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        if !self.access.write {
            return Err(self.not_open_for("writing"));
        }
        let mut state = self.state().await?;
        state.reads.forget();
        state.writes.push(&self.opened, self.chunks.write, offset, data).await
    }

    /// Sends `data` on its way to the end of the file, and says where it ends then. Two writers
    /// that append at the same instant need a lock: the protocols have no such write.
    ///
    /// # Cancel safety
    /// As [`Self::write_at`].
    ///
    /// # Errors
    /// As [`Self::write_at`].
    pub async fn append(&self, data: Bytes) -> Result<u64> {
        if !self.access.write {
            return Err(self.not_open_for("writing"));
        }
        let mut state = self.state().await?;
        state.writes.drain().await?;
        let end = self.opened.stat().await?.size;
        state.reads.forget();
        let after = end + data.len() as u64;
        state.writes.push(&self.opened, self.chunks.write, end, data).await?;
        Ok(after)
    }

    /// Waits until everything written is on the server's disk.
    ///
    /// # Cancel safety
    /// Dropping the future ends the waiting only.
    ///
    /// # Errors
    /// What the server said to a write, and then that write is lost; or what it said to the
    /// commit, and then the next flush or close tries it again.
    pub async fn flush(&self) -> Result<()> {
        let mut state = self.state().await?;
        state.writes.commit(&self.opened).await
    }

    /// What is known of it, with everything written so far.
    ///
    /// # Cancel safety
    /// Dropping the future ends the waiting only.
    ///
    /// # Errors
    /// What the server says; an earlier write that failed.
    pub async fn stat(&self) -> Result<Meta> {
        let mut state = self.state().await?;
        state.writes.drain().await?;
        self.opened.stat().await
    }

    /// Cuts it, or makes it longer with zeros.
    ///
    /// # Cancel safety
    /// Dropping the future ends the waiting only.
    ///
    /// # Errors
    /// What the server says; an earlier write that failed.
    pub async fn set_size(&self, size: u64) -> Result<()> {
        if !self.access.write {
            return Err(self.not_open_for("writing"));
        }
        let mut state = self.state().await?;
        state.writes.commit(&self.opened).await?;
        state.reads.forget();
        state.writes.touch();
        self.opened.set_size(size).await
    }

    /// Takes a lock, waiting up to `patience`; zero tries once.
    ///
    /// # Cancel safety
    /// A lock that the server gave just then is held until the file is closed.
    ///
    /// # Errors
    /// [`Kind::Locked`] if somebody else holds it all the time, [`Kind::Unsupported`] if the
    /// server has no locks.
    pub async fn lock(&self, request: LockRequest, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        let mut wait = FIRST_WAIT;
        loop {
            drop(self.state().await?);
            match self.opened.try_lock(request).await {
                Err(error) if error.kind() == Kind::Locked && Instant::now() + wait < deadline => {}
                outcome => {
                    // What the holder before wrote is to be seen.
                    self.state().await?.reads.forget_all();
                    return outcome;
                }
            }
            sleep_until(Instant::now() + wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Gives all locks back, after everything written has become visible to the next holder.
    ///
    /// # Cancel safety
    /// Dropping the future may leave locks held until the file is closed.
    ///
    /// # Errors
    /// What the server says; an earlier write that failed, and then the locks are given back too.
    pub async fn unlock(&self) -> Result<()> {
        let mut state = self.state().await?;
        let written = state.writes.commit(&self.opened).await;
        let unlocked = self.opened.unlock().await;
        written.and(unlocked)
    }

    /// Writes what is outstanding, gives locks back, and ends. A second call does nothing.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the file open on the server until its lease ends.
    ///
    /// # Errors
    /// What the server said to a write or to the commit; the file is closed nevertheless.
    pub async fn close(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        if state.closed {
            return Ok(());
        }
        state.closed = true;
        state.reads.forget();
        let written = state.writes.commit(&self.opened).await;
        let closed = self.opened.close().await;
        written.and(closed)
    }

    async fn state(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.state.lock().await;
        if state.closed {
            let detail = format!("{}: I/O operation on closed file", self.place);
            return Err(Error::new(Kind::Closed, detail));
        }
        Ok(state)
    }

    fn not_open_for(&self, what: &str) -> Error {
        Error::new(Kind::Closed, format!("{}: is not open for {what}", self.place))
    }
}
