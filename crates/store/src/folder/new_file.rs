//! A content while it is being written.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tokio::{fs::File, io::AsyncWriteExt};

use super::{Folder, FolderError};

/// A content that is not kept yet. Dropped before it is, it is removed.
#[derive(Debug)]
pub struct NewFile {
    folder: Folder,
    path: PathBuf,
    /// `None` only while it is kept or dropped.
    file: Option<File>,
    bytes: u64,
    kept: bool,
}

impl NewFile {
    pub(super) async fn create(folder: Folder, path: PathBuf) -> Result<Self, FolderError> {
        let opened = File::options().write(true).create_new(true).mode(0o600).open(&path).await;
        let file = opened.map_err(|error| FolderError::io(&path, error))?;
        Ok(Self { folder, path, file: Some(file), bytes: 0, kept: false })
    }

    /// The same, not to be removed any more.
    pub(super) fn kept(mut self) -> Self {
        self.kept = true;
        self
    }

    /// Bytes written so far.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes at the end.
    ///
    /// # Errors
    /// [`FolderError::Full`] if the folder holds as much as it may, [`FolderError::Io`].
    ///
    /// # Cancel safety
    /// A part may have been written: drop the file.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), FolderError> {
        self.folder.reserve(piece.len() as u64)?;
        self.bytes += piece.len() as u64;
        match &mut self.file {
            Some(file) => {
                file.write_all(piece).await.map_err(|error| FolderError::io(&self.path, error))
            }
            None => Ok(()),
        }
    }

    /// What was written is on disk when this answers.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    ///
    /// # Cancel safety
    /// It may be on disk.
    pub async fn sync(&mut self) -> Result<(), FolderError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let synced = async {
            file.flush().await?;
            file.sync_data().await
        };
        synced.await.map_err(|error| FolderError::io(&self.path, error))
    }

    /// Keeps it under a name, in place of what has that name. It is on disk when this answers.
    ///
    /// # Errors
    /// [`FolderError::Io`]; it is removed then, or kept.
    ///
    /// # Cancel safety
    /// It may have been kept.
    pub async fn keep(mut self, name: &str) -> Result<u64, FolderError> {
        let (from, to) = (self.path.clone(), self.folder.path(name));
        let io = |error| FolderError::io(&from, error);
        if let Some(mut file) = self.file.take() {
            file.flush().await.map_err(io)?;
            file.sync_all().await.map_err(io)?;
        }
        tokio::fs::rename(&from, &to).await.map_err(io)?;
        self.kept = true;
        sync_folder(&self.folder.path).await?;
        Ok(self.bytes)
    }
}

/// A new name is on disk once its folder is.
async fn sync_folder(path: &Path) -> Result<(), FolderError> {
    let synced = async { File::open(path).await?.sync_all().await };
    synced.await.map_err(|error| FolderError::io(path, error))
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.kept {
            self.folder.give_back(self.bytes);
            // What stays is removed when it is old.
            let _ = fs::remove_file(&self.path);
        }
    }
}
