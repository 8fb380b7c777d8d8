//! The file of API keys: digests, never keys. Whether it is there decides whether callers need one.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write},
    num::NonZeroU32,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use data_encoding::HEXLOWER;
use gateway::{Key, KeyDigest};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use types::Tenant;

/// What every key begins with.
const PREFIX: &str = "sk-";
/// Random bytes of a key: nobody guesses so many.
const RANDOM_BYTES: usize = 24;
/// What is kept of a key, to know it by.
const SHOWN_CHARS: usize = 9;

/// One key, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyEntry {
    /// What it is revoked by.
    pub(crate) id: String,
    /// Whose it is.
    pub(crate) name: Tenant,
    /// How the key begins.
    pub(crate) begins: String,
    /// SHA-256 of the key, in hexadecimal.
    sha256: String,
    /// Calls per second; absent for no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) qps: Option<NonZeroU32>,
    /// When it was made, in seconds since 1970.
    pub(crate) created: u64,
}

/// All that is in the file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    keys: Vec<KeyEntry>,
}

/// Something is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFileError {
    /// It cannot be read or written.
    #[error("the file of API keys {} cannot be used", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is not what `modelyard key` writes.
    #[error("the file of API keys {} makes no sense; mend it, or remove it and make new keys", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A digest is none.
    #[error("key {id} in {} has no SHA-256; revoke it and make a new one", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// Which key.
        id: String,
    },
}

/// The file of API keys.
#[derive(Debug, Clone)]
pub(crate) struct KeyFile(PathBuf);

impl KeyFile {
    pub(crate) const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// All keys; `None` if there is no file.
    pub(crate) fn read(&self) -> Result<Option<Vec<KeyEntry>>, KeyFileError> {
        let text = match fs::read(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| self.io(error))?,
        };
        let content: Content = serde_json::from_slice(&text)
            .map_err(|source| KeyFileError::Content { path: self.0.clone(), source })?;
        Ok(Some(content.keys))
    }

    /// All keys as the gateway asks for them; `None` if there is no file.
    pub(crate) fn ring(&self) -> Result<Option<Vec<Key>>, KeyFileError> {
        let Some(entries) = self.read()? else { return Ok(None) };
        let keys = entries.into_iter().map(|entry| {
            let digest = HEXLOWER.decode(entry.sha256.as_bytes()).ok();
            let digest = digest.and_then(|bytes| KeyDigest::try_from(bytes).ok());
            let (path, id) = (self.0.clone(), entry.id);
            let digest = digest.ok_or(KeyFileError::Digest { path, id })?;
            Ok(Key { name: entry.name, digest, qps: entry.qps })
        });
        keys.collect::<Result<_, _>>().map(Some)
    }

    /// Makes a key, and gives it: this is the only time that it can be seen.
    pub(crate) fn create(
        &self,
        name: Tenant,
        qps: Option<NonZeroU32>,
    ) -> Result<(KeyEntry, String), KeyFileError> {
        let secret = random::<RANDOM_BYTES>().map_err(|error| self.io(error))?;
        let id = random::<6>().map_err(|error| self.io(error))?;
        let key = format!("{PREFIX}{}", HEXLOWER.encode(&secret));
        let entry = KeyEntry {
            id: format!("key_{}", HEXLOWER.encode(&id)),
            name,
            begins: key.chars().take(SHOWN_CHARS).collect(),
            sha256: HEXLOWER.encode(&gateway::digest(&key)),
            qps,
            created: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        };
        let made = entry.clone();
        self.change(|keys| {
            keys.push(made);
            true
        })?;
        Ok((entry, key))
    }

    /// Takes keys away: those with this id or name. Gives them. Where there are none nothing is written: a file that
    /// comes to be would close the server.
    pub(crate) fn revoke(&self, which: &str) -> Result<Vec<KeyEntry>, KeyFileError> {
        let mut revoked = Vec::new();
        let is_meant = |key: &mut KeyEntry| key.id == which || key.name.as_str() == which;
        self.change(|keys| {
            revoked.extend(keys.extract_if(.., is_meant));
            !revoked.is_empty()
        })?;
        Ok(revoked)
    }

    /// Rewrites the file if something has changed; of two who do so at once one waits.
    fn change(&self, change: impl FnOnce(&mut Vec<KeyEntry>) -> bool) -> Result<(), KeyFileError> {
        let failed = |error| self.io(error);
        let folder = self.0.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let lock = self.0.with_extension("lock");
        let lock = File::options().write(true).create(true).truncate(false).mode(0o600).open(lock);
        let lock = lock.map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut keys = self.read()?.unwrap_or_default();
        if !change(&mut keys) {
            return Ok(());
        }
        let written = || -> io::Result<()> {
            // Whole or not at all, and for this user only, as temporary files are.
            let mut file = NamedTempFile::new_in(folder)?;
            serde_json::to_writer_pretty(&mut file, &Content { keys })?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(&self.0)?;
            Ok(())
        };
        written().map_err(failed)
    }

    fn io(&self, source: io::Error) -> KeyFileError {
        KeyFileError::Io { path: self.0.clone(), source }
    }
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_kept_as_its_digest_and_revoked_by_its_id_or_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::at(folder.path().join("new/keys.json"));
        assert_eq!(file.revoke("nobody").unwrap(), []);
        assert_eq!(file.ring().unwrap(), None);
        let (entry, key) = file.create("alice".parse().unwrap(), NonZeroU32::new(5)).unwrap();
        let (other, _) = file.create("bob".parse().unwrap(), None).unwrap();
        assert!(key.starts_with("sk-") && key.starts_with(&entry.begins) && key.len() > 40);
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(!text.contains(&key), "{text}");
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        let ring = file.ring().unwrap().unwrap();
        assert_eq!(ring[0].digest, gateway::digest(&key));
        assert_eq!((ring[0].name.as_str(), ring[0].qps), ("alice", NonZeroU32::new(5)));
        assert_eq!(file.revoke("nobody").unwrap(), []);
        assert_eq!(file.revoke(&other.id).unwrap(), [other]);
        assert_eq!(file.revoke("alice").unwrap(), [entry]);
        // A file without keys is not the same as none.
        assert_eq!(file.ring().unwrap(), Some(Vec::new()));
    }

    #[test]
    fn a_file_that_makes_no_sense_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        fs::write(&path, "{\"keys\": [{}]}").unwrap();
        let file = KeyFile::at(path.clone());
        assert!(types::chain(&file.ring().unwrap_err()).contains("missing field"));
        let bad = r#"{"keys":[{"id":"key_1","name":"a","begins":"sk","sha256":"xx","created":1}]}"#;
        fs::write(&path, bad).unwrap();
        assert!(file.ring().unwrap_err().to_string().contains("key_1"));
    }
}
