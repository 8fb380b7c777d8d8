//! The end of a batch: its outcomes become files.
//!
//! First the contents are made durable, under names that only this holder uses. Then one change of the
//! batch says that these are its results: only the holder of the lease can make it, and only once.
//! What follows can be done by anybody, any number of times.

use std::sync::Arc;

use store::NewFile;

use crate::{
    Error, clock,
    files::{lifetime, new_id},
    handle::Service,
    held::{Held, Left},
    journal::{self, Journal},
    lifecycle::Cause,
    outcome::{self, Outcome},
    record::{FileRecord, PURPOSE_OUTPUT, Results, Sealed},
    run::Input,
    shelf::Stored,
};

/// Bytes of outcomes that are in memory at once, unless a single one has more.
const TOGETHER_BYTES: usize = 4 << 20;

/// Decides what a batch ends with.
pub(crate) async fn seal(
    service: &Arc<Service>,
    held: &mut Held,
    input: &Input,
    journal: &Journal,
    cause: Cause,
) -> Result<(), Left> {
    let batch = held.id().to_owned();
    let writing = write(service, &batch, input, journal, cause);
    let (output, errors) = held.keep_while(writing).await??;
    let sealed = Sealed { status: cause.status(), output, errors };
    let mut counts = journal.counts();
    // What was not called has failed.
    counts.failed = counts.total - counts.completed;
    held.update(|record| record.sealed(sealed.clone(), counts)).await
}

/// Lists the results of a sealed batch, and ends it.
pub(crate) async fn publish(service: &Arc<Service>, held: &mut Held) -> Result<(), Left> {
    let record = held.record().clone();
    let Some(sealed) = record.sealed else { return Ok(()) };
    let batch_folder = record.folder;
    let id = held.id().to_owned();
    let life = record.output_expires_after.as_ref().and_then(|after| lifetime(after).ok());
    let all = [(sealed.output, "output"), (sealed.errors, "error")];
    for (results, word) in all {
        let Some(Results { id: file, content, bytes }) = results else { continue };
        let created = clock::now();
        let record = FileRecord {
            filename: format!("{id}_{word}.jsonl"),
            purpose: PURPOSE_OUTPUT.into(),
            bytes,
            created,
            expires: life.map(|life| created.after(life)),
            content,
            folder: batch_folder.clone(),
        };
        // Where it is listed already, an earlier holder did it.
        service.shelf.put(&mut Stored { id: file, revision: 0, record }).await?;
    }
    held.update(|record| record.ended(sealed.status, clock::now())).await?;
    journal::remove(&service.files.folder, &id, record.generation).await?;
    Ok(())
}

/// Writes all outcomes in the order of the input; a file without lines is not kept.
async fn write(
    service: &Service,
    batch: &str,
    input: &Input,
    journal: &Journal,
    cause: Cause,
) -> Result<(Option<Results>, Option<Results>), Error> {
    let folder = &service.files.folder;
    let (mut output, mut errors) = (folder.begin().await?, folder.begin().await?);
    let mut line = 0;
    while line < input.len() {
        let (mut answered, mut failed) = (Vec::new(), Vec::new());
        for found in journal.read(line, TOGETHER_BYTES).await? {
            let Outcome { is_answered, text } = match found {
                Some(outcome) => outcome,
                None => outcome::of_cause(batch, &input.call(line).await?.custom_id, cause),
            };
            let into = if is_answered { &mut answered } else { &mut failed };
            into.extend_from_slice(text.as_bytes());
            into.push(b'\n');
            line += 1;
        }
        output.write(&answered).await?;
        errors.write(&failed).await?;
    }
    Ok((keep(output).await?, keep(errors).await?))
}

async fn keep(file: NewFile) -> Result<Option<Results>, Error> {
    if file.bytes() == 0 {
        return Ok(None);
    }
    let id = new_id("file-");
    let (content, bytes) = (id.clone(), file.keep(&id).await?);
    Ok(Some(Results { id, content, bytes }))
}
