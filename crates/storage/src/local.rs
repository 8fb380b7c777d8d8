//! A user's folder on this machine, for tests and laptops. The kernel keeps every path beneath
//! it (`openat2` with `RESOLVE_BENEATH`), links included, without a race.

use std::{
    fs::{self, File, Metadata, Permissions, TryLockError},
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use nix::{
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2, renameat},
    sys::stat::{Mode, mkdirat},
    unistd::{UnlinkatFlags, unlinkat},
};

use crate::{
    backend::{Access, Backend, Chunks, Create, Entry, EntryKind, LockRequest, Meta, Opened},
    error::{Error, Kind, Result},
    place::{Home, Place},
};

/// A user's folder beneath a folder of this machine.
#[derive(Debug)]
pub struct Local {
    root: PathBuf,
    chunks: Chunks,
}

impl Local {
    /// The user's folder `home` beneath `root`.
    pub fn new(root: &Path, home: &Home, chunks: Chunks) -> Self {
        Self { root: home.names().iter().fold(root.to_owned(), |at, name| at.join(name)), chunks }
    }

    /// Runs what waits for a disk where nobody else waits.
    async fn on_disk<T, F>(&self, place: &Place, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Path, &Place) -> Result<T> + Send + 'static,
    {
        let (root, place) = (self.root.clone(), place.clone());
        blocking(move || work(&root, &place).map_err(|error| error.at(&place.relative()))).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::new(Kind::Io, error.to_string()))?
}

/// Opens what is at a place, never outside of the root.
fn beneath(root: &Path, place: &str, flags: OFlag, mode: u32) -> Result<OwnedFd> {
    let folder = File::open(root)?;
    let mode = if flags.contains(OFlag::O_CREAT) { mode } else { 0 };
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .mode(Mode::from_bits_truncate(mode))
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    openat2(&folder, place, how).map_err(|errno| {
        let error = Error::from(errno);
        if error.kind() == Kind::Outside { Error::outside(place) } else { error }
    })
}

/// The folder around a place, and the name in it.
fn folder_of(root: &Path, place: &Place) -> Result<(OwnedFd, String)> {
    let home = || Error::new(Kind::IsADirectory, "is the user's own folder");
    let (folder, name) = place.split().ok_or_else(home)?;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    Ok((beneath(root, &folder.relative(), flags, 0)?, name.to_owned()))
}

/// The name under which the system shows an open file.
fn by_descriptor(descriptor: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))
}

fn stat(root: &Path, place: &Place, follow: bool) -> Result<Meta> {
    let flags = if follow { OFlag::O_PATH } else { OFlag::O_PATH | OFlag::O_NOFOLLOW };
    let found = beneath(root, &place.relative(), flags, 0)?;
    Ok(meta(&File::from(found).metadata()?))
}

#[async_trait]
impl Backend for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    async fn protocol(&self) -> String {
        "local files".to_owned()
    }

    fn chunks(&self) -> Chunks {
        self.chunks
    }

    async fn open(&self, place: &Place, access: Access, create: Create) -> Result<Arc<dyn Opened>> {
        let file = self.on_disk(place, move |root, place| {
            let mode = match (access.read, access.write) {
                (_, false) => OFlag::O_RDONLY,
                (false, true) => OFlag::O_WRONLY,
                (true, true) => OFlag::O_RDWR,
            };
            let create = match create {
                Create::Never => OFlag::empty(),
                Create::IfAbsent => OFlag::O_CREAT,
                Create::Emptied => OFlag::O_CREAT | OFlag::O_TRUNC,
                Create::Exclusive => OFlag::O_CREAT | OFlag::O_EXCL,
            };
            let flags = mode | create | OFlag::O_NONBLOCK;
            let file = File::from(beneath(root, &place.relative(), flags, 0o644)?);
            match kind(&file.metadata()?) {
                EntryKind::File => Ok(file),
                EntryKind::Directory => Err(Error::new(Kind::IsADirectory, "is a folder")),
                _ => Err(Error::new(Kind::Invalid, "is not a plain file")),
            }
        });
        Ok(Arc::new(LocalFile { file: Arc::new(file.await?), place: place.clone() }))
    }

    async fn stat(&self, place: &Place, follow: bool) -> Result<Meta> {
        self.on_disk(place, move |root, place| stat(root, place, follow)).await
    }

    async fn list(&self, place: &Place) -> Result<Vec<Entry>> {
        self.on_disk(place, |root, place| {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
            let folder = beneath(root, &place.relative(), flags, 0)?;
            let mut entries = Vec::new();
            for entry in fs::read_dir(by_descriptor(&folder))? {
                let entry = entry?;
                match (entry.file_name().into_string(), entry.metadata()) {
                    (Ok(name), Ok(known)) => entries.push(Entry { name, meta: meta(&known) }),
                    // A name that is no text has no `gmifs://` path, and what vanished is gone.
                    (Err(_), _) => {}
                    (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => {}
                    (_, Err(error)) => return Err(error.into()),
                }
            }
            Ok(entries)
        })
        .await
    }

    async fn make_directory(&self, place: &Place) -> Result<()> {
        self.on_disk(place, |root, place| {
            if place.names().is_empty() {
                return Err(Error::new(Kind::AlreadyExists, "exists already"));
            }
            let (folder, name) = folder_of(root, place)?;
            Ok(mkdirat(&folder, name.as_str(), Mode::from_bits_truncate(0o755))?)
        })
        .await
    }

    async fn remove_directory(&self, place: &Place) -> Result<()> {
        self.on_disk(place, |root, place| {
            let (folder, name) = folder_of(root, place)?;
            Ok(unlinkat(&folder, name.as_str(), UnlinkatFlags::RemoveDir)?)
        })
        .await
    }

    async fn remove_file(&self, place: &Place) -> Result<()> {
        self.on_disk(place, |root, place| {
            let (folder, name) = folder_of(root, place)?;
            Ok(unlinkat(&folder, name.as_str(), UnlinkatFlags::NoRemoveDir)?)
        })
        .await
    }

    async fn rename(&self, from: &Place, to: &Place) -> Result<()> {
        let to = to.clone();
        self.on_disk(from, move |root, from| {
            let (folder, name) = folder_of(root, from)?;
            let (to_folder, to_name) = folder_of(root, &to)?;
            Ok(renameat(&folder, name.as_str(), &to_folder, to_name.as_str())?)
        })
        .await
    }

    async fn set_permissions(&self, place: &Place, permissions: u32) -> Result<()> {
        self.on_disk(place, move |root, place| {
            let found = beneath(root, &place.relative(), OFlag::O_PATH, 0)?;
            Ok(fs::set_permissions(by_descriptor(&found), Permissions::from_mode(permissions))?)
        })
        .await
    }

    async fn make_home(&self) -> Result<()> {
        let root = self.root.clone();
        blocking(move || Ok(fs::create_dir_all(root)?)).await
    }

    async fn close(&self) {}
}

#[derive(Debug)]
struct LocalFile {
    file: Arc<File>,
    place: Place,
}

impl LocalFile {
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&File) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let file = Arc::clone(&self.file);
        let done = blocking(move || Ok(work(&file)?)).await;
        done.map_err(|error| error.at(&self.place.relative()))
    }
}

#[async_trait]
impl Opened for LocalFile {
    async fn read_at(&self, offset: u64, length: usize) -> Result<Bytes> {
        self.on_disk(move |file| {
            let mut buffer = vec![0; length];
            let read = file.read_at(&mut buffer, offset)?;
            buffer.truncate(read);
            Ok(buffer.into())
        })
        .await
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        self.on_disk(move |file| file.write_all_at(&data, offset)).await
    }

    async fn commit(&self) -> Result<()> {
        self.on_disk(File::sync_data).await
    }

    async fn stat(&self) -> Result<Meta> {
        self.on_disk(|file| Ok(meta(&file.metadata()?))).await
    }

    async fn set_size(&self, size: u64) -> Result<()> {
        self.on_disk(move |file| file.set_len(size)).await
    }

    /// The whole file, whatever the range: that is what this system has for open files.
    async fn try_lock(&self, request: LockRequest) -> Result<()> {
        let taken =
            if request.exclusive { self.file.try_lock() } else { self.file.try_lock_shared() };
        taken.map_err(|error| match error {
            TryLockError::WouldBlock => {
                Error::new(Kind::Locked, format!("{}: is locked", self.place))
            }
            TryLockError::Error(error) => error.into(),
        })
    }

    async fn unlock(&self) -> Result<()> {
        Ok(self.file.unlock()?)
    }

    async fn close(&self) -> Result<()> {
        self.unlock().await
    }
}

fn kind(known: &Metadata) -> EntryKind {
    let kind = known.file_type();
    if kind.is_file() {
        EntryKind::File
    } else if kind.is_dir() {
        EntryKind::Directory
    } else if kind.is_symlink() {
        EntryKind::Link
    } else {
        EntryKind::Other
    }
}

fn meta(known: &Metadata) -> Meta {
    let seconds = |whole: i64, nanos: i64| whole as f64 + nanos as f64 / 1e9;
    Meta {
        kind: kind(known),
        size: known.size(),
        permissions: known.mode() & 0o7777,
        uid: known.uid(),
        gid: known.gid(),
        inode: known.ino(),
        device: known.dev(),
        links: u32::try_from(known.nlink()).unwrap_or(u32::MAX),
        used: known.blocks() * 512,
        accessed: seconds(known.atime(), known.atime_nsec()),
        modified: seconds(known.mtime(), known.mtime_nsec()),
        changed: seconds(known.ctime(), known.ctime_nsec()),
    }
}
