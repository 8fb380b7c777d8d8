//! One user's files: paths in, places and open files out.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    backend::{Access, Backend, Chunks, Create, Entry, EntryKind, Meta},
    cache::ReadCache,
    error::{Error, Kind, Result},
    file::File,
    local::Local,
    nfs::{Nfs, NfsSettings},
    place::{Home, Place},
    webdav::{WebDav, WebDavSettings},
};

/// Copied at once.
const COPY_BYTES: usize = 4 * 1024 * 1024;

/// Where the files lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// On an NFS server.
    Nfs(NfsSettings),
    /// On a WebDAV server.
    WebDav(WebDavSettings),
    /// Beneath a folder of this machine.
    Local {
        /// That folder.
        root: PathBuf,
        /// The most that is read or written at once.
        chunks: Chunks,
    },
}

/// How to reach one user's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the files lie.
    pub target: Target,
    /// The user's folder there.
    pub home: Home,
    /// Make the user's folder if it is absent.
    pub make_home: bool,
    /// Bytes of files kept in memory for the next reader; 0 keeps none.
    pub cache_bytes: usize,
}

/// How a file is opened, as the letters of Python's `open` say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenMode {
    /// What it may be used for.
    pub access: Access,
    /// What to do if it is absent, or there.
    pub create: Create,
}

impl OpenMode {
    /// From one of `r`, `w`, `a`, `x`, with or without `+`; `b` and `t` say nothing here.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for anything else.
    pub fn parse(mode: &str) -> Result<Self> {
        let letters = mode.replace(['b', 't'], "");
        let (first, plus) = match letters.strip_suffix('+') {
            Some(first) => (first, true),
            None => (letters.as_str(), false),
        };
        let (read, create) = match first {
            "r" => (true, Create::Never),
            "w" => (plus, Create::Emptied),
            "a" => (plus, Create::IfAbsent),
            "x" => (plus, Create::Exclusive),
            _ => return Err(Error::new(Kind::Invalid, format!("invalid mode: '{mode}'"))),
        };
        Ok(Self { access: Access { read, write: plus || create != Create::Never }, create })
    }
}

/// One user's files on one server.
#[derive(Debug)]
pub struct FileSystem {
    backend: Arc<dyn Backend>,
    home: Home,
    cache: Option<Arc<ReadCache>>,
}

impl FileSystem {
    /// Connects.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses the user's folder.
    pub async fn connect(settings: Settings) -> Result<Self> {
        let Settings { target, home, make_home, cache_bytes } = settings;
        let backend: Arc<dyn Backend> = match target {
            Target::Nfs(settings) => Arc::new(Nfs::connect(settings, home.clone()).await?),
            Target::WebDav(settings) => Arc::new(WebDav::new(&settings, home.clone())?),
            Target::Local { root, chunks } => Arc::new(Local::new(&root, &home, chunks)),
        };
        let files = Self::over(backend, home, cache_bytes);
        if make_home {
            files.backend.make_home().await?;
        }
        Ok(files)
    }

    /// Over any backend.
    pub fn over(backend: Arc<dyn Backend>, home: Home, cache_bytes: usize) -> Self {
        let cache = (cache_bytes > 0).then(|| Arc::new(ReadCache::new(cache_bytes)));
        Self { backend, home, cache }
    }

    /// `nfs`, `webdav` or `local`.
    pub fn backend_name(&self) -> &'static str {
        self.backend.name()
    }

    /// What is spoken with the server, for people: `NFS 4.1`.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn protocol(&self) -> String {
        self.backend.protocol().await
    }

    /// The user's folder.
    pub const fn home(&self) -> &Home {
        &self.home
    }

    /// The most that goes into one request.
    pub fn chunks(&self) -> Chunks {
        self.backend.chunks()
    }

    /// Opens a file; one that may be made gets the folders around it too.
    ///
    /// # Cancel safety
    /// Dropping the future may leave a new, empty file.
    ///
    /// # Errors
    /// [`Kind::Outside`] for a path that leaves the user's folder, otherwise as a local file.
    pub async fn open(&self, path: &str, mode: OpenMode) -> Result<File> {
        let place = self.home.place(path)?;
        if place.names().is_empty() {
            return Err(Error::new(Kind::IsADirectory, "is the user's own folder"));
        }
        let OpenMode { access, create } = mode;
        let opened = match self.backend.open(&place, access, create).await {
            Err(error) if error.kind() == Kind::NotFound && create != Create::Never => {
                self.make_parents(&place).await?;
                self.backend.open(&place, access, create).await?
            }
            opened => opened?,
        };
        let cache = match &self.cache {
            Some(cache) if !access.write => Some(cache.of(&place, &opened.stat().await?)),
            _ => None,
        };
        Ok(File::new(opened, place, access, self.backend.chunks(), cache))
    }

    /// What is known of an entry; `follow` says of a link what it points to.
    ///
    /// # Cancel safety
    /// Dropping the future ends the waiting only.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Outside`], or what the server says.
    pub async fn stat(&self, path: &str, follow: bool) -> Result<Meta> {
        self.backend.stat(&self.home.place(path)?, follow).await
    }

    /// The entries of a folder, by name.
    ///
    /// # Cancel safety
    /// Dropping the future ends the waiting only.
    ///
    /// # Errors
    /// As [`Self::stat`], and [`Kind::NotADirectory`].
    pub async fn list(&self, path: &str) -> Result<Vec<Entry>> {
        let mut entries = self.backend.list(&self.home.place(path)?).await?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Makes a folder; with `parents` those around it too. With `exist_ok` one that is there is
    /// no failure.
    ///
    /// # Cancel safety
    /// Dropping the future may leave some of the folders made.
    ///
    /// # Errors
    /// [`Kind::AlreadyExists`], [`Kind::NotFound`] without `parents`, or what the server says.
    pub async fn make_directory(&self, path: &str, parents: bool, exist_ok: bool) -> Result<()> {
        let place = self.home.place(path)?;
        if parents {
            self.make_parents(&place).await?;
        }
        match self.backend.make_directory(&place).await {
            Err(error) if error.kind() == Kind::AlreadyExists && exist_ok => {
                match self.backend.stat(&place, true).await?.kind {
                    EntryKind::Directory => Ok(()),
                    _ => Err(error),
                }
            }
            outcome => outcome,
        }
    }

    async fn make_parents(&self, place: &Place) -> Result<()> {
        let Some((folder, _)) = place.split() else { return Ok(()) };
        for around in folder.prefixes() {
            match self.backend.make_directory(&around).await {
                Err(error) if error.kind() != Kind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes an empty folder.
    ///
    /// # Cancel safety
    /// Once sent it may still happen.
    ///
    /// # Errors
    /// [`Kind::NotEmpty`], [`Kind::NotADirectory`], [`Kind::NotFound`], or what the server says.
    pub async fn remove_directory(&self, path: &str) -> Result<()> {
        self.backend.remove_directory(&self.home.place(path)?).await
    }

    /// Removes a file, or a link but not what it points to.
    ///
    /// # Cancel safety
    /// Once sent it may still happen.
    ///
    /// # Errors
    /// [`Kind::IsADirectory`], [`Kind::NotFound`], or what the server says.
    pub async fn remove_file(&self, path: &str) -> Result<()> {
        self.backend.remove_file(&self.home.place(path)?).await
    }

    /// Renames; a file of the new name is replaced in one step.
    ///
    /// # Cancel safety
    /// Once sent it may still happen.
    ///
    /// # Errors
    /// [`Kind::NotFound`], or what the server says.
    pub async fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (self.home.place(from)?, self.home.place(to)?);
        if to.is_in(&from) {
            let detail = format!("{from} cannot be moved into itself");
            return Err(Error::new(Kind::Invalid, detail));
        }
        self.backend.rename(&from, &to).await
    }

    /// Copies a file, on the server where it can.
    ///
    /// # Cancel safety
    /// Dropping the future leaves a part of the copy.
    ///
    /// # Errors
    /// [`Kind::Invalid`] if both are the same file, otherwise as [`Self::open`].
    pub async fn copy(&self, from: &str, to: &str) -> Result<()> {
        let (source, target) = (self.home.place(from)?, self.home.place(to)?);
        if self.are_one(&source, &target).await? {
            let detail = format!("{source} and {target} are the same file");
            return Err(Error::new(Kind::Invalid, detail));
        }
        if self.backend.copy_on_server(&source, &target).await? {
            return Ok(());
        }
        let source = self.open(from, OpenMode::parse("r")?).await?;
        let target = self.open(to, OpenMode::parse("w")?).await?;
        let copied = copy_bytes(&source, &target).await;
        let closed = target.close().await;
        source.close().await?;
        copied.and(closed)
    }

    async fn are_one(&self, a: &Place, b: &Place) -> Result<bool> {
        if a == b {
            return Ok(true);
        }
        let (a, b) = match (self.backend.stat(a, true).await, self.backend.stat(b, true).await) {
            (Ok(a), Ok(b)) => (a, b),
            (Err(error), _) => return Err(error),
            (_, Err(error)) if error.kind() == Kind::NotFound => return Ok(false),
            (_, Err(error)) => return Err(error),
        };
        Ok(a.inode != 0 && (a.inode, a.device) == (b.inode, b.device))
    }

    /// Sets the permission bits, the lowest twelve.
    ///
    /// # Cancel safety
    /// Once sent it may still happen.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Unsupported`] on WebDAV, or what the server says.
    pub async fn set_permissions(&self, path: &str, permissions: u32) -> Result<()> {
        self.backend.set_permissions(&self.home.place(path)?, permissions & 0o7777).await
    }

    /// A whole file.
    ///
    /// # Cancel safety
    /// Dropping the future ends the waiting only.
    ///
    /// # Errors
    /// As [`Self::open`]; [`Kind::FileTooLarge`] beyond `bytes_max`.
    pub async fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<Bytes>> {
        let file = self.open(path, OpenMode::parse("r")?).await?;
        let size = file.stat().await?.size;
        let read = if size > bytes_max {
            let detail = format!("{path} has {size} bytes, and {bytes_max} are allowed");
            Err(Error::new(Kind::FileTooLarge, detail))
        } else {
            file.read_at(0, usize::try_from(size).unwrap_or(usize::MAX)).await
        };
        file.close().await?;
        read
    }

    /// Replaces a whole file in one step: readers see the old one or the new one.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the old file, and a draft beside it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn write(&self, path: &str, data: Bytes) -> Result<()> {
        let place = self.home.place(path)?;
        let Some((folder, _)) = place.split() else {
            return Err(Error::new(Kind::IsADirectory, "is the user's own folder"));
        };
        // Not made of the name: that may already be as long as the server allows.
        let name = format!(".{}.new", uuid::Uuid::new_v4().simple());
        let draft = folder.join(&name).relative();
        let file = self.open(&draft, OpenMode::parse("x")?).await?;
        let written = file.write_at(0, data).await;
        let closed = file.close().await;
        let replaced = match written.and(closed) {
            Ok(()) => self.rename(&draft, path).await,
            failed => failed,
        };
        if replaced.is_err() {
            // The reason counts; a draft that stays behind is only untidy.
            let _ = self.remove_file(&draft).await;
        }
        replaced
    }

    /// Leaves the server, waiting for it no longer than a moment.
    ///
    /// # Cancel safety
    /// Dropping the future leaves without a word.
    pub async fn close(&self) {
        let goodbye = self.backend.close();
        let _ = tokio::time::timeout(Duration::from_secs(3), goodbye).await;
    }
}

async fn copy_bytes(source: &File, target: &File) -> Result<()> {
    let mut at = 0;
    loop {
        let pieces = source.read_at(at, COPY_BYTES).await?;
        if pieces.is_empty() {
            return Ok(());
        }
        for piece in pieces {
            let length = piece.len() as u64;
            target.write_at(at, piece).await?;
            at += length;
        }
    }
}
