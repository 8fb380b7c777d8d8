//! The recorded checkpoints, and copies of them that a test may spoil.

use std::{fs, path::PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use tempfile::TempDir;

/// The directory of a recorded checkpoint.
pub(crate) fn directory(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// What the reference computed from a checkpoint.
pub(crate) struct Expected(Vec<u8>);

impl Expected {
    pub(crate) fn of(name: &str) -> Self {
        Self(fs::read(directory(name).join("expected.safetensors")).unwrap())
    }

    pub(crate) fn tokens(&self, name: &str) -> Vec<u32> {
        let bytes = self.words(name, Dtype::U32);
        bytes.into_iter().map(u32::from_le_bytes).collect()
    }

    pub(crate) fn numbers(&self, name: &str) -> Vec<f32> {
        let bytes = self.words(name, Dtype::F32);
        bytes.into_iter().map(f32::from_le_bytes).collect()
    }

    fn words(&self, name: &str, dtype: Dtype) -> Vec<[u8; 4]> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), dtype);
        tensor.data().as_chunks().0.to_vec()
    }
}

/// A copy of a recorded checkpoint.
pub(crate) struct Copy {
    directory: TempDir,
}

impl Copy {
    pub(crate) fn of(name: &str) -> Self {
        let copy = Self { directory: TempDir::new().unwrap() };
        for entry in fs::read_dir(directory(name)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), copy.path(entry.file_name().to_str().unwrap())).unwrap();
            }
        }
        copy
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().into()
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// Sets a field of a JSON file; null takes it away.
    pub(crate) fn set(&self, file: &str, field: &str, value: Value) {
        let text = fs::read_to_string(self.path(file)).unwrap();
        let mut json: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
        match value {
            Value::Null => drop(json.shift_remove(field)),
            value => drop(json.insert(field.into(), value)),
        }
        fs::write(self.path(file), serde_json::to_vec(&json).unwrap()).unwrap();
    }

    /// Rewrites the weights without, or with another, tensor.
    pub(crate) fn rewrite(&self, change: impl Fn(&mut Vec<Tensor>)) {
        let path = self.path("model.safetensors");
        let bytes = fs::read(&path).unwrap();
        let parsed = SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors: Vec<Tensor> = parsed
            .iter()
            .map(|(name, view)| Tensor {
                name: name.into(),
                dtype: view.dtype(),
                shape: view.shape().to_vec(),
                data: view.data().to_vec(),
            })
            .collect();
        change(&mut tensors);
        let views = tensors.iter().map(|tensor| {
            let Tensor { name, dtype, shape, data } = tensor;
            (name, safetensors::tensor::TensorView::new(*dtype, shape.clone(), data).unwrap())
        });
        fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
    }
}

/// One tensor of a checkpoint that is being rewritten.
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<u8>,
}
