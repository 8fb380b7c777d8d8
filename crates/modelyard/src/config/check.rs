//! Finds every value that does not fit its key.
//!
//! The types of the file say what fits, so each value is given to them alone. What does not fit is
//! told and taken out, until the rest can be read as a whole.

use serde::Deserialize;
use toml::Value;

use super::{
    Issue, Issues,
    file::ConfigToml,
    key::KeyPath,
    schema::{self, Field},
    tree::{Leaf, Tree, single},
};

/// Reads the tree as a file. The answer lacks what did not fit.
pub(super) fn checked(tree: &mut Tree, issues: &mut Issues) -> ConfigToml {
    let leaves: Vec<(KeyPath, Leaf)> =
        tree.leaves().map(|(key, leaf)| (key.clone(), leaf.clone())).collect();
    for (key, leaf) in leaves {
        let Err(error) = read(&key, leaf.value.clone()) else { continue };
        // A variable cannot say whether `2` is a number or a text.
        if let Some(spelling) = &leaf.spelling
            && read(&key, Value::String(spelling.clone())).is_ok()
        {
            tree.set(key, spelling.as_str(), leaf.source);
            continue;
        }
        let (issue, bad) = explain(key, leaf, error.message());
        issues.push(issue);
        tree.remove(&bad);
    }
    match ConfigToml::deserialize(Value::Table(tree.to_table())) {
        Ok(config) => config,
        Err(error) => {
            issues.push(Issue::general(
                first_line(error.message()),
                "docs/config.md lists every key",
            ));
            ConfigToml::default()
        }
    }
}

fn read(key: &KeyPath, value: Value) -> Result<ConfigToml, toml::de::Error> {
    ConfigToml::deserialize(Value::Table(single(key, value)))
}

/// What is wrong with one value, and the place that has to be taken out for it.
fn explain(key: KeyPath, leaf: Leaf, message: &str) -> (Issue, KeyPath) {
    if let Some(unknown) = unknown_part(&key, message) {
        let issue = Issue::at(unknown.clone(), leaf.source, "there is no such key");
        let issue = match schema::nearest_key(&unknown) {
            Some(near) => issue.fix(format!("did you mean `{near}`?")),
            None => issue.fix("remove it; docs/config.md lists every key"),
        };
        return (issue, unknown);
    }
    let models = KeyPath::dotted("models");
    if key.starts_with(&models) && message.starts_with("model name") {
        let model = key.prefix(2);
        return (Issue::at(model.clone(), leaf.source, first_line(message)), model);
    }
    (misfit(key.clone(), leaf, message), key)
}

/// The unknown key within a path, if that is what the types complain about.
fn unknown_part(key: &KeyPath, message: &str) -> Option<KeyPath> {
    let name = message.strip_prefix("unknown field `")?.split('`').next()?;
    let at = key.keys().iter().position(|part| part == name)?;
    Some(key.prefix(at + 1))
}

fn misfit(key: KeyPath, leaf: Leaf, message: &str) -> Issue {
    let value = &leaf.value;
    let Some(field) = Field::find(&key) else {
        return Issue::at(
            key,
            leaf.source,
            format!("{value} does not fit: {}", first_line(message)),
        );
    };
    let choices = field.choices();
    if !choices.is_empty() {
        let near = value.as_str().and_then(|word| types::nearest(word, choices.iter().copied()));
        let fix = match near {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("write one of {}", field.kind()),
        };
        return Issue::at(key, leaf.source, format!("{value} is not known here")).fix(fix);
    }
    let problem = if message.starts_with("invalid type") {
        format!("{value} is not {}", field.kind_with_article())
    } else {
        format!("{value} does not fit: {}", first_line(message))
    };
    let example =
        field.default().map_or_else(String::new, |value| format!(", for example {value}"));
    let fix = format!("write {}{example}", field.kind_with_article());
    Issue::at(key, leaf.source, problem).fix(fix)
}

fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}
