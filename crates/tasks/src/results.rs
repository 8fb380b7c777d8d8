//! Large results: kept in files beside the store, which holds a short note in their place.
//!
//! The file is on disk before the note is, and nobody else writes or removes it: what no record
//! points to any more is found and removed from time to time. So a crash at any moment leaves a file
//! too many, never one too few.

mod folder;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::{Outcome, StoreError, StoredAnswer, TaskError, TaskRecord, TaskStore};
use tokio::time::sleep;
use types::{ErrorCode, Fault, TaskId};

use self::folder::{Folder, Stray};
use crate::service::{Service, report};

/// The type of a note. A model that answers with this type gets its answer filed, whatever its size,
/// so that no answer is taken for a note.
const NOTE_TYPE: &str = "application/vnd.modelyard.result-in-file+json";

/// Between two looks for files that nobody needs any more.
const PAUSE: Duration = Duration::from_secs(600);

/// A file may be older than its record, but not by more than this.
const YOUNG: Duration = Duration::from_secs(3600);

/// Where large results are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultSettings {
    /// The folder; servers that share a store share it too. `None`: large results are refused.
    pub folder: Option<PathBuf>,
    /// Up to this size a result is kept in the store itself, in bytes.
    pub inline_bytes_max: usize,
}

impl Default for ResultSettings {
    fn default() -> Self {
        Self { folder: None, inline_bytes_max: 4 << 20 }
    }
}

/// What the store holds in place of a result.
#[derive(Serialize, Deserialize)]
struct Note {
    content_type: Option<String>,
    bytes: u64,
}

impl Note {
    fn of(answer: &StoredAnswer) -> Option<Self> {
        let is_note = answer.content_type.as_deref() == Some(NOTE_TYPE);
        is_note.then(|| serde_json::from_slice(&answer.body).ok()).flatten()
    }
}

/// Keeps large results and finds them again. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Results {
    folder: Option<Arc<Folder>>,
    inline_bytes_max: usize,
}

impl Results {
    pub(crate) fn new(settings: &ResultSettings) -> Self {
        let folder = settings.folder.clone().map(|path| Arc::new(Folder::new(path)));
        Self { folder, inline_bytes_max: settings.inline_bytes_max }
    }

    /// Puts the answer of an attempt into a file, if it is large, and gives what is to be written to
    /// the store.
    ///
    /// # Errors
    /// The file cannot be written now.
    pub(crate) async fn keep(
        &self,
        id: TaskId,
        attempt: u32,
        outcome: Outcome,
    ) -> io::Result<Outcome> {
        let Outcome::Completed(answer) = outcome else { return Ok(outcome) };
        let is_note = answer.content_type.as_deref() == Some(NOTE_TYPE);
        if answer.body.len() <= self.inline_bytes_max && !is_note {
            return Ok(Outcome::Completed(answer));
        }
        let Some(folder) = &self.folder else { return Ok(refused(&answer, self.inline_bytes_max)) };
        let StoredAnswer { content_type, body } = answer;
        let note = Note { content_type, bytes: body.len() as u64 };
        folder.write(id, attempt, body).await?;
        let body = serde_json::to_vec(&note)?.into();
        Ok(Outcome::Completed(StoredAnswer { content_type: Some(NOTE_TYPE.into()), body }))
    }

    /// Puts the result in place of its note.
    ///
    /// # Errors
    /// `store_unavailable` if the file is not there or cannot be read.
    pub(crate) async fn fill(&self, record: &mut TaskRecord) -> Result<(), Fault> {
        let Some(note) = record.answer.as_ref().and_then(Note::of) else { return Ok(()) };
        let body = self.read(record.id, record.standing.attempt, note.bytes).await;
        let body = body.map_err(|error| {
            let detail = "the result is kept in a file that cannot be read at the moment";
            Fault::new(ErrorCode::StoreUnavailable, detail).caused_by(error)
        })?;
        record.answer = Some(StoredAnswer { content_type: note.content_type, body });
        Ok(())
    }

    async fn read(&self, id: TaskId, attempt: u32, bytes: u64) -> io::Result<Bytes> {
        let Some(folder) = &self.folder else {
            let words = "`store.results_dir` is not set here";
            return Err(io::Error::new(io::ErrorKind::NotFound, words));
        };
        let body = folder.read(id, attempt).await?;
        if body.len() as u64 != bytes {
            let words = format!("the file has {} bytes instead of {bytes}", body.len());
            return Err(io::Error::new(io::ErrorKind::InvalidData, words));
        }
        Ok(body)
    }
}

/// Says in place of a result how large it is; where many are shown, none is read.
pub(crate) fn summarize(record: &mut TaskRecord) {
    if let Some(note) = record.answer.as_ref().and_then(Note::of) {
        let body = format!(r#"{{"result_omitted":true,"bytes":{}}}"#, note.bytes).into();
        record.answer = Some(StoredAnswer { content_type: None, body });
    }
}

/// Whether a record holds a note in place of its result.
pub(crate) fn is_in_file(record: &TaskRecord) -> bool {
    record.answer.as_ref().is_some_and(|answer| Note::of(answer).is_some())
}

fn refused(answer: &StoredAnswer, inline_bytes_max: usize) -> Outcome {
    let detail = format!(
        "the answer has {} bytes, and the store keeps {inline_bytes_max} at most; set \
         `store.results_dir` to a folder that all servers share",
        answer.body.len()
    );
    Outcome::Failed(TaskError::new(ErrorCode::BodyTooLarge, detail))
}

/// Removes files that nobody needs any more, until the service stops.
pub(crate) async fn tidy_up(service: Arc<Service>) {
    let Some(folder) = service.results.folder.clone() else { return };
    loop {
        if let Err(error) = remove_strays(&*service.store, &folder, YOUNG).await {
            tracing::warn!(%error, "files of results cannot be tidied up yet");
        }
        tokio::select! {
            () = service.stop.cancelled() => return,
            () = sleep(PAUSE) => {}
        }
    }
}

/// Removes what is older than `young` and has no record that points to it. Where the store knows the
/// task of no file at all, they may be those of another store, and all stay.
async fn remove_strays(store: &dyn TaskStore, folder: &Folder, young: Duration) -> io::Result<()> {
    let (old, all) = (folder.older_than(young).await?, folder.older_than(Duration::ZERO).await?);
    let looking = async {
        let mut strays = Vec::new();
        for file in old {
            if !is_needed(store, &file).await? {
                strays.push(file);
            }
        }
        // Asked last: a store that was emptied meanwhile knows none either.
        let is_ours = !strays.is_empty() && knows_any(store, &all).await?;
        Ok::<_, StoreError>(if is_ours { strays } else { Vec::new() })
    };
    match looking.await {
        Ok(strays) => {
            for stray in strays {
                folder.remove(&stray).await?;
            }
        }
        Err(error) => report(&error, "a result cannot be looked up yet"),
    }
    Ok(())
}

async fn is_needed(store: &dyn TaskStore, file: &Stray) -> Result<bool, StoreError> {
    let record = store.get(file.task).await?;
    Ok(record
        .is_some_and(|record| is_in_file(&record) && file.attempt == Some(record.standing.attempt)))
}

async fn knows_any(store: &dyn TaskStore, files: &[Stray]) -> Result<bool, StoreError> {
    for file in files {
        if store.get(file.task).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
