//! Deletes files whose time is over, and contents that nobody knows any more.

#[cfg(test)]
mod tests;

use std::{collections::HashSet, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use types::Timestamp;

use crate::{
    Error, Files, clock,
    feeder::report,
    record::{BatchRecord, FileRecord, OPEN},
    shelf::Wanted,
};

/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(60);

/// A content without a document that is younger may be about to get one.
const ORPHAN_AGE: Duration = Duration::from_secs(3600);

/// Documents that are read together.
const PAGE: u32 = 256;

/// Goes round until `stop`.
pub(crate) async fn keep(files: Files, stop: CancellationToken) {
    loop {
        let round = async {
            remove_expired(&files, clock::now()).await?;
            remove_orphans(&files, ORPHAN_AGE).await
        };
        if let Err(error) = round.await {
            report(&error, "old files cannot be removed yet");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(PAUSE) => {}
        }
    }
}

async fn remove_expired(files: &Files, now: Timestamp) -> Result<(), Error> {
    let mut after = None;
    loop {
        let wanted = Wanted { after, oldest_first: true, limit: PAGE, ..Wanted::default() };
        let found = files.shelf.list::<FileRecord>(wanted).await?;
        for file in &found {
            if file.record.expires.is_some_and(|at| at <= now) {
                files.remove(file).await?;
            }
        }
        match found.last() {
            Some(last) if found.len() == PAGE as usize => after = Some(last.id.clone()),
            _ => return Ok(()),
        }
    }
}

/// Contents are named after the document that they belong to.
async fn remove_orphans(files: &Files, age: Duration) -> Result<(), Error> {
    let old = files.folder.older_than(age).await?;
    if old.is_empty() {
        return Ok(());
    }
    let awaited = awaited_results(files).await?;
    for name in old.into_iter().filter(|name| !awaited.contains(name)) {
        let owner = name.split('.').next().unwrap_or_default();
        let is_known = if owner.starts_with("batch_") {
            let batch = files.shelf.get::<BatchRecord>(owner).await?;
            batch.is_some_and(|batch| !batch.record.status.is_terminal())
        } else if owner.starts_with("file-") {
            let file = files.shelf.get::<FileRecord>(owner).await?;
            file.is_some_and(|file| file.record.content == name)
        } else {
            // Not ours.
            true
        };
        if !is_known {
            files.folder.remove(&name).await?;
        }
    }
    Ok(())
}

/// Results of batches that are decided and not listed yet.
async fn awaited_results(files: &Files) -> Result<HashSet<String>, Error> {
    let (mut awaited, mut after) = (HashSet::new(), None);
    loop {
        let wanted = Wanted { label: Some(OPEN.into()), after, limit: PAGE, ..Wanted::default() };
        let open = files.shelf.list::<BatchRecord>(wanted).await?;
        for sealed in open.iter().filter_map(|batch| batch.record.sealed.as_ref()) {
            let both = sealed.output.iter().chain(&sealed.errors);
            awaited.extend(both.map(|results| results.content.clone()));
        }
        match open.last() {
            Some(last) if open.len() == PAGE as usize => after = Some(last.id.clone()),
            _ => return Ok(awaited),
        }
    }
}
