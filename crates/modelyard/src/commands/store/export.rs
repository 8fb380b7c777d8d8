//! `modelyard store export`

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use batches::DOCUMENT_KINDS;
use store::{Document, DocumentQuery, Line, PortableDocument, StoreError};

use crate::{
    config::Settings,
    failure::Failure,
    store_room::{self, Stores},
};

/// Tasks that are in memory at once.
const TASKS_PAGE: u32 = 64;

/// Documents that are in memory at once.
const DOCUMENTS_PAGE: u32 = 256;

pub(super) async fn run(settings: &Settings, directory: &Path, file: &Path) -> Result<(), Failure> {
    let stores =
        store_room::open_existing(settings).await.map_err(|error| Failure::from_error(&error))?;
    let file = if file.as_os_str() == "-" { None } else { Some(create(directory, file)?) };
    let out: Box<dyn Write + '_> = match &file {
        None => Box::new(io::stdout().lock()),
        Some(file) => Box::new(file),
    };
    let mut lines = Lines { out: BufWriter::new(out), tasks: 0, documents: 0 };
    let written = lines.write_all(&stores).await;
    stores.tasks.close().await;
    written?;
    // Perhaps it is what remains of the store.
    if let Some(file) = &file {
        file.sync_all().map_err(|error| Failure::output(&error))?;
    }
    let Lines { tasks, documents, .. } = lines;
    // Standard output may be the export itself.
    let _ = writeln!(io::stderr(), "exported {tasks} tasks and {documents} documents");
    Ok(())
}

/// Tasks hold what clients sent: nobody else may read them.
fn create(directory: &Path, file: &Path) -> Result<File, Failure> {
    let path = directory.join(file);
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    created.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::misuse(format!("{} exists already", path.display()))
                .hint("remove it, or name another file")
        }
        _ => Failure::new(format!("{} cannot be written: {error}", path.display())),
    })
}

/// The lines on their way out.
struct Lines<W: Write> {
    out: W,
    tasks: u64,
    documents: u64,
}

impl<W: Write> Lines<W> {
    async fn write_all(&mut self, stores: &Stores) -> Result<(), Failure> {
        self.write(&Line::Header)?;
        self.write_tasks(stores).await?;
        for kind in DOCUMENT_KINDS {
            self.write_documents(stores, kind).await?;
        }
        self.write(&Line::End { tasks: self.tasks, documents: self.documents })?;
        self.out.flush().map_err(|error| Failure::output(&error))
    }

    async fn write_tasks(&mut self, stores: &Stores) -> Result<(), Failure> {
        let mut after = None;
        loop {
            let page =
                stores.tasks.read_whole(after, TASKS_PAGE).await.map_err(|error| broken(&error))?;
            for task in page.tasks {
                self.write(&Line::Task(Box::new(task)))?;
                self.tasks += 1;
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn write_documents(
        &mut self,
        stores: &Stores,
        kind: &'static str,
    ) -> Result<(), Failure> {
        let mut after = None;
        loop {
            let query = DocumentQuery {
                kind,
                label: None,
                after,
                oldest_first: true,
                limit: DOCUMENTS_PAGE,
            };
            let page = stores.documents.documents(query).await.map_err(|error| broken(&error))?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id.clone());
            for Document { id, label, body, .. } in page {
                let kind = kind.to_owned();
                self.write(&Line::Document(PortableDocument { kind, id, label, body }))?;
                self.documents += 1;
            }
        }
    }

    fn write(&mut self, line: &Line) -> Result<(), Failure> {
        let text = line.write().map_err(|error| Failure::from_error(&error))?;
        writeln!(self.out, "{text}").map_err(|error| Failure::output(&error))
    }
}

fn broken(error: &StoreError) -> Failure {
    Failure::from_error(error).hint("`modelyard store check` names the record that cannot be read")
}
