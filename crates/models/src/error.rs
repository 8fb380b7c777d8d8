//! Why a model directory cannot be served.

use std::{error::Error, io, path::PathBuf};

/// A model could not be opened or loaded. Each names the file, the field or tensor, and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file could not be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A JSON file is not JSON.
    #[error("{} is not valid JSON", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where it stops to be JSON.
        #[source]
        source: serde_json::Error,
    },
    /// A field is missing, has the wrong type, or a value that no model can have.
    #[error("{}: field `{field}` {problem}", .path.display())]
    Field {
        /// The JSON file.
        path: PathBuf,
        /// The field, dotted where nested.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The directory holds no weights in a format that we read.
    #[error("{} has no weights: {problem}", .path.display())]
    NoWeights {
        /// The model directory.
        path: PathBuf,
        /// What was looked for, and what to do.
        problem: &'static str,
    },
    /// A weights file is cut short or is not a safetensors file.
    #[error("{} is truncated or not a safetensors file; download it again", .path.display())]
    Weights {
        /// The weights file.
        path: PathBuf,
        /// What is wrong with its header.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A tensor that the architecture needs is not there.
    #[error("{}: tensor `{tensor}` is missing", .path.display())]
    MissingTensor {
        /// Where it was looked for.
        path: PathBuf,
        /// Its name.
        tensor: String,
    },
    /// A tensor does not have the shape that config.json implies.
    #[error("{}: tensor `{tensor}` has shape {found:?}, but config.json implies {expected:?}", .path.display())]
    Shape {
        /// The weights file.
        path: PathBuf,
        /// Its name.
        tensor: String,
        /// By config.json.
        expected: Vec<usize>,
        /// By the weights file.
        found: Vec<usize>,
    },
    /// A tensor has elements of a type that we do not convert.
    #[error("{}: tensor `{tensor}` has dtype {found}; BF16, F16 and F32 are supported", .path.display())]
    Dtype {
        /// The weights file.
        path: PathBuf,
        /// Its name.
        tensor: String,
        /// By the weights file.
        found: String,
    },
    /// The options ask for what this model cannot do.
    #[error("option `{option}`: {problem}")]
    Option {
        /// The field of [`crate::Options`].
        option: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The processor side refused.
    #[error("cannot prepare the processor")]
    Cpu(#[from] kernels::CpuError),
    /// The system has not enough memory.
    #[error("not enough memory for the model")]
    Memory(#[from] kernels::MemoryError),
    /// The system has not enough memory.
    #[error("cannot prepare the cache of keys and values")]
    KvCache(#[from] kernels::KvCacheError),
    /// Packed weights do not fit the model: a mistake of this crate.
    #[error("packed weights do not fit the model")]
    Packed(#[from] kernels::PackedLengthError),
    /// The packed layers are fewer than the model's: a mistake of this crate.
    #[error("packed layers are missing")]
    Recipes,
}
