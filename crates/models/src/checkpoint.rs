//! The weights of a model directory: one safetensors file, or several with an index.

mod file;
mod index;
mod tensor;

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::LoadError;
pub(crate) use file::WeightsFile;
pub(crate) use tensor::{Dtype, Table, Tensor};

/// All weights files of a directory, open; only their headers have been read.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    directory: PathBuf,
    files: Vec<Arc<WeightsFile>>,
    tensors: BTreeMap<String, Entry>,
}

/// Where one tensor lies.
#[derive(Debug)]
struct Entry {
    file: usize,
    /// From the first tensor of the file on.
    bytes: Range<u64>,
    dtype: safetensors::Dtype,
    shape: Vec<usize>,
}

impl Checkpoint {
    /// Opens the files and reads their headers.
    ///
    /// # Errors
    /// [`LoadError`] when there are no files, or one cannot be read, is truncated, or lacks a
    /// tensor that the index says it has.
    pub(crate) fn open(directory: &Path) -> Result<Self, LoadError> {
        let index = index::read(directory)?;
        let mut checkpoint =
            Self { directory: directory.into(), files: Vec::new(), tensors: BTreeMap::new() };
        for path in &index.files {
            checkpoint.add(path)?;
        }
        for (tensor, path) in &index.promised {
            if !checkpoint.tensors.contains_key(tensor) {
                return Err(LoadError::MissingTensor {
                    path: path.clone(),
                    tensor: tensor.clone(),
                });
            }
        }
        Ok(checkpoint)
    }

    /// Numbers in all tensors.
    pub(crate) fn parameters(&self) -> usize {
        self.tensors.values().map(|entry| entry.shape.iter().product::<usize>()).sum()
    }

    fn add(&mut self, path: &Path) -> Result<(), LoadError> {
        let (file, metadata) = WeightsFile::open(path)?;
        for (name, tensor) in metadata.tensors() {
            let (first, end) = tensor.data_offsets;
            let entry = Entry {
                file: self.files.len(),
                bytes: first as u64..end as u64,
                dtype: tensor.dtype,
                shape: tensor.shape.clone(),
            };
            self.tensors.insert(name, entry);
        }
        self.files.push(Arc::new(file));
        Ok(())
    }

    /// The files, in the order of the index.
    pub(crate) fn files(&self) -> &[Arc<WeightsFile>] {
        &self.files
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A tensor of this name and shape.
    ///
    /// # Errors
    /// [`LoadError::MissingTensor`], [`LoadError::Shape`], [`LoadError::Dtype`].
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor<'_>, LoadError> {
        let Some(entry) = self.tensors.get(name) else {
            let tensor = name.to_owned();
            return Err(LoadError::MissingTensor { path: self.directory.clone(), tensor });
        };
        let file = &self.files[entry.file];
        if entry.shape != shape {
            return Err(LoadError::Shape {
                path: file.path().into(),
                tensor: name.to_owned(),
                expected: shape.to_vec(),
                found: entry.shape.clone(),
            });
        }
        let dtype = Dtype::read(entry.dtype).ok_or_else(|| LoadError::Dtype {
            path: file.path().into(),
            tensor: name.to_owned(),
            found: format!("{:?}", entry.dtype),
        })?;
        Ok(Tensor { file, bytes: entry.bytes.clone(), dtype, width: *shape.last().unwrap_or(&1) })
    }
}
