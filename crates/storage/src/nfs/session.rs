//! The mount in use, and what happens when it breaks: wait, ask again, mount again, give up in
//! time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use nfs_rs::{Mount, NFSVersion};
use tokio::{
    sync::{OnceCell, RwLock},
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    NfsSettings,
    failure::{Cure, Failure},
    locks::LockTable,
};
use crate::{
    backend::{Chunks, EntryKind},
    error::{Error, Kind, Result},
    place::Home,
};

/// The first wait before asking again; doubled up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Leaving is a courtesy; the server forgets us by itself.
const GOODBYE: Duration = Duration::from_secs(2);

/// When a step may be done once more after the connection broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// Twice is as good as once.
    Always,
    /// Only if the server certainly did not hear of it.
    IfUnsent,
}

/// One mount.
#[derive(Debug)]
pub(super) struct Session {
    mount: Arc<dyn Mount>,
    generation: u64,
    home: OnceCell<Bytes>,
    /// A request was given up before its answer. In version 4.1 the place of that request in
    /// the session then counts wrong, and a later one could get the answer of another.
    suspect: AtomicBool,
}

/// Watches over one request: dropped before its end, it makes the session suspect.
struct Watch<'a>(Option<&'a Session>);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.0 {
            session.suspect.store(true, Ordering::Relaxed);
        }
    }
}

impl Session {
    pub(super) fn mount(&self) -> &dyn Mount {
        &*self.mount
    }

    /// Which mount this is, counted from the first.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn version(&self) -> &'static str {
        match self.mount.version() {
            NFSVersion::NFSv3 => "3",
            NFSVersion::NFSv4p0 => "4.0",
            NFSVersion::NFSv4p1 => "4.1",
            NFSVersion::NFSv4p2 => "4.2",
            _ => "unknown",
        }
    }

    /// The handle of the user's folder. No link is followed on the way: whoever could place one
    /// there could move a user into another's folder.
    pub(super) async fn home(&self, home: &Home) -> Result<Bytes, Failure> {
        let find = || async {
            let mut handle = self.mount.getfh().await;
            for name in home.names() {
                let object = self.mount.lookup(handle, name).await?;
                let meta = super::attributes(self, &object).await?;
                if meta.kind != EntryKind::Directory {
                    let detail = format!("{name} in the user's folder {home} is not a folder");
                    return Err(Failure::from(Error::new(Kind::NotADirectory, detail)));
                }
                handle = object.fh;
            }
            Ok(handle)
        };
        self.home.get_or_try_init(find).await.cloned()
    }
}

/// The way to the server.
#[derive(Debug)]
pub(super) struct Sessions {
    settings: NfsSettings,
    home: Home,
    current: RwLock<Arc<Session>>,
    read_chunk: AtomicUsize,
    write_chunk: AtomicUsize,
    locks: LockTable,
}

impl Sessions {
    pub(super) async fn connect(settings: NfsSettings, home: Home) -> Result<Self> {
        let deadline = Instant::now() + settings.timeout;
        let session = mount(&settings, deadline, 0).await;
        let whose = format!("{}:{}", settings.host, settings.export);
        let session = session.map_err(|failure| failure.into_error().at(&whose))?;
        let sessions = Self {
            read_chunk: AtomicUsize::new(settings.chunks.read),
            write_chunk: AtomicUsize::new(settings.chunks.write),
            settings,
            home,
            current: RwLock::new(Arc::new(session)),
            locks: LockTable::default(),
        };
        sessions.bound_chunks(&*sessions.current().await);
        Ok(sessions)
    }

    pub(super) const fn home(&self) -> &Home {
        &self.home
    }

    pub(super) const fn locks(&self) -> &LockTable {
        &self.locks
    }

    pub(super) async fn current(&self) -> Arc<Session> {
        Arc::clone(&*self.current.read().await)
    }

    pub(super) fn chunks(&self) -> Chunks {
        Chunks {
            read: self.read_chunk.load(Ordering::Relaxed),
            write: self.write_chunk.load(Ordering::Relaxed),
        }
    }

    /// What the settings ask for, within what was negotiated.
    fn bound_chunks(&self, session: &Session) {
        let wanted = self.settings.chunks;
        let read = wanted.read.min(session.mount.get_max_read_size() as usize);
        let write = wanted.write.min(session.mount.get_max_write_size() as usize);
        self.read_chunk.store(read.max(1), Ordering::Relaxed);
        self.write_chunk.store(write.max(1), Ordering::Relaxed);
    }

    /// Does one step, again where that is safe and helps, within the time of the settings.
    ///
    /// # Cancel safety
    /// Dropping the future ends the waiting; a change that was sent may still happen.
    pub(super) async fn call<T, F, Fut>(&self, again: Again, step: F) -> Result<T>
    where
        F: Fn(Arc<Session>) -> Fut + Send,
        Fut: Future<Output = Result<T, Failure>> + Send,
    {
        let deadline = Instant::now() + self.settings.timeout;
        let mut wait = FIRST_WAIT;
        let mut losses = 0;
        loop {
            let session = self.trusted(deadline).await;
            let generation = session.generation;
            let mut watch = Watch((session.version() != "3").then_some(&*session));
            let Ok(done) = timeout_at(deadline, step(Arc::clone(&session))).await else {
                return Err(self.too_late());
            };
            watch.0 = None;
            let failure = match done {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let cure = failure.cure();
            if cure == Cure::None || (again == Again::IfUnsent && failure.may_have_happened()) {
                session.suspect.fetch_or(cure == Cure::Remount, Ordering::Relaxed);
                return Err(told(failure, again));
            }
            losses += 1;
            tracing::debug!(?failure, ?cure, losses, "an NFS operation is tried again");
            if Instant::now() + wait >= deadline {
                return Err(failure.into_error());
            }
            sleep_until(Instant::now() + wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
            // A mount finds its own way back from a short break; from a long one it may not.
            if cure == Cure::Remount || losses > 2 {
                // Once is enough for a handle that stays stale: then the file itself is gone.
                if cure == Cure::Remount && losses > 2 {
                    return Err(failure.into_error());
                }
                self.remount(generation, deadline).await;
            }
        }
    }

    /// The mount in use, made anew if it is suspect.
    async fn trusted(&self, deadline: Instant) -> Arc<Session> {
        let session = self.current().await;
        if !session.suspect.load(Ordering::Relaxed) {
            return session;
        }
        self.remount(session.generation, deadline).await;
        self.current().await
    }

    /// Mounts again, unless somebody else has.
    async fn remount(&self, generation: u64, deadline: Instant) {
        let mut current = self.current.write().await;
        if current.generation != generation {
            return;
        }
        match mount(&self.settings, deadline, generation + 1).await {
            Ok(session) => {
                tracing::info!(server = self.settings.host, "the NFS server is mounted again");
                self.bound_chunks(&session);
                *current = Arc::new(session);
            }
            Err(failure) => tracing::debug!(?failure, "the NFS server cannot be mounted yet"),
        }
    }

    fn too_late(&self) -> Error {
        let millis = self.settings.timeout.as_millis();
        let server = &self.settings.host;
        let detail = format!("{server} did not answer within {millis} ms (IEOPS_NFS_TIMEOUT)");
        Error::new(Kind::TimedOut, detail)
    }

    pub(super) async fn close(&self) {
        let session = self.current().await;
        if tokio::time::timeout(GOODBYE, session.mount.umount()).await.is_err() {
            tracing::debug!("the NFS server did not confirm that we left");
        }
    }
}

/// Says of a change whose answer was lost that nobody knows.
fn told(failure: Failure, again: Again) -> Error {
    let unknown = again == Again::IfUnsent && failure.cure() != Cure::None;
    let error = failure.into_error();
    if !unknown {
        return error;
    }
    let detail = format!("{error}; it may have happened or not: look before you try again");
    Error::new(error.kind(), detail)
}

async fn mount(
    settings: &NfsSettings,
    deadline: Instant,
    generation: u64,
) -> Result<Session, Failure> {
    let NfsSettings { host, export, .. } = settings;
    let mut reason = Failure::from(Error::new(Kind::Invalid, "no NFS version is given"));
    for version in settings.versions.split(',').map(str::trim) {
        let url = url(settings, version);
        let Ok(mounted) = timeout_at(deadline, nfs_rs::parse_url_and_mount(&url)).await else {
            let detail = format!("{host}:{export} could not be mounted in time");
            return Err(Error::new(Kind::TimedOut, detail).into());
        };
        match mounted {
            Ok(mount) => {
                let (home, suspect) = (OnceCell::new(), AtomicBool::new(false));
                return Ok(Session { mount: Arc::from(mount), generation, home, suspect });
            }
            // Nobody is there, so nobody speaks another version either.
            Err(error) if error.is_connection_lost() => return Err(error.into()),
            Err(error) => {
                tracing::debug!(version, %error, "the NFS server does not take this version");
                reason = error.into();
            }
        }
    }
    Err(reason)
}

fn url(settings: &NfsSettings, version: &str) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const RESERVED: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#');
    let NfsSettings { host, port, export, .. } = settings;
    let host = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    let export = utf8_percent_encode(export.trim_start_matches('/'), RESERVED);
    let ports = match port {
        // One port for both programs, as user-space servers have it; no port mapper is asked.
        Some(port) => format!("&nfsport={port}&mountport={port}"),
        None => String::new(),
    };
    // An unprivileged source port, so that no root is needed.
    format!("nfs://{host}/{export}?version={version}&noresvport=true{ports}")
}
