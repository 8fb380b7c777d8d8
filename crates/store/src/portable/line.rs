//! One line of an export: JSON with one key, which says what it is.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::{WholeTask, shape::TaskShape};

/// The name of the format, so that another file is not taken for an export.
const FORMAT: &str = "modelyard-store";

/// Its version. A program reads this one only.
const VERSION: u32 = 1;

/// What stands in a line of an export.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// The first line.
    Header,
    /// A task. They come in the order of their submission.
    Task(Box<WholeTask>),
    /// A document.
    Document(PortableDocument),
    /// The last line, by which it is seen that nothing was cut off.
    End {
        /// How many tasks came before it.
        tasks: u64,
        /// How many documents came before it.
        documents: u64,
    },
}

/// A document with its kind. Its revision counts writes in one store and stays there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortableDocument {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub id: String,
    /// Its group.
    pub label: String,
    /// Text that only its owner understands.
    pub body: String,
}

/// A line that is not one of an export.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {reason}")]
pub struct BadLine {
    /// The field that makes no sense; `.` for the line as a whole.
    pub field: String,
    /// Why not.
    pub reason: String,
}

impl BadLine {
    pub(super) fn new(field: &str, reason: impl Display) -> Self {
        Self { field: field.to_owned(), reason: reason.to_string() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LineShape {
    Header { format: String, version: u32 },
    Task(Box<TaskShape>),
    Document(PortableDocument),
    End { tasks: u64, documents: u64 },
}

impl Line {
    /// The line, without its end.
    ///
    /// # Errors
    /// Something has no form in JSON; no known value is like that.
    pub fn write(&self) -> Result<String, BadLine> {
        let shape = match self {
            Self::Header => LineShape::Header { format: FORMAT.into(), version: VERSION },
            Self::Task(task) => LineShape::Task(Box::new((&**task).into())),
            Self::Document(document) => LineShape::Document(document.clone()),
            Self::End { tasks, documents } => {
                LineShape::End { tasks: *tasks, documents: *documents }
            }
        };
        serde_json::to_string(&shape).map_err(|error| BadLine::new(".", error))
    }

    /// Reads a line.
    ///
    /// # Errors
    /// The field that makes no sense, and why.
    pub fn read(text: &str) -> Result<Self, BadLine> {
        let mut json = serde_json::Deserializer::from_str(text);
        let shape = serde_path_to_error::deserialize(&mut json)
            .map_err(|error| BadLine::new(&error.path().to_string(), error.inner()))?;
        json.end().map_err(|error| BadLine::new(".", error))?;
        match shape {
            LineShape::Header { format, .. } if format != FORMAT => {
                Err(BadLine::new("header.format", format!("`{format}` is not `{FORMAT}`")))
            }
            LineShape::Header { version, .. } if version != VERSION => Err(BadLine::new(
                "header.version",
                format!(
                    "it is {version} and this program reads {VERSION}; use the program that wrote it"
                ),
            )),
            LineShape::Header { .. } => Ok(Self::Header),
            LineShape::Task(shape) => shape.read().map(|task| Self::Task(Box::new(task))),
            LineShape::Document(document) => Ok(Self::Document(document)),
            LineShape::End { tasks, documents } => Ok(Self::End { tasks, documents }),
        }
    }
}

#[cfg(test)]
mod tests;
