//! Where durable tasks live between two moments of the server, and between two servers.
//!
//! [`TaskStore`] is the one door to the database. What every store promises is written once, as
//! tests, in [`conformance`]; [`SqliteStore`] is the default, [`RedisStore`] is shared by several
//! servers, and [`MemoryStore`] is the plain model that the others are compared with.
//!
//! [`DocumentStore`] keeps small texts beside the tasks, on the same stores and with promises of its
//! own: what is known of files and batches. [`Folder`] keeps the contents of files.
//!
//! A record here is neither a wire shape nor a domain type: `tasks` translates. Time is always an
//! argument, so that a test needs no clock.

pub mod conformance;
mod document_store;
mod error;
mod folder;
mod memory;
mod place;
mod portable;
mod record;
mod redis;
mod report;
mod sqlite;
mod standing;
mod task_store;

pub use document_store::{Document, DocumentQuery, DocumentStore};
pub use error::StoreError;
pub use folder::{Folder, FolderError, NewFile};
pub use memory::MemoryStore;
pub use place::Place;
pub use portable::{BadLine, Line, PortableDocument, Restored, WholePage, WholeTask};
pub use record::{
    EndedTask, FailedAttempt, Fence, Idempotency, NewTask, Notice, Owner, Progress, StoredAnswer,
    StoredRequest, TaskError, TaskRecord, Webhook,
};
pub use redis::{RedisOptions, RedisStore};
pub use report::{Problem, Report};
pub use sqlite::{SqliteOptions, SqliteStore};
pub use standing::Standing;
pub use task_store::{
    Cancelled, CapWish, Changed, Cursor, Discarded, Finished, Lease, ModelTasks, News, Next,
    Outcome, Replayed, Submitted, Swept, TaskFilter, TaskList, TaskStore,
};
