//! Why a store could not do what it was asked.

use std::{error::Error, path::PathBuf, sync::Arc};

use types::{ErrorCode, Fault};

/// A cause that several callers of one group commit share.
pub(crate) type Cause = Arc<dyn Error + Send + Sync>;

/// The database cannot be used. Nothing was changed by the call that got it, except where a variant
/// says otherwise.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It may work again later, once the operator has done what `remedy` says.
    #[error("task store {}: {remedy}", .path.display())]
    Unavailable {
        /// The database.
        path: PathBuf,
        /// What is wrong and what to do about it.
        remedy: &'static str,
        /// What the database said.
        #[source]
        source: Option<Cause>,
    },
    /// The content makes no sense.
    #[error(
        "task store {}: the file is damaged; move it away together with its -wal file, and restore \
         a copy or start with an empty one", .path.display()
    )]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: Option<Cause>,
    },
    /// Another server has the database open.
    #[error("task store {}: {}; stop that server or choose another file", .path.display(), owner(*.pid))]
    Owned {
        /// The database.
        path: PathBuf,
        /// The process that owns it, where known.
        pid: Option<u32>,
    },
    /// The database was written by a later version of this program.
    #[error(
        "task store {}: it has schema {found} and this program knows {known}; use the newer program \
         or another store", .path.display()
    )]
    Newer {
        /// The database: a file, or the address of a server.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The latest schema of this program.
        known: i64,
    },
    /// A server that holds the tasks cannot be used for them. A change that was under way may have
    /// been made: its answer may be what was lost.
    #[error("task store {server}: {remedy}")]
    Unreachable {
        /// Its address, without a password.
        server: Arc<str>,
        /// What is wrong and what to do about it.
        remedy: &'static str,
        /// What it said, or what happened to the connection.
        #[source]
        source: Option<Cause>,
    },
    /// A server is not fit to hold tasks.
    #[error("task store {server}: {reason}")]
    Unfit {
        /// Its address, without a password.
        server: Arc<str>,
        /// Why not, and what to use instead.
        reason: String,
    },
    /// More changes wait than the store takes in.
    #[error("task store: {waiting} changes wait to be written; try again soon")]
    Busy {
        /// How many wait.
        waiting: usize,
    },
}

fn owner(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("the server with process id {pid} has it open"),
        None => "another server has it open".into(),
    }
}

impl StoreError {
    /// The store was closed, or its thread ended.
    pub(crate) fn closed(path: impl Into<PathBuf>) -> Self {
        Self::Unavailable { path: path.into(), remedy: "it was closed", source: None }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        // Paths and remedies are the operator's business and stay in the source.
        let detail = match error {
            StoreError::Busy { .. } => "the task store is behind; try again soon",
            _ => "the task store cannot be used at the moment",
        };
        Self::new(ErrorCode::StoreUnavailable, detail).caused_by(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_reads_no_path_and_the_operator_does() {
        let error = StoreError::Owned { path: "/data/tasks.db".into(), pid: Some(7) };
        assert_eq!(
            error.to_string(),
            "task store /data/tasks.db: the server with process id 7 has it open; stop that server \
             or choose another file"
        );
        let fault = Fault::from(error);
        assert_eq!(fault.code, ErrorCode::StoreUnavailable);
        assert!(!fault.detail.contains("/data"), "{fault}");
        assert!(fault.retry_after.is_some());
    }
}
