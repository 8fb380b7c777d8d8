//! The models that are there before anybody configures one.

use std::{fs, io, path::Path, sync::LazyLock};

use toml::{Table, Value};

use super::{
    key::KeyPath,
    settings::Settings,
    tree::{Source, Tree},
};

/// The built-in registry, written as a person would write it.
static DEFAULTS: LazyLock<Table> =
    LazyLock::new(|| include_str!("default_models.toml").parse().unwrap_or_default());

/// Stays beside the models of a person: the first call of a new server should have an answer.
const ALWAYS: &str = "local-echo";

/// Stand for folders of [`write_builtin`] in the registry.
const EXAMPLES: &str = "{examples}";
const MODELS: &str = "{models}";

/// The example that the registry serves, so that the program finds it wherever it is installed.
const DIGITS: &str = include_str!("../../../../examples/digits/digits.py");

/// The names of the built-in models.
pub(super) fn names() -> Vec<String> {
    DEFAULTS.keys().cloned().collect()
}

/// Puts the built-in models beneath the configured ones.
///
/// All of them while a person has no models of their own; else only `local-echo` and those that are
/// mentioned. One that a person gives another kind or implementation is theirs alone.
pub(super) fn fill_in(tree: &mut Tree, data_dir: &Path) {
    let models = KeyPath::dotted("models");
    let configured: Vec<String> = tree.children(&models).into_iter().map(str::to_owned).collect();
    let has_own = configured.iter().any(|name| !DEFAULTS.contains_key(name));
    for (name, fields) in DEFAULTS.iter() {
        let model = models.join(name.as_str());
        let mentioned = configured.contains(name);
        let replaced =
            ["kind", "implementation"].iter().any(|field| tree.get(&model.join(*field)).is_some());
        let wanted = mentioned || !has_own || name == ALWAYS;
        let (true, false, Some(fields)) = (wanted, replaced, fields.as_table()) else { continue };
        for (field, value) in fields {
            tree.set_missing(model.join(field.as_str()), place(value, data_dir), Source::BuiltIn);
        }
    }
}

fn place(value: &Value, data_dir: &Path) -> Value {
    match value {
        Value::String(text) => Value::String(
            text.replace(EXAMPLES, &examples(data_dir).to_string_lossy())
                .replace(MODELS, &models(data_dir).to_string_lossy()),
        ),
        other => other.clone(),
    }
}

fn examples(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("examples")
}

fn models(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("models")
}

/// Writes what the built-in models are made of where the registry expects it: the code of those in
/// Python, the weights of the demonstration if it is to be served. Call it before they are started.
///
/// # Errors
/// When the data directory cannot be written.
pub fn write_builtin(settings: &Settings) -> io::Result<()> {
    let data_dir = settings.data_dir.as_path();
    if settings.models.get(llm::demo::NAME).is_some_and(|spec| spec.enabled) {
        llm::demo::install(&models(data_dir).join(llm::demo::NAME))?;
    }
    let path = examples(data_dir).join("digits.py");
    if fs::read_to_string(&path).is_ok_and(|known| known == DIGITS) {
        return Ok(());
    }
    fs::create_dir_all(examples(data_dir))?;
    fs::write(path, DIGITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_can_be_read_and_needs_nothing_more() {
        assert_eq!(
            names(),
            ["digits", "external-sentiment", "local-echo", "modelyard-demo", "nanobanana-image",]
        );
        for (name, fields) in DEFAULTS.iter() {
            let spec: types::ModelSpec = fields.clone().try_into().unwrap();
            assert_eq!(spec.issues(), [], "{name}");
        }
    }
}
