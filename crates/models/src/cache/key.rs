//! What packed weights were made from, as a name of fixed length.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use sha2::{Digest, Sha256};

use crate::checkpoint::WeightsFile;

/// Raised when this crate puts other things into the packed region, or in another order.
const LAYOUT: u32 = 1;

/// Bytes of each sample, and samples of each file.
const SAMPLE_BYTES: usize = 4096;
const SAMPLES: usize = 256;

/// Names one packing of one checkpoint.
///
/// To hash a checkpoint whole takes longer than to pack it (sha256 reads about 1.5 GB/s, and start
/// from the cache has one second). So a file counts as the same when its path, size and time of
/// change are the same, and its header, and samples spread over its content. Copying tools may keep
/// sizes and times; fine-tuned weights of one shape differ in nearly every sample.
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
    /// When a file's metadata cannot be read.
    pub(crate) fn of(files: &[WeightsFile], fingerprint: &str) -> io::Result<Self> {
        let mut hash = Sha256::new();
        for file in files {
            hash_field(&mut hash, fs::canonicalize(&file.path)?.as_os_str().as_encoded_bytes());
        }
        hash_field(&mut hash, fingerprint.as_bytes());
        let family = hash.clone().finalize();
        hash.update(LAYOUT.to_le_bytes());
        hash.update(kernels::LAYOUT_VERSION.to_le_bytes());
        for file in files {
            hash_file(&mut hash, &file.path, &file.content)?;
        }
        let mut key = Self { family: [0; 8], content: hash.finalize().into() };
        key.family.copy_from_slice(&family[..8]);
        Ok(key)
    }
}

fn hash_file(hash: &mut Sha256, path: &Path, content: &[u8]) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    hash.update(metadata.len().to_le_bytes());
    hash.update(metadata.mtime().to_le_bytes());
    hash.update(metadata.mtime_nsec().to_le_bytes());
    let header = content.first_chunk().map_or(0, |length| u64::from_le_bytes(*length) as usize);
    hash_field(hash, &content[..header.saturating_add(8).min(content.len())]);
    let step = (content.len() / SAMPLES).max(SAMPLE_BYTES);
    for sample in content.chunks(step) {
        hash.update(&sample[..sample.len().min(SAMPLE_BYTES)]);
    }
    Ok(())
}

/// With its length, so that two fields cannot be cut differently and hash the same.
fn hash_field(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}
