//! The weights of a model directory: one safetensors file, or several with an index.

mod index;
mod tensor;

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use kernels::FileView;
use safetensors::{SafeTensorError, SafeTensors};

use crate::LoadError;
pub(crate) use tensor::{Dtype, Tensor};

/// All weights files of a directory, mapped; nothing of them is resident before it is used.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    directory: PathBuf,
    files: Vec<WeightsFile>,
    tensors: BTreeMap<String, Entry>,
}

/// One safetensors file.
#[derive(Debug)]
pub(crate) struct WeightsFile {
    pub(crate) path: PathBuf,
    pub(crate) content: FileView,
}

/// Where one tensor lies.
#[derive(Debug)]
struct Entry {
    file: usize,
    bytes: Range<usize>,
    dtype: safetensors::Dtype,
    shape: Vec<usize>,
}

impl Checkpoint {
    /// Maps the files and reads their headers.
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
        let unreadable = |source: io::Error| LoadError::Read { path: path.into(), source };
        let broken = |source: SafeTensorError| LoadError::Weights {
            path: path.into(),
            source: Box::new(source),
        };
        let file = File::open(path).map_err(unreadable)?;
        // An empty file cannot be mapped.
        if file.metadata().map_err(unreadable)?.len() == 0 {
            return Err(broken(SafeTensorError::HeaderTooSmall));
        }
        let content = FileView::open(&file)?;
        // The parser checks that the tensors cover the file exactly: a truncated one ends here.
        let parsed = SafeTensors::deserialize(&content).map_err(broken)?;
        let start = content.as_ptr().addr();
        for (name, view) in parsed.iter() {
            let first = view.data().as_ptr().addr() - start;
            let entry = Entry {
                file: self.files.len(),
                bytes: first..first + view.data().len(),
                dtype: view.dtype(),
                shape: view.shape().to_vec(),
            };
            self.tensors.insert(name.to_owned(), entry);
        }
        self.files.push(WeightsFile { path: path.into(), content });
        Ok(())
    }

    /// The files, in the order of the index.
    pub(crate) fn files(&self) -> &[WeightsFile] {
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
                path: file.path.clone(),
                tensor: name.to_owned(),
                expected: shape.to_vec(),
                found: entry.shape.clone(),
            });
        }
        let dtype = Dtype::read(entry.dtype).ok_or_else(|| LoadError::Dtype {
            path: file.path.clone(),
            tensor: name.to_owned(),
            found: format!("{:?}", entry.dtype),
        })?;
        Ok(Tensor { file, bytes: entry.bytes.clone(), dtype, width: *shape.last().unwrap_or(&1) })
    }
}
