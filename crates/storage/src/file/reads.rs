//! Reads, and reading ahead of a caller who reads in order.

use std::{collections::VecDeque, sync::Arc};

use bytes::{Bytes, BytesMut};
use tokio::task::JoinHandle;

use super::DEPTH;
use crate::{
    backend::Opened,
    cache::FileCache,
    error::{Error, Kind, Result},
};

/// A piece on its way.
#[derive(Debug)]
struct Ahead {
    offset: u64,
    length: usize,
    task: JoinHandle<Result<Bytes>>,
}

/// What was read or asked for and not yet given to the caller.
#[derive(Debug)]
pub(super) struct Reads {
    cache: Option<FileCache>,
    /// The rest of the last piece.
    rest: Option<(u64, Bytes)>,
    ahead: VecDeque<Ahead>,
    /// Asked for and not wanted any more. They run to their end: a request of NFS 4.1 that is
    /// given up costs its session.
    stray: VecDeque<Ahead>,
    /// Where the last read ended: a read that begins there is one in order.
    end: Option<u64>,
}

impl Reads {
    pub(super) const fn new(cache: Option<FileCache>) -> Self {
        Self { cache, rest: None, ahead: VecDeque::new(), stray: VecDeque::new(), end: None }
    }

    /// Forgets also what others may have changed since the file was opened.
    pub(super) fn forget_all(&mut self) {
        self.forget();
        self.cache = None;
    }

    /// Forgets what was read ahead: the file changes.
    pub(super) fn forget(&mut self) {
        self.rest = None;
        self.stray.append(&mut self.ahead);
        self.end = None;
    }

    /// Up to `length` bytes from `offset`; the caller will go on up to `until`.
    pub(super) async fn read(
        &mut self,
        opened: &Arc<dyn Opened>,
        chunk: usize,
        offset: u64,
        length: usize,
        until: u64,
    ) -> Result<Vec<Bytes>> {
        let Some(end) = offset.checked_add(length as u64) else {
            return Err(Error::new(Kind::Invalid, "the read ends beyond what files can be"));
        };
        let in_order = self.end == Some(offset);
        let mut pieces = Vec::new();
        let mut at = offset;
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX);
            let mut last = false;
            if self.rest.as_ref().is_none_or(|(start, rest)| !holds(*start, rest, at)) {
                let ahead = if in_order { at + (chunk * DEPTH) as u64 } else { end };
                let horizon = end.max(until).max(ahead);
                let (start, asked, piece) = self.next(opened, chunk, at, horizon).await?;
                last = piece.len() < asked;
                self.rest = Some((start, piece));
            }
            let Some(piece) = self.take_rest(at, wanted) else { break };
            at += piece.len() as u64;
            pieces.push(piece);
            if last {
                // Beyond the end there is nothing to wait for.
                self.stray.append(&mut self.ahead);
                break;
            }
        }
        self.end = Some(at);
        Ok(pieces)
    }

    /// What is at hand from `at` on.
    fn take_rest(&mut self, at: u64, wanted: usize) -> Option<Bytes> {
        let (start, mut rest) = self.rest.take()?;
        if !holds(start, &rest, at) {
            return None;
        }
        let mut piece = rest.split_off(usize::try_from(at - start).ok()?);
        let after = piece.split_off(wanted.min(piece.len()));
        self.rest = Some((at + piece.len() as u64, after));
        Some(piece)
    }

    /// The piece that has `at`, and more on its way up to `horizon`.
    async fn next(
        &mut self,
        opened: &Arc<dyn Opened>,
        chunk: usize,
        at: u64,
        horizon: u64,
    ) -> Result<(u64, usize, Bytes)> {
        // With a cache, pieces begin at multiples of their size, so that they are found again.
        let start = if self.cache.is_some() { at - at % chunk as u64 } else { at };
        if self.ahead.front().is_none_or(|front| front.offset != start) {
            self.stray.append(&mut self.ahead);
        }
        self.stray.retain(|stray| !stray.task.is_finished());
        while self.stray.len() >= DEPTH {
            if let Some(mut oldest) = self.stray.pop_front() {
                let _ = (&mut oldest.task).await;
            }
        }
        let mut next = self.ahead.back().map_or(start, |last| last.offset + last.length as u64);
        while (self.ahead.is_empty() || next < horizon) && self.ahead.len() < DEPTH {
            let length = match self.cache {
                Some(_) => chunk,
                None => chunk.min(usize::try_from(horizon.max(next + 1) - next).unwrap_or(chunk)),
            };
            let (opened, cache) = (Arc::clone(opened), self.cache.clone());
            let task = tokio::spawn(fetch(opened, cache, next, length));
            self.ahead.push_back(Ahead { offset: next, length, task });
            next += length as u64;
        }
        let Some(mut front) = self.ahead.pop_front() else {
            return Err(Error::new(Kind::Io, "a read was not begun"));
        };
        let read = (&mut front.task).await;
        match read.map_err(|lost| Error::new(Kind::Io, lost.to_string()))? {
            Ok(piece) => Ok((start, front.length, piece)),
            Err(error) => {
                self.forget();
                Err(error)
            }
        }
    }
}

/// Whether a piece that begins at `start` has the byte `at`.
fn holds(start: u64, piece: &Bytes, at: u64) -> bool {
    start <= at && at - start < piece.len() as u64
}

/// All of a piece; less only at the end of the file.
async fn fetch(
    opened: Arc<dyn Opened>,
    cache: Option<FileCache>,
    offset: u64,
    length: usize,
) -> Result<Bytes> {
    if let Some(known) = cache.as_ref().and_then(|cache| cache.get(offset, length)) {
        return Ok(known);
    }
    let mut piece = opened.read_at(offset, length).await?;
    if !piece.is_empty() && piece.len() < length {
        // Short, which is the end, or a server that gives less than it is asked for.
        let mut whole = BytesMut::from(piece);
        while whole.len() < length {
            let at = offset + whole.len() as u64;
            let more = opened.read_at(at, length - whole.len()).await?;
            if more.is_empty() {
                break;
            }
            whole.extend_from_slice(&more);
        }
        piece = whole.freeze();
    }
    if let Some(cache) = cache {
        cache.put(offset, &piece);
    }
    Ok(piece)
}
