//! `modelyard store import`

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
    time::SystemTime,
};

use batches::DOCUMENT_KINDS;
use serde::Serialize;
use store::{
    BadLine, Document, DocumentQuery, Line, PortableDocument, Restored, StoreError, WholeTask,
};
use types::{TaskId, Timestamp};

use crate::{
    commands::output,
    config::Settings,
    failure::Failure,
    store_room::{self, Stores},
};

/// Tasks that are written together, at most.
const TASKS_MAX: usize = 256;

/// Bytes of lines that are written together, but for the last of them.
const BYTES_MAX: usize = 8 << 20;

pub(super) async fn run(
    settings: &Settings,
    directory: &Path,
    file: &Path,
    merge: bool,
) -> Result<(), Failure> {
    let lines: Box<dyn BufRead> = if file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        let path = directory.join(file);
        let opened = File::open(&path);
        Box::new(BufReader::new(opened.map_err(|error| {
            Failure::misuse(format!("{} cannot be read: {error}", path.display()))
        })?))
    };
    let stores = store_room::open_to_fill(settings).await;
    let stores = stores.map_err(|error| Failure::from_error(&error))?;
    let imported = import(&stores, lines, merge).await;
    stores.tasks.close().await;
    let done = imported?;
    output::print_value(&done)?;
    match done.keys_taken.len() {
        0 => Ok(()),
        count => Err(Failure::new(format!(
            "{count} tasks were not imported: other tasks of the store have their idempotency keys"
        ))),
    }
}

async fn import(stores: &Stores, lines: Box<dyn BufRead>, merge: bool) -> Result<Done, Failure> {
    if !merge && !is_empty(stores).await.map_err(|error| Failure::from_error(&error))? {
        return Err(Failure::misuse("the store is not empty")
            .hint("choose another one; or add what is missing in it with --merge"));
    }
    let mut import = Import { stores, waiting: Vec::new(), bytes: 0, done: Done::default() };
    match import.all(lines).await {
        Ok(()) => Ok(import.done),
        Err(stopped) => Err(import.failure(&stopped)),
    }
}

async fn is_empty(stores: &Stores) -> Result<bool, StoreError> {
    for kind in DOCUMENT_KINDS {
        let query = DocumentQuery { kind, label: None, after: None, oldest_first: true, limit: 1 };
        if !stores.documents.documents(query).await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(stores.tasks.stats().await?.is_empty())
}

/// What was done, as it is printed.
#[derive(Debug, Default, Serialize)]
struct Done {
    tasks_written: u64,
    tasks_there_already: u64,
    documents_written: u64,
    documents_there_already: u64,
    /// Tasks that were left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys_taken: Vec<KeyTaken>,
}

#[derive(Debug, Serialize)]
struct KeyTaken {
    task_id: TaskId,
    key_of: TaskId,
}

/// Why it went no further.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error("line {line}: {reason}")]
    Line { line: u64, reason: BadLine },
    #[error("after line {line}: {reason}")]
    Early { line: u64, reason: String },
    #[error("line {line} cannot be read")]
    Read { line: u64, source: io::Error },
    #[error("the store failed")]
    Store(#[from] StoreError),
}

struct Import<'a> {
    stores: &'a Stores,
    /// Read and not written yet.
    waiting: Vec<WholeTask>,
    /// Their lines.
    bytes: usize,
    done: Done,
}

impl Import<'_> {
    async fn all(&mut self, lines: Box<dyn BufRead>) -> Result<(), Stopped> {
        let read = self.read(lines).await;
        // What stands before a bad line is kept.
        let flushed = self.flush().await;
        read.and(flushed.map_err(Into::into))
    }

    async fn read(&mut self, mut lines: Box<dyn BufRead>) -> Result<(), Stopped> {
        let (mut text, mut line) = (Vec::new(), 0);
        let (mut tasks, mut documents, mut is_over) = (0, 0, false);
        loop {
            text.clear();
            line += 1;
            // Nothing else waits for this thread.
            let read = lines.read_until(b'\n', &mut text);
            if read.map_err(|source| Stopped::Read { line, source })? == 0 {
                break;
            }
            let bad = |reason| Stopped::Line { line, reason };
            let read = parse(&text, line, is_over).map_err(bad)?;
            match read {
                Line::Header => {}
                Line::Task(task) => {
                    tasks += 1;
                    self.bytes += text.len();
                    self.waiting.push(*task);
                    if self.waiting.len() >= TASKS_MAX || self.bytes >= BYTES_MAX {
                        self.flush().await?;
                    }
                }
                Line::Document(document) => {
                    documents += 1;
                    self.document(document, line).await?;
                }
                Line::End { .. } if read == (Line::End { tasks, documents }) => is_over = true,
                Line::End { .. } => {
                    let reason = format!("{tasks} tasks and {documents} documents came before it");
                    return Err(bad(BadLine { field: "end".into(), reason }));
                }
            }
        }
        if is_over {
            return Ok(());
        }
        let reason = "the last line of an export is missing; it was cut off".into();
        Err(Stopped::Early { line: line - 1, reason })
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let tasks = std::mem::take(&mut self.waiting);
        self.bytes = 0;
        let ids: Vec<TaskId> = tasks.iter().map(|task| task.record.id).collect();
        let now = Timestamp::from(SystemTime::now());
        let restored = self.stores.tasks.restore(tasks, now).await?;
        for (task_id, restored) in ids.into_iter().zip(restored) {
            match restored {
                Restored::Written => self.done.tasks_written += 1,
                Restored::Exists => self.done.tasks_there_already += 1,
                Restored::KeyTaken { by: key_of } => {
                    self.done.keys_taken.push(KeyTaken { task_id, key_of });
                }
            }
        }
        Ok(())
    }

    async fn document(&mut self, document: PortableDocument, line: u64) -> Result<(), Stopped> {
        let PortableDocument { kind, id, label, body } = document;
        let Some(kind) = DOCUMENT_KINDS.into_iter().find(|known| *known == kind) else {
            let reason = format!("`{kind}` is not known; known are {}", DOCUMENT_KINDS.join(", "));
            let reason = BadLine { field: "document.kind".into(), reason };
            return Err(Stopped::Line { line, reason });
        };
        let document = Document { id, label, revision: 0, body };
        match self.stores.documents.put_document(kind, document).await? {
            Some(_) => self.done.documents_written += 1,
            None => self.done.documents_there_already += 1,
        }
        Ok(())
    }

    fn failure(&self, stopped: &Stopped) -> Failure {
        let Done { tasks_written, documents_written, .. } = self.done;
        Failure::from_error(stopped).hint(format!(
            "{tasks_written} tasks and {documents_written} documents of the lines before it were \
             written; put it right and run this again with --merge"
        ))
    }
}

/// Reads a line where it stands: the header comes first, and nothing after the end.
fn parse(text: &[u8], line: u64, is_over: bool) -> Result<Line, BadLine> {
    let bad = |reason: String| BadLine { field: ".".into(), reason };
    let text = std::str::from_utf8(text).map_err(|error| bad(error.to_string()))?;
    if is_over {
        return Err(bad("the export has ended before it".into()));
    }
    let read = Line::read(text.trim_end_matches(['\n', '\r']))?;
    match (line == 1, matches!(read, Line::Header)) {
        (true, false) => Err(bad("the first line of an export is its header".into())),
        (false, true) => Err(bad("a second header; import one export after the other".into())),
        _ => Ok(read),
    }
}
