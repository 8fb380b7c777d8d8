//! What was read, kept for whoever reads the same file again. Off unless asked for.
//!
//! A piece counts as long as the file's number, length and time of change are those of when it
//! was read; that is looked at when a file is opened, as NFS clients do. So another machine's
//! change is seen by the next `open`, not by a file that is open already.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{backend::Meta, place::Place};

/// One state of one file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Stamp {
    place: Place,
    inode: u64,
    size: u64,
    modified: u64,
    changed: u64,
}

type Key = (Arc<Stamp>, u64);

/// Pieces of files, up to a number of bytes; the oldest go first.
#[derive(Debug)]
pub(crate) struct ReadCache {
    bytes_max: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    pieces: HashMap<Key, (u64, Bytes)>,
    /// In the order of use, with stale notes of pieces that were used again since.
    order: VecDeque<(u64, Key)>,
    uses: u64,
    bytes: usize,
}

impl ReadCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, inner: Mutex::default() }
    }

    /// The view of one file as it is now.
    pub(crate) fn of(self: &Arc<Self>, place: &Place, meta: &Meta) -> FileCache {
        let stamp = Stamp {
            place: place.clone(),
            inode: meta.inode,
            size: meta.size,
            modified: meta.modified.to_bits(),
            changed: meta.changed.to_bits(),
        };
        FileCache { cache: Arc::clone(self), stamp: Arc::new(stamp) }
    }

    fn get(&self, key: &Key) -> Option<Bytes> {
        let mut inner = self.inner.lock();
        inner.uses += 1;
        let now = inner.uses;
        let (used, piece) = inner.pieces.get_mut(key)?;
        *used = now;
        let piece = piece.clone();
        inner.order.push_back((now, key.clone()));
        inner.tidy();
        Some(piece)
    }

    fn put(&self, key: Key, piece: Bytes) {
        if piece.len() > self.bytes_max {
            return;
        }
        let mut inner = self.inner.lock();
        inner.uses += 1;
        let now = inner.uses;
        inner.bytes += piece.len();
        inner.order.push_back((now, key.clone()));
        if let Some((_, old)) = inner.pieces.insert(key, (now, piece)) {
            inner.bytes -= old.len();
        }
        while inner.bytes > self.bytes_max {
            let Some((used, key)) = inner.order.pop_front() else { break };
            inner.remove_if_unused_since(used, &key);
        }
        inner.tidy();
    }
}

impl Inner {
    fn remove_if_unused_since(&mut self, used: u64, key: &Key) {
        if self.pieces.get(key).is_some_and(|(last, _)| *last == used)
            && let Some((_, piece)) = self.pieces.remove(key)
        {
            self.bytes -= piece.len();
        }
    }

    /// Drops stale notes once they outnumber the pieces.
    fn tidy(&mut self) {
        if self.order.len() > 2 * self.pieces.len() + 16 {
            let pieces = &self.pieces;
            self.order.retain(|(used, key)| pieces.get(key).is_some_and(|(last, _)| last == used));
        }
    }
}

/// The cache, as one opened file sees it.
#[derive(Debug, Clone)]
pub(crate) struct FileCache {
    cache: Arc<ReadCache>,
    stamp: Arc<Stamp>,
}

impl FileCache {
    pub(crate) fn get(&self, offset: u64, length: usize) -> Option<Bytes> {
        let piece = self.cache.get(&(Arc::clone(&self.stamp), offset))?;
        // A short piece is the end of the file, unless the pieces were smaller then.
        let whole = piece.len() == length || offset + piece.len() as u64 == self.stamp.size;
        whole.then_some(piece)
    }

    pub(crate) fn put(&self, offset: u64, piece: &Bytes) {
        self.cache.put((Arc::clone(&self.stamp), offset), piece.clone());
    }
}

#[cfg(test)]
mod tests;
