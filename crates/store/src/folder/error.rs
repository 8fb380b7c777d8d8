//! Why a folder could not do what it was asked.

use std::{
    io,
    path::{Path, PathBuf},
};

use types::{ErrorCode, Fault};

/// A content could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The system refused.
    #[error("files in {}: {remedy}", .path.display())]
    Io {
        /// The folder or the file.
        path: PathBuf,
        /// What is wrong and what to do about it.
        remedy: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It holds as much as it may.
    #[error("files may take {bytes_max} bytes together (files.total_mb_max), and no more fits")]
    Full {
        /// Most bytes that it may hold.
        bytes_max: u64,
    },
}

impl FolderError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let remedy = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "the disk is full; make room"
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "it cannot be written; check its permissions and its disk"
            }
            io::ErrorKind::NotFound => "it is not there; who removed it?",
            _ => "the system refused",
        };
        Self::Io { path: path.into(), remedy, source }
    }

    /// Whether the content is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl From<FolderError> for Fault {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::Full { .. } => {
                let detail = format!("{error}; delete files that are not needed any more");
                Self::new(ErrorCode::FileQuotaExceeded, detail)
            }
            // Paths are the operator's business and stay in the source.
            FolderError::Io { .. } => {
                let detail = "the folder of files cannot be used at the moment";
                Self::new(ErrorCode::StoreUnavailable, detail).caused_by(error)
            }
        }
    }
}
