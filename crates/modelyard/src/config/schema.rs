//! The known keys, from the types of the file.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::{file::ConfigToml, key::KeyPath};

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<ConfigToml>().to_value()
});

/// What the types say of one key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field(&'static Value);

/// Stands for the name of a model where a key is meant for all of them.
pub(super) const ANY_MODEL: &str = "NAME";

impl Field {
    /// The file itself.
    pub(super) fn root() -> Self {
        Self(&SCHEMA)
    }

    /// The field at a key, if there is one.
    pub(super) fn find(key: &KeyPath) -> Option<Self> {
        key.keys().iter().try_fold(Self::root(), |field, key| field.child(key))
    }

    fn child(self, key: &str) -> Option<Self> {
        let known = self.0.get("properties").and_then(|properties| properties.get(key));
        let free = self.0.get("additionalProperties").filter(|schema| schema.is_object());
        known.or(free).map(Self)
    }

    /// The keys that may stand within it, in the order of the types.
    pub(super) fn children(self) -> impl Iterator<Item = (&'static str, Self)> {
        let properties = self.0.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().map(|(key, schema)| (key.as_str(), Self(schema)))
    }

    /// Whether any name may stand within it, each with a table of known keys.
    pub(super) fn named(self) -> Option<Self> {
        self.0.get("additionalProperties").map(Self).filter(|inner| inner.is_table())
    }

    /// Whether it has keys of its own.
    pub(super) fn is_table(self) -> bool {
        self.0.get("properties").is_some()
    }

    /// What it means, as paragraphs.
    pub(super) fn description(self) -> &'static str {
        self.0.get("description").and_then(Value::as_str).unwrap_or_default()
    }

    /// The value when it is left out; `None` if there is none.
    pub(super) fn default(self) -> Option<&'static Value> {
        self.0.get("default").filter(|value| !value.is_null())
    }

    /// The texts that it may have, if only certain ones.
    pub(super) fn choices(self) -> Vec<&'static str> {
        let plain = self.0.get("enum").and_then(Value::as_array).into_iter().flatten();
        let described = self.0.get("oneOf").and_then(Value::as_array).into_iter().flatten();
        let constants = described.flat_map(|choice| {
            let many = choice.get("enum").and_then(Value::as_array).into_iter().flatten();
            choice.get("const").into_iter().chain(many)
        });
        plain.chain(constants).filter_map(Value::as_str).collect()
    }

    /// Its type in a word or two.
    pub(super) fn kind(self) -> String {
        let choices = self.choices();
        if !choices.is_empty() {
            return choices.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        }
        let types = match self.0.get("type") {
            Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(one)) => vec![one.as_str()],
            _ => Vec::new(),
        };
        match types.first().copied() {
            Some("integer") => "whole number",
            Some("number") => "number",
            Some("boolean") => "true or false",
            Some("string") => "text",
            Some("array") => "list of texts",
            Some("object") => "table",
            _ => "any value",
        }
        .to_owned()
    }

    /// Its type as part of a sentence.
    pub(super) fn kind_with_article(self) -> String {
        match self.kind().as_str() {
            kind @ ("true or false" | "any value") => kind.to_owned(),
            kind => format!("a {kind}"),
        }
    }
}

/// Every key that takes a value, those of a model under [`ANY_MODEL`].
pub(super) fn all_keys() -> Vec<KeyPath> {
    let mut keys = Vec::new();
    collect(Field::root(), &KeyPath::default(), &mut keys);
    keys
}

fn collect(field: Field, at: &KeyPath, keys: &mut Vec<KeyPath>) {
    if let Some(named) = field.named() {
        collect(named, &at.join(ANY_MODEL), keys);
    }
    for (key, inner) in field.children() {
        let key = at.join(key);
        if inner.is_table() || inner.named().is_some() {
            collect(inner, &key, keys);
        } else {
            keys.push(key);
        }
    }
}

/// The key that was meant by an unknown one: one beside it, else one with that name elsewhere.
pub(super) fn nearest_key(unknown: &KeyPath) -> Option<KeyPath> {
    let parent = unknown.prefix(unknown.keys().len().saturating_sub(1));
    let beside = Field::find(&parent).into_iter().flat_map(Field::children);
    if let Some(near) = types::nearest(unknown.last(), beside.map(|(key, _)| key)) {
        return Some(parent.join(near));
    }
    let model = (parent.keys().len() > 1).then(|| parent.keys()[1].clone());
    let mut elsewhere = all_keys().into_iter().filter(|key| key.last() == unknown.last());
    let key = elsewhere.next()?;
    // Within a model, its own name stands for any.
    let own = |key: &String| match &model {
        Some(model) if key == ANY_MODEL => model.clone(),
        _ => key.clone(),
    };
    Some(KeyPath::new(key.keys().iter().map(own)))
}
