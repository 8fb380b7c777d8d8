//! The keys that are valid while the server runs: those of the file, read again when it changes.

use std::{fs, os::unix::fs::MetadataExt, path::Path, time::Duration};

use gateway::{Key, KeyRing};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Settings,
    key_file::{KeyFile, KeyFileError},
};

/// How often the file is looked at: a key that was revoked is refused so soon.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The keys, and what keeps them up to date.
pub(crate) struct Keys {
    pub(crate) ring: KeyRing,
    file: KeyFile,
    required: bool,
    seen: Option<Look>,
    /// What an error was logged about.
    told: Option<Look>,
}

/// What tells a file from a later one at its place.
type Look = (u64, i64, i64, u64);

impl Keys {
    /// Reads the file.
    ///
    /// # Errors
    /// [`KeyFileError`]: a server that cannot know its keys must not start without them.
    pub(crate) fn open(settings: &Settings) -> Result<Self, KeyFileError> {
        let file = KeyFile::at(settings.server.keys_file.clone());
        let required = settings.server.keys_required;
        let (ring, seen) = (KeyRing::default(), look(file.path()));
        let keys = demanded(file.ring()?, required);
        match &keys {
            Some(keys) => tracing::info!(keys = keys.len(), "callers need an API key"),
            None => tracing::debug!("callers need no API key"),
        }
        ring.set(keys);
        Ok(Self { ring, file, required, seen, told: None })
    }

    /// Reads the file again whenever it has changed, until the end.
    pub(crate) async fn watch(mut self, end: CancellationToken) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = end.cancelled() => return,
                _ = ticks.tick() => self.refresh(),
            }
        }
    }

    fn refresh(&mut self) {
        // A few microseconds; the file is small and nearly always the same.
        let found = look(self.file.path());
        if found == self.seen {
            return;
        }
        match self.file.ring() {
            Ok(keys) => {
                self.seen = found;
                let keys = demanded(keys, self.required);
                tracing::info!(keys = keys.as_ref().map(Vec::len), "the API keys have changed");
                self.ring.set(keys);
            }
            // It is tried again: the next time it may be readable.
            Err(error) => {
                if self.told != found {
                    let error = types::chain(&error);
                    tracing::error!(%error, "the API keys stay as they were");
                }
                self.told = found;
            }
        }
    }
}

/// A file that was named and is not there has no keys, and lets nobody in.
fn demanded(keys: Option<Vec<Key>>, required: bool) -> Option<Vec<Key>> {
    keys.or_else(|| required.then(Vec::new))
}

fn look(path: &Path) -> Option<Look> {
    let found = fs::metadata(path).ok()?;
    Some((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
}
