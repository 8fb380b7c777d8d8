//! The folder of large results: one file per attempt, written whole or not at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use tokio::task::spawn_blocking;
use types::TaskId;
use uuid::Uuid;

/// What the name of a file ends with until it is whole.
const UNFINISHED: &str = "part";

#[derive(Debug)]
pub(super) struct Folder(PathBuf);

/// A file of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stray {
    pub(super) task: TaskId,
    /// `None` if it was never finished.
    pub(super) attempt: Option<u32>,
    path: PathBuf,
}

impl Folder {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Writes a result; it is on disk when this answers.
    pub(super) async fn write(&self, id: TaskId, attempt: u32, body: Bytes) -> io::Result<()> {
        let (folder, path) = (self.0.clone(), self.path(id, attempt));
        blocking(move || write(&folder, &path, &body)).await
    }

    pub(super) async fn read(&self, id: TaskId, attempt: u32) -> io::Result<Bytes> {
        let path = self.path(id, attempt);
        blocking(move || fs::read(path).map(Bytes::from)).await
    }

    /// All files that were written longer ago; none if there is no folder yet.
    pub(super) async fn older_than(&self, age: Duration) -> io::Result<Vec<Stray>> {
        let folder = self.0.clone();
        blocking(move || older_than(&folder, age)).await
    }

    pub(super) async fn remove(&self, stray: &Stray) -> io::Result<()> {
        let path = stray.path.clone();
        blocking(move || match fs::remove_file(path) {
            // Another server was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        })
        .await
    }

    fn path(&self, id: TaskId, attempt: u32) -> PathBuf {
        self.0.join(format!("{id}.{attempt}"))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

fn write(folder: &Path, path: &Path, body: &[u8]) -> io::Result<()> {
    // Results hold what models answered: nobody but the owner of the process may read them.
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Nobody else writes to it: an attempt that was given up may still be at work on its own.
    let part = path.with_extension(format!("{}.{UNFINISHED}", Uuid::new_v4().simple()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(body)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    File::open(folder)?.sync_all()
}

fn older_than(folder: &Path, age: Duration) -> io::Result<Vec<Stray>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Some(stray) = stray(entry.path()) else { continue };
        // It may have gone since.
        let Ok(written) = entry.metadata().and_then(|meta| meta.modified()) else { continue };
        if written.elapsed().is_ok_and(|since| since >= age) {
            found.push(stray);
        }
    }
    Ok(found)
}

/// `{task}.{attempt}`, or `{task}.{any}.part`; `None` for files that are not ours.
fn stray(path: PathBuf) -> Option<Stray> {
    let (task, end) = path.file_name()?.to_str()?.split_once('.')?;
    let task = task.parse().ok()?;
    let is_unfinished = end.split('.').next_back() == Some(UNFINISHED);
    let attempt = if is_unfinished { None } else { Some(end.parse().ok()?) };
    Some(Stray { task, attempt, path })
}
