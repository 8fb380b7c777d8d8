//! Python objects to bytes: keys in their order, integers of any size, no `NaN`.

use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple},
};
use serde::Serialize;

/// Deepest nesting that is sent. Far above honest data, far below the thread's stack; a list that
/// holds itself ends here.
const DEPTH_MAX: usize = 200;

/// Why a value could not be sent.
#[derive(Debug)]
pub(crate) enum EncodeError {
    /// The value has no JSON form.
    Unsupported {
        /// What is wrong with it, for example `a set has no JSON form`.
        reason: String,
        /// From the top of the value to the culprit, innermost step first.
        path: Vec<Step>,
    },
    /// Python code that was asked for a JSON form raised something else.
    Raised(PyErr),
}

/// One step into a value.
#[derive(Debug)]
pub(crate) enum Step {
    /// Into a dict.
    Key(String),
    /// Into a list.
    Index(usize),
}

impl EncodeError {
    fn unsupported(reason: impl Into<String>) -> Self {
        Self::Unsupported { reason: reason.into(), path: Vec::new() }
    }

    fn within(mut self, step: impl FnOnce() -> Step) -> Self {
        if let Self::Unsupported { path, .. } = &mut self {
            path.push(step());
        }
        self
    }

    /// The sentence for the caller, for example `result.items[3]: a set has no JSON form`.
    pub(crate) fn sentence(reason: &str, path: &[Step]) -> String {
        let mut place = String::from("result");
        for step in path.iter().rev() {
            match step {
                Step::Key(key) => {
                    place.push('.');
                    place.push_str(key);
                }
                Step::Index(index) => {
                    place.push('[');
                    place.push_str(&index.to_string());
                    place.push(']');
                }
            }
        }
        format!("{place}: {reason}")
    }
}

impl From<PyErr> for EncodeError {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

type Encoded = Result<(), EncodeError>;

/// Writes values as JSON.
pub(crate) struct Encoder<'a, 'py> {
    py: Python<'py>,
    /// Turns an object that JSON does not know into one that it does, or raises `TypeError`.
    fallback: &'a Py<PyAny>,
    out: Vec<u8>,
    depth: usize,
    style: Style,
}

/// How a text of JSON looks; its meaning is the same.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// As short as it can be.
    Compact,
    /// As Python's own `json` writes it.
    Spaced,
}

impl Style {
    const fn comma(self) -> &'static [u8] {
        match self {
            Self::Compact => b",",
            Self::Spaced => b", ",
        }
    }

    const fn colon(self) -> &'static [u8] {
        match self {
            Self::Compact => b":",
            Self::Spaced => b": ",
        }
    }
}

impl<'a, 'py> Encoder<'a, 'py> {
    /// An encoder for one value.
    pub(crate) const fn new(py: Python<'py>, fallback: &'a Py<PyAny>) -> Self {
        Self { py, fallback, out: Vec::new(), depth: 0, style: Style::Compact }
    }

    /// An encoder in the notation of Python's own `json`, whose text follows `beginning`.
    pub(crate) fn spaced(py: Python<'py>, fallback: &'a Py<PyAny>, beginning: &[u8]) -> Self {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(beginning);
        Self { py, fallback, out, depth: 0, style: Style::Spaced }
    }

    /// The bytes of `value`.
    ///
    /// # Errors
    /// [`EncodeError`] if the value, or one inside it, has no JSON form.
    pub(crate) fn encode(mut self, value: &Bound<'py, PyAny>) -> Result<Vec<u8>, EncodeError> {
        self.out.reserve(128);
        self.value(value)?;
        Ok(self.out)
    }

    /// Whether `value` is of a type that needs no one's help.
    pub(crate) fn knows(value: &Bound<'py, PyAny>) -> bool {
        value.is_exact_instance_of::<PyDict>()
            || value.is_exact_instance_of::<PyList>()
            || value.is_exact_instance_of::<PyString>()
            || value.is_exact_instance_of::<PyFloat>()
            || value.is_exact_instance_of::<PyInt>()
            || value.is_none()
            || value.is_exact_instance_of::<PyBool>()
            || value.is_exact_instance_of::<PyTuple>()
    }

    fn value(&mut self, value: &Bound<'py, PyAny>) -> Encoded {
        if let Ok(text) = value.cast_exact::<PyString>() {
            self.text(text)
        } else if let Ok(dict) = value.cast_exact::<PyDict>() {
            self.nested(|encoder| encoder.dict(dict))
        } else if let Ok(list) = value.cast_exact::<PyList>() {
            self.nested(|encoder| encoder.items(list.iter()))
        } else if let Ok(float) = value.cast_exact::<PyFloat>() {
            self.float(float.value())
        } else if let Ok(int) = value.cast_exact::<PyInt>() {
            self.int(int)
        } else if value.is_none() {
            self.raw("null")
        } else if let Ok(flag) = value.cast_exact::<PyBool>() {
            self.raw(if flag.is_true() { "true" } else { "false" })
        } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            self.nested(|encoder| encoder.items(tuple.iter()))
        } else {
            self.nested(|encoder| encoder.converted(value))
        }
    }

    fn raw(&mut self, json: &str) -> Encoded {
        self.out.extend_from_slice(json.as_bytes());
        Ok(())
    }

    fn plain(&mut self, value: impl Serialize) -> Encoded {
        serde_json::to_writer(&mut self.out, &value)
            .map_err(|error| EncodeError::unsupported(error.to_string()))
    }

    fn text(&mut self, text: &Bound<'py, PyString>) -> Encoded {
        match text.to_str() {
            Ok(text) => self.plain(text),
            Err(_) => Err(EncodeError::unsupported("the text holds half of a surrogate pair")),
        }
    }

    fn float(&mut self, float: f64) -> Encoded {
        if float.is_finite() {
            self.plain(float)?;
            self.mend_exponent(float);
            Ok(())
        } else {
            Err(EncodeError::unsupported(format!("{float} has no JSON form; return None instead")))
        }
    }

    /// Python writes `1e+16` and `1e-05` where others write `1e16` and `0.00001`.
    fn mend_exponent(&mut self, float: f64) {
        let size = float.abs();
        if self.style == Style::Compact || float == 0.0 || (1e-4..1e16).contains(&size) {
            return;
        }
        let shortest = format!("{float:e}");
        let Some((digits, exponent)) = shortest.split_once('e') else { return };
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        let start = self.out.len() - last_number(&self.out);
        self.out.truncate(start);
        self.out.extend_from_slice(format!("{digits}e{sign}{exponent:0>2}").as_bytes());
    }

    fn int(&mut self, int: &Bound<'py, PyInt>) -> Encoded {
        if let Ok(int) = int.extract::<i64>() {
            return self.plain(int);
        }
        match int.str().and_then(|digits| Ok(digits.to_str()?.to_owned())) {
            Ok(digits) => self.raw(&digits),
            Err(error) => Err(EncodeError::unsupported(error.value(self.py).to_string())),
        }
    }

    fn nested(&mut self, write: impl FnOnce(&mut Self) -> Encoded) -> Encoded {
        if self.depth == DEPTH_MAX {
            return Err(EncodeError::unsupported(format!(
                "nested more than {DEPTH_MAX} levels deep; does it contain itself?"
            )));
        }
        self.depth += 1;
        let written = write(self);
        self.depth -= 1;
        written
    }

    fn items(&mut self, items: impl Iterator<Item = Bound<'py, PyAny>>) -> Encoded {
        self.out.push(b'[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.extend_from_slice(self.style.comma());
            }
            self.value(&item).map_err(|error| error.within(|| Step::Index(index)))?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn dict(&mut self, dict: &Bound<'py, PyDict>) -> Encoded {
        self.out.push(b'{');
        for (index, (key, value)) in dict.iter().enumerate() {
            if index > 0 {
                self.out.extend_from_slice(self.style.comma());
            }
            self.key(&key)?;
            self.out.extend_from_slice(self.style.colon());
            self.value(&value).map_err(|error| error.within(|| Step::Key(key.to_string())))?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// Keys are text; numbers, booleans and `None` become text, as in Python's own `json`.
    fn key(&mut self, key: &Bound<'py, PyAny>) -> Encoded {
        if let Ok(text) = key.cast_exact::<PyString>() {
            return self.text(text);
        }
        let simple = key.is_none()
            || key.is_exact_instance_of::<PyBool>()
            || key.is_exact_instance_of::<PyInt>()
            || key.is_exact_instance_of::<PyFloat>();
        if simple {
            self.out.push(b'"');
            self.value(key)?;
            self.out.push(b'"');
            return Ok(());
        }
        let replaced = self.fallback.bind(self.py).call1((key,));
        match replaced.map(Bound::cast_into_exact::<PyString>) {
            Ok(Ok(text)) => self.text(&text),
            _ => Err(EncodeError::unsupported(format!(
                "a key of type {} has no JSON form; use text",
                type_name(key)
            ))),
        }
    }

    fn converted(&mut self, value: &Bound<'py, PyAny>) -> Encoded {
        match self.fallback.bind(self.py).call1((value,)) {
            Ok(replaced) => self.value(&replaced),
            Err(error) if error.is_instance_of::<PyTypeError>(self.py) => {
                Err(EncodeError::unsupported(error.value(self.py).to_string()))
            }
            Err(error) => Err(EncodeError::Raised(error)),
        }
    }
}

/// Bytes of the number at the end.
fn last_number(json: &[u8]) -> usize {
    let is_number = |byte: &&u8| byte.is_ascii_digit() || b"+-.eE".contains(*byte);
    json.iter().rev().take_while(is_number).count()
}

fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string())
}
