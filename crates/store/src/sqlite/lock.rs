//! One server owns the file: an advisory lock beside it, which ends with the process.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::StoreError;

/// Held for as long as the database is open. The file stays behind; only the lock on it counts.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or says who has it.
    pub(super) fn take(database: &Path) -> Result<Self, StoreError> {
        let unavailable = |error| cannot_lock(database, error);
        if let Some(folder) = database.parent() {
            fs::create_dir_all(folder).map_err(unavailable)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(lock_path(database))
            .map_err(unavailable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Owned { path: database.into(), pid: owner(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(cannot_lock(database, error)),
        }
        sign(&mut file).map_err(unavailable)?;
        Ok(Self { _file: file })
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

/// Writes our process id for whoever comes second.
fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())
}

fn owner(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn cannot_lock(database: &Path, error: io::Error) -> StoreError {
    StoreError::Unavailable {
        path: database.into(),
        remedy: "its folder cannot be written; check that it exists, its permissions and its space",
        source: Some(Arc::new(error)),
    }
}
