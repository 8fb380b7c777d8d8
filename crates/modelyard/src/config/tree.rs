//! Values of all layers, laid over each other, each with the place it came from.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use toml::{Table, Value};

use super::key::KeyPath;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// The registry that comes with the program.
    BuiltIn,
    /// The configuration file, as the person named it.
    File(PathBuf),
    /// An environment variable.
    Variable {
        /// Its name.
        name: String,
        /// Whether `.env` set it.
        in_dotenv: bool,
    },
    /// The command line: a flag, or what stands for an argument.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable { name, in_dotenv: false } => f.write_str(name),
            Self::Variable { name, in_dotenv: true } => write!(f, "{name} in .env"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// What is known of one value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leaf {
    pub(super) value: Value,
    pub(super) source: Source,
    /// How a variable spelled it. `2` is a number and may have been meant as a text.
    pub(super) spelling: Option<String>,
}

/// The values by place. A table is not a value but the places within it; an empty one is a value.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    leaves: BTreeMap<KeyPath, Leaf>,
}

impl Tree {
    /// Puts one value over whatever is at its place.
    pub(super) fn set(&mut self, key: KeyPath, value: impl Into<Value>, source: Source) {
        self.put(key, Leaf { value: value.into(), source, spelling: None });
    }

    fn put(&mut self, key: KeyPath, leaf: Leaf) {
        match leaf.value {
            Value::Table(table) if !table.is_empty() => {
                for (inner, value) in table {
                    self.set(key.join(inner), value, leaf.source.clone());
                }
            }
            _ => {
                let key = key.canonical();
                // A value replaces the places within it, and a place within replaces the value.
                self.leaves.retain(|other, _| !other.starts_with(&key) && !key.starts_with(other));
                self.leaves.insert(key, leaf);
            }
        }
    }

    /// Puts a whole layer over the others.
    pub(super) fn lay_over(&mut self, layer: Table, source: &Source) {
        for (key, value) in layer {
            self.set(KeyPath::new([key]), value, source.clone());
        }
    }

    /// Puts a text of a variable, which may stand for any TOML value.
    pub(super) fn set_text(&mut self, key: KeyPath, text: &str, source: Source) {
        let value = parse(text).unwrap_or_else(|| Value::String(text.to_owned()));
        self.put(key, Leaf { value, source, spelling: Some(text.to_owned()) });
    }

    /// Puts a value where there is none.
    pub(super) fn set_missing(&mut self, key: KeyPath, value: Value, source: Source) {
        let taken = |other: &KeyPath| other.starts_with(&key) || key.starts_with(other);
        // An empty table says that something is there, not what.
        let nothing = |leaf: &Leaf| leaf.value.as_table().is_some_and(Table::is_empty);
        if !self.leaves.iter().any(|(other, leaf)| taken(other) && !nothing(leaf)) {
            self.set(key, value, source);
        }
    }

    pub(super) fn remove(&mut self, prefix: &KeyPath) {
        self.leaves.retain(|key, _| !key.starts_with(prefix));
    }

    pub(super) fn get(&self, key: &KeyPath) -> Option<&Value> {
        self.leaves.get(key).map(|leaf| &leaf.value)
    }

    /// The source of the value at a place, or of the last one within it.
    pub(super) fn source(&self, key: &KeyPath) -> Option<&Source> {
        let within = self.leaves.iter().rfind(|(other, _)| other.starts_with(key));
        within.map(|(_, leaf)| &leaf.source)
    }

    /// The keys directly within a place, in order.
    pub(super) fn children(&self, key: &KeyPath) -> Vec<&str> {
        let depth = key.keys().len();
        let mut children: Vec<&str> = self
            .leaves
            .keys()
            .filter(|other| other.starts_with(key))
            .filter_map(|other| other.keys().get(depth).map(String::as_str))
            .collect();
        children.dedup();
        children
    }

    pub(super) fn leaves(&self) -> impl Iterator<Item = (&KeyPath, &Leaf)> {
        self.leaves.iter()
    }

    pub(super) fn to_table(&self) -> Table {
        let mut root = Table::new();
        for (key, leaf) in &self.leaves {
            insert(&mut root, key.keys(), leaf.value.clone());
        }
        root
    }
}

/// A table that holds only one value.
pub(super) fn single(key: &KeyPath, value: Value) -> Table {
    let mut root = Table::new();
    insert(&mut root, key.keys(), value);
    root
}

fn insert(table: &mut Table, keys: &[String], value: Value) {
    match keys {
        [] => {}
        [key] => {
            table.insert(key.clone(), value);
        }
        [key, rest @ ..] => {
            let inner = table.entry(key.clone()).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// A text as the right-hand side of a TOML assignment.
fn parse(text: &str) -> Option<Value> {
    // A line end would let a variable bring more than its own value.
    if text.contains('\n') {
        return None;
    }
    let mut table: Table = format!("value = {text}").parse().ok()?;
    table.remove("value")
}
