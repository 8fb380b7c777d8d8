//! What is written down about files and batches.

use std::collections::BTreeMap;

use api::openai::{
    BatchErrors, BatchObject, BatchStatus, ExpiresAfter, FileObject, LineError, RequestCounts,
};
use serde::{Deserialize, Serialize};
use types::{Tenant, Timestamp};

use crate::{
    clock::seconds,
    shelf::{Record, Stored},
};

/// What clients upload.
pub(crate) const PURPOSE_BATCH: &str = "batch";

/// What batches write.
pub(crate) const PURPOSE_OUTPUT: &str = "batch_output";

/// Labels of batches: those that a server may have to look after, and the others.
pub(crate) const OPEN: &str = "open";
const OVER: &str = "over";

/// A file; its id is the name of its document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRecord {
    pub(crate) filename: String,
    pub(crate) purpose: String,
    pub(crate) bytes: u64,
    pub(crate) created: Timestamp,
    pub(crate) expires: Option<Timestamp>,
    /// Where its content is: a name in the folder with this id.
    pub(crate) content: String,
    pub(crate) folder: String,
}

impl Record for FileRecord {
    const KIND: &'static str = "file";
    fn label(&self) -> &str {
        &self.purpose
    }
}

impl Stored<FileRecord> {
    pub(crate) fn object(&self) -> FileObject {
        let record = &self.record;
        FileObject {
            id: self.id.clone(),
            object: "file".into(),
            bytes: record.bytes,
            created_at: seconds(record.created),
            expires_at: record.expires.map(seconds),
            filename: record.filename.clone(),
            purpose: record.purpose.clone(),
            status: "processed".into(),
        }
    }
}

/// A batch; its id is the name of its document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BatchRecord {
    pub(crate) endpoint: String,
    pub(crate) input_file_id: String,
    pub(crate) completion_window: String,
    pub(crate) metadata: Option<BTreeMap<String, String>>,
    pub(crate) output_expires_after: Option<ExpiresAfter>,
    pub(crate) tenant: Tenant,
    /// The folder where its input is.
    pub(crate) folder: String,
    pub(crate) status: BatchStatus,
    pub(crate) errors: Vec<LineError>,
    pub(crate) counts: RequestCounts,
    /// Set when what it ends with is decided and durable.
    pub(crate) sealed: Option<Sealed>,
    pub(crate) times: Times,
    pub(crate) lease: Option<Lease>,
    /// Counts its leases. Each has a journal of its own.
    pub(crate) generation: u32,
}

/// When a batch took its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Times {
    pub(crate) created: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) in_progress: Option<Timestamp>,
    pub(crate) finalizing: Option<Timestamp>,
    pub(crate) cancelling: Option<Timestamp>,
    /// Of whichever end it came to.
    pub(crate) ended: Option<Timestamp>,
}

/// What a batch ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sealed {
    pub(crate) status: BatchStatus,
    pub(crate) output: Option<Results>,
    pub(crate) errors: Option<Results>,
}

/// A file of results that is durable, and perhaps not listed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) id: String,
    pub(crate) content: String,
    pub(crate) bytes: u64,
}

/// The right of one server to run a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) server: u64,
    pub(crate) until: Timestamp,
}

impl Record for BatchRecord {
    const KIND: &'static str = "batch";
    fn label(&self) -> &str {
        if self.status.is_terminal() { OVER } else { OPEN }
    }
}

impl Stored<BatchRecord> {
    pub(crate) fn object(&self) -> BatchObject {
        let record = &self.record;
        let times = &record.times;
        let ended = |as_what| (record.status == as_what).then_some(times.ended?).map(seconds);
        let sealed = record.sealed.as_ref().filter(|_| record.status.is_terminal());
        let id_of = |results: Option<&Results>| results.map(|results| results.id.clone());
        let errors = || BatchErrors { object: "list".into(), data: record.errors.clone() };
        BatchObject {
            id: self.id.clone(),
            object: "batch".into(),
            endpoint: record.endpoint.clone(),
            errors: (!record.errors.is_empty()).then(errors),
            input_file_id: record.input_file_id.clone(),
            completion_window: record.completion_window.clone(),
            status: record.status,
            output_file_id: id_of(sealed.and_then(|sealed| sealed.output.as_ref())),
            error_file_id: id_of(sealed.and_then(|sealed| sealed.errors.as_ref())),
            created_at: seconds(times.created),
            in_progress_at: times.in_progress.map(seconds),
            expires_at: Some(seconds(times.expires)),
            finalizing_at: times.finalizing.map(seconds),
            completed_at: ended(BatchStatus::Completed),
            failed_at: ended(BatchStatus::Failed),
            expired_at: ended(BatchStatus::Expired),
            cancelling_at: times.cancelling.map(seconds),
            cancelled_at: ended(BatchStatus::Cancelled),
            request_counts: record.counts,
            metadata: record.metadata.clone(),
        }
    }
}
