//! Every value with its source, as `check-config` prints it.

use std::fmt::Write as _;

use toml::{Table, Value};
use types::ModelSpec;

use super::{
    file::ConfigToml,
    key::KeyPath,
    tree::{Source, Tree},
};

/// How much of the models is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// What differs from the default.
    Given,
    /// Every field.
    All,
}

/// Values are aligned up to this width; longer ones push their source out.
const COLUMN: usize = 56;

/// One line per value, which TOML could read again; the source stands behind it as a comment.
pub(super) fn lines(config: &ConfigToml, tree: &Tree, shown: Shown) -> String {
    let mut effective = Tree::default();
    let table = Table::try_from(config).unwrap_or_default();
    effective.lay_over(table, &Source::BuiltIn);

    let mut defaults = Tree::default();
    defaults.lay_over(Table::try_from(ModelSpec::default()).unwrap_or_default(), &Source::BuiltIn);
    let mut lines = String::new();
    for (key, leaf) in effective.leaves() {
        let given = tree.get(key).is_some() || tree.children(key).len() == 1;
        let in_model = key.keys().len() > 2 && key.keys()[0] == "models";
        if shown == Shown::Given
            && in_model
            && !given
            && defaults.get(&key.beyond(2)) == Some(&leaf.value)
        {
            continue;
        }
        // A section of which nothing is set, and which has no defaults.
        if key.keys().len() == 1 && leaf.value.as_table().is_some_and(Table::is_empty) {
            continue;
        }
        let source = if given { tree.source(key) } else { None };
        let source = source.map_or_else(|| "default".to_owned(), ToString::to_string);
        let assignment = format!("{key} = {}", masked(key, &leaf.value));
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{assignment:<COLUMN$}  # {source}");
    }
    lines
}

/// A value that may be shown to whoever looks over a shoulder.
fn masked(key: &KeyPath, value: &Value) -> Value {
    if let Value::Array(values) = value {
        return Value::Array(values.iter().map(|value| masked(key, value)).collect());
    }
    let Value::String(text) = value else { return value.clone() };
    let keys = key.keys();
    let parent = keys.len().checked_sub(2).and_then(|at| keys.get(at)).map(String::as_str);
    let is_secret = matches!(key.last(), "api_key" | "join_token" | "secrets" | "webhook_url")
        || matches!(parent, Some("headers" | "env"));
    // A reference to a variable tells nothing.
    if is_secret && !text.contains("${") {
        return Value::String("…".into());
    }
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => Value::String(format!("{scheme}://…@{host}")),
        _ => value.clone(),
    }
}
