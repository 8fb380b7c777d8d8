//! Deletes files whose time is over, and contents that nobody knows any more.

#[cfg(test)]
mod tests;

use std::{collections::HashSet, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use types::Timestamp;

use crate::{
    Error, Files, binding, clock,
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

/// Rounds after which contents that the store does not know are worth a word: one that is just being
/// kept is not known either.
const STRANGE_ROUNDS: u32 = 2;

/// Goes round until `stop`.
pub(crate) async fn keep(files: Files, stop: CancellationToken) {
    let mut strange_rounds = 0;
    loop {
        let round = async {
            remove_expired(&files, clock::now()).await?;
            tidy(&files, ORPHAN_AGE).await
        };
        match round.await {
            Ok(None) => strange_rounds = 0,
            Ok(Some(stranger)) => {
                strange_rounds += 1;
                if strange_rounds == STRANGE_ROUNDS {
                    warn(&stranger);
                }
            }
            Err(error) => report(&error, "old files cannot be removed yet"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(PAUSE) => {}
        }
    }
}

fn warn(stranger: &str) {
    tracing::warn!(
        content = stranger,
        "files.dir holds contents that the store does not know, so nothing that is left over is \
         removed there; import the store that they belong to, give this store a folder of its own, \
         or, if nobody needs them, move them away"
    );
}

async fn remove_expired(files: &Files, now: Timestamp) -> Result<(), Error> {
    let mut after = None;
    loop {
        let wanted = Wanted { after, oldest_first: true, limit: PAGE, ..Wanted::default() };
        let found = files.shelf.list::<FileRecord>(wanted).await?;
        for file in &found {
            let is_over = file.record.expires.is_some_and(|at| at <= now);
            // A batch that was taken is not left without its lines.
            if is_over && files.reader(&file.id).await?.is_none() {
                files.remove(file).await?;
            }
        }
        match found.last() {
            Some(last) if found.len() == PAGE as usize => after = Some(last.id.clone()),
            _ => return Ok(()),
        }
    }
}

/// Removes what is left over in the folder of the store. Where it is not known whose folder it is,
/// removes nothing, and gives a content that the store does not know; without any, it is the store's.
async fn tidy(files: &Files, age: Duration) -> Result<Option<String>, Error> {
    let is_bound = binding::is_bound(files).await?;
    let names = files.folder.older_than(if is_bound { age } else { Duration::ZERO }).await?;
    let awaited = if names.is_empty() { HashSet::new() } else { awaited_results(files).await? };
    for name in names.into_iter().filter(|name| !awaited.contains(name)) {
        match known(files, &name).await? {
            Known::Needed => {}
            // Asked again: a store that was emptied meanwhile does not know anything.
            Known::Over | Known::Never if is_bound => {
                if !binding::is_bound(files).await? {
                    return Ok(Some(name));
                }
                files.folder.remove(&name).await?;
            }
            Known::Over => {}
            Known::Never => return Ok(Some(name)),
        }
    }
    if !is_bound {
        binding::bind(files).await?;
    }
    Ok(None)
}

/// What the store knows of a content.
enum Known {
    Needed,
    /// It was needed once.
    Over,
    Never,
}

/// Contents are named after the document that they belong to.
async fn known(files: &Files, name: &str) -> Result<Known, Error> {
    let owner = name.split('.').next().unwrap_or_default();
    let is_needed = if owner.starts_with("batch_") {
        let batch = files.shelf.get::<BatchRecord>(owner).await?;
        batch.map(|batch| !batch.record.status.is_terminal())
    } else if owner.starts_with("file-") {
        let file = files.shelf.get::<FileRecord>(owner).await?;
        file.map(|file| file.record.content == name)
    } else {
        // Not ours.
        Some(true)
    };
    Ok(match is_needed {
        Some(true) => Known::Needed,
        Some(false) => Known::Over,
        None => Known::Never,
    })
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
