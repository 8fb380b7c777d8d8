//! One JSON object of a model directory, and typed reading of its fields.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::LoadError;

/// The fields of one JSON object, with the file and the prefix that errors name.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    path: PathBuf,
    prefix: String,
    map: Map<String, Value>,
}

impl Fields {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`LoadError::Read`], [`LoadError::Json`] (also for JSON that is not an object).
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| LoadError::Read { path: path.into(), source })?;
        let map = serde_json::from_str(&text)
            .map_err(|source| LoadError::Json { path: path.into(), source })?;
        Ok(Self { path: path.into(), prefix: String::new(), map })
    }

    /// A field that must be there.
    ///
    /// # Errors
    /// [`LoadError::Field`] when it is missing, null or of another type.
    pub(crate) fn required<T: DeserializeOwned>(&self, name: &str) -> Result<T, LoadError> {
        self.optional(name)?.ok_or_else(|| self.wrong(name, "is missing"))
    }

    /// A field that may be absent or null.
    ///
    /// # Errors
    /// [`LoadError::Field`] when it is of another type.
    pub(crate) fn optional<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, LoadError> {
        match self.map.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(value)
                .map(Some)
                .map_err(|error| self.wrong(name, format!("cannot be used: {error}"))),
        }
    }

    /// A size: a whole number of at least 1.
    ///
    /// # Errors
    /// [`LoadError::Field`] when it is missing, zero or no whole number.
    pub(crate) fn size(&self, name: &str) -> Result<usize, LoadError> {
        // The bound keeps the bytes of every tensor and of the cache within 64 bits.
        const LARGEST: usize = 1 << 24;
        match self.required::<usize>(name)? {
            0 => Err(self.wrong(name, "must be at least 1")),
            size if size > LARGEST => Err(self.wrong(name, format!("is {size}: impossibly large"))),
            size => Ok(size),
        }
    }

    /// A number of layers, each of which takes room before any of its tensors is looked for.
    ///
    /// # Errors
    /// As of `size`, and above 1,024: the deepest models have a few hundred.
    pub(crate) fn layers(&self, name: &str) -> Result<usize, LoadError> {
        const MOST: usize = 1024;
        match self.size(name)? {
            layers if layers > MOST => {
                Err(self.wrong(name, format!("is {layers}, and can be at most {MOST}")))
            }
            layers => Ok(layers),
        }
    }

    /// A size that has a default.
    ///
    /// # Errors
    /// [`LoadError::Field`] when it is zero or no whole number.
    pub(crate) fn size_or(&self, name: &str, default: usize) -> Result<usize, LoadError> {
        match self.optional::<Value>(name)? {
            None => Ok(default),
            Some(_) => self.size(name),
        }
    }

    /// A finite number above zero.
    ///
    /// # Errors
    /// [`LoadError::Field`] when it is missing, or not such a number.
    pub(crate) fn positive(&self, name: &str) -> Result<f64, LoadError> {
        match self.required::<f64>(name)? {
            value if value.is_finite() && value > 0.0 => Ok(value),
            value => Err(self.wrong(name, format!("is {value}, and must be above 0"))),
        }
    }

    /// A nested object that may be absent or null.
    ///
    /// # Errors
    /// [`LoadError::Field`] when it is no object.
    pub(crate) fn object(&self, name: &str) -> Result<Option<Self>, LoadError> {
        let prefix = format!("{}{name}.", self.prefix);
        let map = self.optional::<Map<String, Value>>(name)?;
        Ok(map.map(|map| Self { path: self.path.clone(), prefix, map }))
    }

    /// Refuses a value of `name` that we do not support.
    ///
    /// # Errors
    /// [`LoadError::Field`] unless the field is absent or one of `supported`.
    pub(crate) fn only(&self, name: &str, supported: &[&str]) -> Result<(), LoadError> {
        match self.optional::<String>(name)? {
            Some(found) if !supported.contains(&found.as_str()) => {
                let supported = supported.join(", ");
                Err(self.wrong(name, format!("is `{found}`; supported: {supported}")))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    /// The error that a field of this object is wrong.
    pub(crate) fn wrong(&self, name: &str, problem: impl Into<String>) -> LoadError {
        LoadError::Field {
            path: self.path.clone(),
            field: format!("{}{name}", self.prefix),
            problem: problem.into(),
        }
    }
}
