//! Which files hold the weights.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{LoadError, config::Fields};

/// The weights files of a directory, and what an index says of them.
pub(super) struct Index {
    pub(super) files: Vec<PathBuf>,
    /// Each tensor of the index, with the file that should have it.
    pub(super) promised: Vec<(String, PathBuf)>,
}

/// Finds the weights of a directory.
///
/// # Errors
/// [`LoadError::NoWeights`]; [`LoadError::Field`] for an index that makes no sense.
pub(super) fn read(directory: &Path) -> Result<Index, LoadError> {
    let single = directory.join("model.safetensors");
    let index = directory.join("model.safetensors.index.json");
    if single.exists() {
        return Ok(Index { files: vec![single], promised: Vec::new() });
    }
    if index.exists() {
        return read_shards(directory, &index);
    }
    let problem = if directory.join("pytorch_model.bin").exists() {
        "pytorch_model.bin cannot be read; save the model as safetensors"
    } else {
        "neither model.safetensors nor model.safetensors.index.json is there"
    };
    Err(LoadError::NoWeights { path: directory.into(), problem })
}

fn read_shards(directory: &Path, index: &Path) -> Result<Index, LoadError> {
    let fields = Fields::open(index)?;
    let map: BTreeMap<String, String> = fields.required("weight_map")?;
    // A name with a directory in it could point outside the model.
    if let Some(name) = map.values().find(|name| name.contains(['/', '\\'])) {
        return Err(fields.wrong("weight_map", format!("names `{name}`: no plain file name")));
    }
    let files: BTreeSet<&String> = map.values().collect();
    let files = files.into_iter().map(|name| directory.join(name)).collect();
    let promised = map.into_iter().map(|(tensor, file)| (tensor, directory.join(file))).collect();
    Ok(Index { files, promised })
}
