//! What packed weights were made from, as a name of fixed length.

use std::{fs, io, os::unix::fs::MetadataExt, sync::Arc};

use sha2::{Digest, Sha256};

use crate::{LoadError, checkpoint::WeightsFile};

/// Raised when this crate puts other things into the packed region, or in another order.
const LAYOUT: u32 = 2;

/// Bytes of each sample, and samples of each file.
const SAMPLE_BYTES: u64 = 4096;
const SAMPLES: u64 = 256;

/// Names one packing of one checkpoint.
///
/// To hash a checkpoint whole takes longer than to pack it (sha256 reads about 1.5 GB/s, and start
/// from the cache has one second). So a file counts as the same when its path, its inode, its size and
/// both its times are the same, and its header, and samples spread over its content. Tools that copy may
/// set the time of modification, but nobody sets that of the last change of the inode; and on a file
/// system without such times, fine-tuned weights of one shape still differ in nearly every sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    /// Of the model's place and how it is packed: a newer packing of the same family replaces it.
    pub(super) family: [u8; 8],
    /// Of everything.
    pub(super) content: [u8; 32],
}

impl Key {
    /// Looks at the files; reads about 1 MiB of each. `fingerprint` names format and shapes.
    ///
    /// # Errors
    /// [`LoadError::Read`] when a file cannot be looked at.
    pub(crate) fn of(files: &[Arc<WeightsFile>], fingerprint: &str) -> Result<Self, LoadError> {
        let mut hash = Sha256::new();
        for file in files {
            let path = fs::canonicalize(file.path());
            let path = path.map_err(|source| unreadable(file, source))?;
            hash_field(&mut hash, path.as_os_str().as_encoded_bytes());
        }
        hash_field(&mut hash, fingerprint.as_bytes());
        let family = hash.clone().finalize();
        hash.update(LAYOUT.to_le_bytes());
        hash.update(kernels::LAYOUT_VERSION.to_le_bytes());
        for file in files {
            hash_file(&mut hash, file)?;
        }
        let mut key = Self { family: [0; 8], content: hash.finalize().into() };
        key.family.copy_from_slice(&family[..8]);
        Ok(key)
    }
}

fn hash_file(hash: &mut Sha256, file: &WeightsFile) -> Result<(), LoadError> {
    let metadata = file.metadata()?;
    hash.update(metadata.ino().to_le_bytes());
    hash.update(metadata.len().to_le_bytes());
    let modified = [metadata.mtime(), metadata.mtime_nsec()];
    for time in modified.into_iter().chain([metadata.ctime(), metadata.ctime_nsec()]) {
        hash.update(time.to_le_bytes());
    }
    hash_field(hash, &file.header()?);
    let length = file.length();
    let mut sample = [0; SAMPLE_BYTES as usize];
    for start in (0..length).step_by((length / SAMPLES).max(SAMPLE_BYTES) as usize) {
        let sample = &mut sample[..SAMPLE_BYTES.min(length - start) as usize];
        file.read(start, sample)?;
        hash.update(sample);
    }
    Ok(())
}

fn unreadable(file: &WeightsFile, source: io::Error) -> LoadError {
    LoadError::Read { path: file.path().into(), source }
}

/// With its length, so that two fields cannot be cut differently and hash the same.
fn hash_field(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}
