//! Small documents beside the tasks: what is known of files and of batches.
//!
//! A document is text that its owner understands. It is changed over the revision that was read and
//! over no other, so that of several servers that decide about one document, one wins and the others
//! look again.

use async_trait::async_trait;

use crate::StoreError;

/// What one document holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its name among those of its kind. Names that are made later sort later.
    pub id: String,
    /// Groups documents of a kind: a question may be about one group only.
    pub label: String,
    /// Counts its changes, from 1; 0 for one that is not written yet.
    pub revision: u64,
    /// Text that only its owner understands.
    pub body: String,
}

/// Which documents to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentQuery {
    /// Documents of this kind.
    pub kind: &'static str,
    /// Documents with this label; `None` for all.
    pub label: Option<String>,
    /// Only what comes after this name in the order that is asked for.
    pub after: Option<String>,
    /// From the oldest name to the newest; else the other way round.
    pub oldest_first: bool,
    /// At most so many.
    pub limit: u32,
}

/// Small durable documents. Every method may be called from many tasks at once; what each promises is
/// tested by [`crate::conformance`].
///
/// # Errors
/// Every method gives [`StoreError`] when the database cannot be used; nothing was changed then,
/// except where a variant says otherwise.
///
/// # Cancel safety
/// Dropping a future may or may not have made its change.
#[async_trait]
pub trait DocumentStore: Send + Sync + 'static {
    /// Writes a document over the revision that it carries, and gives its new one when it is on
    /// disk. `None`: it stands at another revision, and nothing was written.
    async fn put_document(
        &self,
        kind: &'static str,
        document: Document,
    ) -> Result<Option<u64>, StoreError>;

    /// Reads one document.
    async fn document(&self, kind: &'static str, id: &str) -> Result<Option<Document>, StoreError>;

    /// Reads documents in the order of their names.
    async fn documents(&self, query: DocumentQuery) -> Result<Vec<Document>, StoreError>;

    /// Removes a document that stands at `revision`. False: it stands at another. One that is not
    /// there is removed.
    async fn remove_document(
        &self,
        kind: &'static str,
        id: &str,
        revision: u64,
    ) -> Result<bool, StoreError>;
}
