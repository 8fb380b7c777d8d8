//! A user's folder on an NFS server: 4.1 where the server speaks it, 3 where it is older. Plain
//! Rust over TCP, from any port, without a mount of the operating system.

mod failure;
mod file;
mod locks;
mod session;
mod walk;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use nfs_rs::{Attr, OPEN_BOTH, OPEN_READ, OPEN_WRITE, ObjRes};
use uuid::Uuid;

use self::{
    failure::{Failure, is_absent},
    file::NfsFile,
    session::{Again, Session, Sessions},
    walk::{Last, Walked, walk},
};
use crate::{
    backend::{Access, Backend, Chunks, Create, Entry, EntryKind, Meta, Opened},
    error::{Error, Kind, Result},
    place::{Home, Place},
};

/// Permissions of a new file and a new folder, as a local program would make them.
const NEW_FILE: u32 = 0o644;
const NEW_DIRECTORY: u32 = 0o755;

/// Which server, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NfsSettings {
    /// Name or address.
    pub host: String,
    /// Its one port. Without it 2049 is taken for version 4, and version 3 asks the port mapper.
    pub port: Option<u16>,
    /// The exported folder, `/` for the root of all exports.
    pub export: String,
    /// Versions in the order in which they are tried, for example `4.1,3`.
    pub versions: String,
    /// Within this time an operation ends, tries and waiting included.
    pub timeout: Duration,
    /// The most in one request; the server may allow less.
    pub chunks: Chunks,
}

/// A user's folder on an NFS server.
#[derive(Debug)]
pub struct Nfs {
    sessions: Arc<Sessions>,
}

impl Nfs {
    /// Connects and mounts. The user's folder need not exist yet.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] or [`Kind::TimedOut`] if the server cannot be reached, otherwise
    /// what it says to the mount.
    pub async fn connect(settings: NfsSettings, home: Home) -> Result<Self> {
        Ok(Self { sessions: Arc::new(Sessions::connect(settings, home).await?) })
    }

    /// Walks to a place, and does one thing there.
    async fn at<T, F, Fut>(&self, place: &Place, again: Again, last: Last, then: F) -> Result<T>
    where
        T: Send,
        F: Fn(Arc<Session>, Walked) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Failure>> + Send,
    {
        let step = |session: Arc<Session>| async {
            let home = self.sessions.home();
            let walked = walk(&session, home, place, last).await?;
            then(session, walked).await
        };
        let done = self.sessions.call(again, step).await;
        done.map_err(|error| error.at(&place.relative()))
    }
}

#[async_trait]
impl Backend for Nfs {
    fn name(&self) -> &'static str {
        "nfs"
    }

    async fn protocol(&self) -> String {
        format!("NFS {}", self.sessions.current().await.version())
    }

    fn chunks(&self) -> Chunks {
        self.sessions.chunks()
    }

    async fn open(&self, place: &Place, access: Access, create: Create) -> Result<Arc<dyn Opened>> {
        let open = |session: Arc<Session>, walked: Walked| async move {
            open_file(&session, walked, access, create).await
        };
        let again = if create == Create::Exclusive { Again::IfUnsent } else { Again::Always };
        let (generation, at, object) = self.at(place, again, Last::Follow, open).await?;
        let sessions = Arc::clone(&self.sessions);
        Ok(Arc::new(NfsFile::new(sessions, generation, at, access, object)))
    }

    async fn stat(&self, place: &Place, follow: bool) -> Result<Meta> {
        let last = if follow { Last::Follow } else { Last::Keep };
        self.at(place, Again::Always, last, |session, walked| async move {
            let object = walked.there()?;
            attributes(&session, &object).await
        })
        .await
    }

    async fn list(&self, place: &Place) -> Result<Vec<Entry>> {
        self.at(place, Again::Always, Last::Follow, |session, walked| async move {
            let object = walked.there()?;
            let mount = session.mount();
            let found: Vec<_> = mount.readdirplus(object.fh).await.try_collect().await?;
            let mut entries = Vec::with_capacity(found.len());
            for entry in found {
                if matches!(entry.file_name.as_str(), "." | "..") {
                    continue;
                }
                let object = ObjRes { fh: entry.handle, attr: entry.attr };
                let meta = attributes(&session, &object).await?;
                entries.push(Entry { name: entry.file_name, meta });
            }
            Ok(entries)
        })
        .await
    }

    async fn make_directory(&self, place: &Place) -> Result<()> {
        self.at(place, Again::IfUnsent, Last::Keep, |session, walked| async move {
            let (folder, name) = walked.absent()?;
            session.mount().mkdir(folder, &name, NEW_DIRECTORY).await?;
            Ok(())
        })
        .await
    }

    async fn remove_directory(&self, place: &Place) -> Result<()> {
        self.at(place, Again::IfUnsent, Last::Keep, |session, walked| async move {
            let (folder, name) = walked.named()?;
            walked.there()?;
            Ok(session.mount().rmdir(folder, &name).await?)
        })
        .await
    }

    async fn remove_file(&self, place: &Place) -> Result<()> {
        self.at(place, Again::IfUnsent, Last::Keep, |session, walked| async move {
            let (folder, name) = walked.named()?;
            let object = walked.there()?;
            if attributes(&session, &object).await?.kind == EntryKind::Directory {
                return Err(Error::new(Kind::IsADirectory, "is a folder").into());
            }
            Ok(session.mount().remove(folder, &name).await?)
        })
        .await
    }

    async fn rename(&self, from: &Place, to: &Place) -> Result<()> {
        self.at(from, Again::IfUnsent, Last::Keep, |session, walked| async move {
            let (folder, name) = walked.named()?;
            walked.there()?;
            let target = walk(&session, self.sessions.home(), to, Last::Keep).await?;
            let (to_folder, to_name) = target.named()?;
            Ok(session.mount().rename(folder, &name, to_folder, &to_name).await?)
        })
        .await
    }

    async fn set_permissions(&self, place: &Place, permissions: u32) -> Result<()> {
        self.at(place, Again::Always, Last::Follow, |session, walked| async move {
            let fh = walked.there()?.fh;
            let mode = Some(permissions);
            Ok(session.mount().setattr(fh, None, mode, None, None, None, None, None).await?)
        })
        .await
    }

    async fn make_home(&self) -> Result<()> {
        let home = self.sessions.home();
        let make = |session: Arc<Session>| async move {
            let mount = session.mount();
            let mut folder = mount.getfh().await;
            for name in home.names() {
                folder = match mount.lookup(folder.clone(), name).await {
                    Ok(object) => object.fh,
                    Err(error) if is_absent(&error) => {
                        match mount.mkdir(folder.clone(), name, NEW_DIRECTORY).await {
                            Ok(made) => made.fh,
                            // Somebody else was quicker.
                            Err(error) if error.is_exist() => mount.lookup(folder, name).await?.fh,
                            Err(error) => return Err(error.into()),
                        }
                    }
                    Err(error) => return Err(error.into()),
                };
            }
            Ok(())
        };
        let made = self.sessions.call(Again::Always, make).await;
        made.map_err(|error| error.at(&home.to_string()))
    }

    async fn close(&self) {
        self.sessions.close().await;
    }
}

/// Opens the file that the walk led to: the session's number, where it lies, and its handle.
async fn open_file(
    session: &Session,
    walked: Walked,
    access: Access,
    create: Create,
) -> Result<(u64, Place, ObjRes), Failure> {
    let (folder, name) = walked.named()?;
    let mount = session.mount();
    let opened = match (&walked.object, create) {
        (None, Create::Never) => return Err(Error::new(Kind::NotFound, "no such file").into()),
        (Some(_), Create::Exclusive) => {
            return Err(Error::new(Kind::AlreadyExists, "exists already").into());
        }
        (None, Create::Exclusive) => create_exclusively(session, folder, &name).await?,
        (None, _) => mount.create(folder, &name, Some(NEW_FILE)).await?,
        (Some(object), _) => {
            match attributes(session, object).await?.kind {
                EntryKind::File => {}
                EntryKind::Directory => {
                    return Err(Error::new(Kind::IsADirectory, "is a folder").into());
                }
                _ => return Err(Error::new(Kind::Invalid, "is not a plain file").into()),
            }
            mount.open(folder, &name, share(access)).await?
        }
    };
    if walked.object.is_some() && create == Create::Emptied {
        let emptied = mount.setattr(opened.fh.clone(), None, None, None, None, Some(0), None, None);
        if let Err(error) = emptied.await {
            let _ = mount.close(opened.fh).await;
            return Err(error.into());
        }
    }
    let attr = Some(mount.getattr(opened.fh.clone()).await?);
    Ok((session.generation(), walked.place, ObjRes { fh: opened.fh, attr }))
}

/// Makes a file that must not exist. The protocol's own exclusive creation is out of the
/// client's reach, so the name is given by LINK, which refuses a name that is taken.
async fn create_exclusively(
    session: &Session,
    folder: Bytes,
    name: &str,
) -> Result<ObjRes, Failure> {
    let mount = session.mount();
    let draft = format!(".{}.new", Uuid::new_v4().simple());
    let made = mount.create(folder.clone(), &draft, Some(NEW_FILE)).await?;
    let linked = mount.link(made.fh.clone(), folder.clone(), name).await;
    let removed = mount.remove(folder.clone(), &draft).await;
    match linked {
        Ok(_) => {
            removed?;
            Ok(made)
        }
        Err(error) if failure::is_unsupported(&error) => {
            // A server without hard links: two creators at the same instant both succeed.
            let _ = mount.close(made.fh).await;
            Ok(mount.create(folder, name, Some(NEW_FILE)).await?)
        }
        Err(error) => {
            let _ = mount.close(made.fh).await;
            Err(error.into())
        }
    }
}

const fn share(access: Access) -> u32 {
    match (access.read, access.write) {
        (_, false) => OPEN_READ,
        (false, true) => OPEN_WRITE,
        (true, true) => OPEN_BOTH,
    }
}

/// What the server said along with the handle, or else what it says when asked.
async fn attributes(session: &Session, object: &ObjRes) -> Result<Meta, Failure> {
    match &object.attr {
        Some(attr) => Ok(meta(attr)),
        None => Ok(meta(&session.mount().getattr(object.fh.clone()).await?)),
    }
}

fn meta(attr: &Attr) -> Meta {
    let seconds = |time: &nfs_rs::Time| f64::from(time.seconds) + f64::from(time.nseconds) / 1e9;
    Meta {
        kind: match attr.type_ {
            1 => EntryKind::File,
            2 => EntryKind::Directory,
            5 => EntryKind::Link,
            _ => EntryKind::Other,
        },
        size: attr.filesize,
        permissions: attr.file_mode & 0o7777,
        uid: attr.uid,
        gid: attr.gid,
        inode: attr.fileid,
        device: attr.fsid,
        links: attr.nlink,
        used: attr.used,
        accessed: seconds(&attr.atime),
        modified: seconds(&attr.mtime),
        changed: seconds(&attr.ctime),
    }
}
