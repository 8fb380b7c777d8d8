//! An open file on WebDAV.

use std::{fs, io, os::unix::fs::FileExt as _, sync::Arc};

use api::Body;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::StreamBody;
use tokio::sync::{Mutex, RwLock};

use super::{
    client::{Ask, Client},
    method, refused,
};
use crate::{
    backend::{Access, EntryKind, LockRequest, Meta, Opened},
    error::{Error, Kind, Result},
    place::Place,
};

const TIMEOUT: HeaderName = HeaderName::from_static("timeout");
const LOCK_TOKEN: HeaderName = HeaderName::from_static("lock-token");
/// Read from the nameless file at once.
const PIECE_BYTES: usize = 256 * 1024;
/// Locks are not renewed, so each is asked for long enough for the work under it: an hour.
const LEASE_SECONDS_MIN: u64 = 3600;

/// What an open file begins with.
#[derive(Debug)]
pub(super) enum Start {
    /// What the server has.
    Same {
        /// In bytes; `None` where the server does not say.
        size: Option<u64>,
        /// In seconds since 1970.
        modified: f64,
    },
    /// Nothing, in this empty nameless file; the server is yet to be told.
    Emptied(fs::File),
}

/// A lock that the server gave.
#[derive(Debug)]
struct Held {
    token: HeaderValue,
    exclusive: bool,
}

/// What was written and is not on the server yet.
#[derive(Debug)]
struct Spool {
    file: Arc<fs::File>,
    dirty: bool,
}

#[derive(Debug)]
pub(super) struct WebDavFile {
    client: Arc<Client>,
    path: String,
    place: Place,
    access: Access,
    /// Its size on the server as last heard. 0 needs no download before writing; `None` is not
    /// known, and is found out by downloading.
    size: parking_lot::Mutex<Option<u64>>,
    /// When it was opened; 0 where we may change it.
    modified: f64,
    spool: RwLock<Option<Spool>>,
    /// Its first content is a change.
    emptied: bool,
    held: Mutex<Option<Held>>,
}

impl WebDavFile {
    pub(super) fn new(
        client: Arc<Client>,
        path: String,
        place: Place,
        access: Access,
        start: Start,
    ) -> Self {
        let emptied = matches!(start, Start::Emptied(_));
        let (size, modified, spool) = match start {
            Start::Same { size, modified } => (size, modified, None),
            Start::Emptied(file) => {
                (Some(0), 0.0, Some(Spool { file: Arc::new(file), dirty: true }))
            }
        };
        let modified = if access.write { 0.0 } else { modified };
        let (size, spool) = (parking_lot::Mutex::new(size), RwLock::new(spool));
        Self { client, path, place, access, size, modified, spool, emptied, held: Mutex::default() }
    }

    /// The nameless file, made on first use with what the server has.
    async fn spooled(&self, mark: bool) -> Result<Arc<fs::File>> {
        if !mark && let Some(spool) = &*self.spool.read().await {
            return Ok(Arc::clone(&spool.file));
        }
        let mut slot = self.spool.write().await;
        if let Some(spool) = &mut *slot {
            spool.dirty |= mark;
            return Ok(Arc::clone(&spool.file));
        }
        let file = Arc::new(on_disk(tempfile::tempfile).await?);
        if self.size() != Some(0) {
            self.download(&file).await?;
        }
        *slot = Some(Spool { file: Arc::clone(&file), dirty: mark });
        Ok(file)
    }

    fn size(&self) -> Option<u64> {
        *self.size.lock()
    }

    /// Looks again what the server has, unless something of ours is on its way there.
    async fn refresh(&self) -> Result<()> {
        let mut slot = self.spool.write().await;
        if slot.as_ref().is_some_and(|spool| spool.dirty) {
            return Ok(());
        }
        *self.size.lock() = length(&self.client, &self.path, &self.place).await?;
        *slot = None;
        Ok(())
    }

    async fn download(&self, into: &Arc<fs::File>) -> Result<()> {
        let mut answer = self.client.send(Ask::new(Method::GET, &self.path)).await?;
        if !answer.status().is_success() {
            return Err(refused(answer.status(), &self.place));
        }
        let mut at = 0;
        while let Some(piece) = self.client.piece(&mut answer).await? {
            let (file, length) = (Arc::clone(into), piece.len() as u64);
            on_disk(move || file.write_all_at(&piece, at)).await?;
            at += length;
        }
        Ok(())
    }

    async fn upload(&self, file: &Arc<fs::File>) -> Result<()> {
        let length = file.metadata()?.len();
        let file = Arc::clone(file);
        let body = move || pieces_of(Arc::clone(&file), length);
        let mut ask = Ask::new(Method::PUT, &self.path).stream(length, body);
        if let Some(condition) = self.condition().await {
            ask = ask.header(header::HeaderName::from_static("if"), condition);
        }
        let answer = self.client.send(ask).await?;
        if !answer.status().is_success() {
            return Err(refused(answer.status(), &self.place));
        }
        self.client.collect(answer).await?;
        Ok(())
    }

    /// Proof that a lock on it is ours.
    async fn condition(&self) -> Option<HeaderValue> {
        let held = self.held.lock().await;
        let token = held.as_ref()?.token.to_str().ok()?;
        HeaderValue::try_from(format!("({token})")).ok()
    }
}

#[async_trait]
impl Opened for WebDavFile {
    async fn read_at(&self, offset: u64, length: usize) -> Result<Bytes> {
        if self.spool.read().await.is_some() {
            let file = self.spooled(false).await?;
            return on_disk(move || {
                let mut buffer = vec![0; length];
                let read = file.read_at(&mut buffer, offset)?;
                buffer.truncate(read);
                Ok(buffer.into())
            })
            .await;
        }
        let last = offset.saturating_add(length as u64).saturating_sub(1);
        let range = HeaderValue::try_from(format!("bytes={offset}-{last}"))
            .map_err(|error| Error::new(Kind::Invalid, error.to_string()))?;
        let ask = Ask::new(Method::GET, &self.path).header(header::RANGE, range);
        let answer = self.client.send(ask).await?;
        match answer.status() {
            StatusCode::PARTIAL_CONTENT => {
                let mut data = self.client.collect(answer).await?;
                data.truncate(length);
                Ok(data)
            }
            StatusCode::RANGE_NOT_SATISFIABLE => Ok(Bytes::new()),
            // A server without ranges sends everything: then it is fetched once.
            StatusCode::OK if self.size() != Some(0) => {
                drop(answer);
                self.spooled(false).await?;
                self.read_at(offset, length).await
            }
            status if status.is_success() => Ok(Bytes::new()),
            status => Err(refused(status, &self.place)),
        }
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        let file = self.spooled(true).await?;
        on_disk(move || file.write_all_at(&data, offset)).await
    }

    async fn commit(&self) -> Result<()> {
        let mut slot = self.spool.write().await;
        let Some(spool) = slot.as_mut().filter(|spool| spool.dirty) else { return Ok(()) };
        self.upload(&spool.file).await?;
        *self.size.lock() = Some(spool.file.metadata()?.len());
        spool.dirty = false;
        Ok(())
    }

    fn is_dirty(&self) -> bool {
        self.emptied
    }

    async fn stat(&self) -> Result<Meta> {
        let spooled = match &*self.spool.read().await {
            Some(spool) => Some(spool.file.metadata()?.len()),
            None => self.size(),
        };
        let size = match spooled {
            Some(size) => size,
            None => self.spooled(false).await?.metadata()?.len(),
        };
        Ok(Meta {
            kind: EntryKind::File,
            size,
            permissions: if self.access.write { 0o644 } else { 0o444 },
            uid: 0,
            gid: 0,
            inode: 0,
            device: 0,
            links: 1,
            used: size,
            accessed: self.modified,
            modified: self.modified,
            changed: self.modified,
        })
    }

    async fn set_size(&self, size: u64) -> Result<()> {
        let file = self.spooled(true).await?;
        on_disk(move || file.set_len(size)).await
    }

    async fn try_lock(&self, request: LockRequest) -> Result<()> {
        let mut held = self.held.lock().await;
        if let Some(mine) = &*held {
            if request.exclusive && !mine.exclusive {
                let detail = "a shared lock cannot become an exclusive one: unlock first";
                return Err(Error::new(Kind::Unsupported, format!("{}: {detail}", self.place)));
            }
            drop(held);
            return self.refresh().await;
        }
        let seconds = request.lease.as_secs().max(LEASE_SECONDS_MIN);
        let lease = HeaderValue::try_from(format!("Second-{seconds}"))
            .map_err(|error| Error::new(Kind::Invalid, error.to_string()))?;
        let body = if request.exclusive { LOCK_EXCLUSIVE } else { LOCK_SHARED };
        let ask = Ask::new(method("LOCK")?, &self.path)
            .once()
            .header(TIMEOUT, lease)
            .header(super::DEPTH, HeaderValue::from_static("0"))
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"))
            .body(body);
        let answer = self.client.send(ask).await?;
        if !answer.status().is_success() {
            return Err(refused(answer.status(), &self.place));
        }
        let given = answer.headers().get(&LOCK_TOKEN).cloned();
        self.client.collect(answer).await?;
        let missing = || Error::new(Kind::Io, "the WebDAV server gave a lock without a token");
        *held = Some(Held { token: given.ok_or_else(missing)?, exclusive: request.exclusive });
        drop(held);
        self.refresh().await
    }

    async fn unlock(&self) -> Result<()> {
        let Some(Held { token, .. }) = self.held.lock().await.take() else { return Ok(()) };
        let ask = Ask::new(method("UNLOCK")?, &self.path).once().header(LOCK_TOKEN, token);
        let answer = self.client.send(ask).await?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(refused(answer.status(), &self.place))
    }

    async fn close(&self) -> Result<()> {
        self.unlock().await
    }
}

const LOCK_EXCLUSIVE: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
    <D:lockinfo xmlns:D=\"DAV:\"><D:lockscope><D:exclusive/></D:lockscope>\
    <D:locktype><D:write/></D:locktype></D:lockinfo>";
const LOCK_SHARED: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
    <D:lockinfo xmlns:D=\"DAV:\"><D:lockscope><D:shared/></D:lockscope>\
    <D:locktype><D:write/></D:locktype></D:lockinfo>";

/// A body that reads a file piece by piece.
fn pieces_of(file: Arc<fs::File>, length: u64) -> Body {
    if length == 0 {
        return Body::full("");
    }
    let pieces = stream::try_unfold(0, move |at| {
        let file = Arc::clone(&file);
        async move {
            let left = usize::try_from(length - at).unwrap_or(usize::MAX).min(PIECE_BYTES);
            if left == 0 {
                return Ok::<_, io::Error>(None);
            }
            let read = move || {
                let mut buffer = vec![0; left];
                file.read_exact_at(&mut buffer, at)?;
                Ok::<_, io::Error>(Bytes::from(buffer))
            };
            let read = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?;
            let piece: Bytes = read?;
            Ok(Some((http_body::Frame::data(piece), at + left as u64)))
        }
    });
    Body::stream(StreamBody::new(pieces))
}

/// How long the server says that a file is, in bytes; `None` where it does not say.
pub(super) async fn length(client: &Client, path: &str, place: &Place) -> Result<Option<u64>> {
    let answer = client.send(Ask::new(Method::HEAD, path)).await?;
    if !answer.status().is_success() {
        return Err(refused(answer.status(), place));
    }
    let length = answer.headers().get(header::CONTENT_LENGTH);
    Ok(length.and_then(|length| length.to_str().ok()?.parse().ok()))
}

pub(super) async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| Error::new(Kind::Io, error.to_string()))??)
}
