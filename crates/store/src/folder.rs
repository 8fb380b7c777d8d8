//! Contents of files, in one folder: what was kept is there whole, whatever happens in between.
//!
//! A content is written beside its place, synced, and then moved there. Several servers that share
//! their documents share this folder too; its id tells whether they do.

mod error;
mod new_file;
#[cfg(test)]
mod tests;

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use uuid::Uuid;

pub use self::{error::FolderError, new_file::NewFile};

/// Ends the names of contents that are being written.
const UNFINISHED: &str = ".part";

/// Holds the id of the folder.
const ID_FILE: &str = "folder.id";

/// What is unfinished for so long is nobody's: its server is gone.
const UNFINISHED_TIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// A folder of contents. Clones share it.
#[derive(Debug, Clone)]
pub struct Folder {
    path: Arc<Path>,
    id: Arc<str>,
    bytes_max: u64,
    /// Bytes that are kept or being written, as far as this server knows.
    used: Arc<AtomicU64>,
}

impl Folder {
    /// Opens a folder, makes it where needed, and counts what it holds. `bytes_max` bounds that.
    /// Blocks while it looks.
    ///
    /// # Errors
    /// [`FolderError::Io`] if it cannot be read or written.
    pub fn open(path: &Path, bytes_max: u64) -> Result<Self, FolderError> {
        let found = || {
            // Files hold what clients sent: nobody but the owner of the process may read them.
            fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            remove_unfinished(path)?;
            Ok((identity(path)?, size(path)?))
        };
        let (id, used) = found().map_err(|error| FolderError::io(path, error))?;
        let used = Arc::new(AtomicU64::new(used));
        Ok(Self { path: path.into(), id: id.into(), bytes_max, used })
    }

    /// Tells this folder from others.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Most bytes that it may hold.
    pub const fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// The place of a content. Names are made by this program and hold no separator.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Begins a content.
    ///
    /// # Errors
    /// [`FolderError::Io`] if it cannot be written.
    ///
    /// # Cancel safety
    /// An empty file may stay; it is removed in time.
    pub async fn begin(&self) -> Result<NewFile, FolderError> {
        let name = format!("{}{UNFINISHED}", Uuid::now_v7().simple());
        NewFile::create(self.clone(), self.path(&name)).await
    }

    /// Begins a content under its name, which stays whatever happens: what is written by and by is read
    /// after a crash as far as it came.
    ///
    /// # Errors
    /// [`FolderError::Io`] if it cannot be written, or has begun before.
    ///
    /// # Cancel safety
    /// It may have been begun.
    pub async fn begin_log(&self, name: &str) -> Result<NewFile, FolderError> {
        NewFile::create(self.clone(), self.path(name)).await.map(NewFile::kept)
    }

    /// Removes a content; one that is not there is removed.
    ///
    /// # Errors
    /// [`FolderError::Io`] if it cannot be.
    ///
    /// # Cancel safety
    /// It may have been removed.
    pub async fn remove(&self, name: &str) -> Result<(), FolderError> {
        let path = self.path(name);
        let bytes = tokio::fs::metadata(&path).await.map_or(0, |found| found.len());
        match tokio::fs::remove_file(&path).await {
            Ok(()) => self.give_back(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(FolderError::io(&path, error)),
        }
        Ok(())
    }

    /// Names of contents that have not changed for `age`, and of unfinished ones none.
    ///
    /// # Errors
    /// [`FolderError::Io`] if the folder cannot be read.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn older_than(&self, age: Duration) -> Result<Vec<String>, FolderError> {
        let path = self.path.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let mut names = Vec::new();
            for entry in fs::read_dir(&path)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if name != ID_FILE && !name.ends_with(UNFINISHED) && is_older(&entry, age) {
                    names.push(name);
                }
            }
            Ok(names)
        });
        let found = looking.await.unwrap_or_else(|panic| Err(io::Error::from(panic)));
        found.map_err(|error| FolderError::io(&self.path, error))
    }

    /// Counts bytes that are about to be written.
    fn reserve(&self, bytes: u64) -> Result<(), FolderError> {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if used <= self.bytes_max {
            return Ok(());
        }
        self.give_back(bytes);
        Err(FolderError::Full { bytes_max: self.bytes_max })
    }

    fn give_back(&self, bytes: u64) {
        // Another server may have removed what this one counted, or the other way round.
        let less = |used: u64| Some(used.saturating_sub(bytes));
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

/// The id that is written in the folder, made if there is none.
fn identity(folder: &Path) -> io::Result<String> {
    let file = folder.join(ID_FILE);
    // Of servers that start at once, one names the folder: a link is made once and whole.
    if !file.exists() {
        let draft = folder.join(format!("{}{UNFINISHED}", Uuid::now_v7().simple()));
        let mut written =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        written.write_all(Uuid::new_v4().to_string().as_bytes())?;
        written.sync_all()?;
        match fs::hard_link(&draft, &file) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        fs::remove_file(&draft)?;
    }
    let id = fs::read_to_string(&file)?;
    Ok(id.trim().to_owned())
}

fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_unfinished = entry.file_name().to_string_lossy().ends_with(UNFINISHED);
        if is_unfinished && is_older(&entry, UNFINISHED_TIME_MAX) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn is_older(entry: &fs::DirEntry, age: Duration) -> bool {
    let changed = entry.metadata().and_then(|found| found.modified());
    let passed = changed.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    passed.is_some_and(|passed| passed >= age)
}

fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        bytes += entry?.metadata().map_or(0, |found| found.len());
    }
    Ok(bytes)
}
