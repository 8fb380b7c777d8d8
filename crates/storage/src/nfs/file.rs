//! An open file on NFS: it survives a new mount, and what it wrote is known to be safe only when
//! the server's verifier says so.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use nfs_rs::{ObjRes, WriteOutcome};
use parking_lot::Mutex;
use tokio::sync::RwLock;

use super::{
    attributes,
    failure::{Failure, is_new_verifier},
    session::{Again, Session, Sessions},
    share,
    walk::{Last, walk},
};
use crate::{
    backend::{Access, LockRequest, Meta, Opened},
    error::{Error, Kind, Result},
    place::Place,
};

/// How often everything is written again because the server restarted before the commit.
const COMMITS_MAX: usize = 3;

/// Kept in memory until the commit, in case the server restarts.
const UNCOMMITTED_MAX: usize = 32 * 1024 * 1024;

/// A handle, and the mount that gave it.
#[derive(Debug, Clone)]
struct Handle {
    generation: u64,
    bytes: Bytes,
}

/// What the server has, but may lose until the commit.
#[derive(Debug)]
struct Unsafe {
    offset: u64,
    data: Bytes,
    outcome: WriteOutcome,
}

/// A lock that the server gave, with the words to give it back.
#[derive(Debug)]
struct Held {
    request: LockRequest,
    stateid: Bytes,
    generation: u64,
}

/// What is being committed. What is left of it at the end, because the commit failed or was given
/// up, goes back to its file, ahead of what was written since.
struct Batch<'a> {
    file: &'a NfsFile,
    pieces: Vec<Unsafe>,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let mut uncommitted = self.file.uncommitted.lock();
        self.pieces.append(&mut uncommitted);
        *uncommitted = std::mem::take(&mut self.pieces);
    }
}

#[derive(Debug)]
pub(super) struct NfsFile {
    sessions: Arc<Sessions>,
    place: Place,
    access: Access,
    inode: u64,
    holder: u64,
    handle: RwLock<Handle>,
    uncommitted: Mutex<Vec<Unsafe>>,
    held: tokio::sync::Mutex<Vec<Held>>,
    /// The mount that the locks belong to. It stays here once that mount is gone.
    locked_on: Mutex<Option<u64>>,
}

impl NfsFile {
    pub(super) fn new(
        sessions: Arc<Sessions>,
        generation: u64,
        place: Place,
        access: Access,
        object: ObjRes,
    ) -> Self {
        static HOLDERS: AtomicU64 = AtomicU64::new(0);
        Self {
            sessions,
            place,
            access,
            inode: object.attr.map_or(0, |attr| attr.fileid),
            holder: HOLDERS.fetch_add(1, Ordering::Relaxed),
            handle: RwLock::new(Handle { generation, bytes: object.fh }),
            uncommitted: Mutex::default(),
            held: tokio::sync::Mutex::default(),
            locked_on: Mutex::default(),
        }
    }

    /// The handle that this mount knows, opened anew if it is another mount than before.
    async fn handle(&self, session: &Session) -> Result<Bytes, Failure> {
        self.still_locked(session)?;
        let known = self.handle.read().await.clone();
        if known.generation == session.generation() {
            return Ok(known.bytes);
        }
        let mut handle = self.handle.write().await;
        if handle.generation != session.generation() {
            let walked = walk(session, self.sessions.home(), &self.place, Last::Keep).await?;
            let object = walked.there().map_err(|_| self.replaced())?;
            if attributes(session, &object).await?.inode != self.inode {
                return Err(self.replaced().into());
            }
            let (folder, name) = walked.named()?;
            let opened = session.mount().open(folder, &name, share(self.access)).await?;
            *handle = Handle { generation: session.generation(), bytes: opened.fh };
        }
        Ok(handle.bytes.clone())
    }

    /// Fails if the locks went with a mount before this one. To take them again would not do:
    /// somebody else may have held them in between, and changed the file.
    fn still_locked(&self, session: &Session) -> Result<()> {
        match *self.locked_on.lock() {
            Some(generation) if generation != session.generation() => {
                let detail = "its lock was lost with the connection: open and lock it again";
                Err(Error::new(Kind::Stale, format!("{}: {detail}", self.place)))
            }
            _ => Ok(()),
        }
    }

    fn replaced(&self) -> Error {
        let detail = "was replaced or removed while it was open, and the server restarted";
        Error::new(Kind::Stale, format!("{}: {detail}", self.place))
    }

    /// Does one step with the handle.
    async fn with<T, F, Fut>(&self, again: Again, then: F) -> Result<T>
    where
        T: Send,
        F: Fn(Arc<Session>, Bytes) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Failure>> + Send,
    {
        let step = |session: Arc<Session>| async {
            let handle = self.handle(&session).await?;
            then(session, handle).await
        };
        let done = self.sessions.call(again, step).await;
        done.map_err(|error| error.at(&self.place.relative()))
    }

    async fn write_piece(&self, offset: u64, data: Bytes) -> Result<Vec<Unsafe>> {
        let mut pieces = Vec::with_capacity(1);
        let mut done = 0;
        while done < data.len() {
            let (at, rest) = (offset + done as u64, data.slice(done..));
            let outcome = self
                .with(Again::Always, |session, handle| {
                    let rest = rest.clone();
                    async move { Ok(session.mount().write(handle, at, rest).await?) }
                })
                .await?;
            let taken = outcome.count as usize;
            if taken == 0 || taken > rest.len() {
                let detail = format!("{}: the server took {taken} bytes of a write", self.place);
                return Err(Error::new(Kind::Io, detail));
            }
            pieces.push(Unsafe { offset: at, data: rest.slice(..taken), outcome });
            done += taken;
        }
        Ok(pieces)
    }
}

#[async_trait]
impl Opened for NfsFile {
    async fn read_at(&self, offset: u64, length: usize) -> Result<Bytes> {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.with(Again::Always, |session, handle| async move {
            Ok(session.mount().read(handle, offset, length).await?)
        })
        .await
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        let pieces = self.write_piece(offset, data).await?;
        self.uncommitted.lock().extend(pieces);
        Ok(())
    }

    async fn commit(&self) -> Result<()> {
        let pieces = std::mem::take(&mut *self.uncommitted.lock());
        let mut batch = Batch { file: self, pieces };
        for _ in 0..COMMITS_MAX {
            if batch.pieces.is_empty() {
                return Ok(());
            }
            let outcomes: Vec<_> = batch.pieces.iter().map(|piece| piece.outcome.clone()).collect();
            let outcomes = &outcomes;
            let committed = self
                .with(Again::Always, |session, handle| async move {
                    match session.mount().commit_write_batch(handle, 0, 0, outcomes).await {
                        Ok(()) => Ok(true),
                        Err(error) if is_new_verifier(&error) => Ok(false),
                        Err(error) => Err(error.into()),
                    }
                })
                .await?;
            if committed {
                batch.pieces.clear();
                return Ok(());
            }
            // The server restarted and may have lost all of it.
            tracing::info!(place = %self.place, "uncommitted data is written again");
            let mut next = 0;
            while let Some(piece) = batch.pieces.get(next) {
                let again = self.write_piece(piece.offset, piece.data.clone()).await?;
                let after = next + again.len();
                batch.pieces.splice(next..=next, again);
                next = after;
            }
        }
        let detail = format!("{}: the server restarts before each commit", self.place);
        Err(Error::new(Kind::Io, detail))
    }

    fn uncommitted_max(&self) -> usize {
        UNCOMMITTED_MAX
    }

    async fn stat(&self) -> Result<Meta> {
        self.with(Again::Always, |session, handle| async move {
            Ok(super::meta(&session.mount().getattr(handle).await?))
        })
        .await
    }

    async fn set_size(&self, size: u64) -> Result<()> {
        self.with(Again::Always, |session, handle| async move {
            let mount = session.mount();
            Ok(mount.setattr(handle, None, None, None, None, Some(size), None, None).await?)
        })
        .await
    }

    async fn try_lock(&self, request: LockRequest) -> Result<()> {
        let taken = || Error::new(Kind::Locked, format!("{}: is locked", self.place));
        let mut held = self.held.lock().await;
        if !self.sessions.locks().take(self.inode, self.holder, request) {
            return Err(taken());
        }
        let locked = self
            .with(Again::IfUnsent, |session, handle| async move {
                if session.version() == "3" {
                    let detail = "locks need NFS 4.1, and this server speaks only version 3";
                    return Err(Error::new(Kind::Unsupported, detail).into());
                }
                let (lock, start, length) = wire(request);
                let stateid = session.mount().lock(handle, lock, start, length).await?;
                Ok((stateid, session.generation()))
            })
            .await;
        match locked {
            Ok((stateid, generation)) => {
                held.push(Held { request, stateid, generation });
                self.locked_on.lock().get_or_insert(generation);
                Ok(())
            }
            Err(error) => {
                self.sessions.locks().give_back(self.inode, self.holder, request);
                Err(if error.kind() == Kind::Locked { taken() } else { error })
            }
        }
    }

    async fn unlock(&self) -> Result<()> {
        let mut all = self.held.lock().await;
        let mut outcome = Ok(());
        for held in all.drain(..) {
            if !self.sessions.locks().give_back(self.inode, self.holder, held.request) {
                continue;
            }
            let given = self
                .with(Again::IfUnsent, |session, handle| {
                    let stateid = newest(&held.stateid);
                    let mine = session.generation() == held.generation;
                    async move {
                        // Another mount's locks went with it.
                        if mine {
                            let (lock, start, length) = wire(held.request);
                            session.mount().locku(handle, stateid, lock, start, length).await?;
                        }
                        Ok(())
                    }
                })
                .await;
            outcome = outcome.and(given);
        }
        // What was done under a lock that was lost stays suspect, so the file is of no more use.
        if !matches!(&outcome, Err(error) if error.kind() == Kind::Stale) {
            *self.locked_on.lock() = None;
        }
        outcome
    }

    async fn close(&self) -> Result<()> {
        let unlocked = self.unlock().await;
        let generation = self.handle.read().await.generation;
        let closed = self
            .with(Again::IfUnsent, |session, handle| async move {
                if session.generation() == generation {
                    session.mount().close(handle).await?;
                }
                Ok(())
            })
            .await;
        unlocked.and(closed)
    }
}

/// The lock type (1 shared, 2 exclusive), the first byte and the length of the protocol.
const fn wire(request: LockRequest) -> (u32, u64, u64) {
    let lock = if request.exclusive { 2 } else { 1 };
    let length = if request.length == 0 { u64::MAX } else { request.length };
    (lock, request.start, length)
}

/// A state id whose counter is zero means "the newest" (RFC 8881, section 8.2.2): another lock on
/// the file has moved the counter on.
fn newest(stateid: &[u8]) -> Bytes {
    let mut bytes = stateid.to_vec();
    bytes.iter_mut().take(4).for_each(|byte| *byte = 0);
    bytes.into()
}
