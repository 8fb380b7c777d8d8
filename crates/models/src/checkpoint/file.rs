//! One safetensors file: its header, and its bytes where they are asked for.
//!
//! Files are read, not mapped. Pages of a mapped file count as memory of the process beside the packed
//! copy, up to 2 MiB for one byte where the system caches files in large pages; and a file that somebody
//! shortens would kill a process that has it mapped, where reading gives an error.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use safetensors::{SafeTensorError, tensor};

use crate::LoadError;

/// Bytes before the header, which tell its length.
const LENGTH_BYTES: usize = 8;
/// The longest header that the format allows.
const HEADER_BYTES_MAX: u64 = 100_000_000;

/// An open file of weights.
#[derive(Debug)]
pub(crate) struct WeightsFile {
    path: PathBuf,
    file: File,
    length: u64,
    /// Bytes before the first tensor.
    start: u64,
}

impl WeightsFile {
    /// Opens a file and reads its header, which must describe the rest of the file exactly.
    ///
    /// # Errors
    /// [`LoadError::Read`]; [`LoadError::Weights`] for a file that is cut short or something else.
    pub(super) fn open(path: &Path) -> Result<(Self, tensor::Metadata), LoadError> {
        let unreadable = |source| LoadError::Read { path: path.into(), source };
        let file = File::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        let mut opened = Self { path: path.into(), file, length, start: 0 };
        let header = opened.header()?;
        opened.start = (LENGTH_BYTES + header.len()) as u64;
        let metadata: tensor::Metadata = serde_json::from_slice(&header)
            .map_err(|error| opened.broken(SafeTensorError::InvalidHeaderDeserialization(error)))?;
        let end = opened.start.checked_add(metadata.data_len() as u64);
        if end != Some(length) {
            return Err(opened.broken(SafeTensorError::MetadataIncompleteBuffer));
        }
        Ok((opened, metadata))
    }

    /// The header's bytes, read anew.
    pub(crate) fn header(&self) -> Result<Vec<u8>, LoadError> {
        if self.length < LENGTH_BYTES as u64 {
            return Err(self.broken(SafeTensorError::HeaderTooSmall));
        }
        let mut length = [0; LENGTH_BYTES];
        self.read(0, &mut length)?;
        let length = u64::from_le_bytes(length);
        if length > HEADER_BYTES_MAX {
            return Err(self.broken(SafeTensorError::HeaderTooLarge));
        }
        if length > self.length - LENGTH_BYTES as u64 {
            return Err(self.broken(SafeTensorError::InvalidHeaderLength));
        }
        let mut header = vec![0; length as usize];
        self.read(LENGTH_BYTES as u64, &mut header)?;
        Ok(header)
    }

    /// Fills `to` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`LoadError::Read`], also when the file has become shorter since it was opened.
    pub(crate) fn read(&self, offset: u64, to: &mut [u8]) -> Result<(), LoadError> {
        self.file.read_exact_at(to, offset).map_err(|source| self.unreadable(source))
    }

    /// As `read`, counted from the first tensor on.
    pub(super) fn read_tensor(&self, offset: u64, to: &mut [u8]) -> Result<(), LoadError> {
        self.read(self.start + offset, to)
    }

    /// What the system knows of the file that is open, whatever has become of its name.
    pub(crate) fn metadata(&self) -> Result<Metadata, LoadError> {
        self.file.metadata().map_err(|source| self.unreadable(source))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes, when it was opened.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    fn unreadable(&self, source: io::Error) -> LoadError {
        LoadError::Read { path: self.path.clone(), source }
    }

    fn broken(&self, problem: SafeTensorError) -> LoadError {
        LoadError::Weights { path: self.path.clone(), source: Box::new(problem) }
    }
}
