//! The place of a value: `server.listen`, `models."gpt-4.1".endpoint`.

use std::fmt;

/// Other spellings of a model's keys, which `types::ModelSpec` reads too. Layers may spell a key
/// differently and must still meet.
const MODEL_ALIASES: [(&str, &str); 3] =
    [("type", "kind"), ("progress_timeout", "progress_timeout_seconds"), ("base_url", "endpoint")];

/// Keys from the outermost inwards.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct KeyPath(Vec<String>);

impl KeyPath {
    pub(super) fn new<I>(keys: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self(keys.into_iter().map(Into::into).collect())
    }

    /// From a spelling with dots, for keys that we write ourselves.
    pub(super) fn dotted(text: &str) -> Self {
        Self::new(text.split('.'))
    }

    /// One key further in.
    pub(super) fn join(&self, key: impl Into<String>) -> Self {
        let mut keys = self.0.clone();
        keys.push(key.into());
        Self(keys)
    }

    /// The same place in the spelling of the documentation.
    pub(super) fn canonical(mut self) -> Self {
        if let [section, _, field, ..] = self.0.as_mut_slice()
            && section == "models"
            && let Some((_, name)) = MODEL_ALIASES.iter().find(|(alias, _)| alias == field)
        {
            *field = (*name).to_owned();
        }
        self
    }

    /// The keys, outermost first.
    pub(super) fn keys(&self) -> &[String] {
        &self.0
    }

    /// The innermost key.
    pub(super) fn last(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// The first `count` keys.
    pub(super) fn prefix(&self, count: usize) -> Self {
        Self(self.0[..count.min(self.0.len())].to_vec())
    }

    /// What is left without the first `count` keys.
    pub(super) fn beyond(&self, count: usize) -> Self {
        Self(self.0.iter().skip(count).cloned().collect())
    }

    pub(super) fn starts_with(&self, prefix: &Self) -> bool {
        self.0.starts_with(&prefix.0)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, key) in self.0.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if !key.is_empty() && key.bytes().all(bare) {
                write!(f, "{dot}{key}")?;
            } else {
                write!(f, "{dot}{key:?}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use types::ModelSpec;

    use super::*;

    #[test]
    fn every_other_spelling_is_one_that_the_types_know() {
        for (alias, name) in MODEL_ALIASES {
            let value = match name {
                "progress_timeout_seconds" => toml::Value::Float(1.0),
                "kind" => toml::Value::String("http".into()),
                _ => toml::Value::String("http://h".into()),
            };
            let read = |key: &str| {
                let table = toml::Table::from_iter([(key.to_owned(), value.clone())]);
                table.try_into::<ModelSpec>().unwrap()
            };
            assert_eq!(read(alias), read(name));
            let key = KeyPath::new(["models", "m", alias]).canonical();
            assert_eq!(key.to_string(), format!("models.m.{name}"));
        }
    }
}
