//! Why files and batches could not be read or written.

use std::io;

use store::{FolderError, StoreError};
use types::Fault;

/// Something beneath failed; nothing is wrong with what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Documents cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Contents cannot be read or written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A content cannot be read.
    #[error("the content `{name}` cannot be read; look into the system log")]
    Content {
        /// Its name in the folder.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// What a batch needs is not there.
    #[error("the batch `{batch}` waits: {reason}; it is looked for again until its time is over")]
    Waits {
        /// Its id.
        batch: String,
        /// What is missing.
        reason: String,
    },
    /// A document is not one that this program wrote.
    #[error("the document `{id}` cannot be understood; was it written by a later version?")]
    Document {
        /// Its name.
        id: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error.into(),
            Error::Folder(error) => error.into(),
            error => {
                let detail = "the files cannot be used at the moment";
                Self::new(types::ErrorCode::StoreUnavailable, detail).caused_by(error)
            }
        }
    }
}
