//! Files: uploaded by clients, or written by batches.

use std::time::Duration;

use api::openai::{ExpiresAfter, FileDeleted, FileObject, ListPage};
use store::{Folder, NewFile};
use types::{ErrorCode, Fault};
use uuid::Uuid;

use crate::{
    clock,
    record::{BatchRecord, FileRecord, OPEN, PURPOSE_BATCH},
    shelf::{Shelf, Stored, Wanted},
};

/// Longest name that is kept, in bytes.
const FILENAME_BYTES_MAX: usize = 255;

/// How long an upload may be kept at most and at least, as the API that this follows has it.
const EXPIRES_SECONDS: std::ops::RangeInclusive<u64> = 3600..=2_592_000;

/// Open batches that are read together.
const BATCHES_AT_ONCE: u32 = 256;

/// The files. Cheap to clone.
#[derive(Clone)]
pub struct Files {
    pub(crate) shelf: Shelf,
    pub(crate) folder: Folder,
    bytes_max: u64,
}

/// Which files to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// Only those with this purpose.
    pub purpose: Option<String>,
    /// Only what comes after this id.
    pub after: Option<String>,
    /// From the oldest to the newest; else the other way round.
    pub oldest_first: bool,
    /// At most so many.
    pub limit: u32,
}

/// What is said about a new file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewFileInfo {
    /// What its client calls it.
    pub filename: Option<String>,
    /// Must be `batch`.
    pub purpose: Option<String>,
    /// When it is deleted; `None` for never.
    pub expires_after: Option<ExpiresAfter>,
}

/// A file and the way to its content.
#[derive(Debug)]
pub struct Content {
    /// What is known of it.
    pub object: FileObject,
    /// Its bytes, from the beginning.
    pub file: tokio::fs::File,
}

/// A file that is being uploaded. Dropped, it is forgotten.
pub struct Upload {
    files: Files,
    file: NewFile,
}

impl Files {
    pub(crate) const fn new(shelf: Shelf, folder: Folder, bytes_max: u64) -> Self {
        Self { shelf, folder, bytes_max }
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// `store_unavailable`.
    ///
    /// # Cancel safety
    /// Nothing is kept that anybody sees.
    pub async fn begin(&self) -> Result<Upload, Fault> {
        Ok(Upload { files: self.clone(), file: self.folder.begin().await? })
    }

    /// Lists files.
    ///
    /// # Errors
    /// `store_unavailable`.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn list(&self, query: ListQuery) -> Result<ListPage<FileObject>, Fault> {
        let ListQuery { purpose, after, oldest_first, limit } = query;
        let wanted = Wanted { label: purpose, after, oldest_first, limit: limit.saturating_add(1) };
        let found = self.shelf.list::<FileRecord>(wanted).await?;
        let objects = found.iter().map(Stored::<FileRecord>::object).collect();
        Ok(ListPage::of(objects, limit as usize, |file: &FileObject| &file.id))
    }

    /// Tells what is known of a file.
    ///
    /// # Errors
    /// `file_not_found`, `store_unavailable`.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn get(&self, id: &str) -> Result<FileObject, Fault> {
        Ok(self.record(id).await?.object())
    }

    /// Opens the content of a file.
    ///
    /// # Errors
    /// `file_not_found`, `store_unavailable`, also where the content is in a folder that this server
    /// does not have.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn content(&self, id: &str) -> Result<Content, Fault> {
        let stored = self.record(id).await?;
        if stored.record.folder != self.folder.id() {
            let detail = format!(
                "the content of {id} is in the folder of another server; give servers that share a \
                 store one folder (files.dir)"
            );
            return Err(Fault::new(ErrorCode::StoreUnavailable, detail));
        }
        match tokio::fs::File::open(self.folder.path(&stored.record.content)).await {
            Ok(file) => Ok(Content { object: stored.object(), file }),
            Err(error) => {
                let detail = format!("the content of {id} cannot be read");
                Err(Fault::new(ErrorCode::StoreUnavailable, detail).caused_by(error))
            }
        }
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// `file_not_found`, `file_in_use`, `store_unavailable`.
    ///
    /// # Cancel safety
    /// It may be deleted; its content is removed in time.
    pub async fn delete(&self, id: &str) -> Result<FileDeleted, Fault> {
        let stored = self.record(id).await?;
        if let Some(batch) = self.reader(id).await? {
            let detail =
                format!("batch {batch} reads the file and has not ended; cancel the batch first");
            return Err(Fault::new(ErrorCode::FileInUse, detail));
        }
        self.remove(&stored).await?;
        Ok(FileDeleted { id: id.to_owned(), object: "file".into(), deleted: true })
    }

    /// Removes a file, its document first: what is listed has a content.
    pub(crate) async fn remove(&self, stored: &Stored<FileRecord>) -> Result<(), crate::Error> {
        // Files never change, so no other revision can be there.
        self.shelf.remove(stored).await?;
        if stored.record.folder == self.folder.id() {
            self.folder.remove(&stored.record.content).await?;
        }
        Ok(())
    }

    /// A file that must exist.
    pub(crate) async fn record(&self, id: &str) -> Result<Stored<FileRecord>, Fault> {
        let missing = || Fault::new(ErrorCode::FileNotFound, format!("no file by the id {id}"));
        self.shelf.get::<FileRecord>(id).await?.ok_or_else(missing)
    }

    /// A batch that has not ended and whose input this is.
    pub(crate) async fn reader(&self, id: &str) -> Result<Option<String>, crate::Error> {
        let mut after = None;
        loop {
            let wanted = Wanted {
                label: Some(OPEN.into()),
                after,
                limit: BATCHES_AT_ONCE,
                ..Wanted::default()
            };
            let open = self.shelf.list::<BatchRecord>(wanted).await?;
            if let Some(reader) = open.iter().find(|batch| batch.record.input_file_id == id) {
                return Ok(Some(reader.id.clone()));
            }
            match open.last() {
                Some(last) if open.len() == BATCHES_AT_ONCE as usize => {
                    after = Some(last.id.clone());
                }
                _ => return Ok(None),
            }
        }
    }
}

impl Upload {
    /// Takes the next piece.
    ///
    /// # Errors
    /// `body_too_large`, `file_quota_exceeded`, `store_unavailable`.
    ///
    /// # Cancel safety
    /// A part of the piece may have been taken: drop the upload.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let bytes_max = self.files.bytes_max;
        if self.file.bytes() + piece.len() as u64 > bytes_max {
            let detail = format!("the file is larger than {bytes_max} bytes (files.file_mb_max)");
            return Err(Fault::new(ErrorCode::BodyTooLarge, detail).about("file"));
        }
        Ok(self.file.write(piece).await?)
    }

    /// Keeps the file. It is on disk when this answers.
    ///
    /// # Errors
    /// `invalid_request`, `store_unavailable`.
    ///
    /// # Cancel safety
    /// It may have been kept.
    pub async fn keep(self, info: NewFileInfo) -> Result<FileObject, Fault> {
        let Self { files, file } = self;
        check_purpose(info.purpose.as_deref())?;
        let created = clock::now();
        let life = info.expires_after.as_ref().map(lifetime).transpose()?;
        let id = new_id("file-");
        let bytes = file.keep(&id).await?;
        let record = FileRecord {
            filename: shortened(info.filename.unwrap_or_else(|| id.clone())),
            purpose: PURPOSE_BATCH.into(),
            bytes,
            created,
            expires: life.map(|life| created.after(life)),
            content: id.clone(),
            folder: files.folder.id().to_owned(),
        };
        let mut stored = Stored { id, revision: 0, record };
        files.shelf.put(&mut stored).await?;
        Ok(stored.object())
    }
}

/// A fresh id that sorts behind those that were made before.
pub(crate) fn new_id(prefix: &str) -> String {
    format!("{prefix}{}", Uuid::now_v7().simple())
}

fn check_purpose(purpose: Option<&str>) -> Result<(), Fault> {
    let detail = match purpose {
        Some(PURPOSE_BATCH) => return Ok(()),
        Some(other) => {
            let shown: String = other.chars().take(64).collect();
            format!("purpose `{shown}` is not served here; send `batch`")
        }
        None => "the field `purpose` is missing; send `batch`".to_owned(),
    };
    Err(Fault::new(ErrorCode::InvalidRequest, detail).about("purpose"))
}

/// How long a file is kept.
pub(crate) fn lifetime(after: &ExpiresAfter) -> Result<Duration, Fault> {
    let bad = |param: &'static str, detail: String| {
        Err(Fault::new(ErrorCode::InvalidRequest, detail).about(param))
    };
    if after.anchor != "created_at" {
        return bad("expires_after.anchor", "the anchor must be `created_at`".into());
    }
    if !EXPIRES_SECONDS.contains(&after.seconds) {
        let (least, most) = (EXPIRES_SECONDS.start(), EXPIRES_SECONDS.end());
        return bad(
            "expires_after.seconds",
            format!("a file expires after {least} to {most} seconds, not {}", after.seconds),
        );
    }
    Ok(Duration::from_secs(after.seconds))
}

fn shortened(mut name: String) -> String {
    let mut end = name.len().min(FILENAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name
}
