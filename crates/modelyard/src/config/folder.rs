//! A folder of weights that is named without a configuration: on the command line, or in `MODEL_PATH`.

use std::path::Path;

use types::ModelName;

use super::{
    key::KeyPath,
    tree::{Source, Tree},
};

/// Whether a word of the command line is a folder rather than a class: `weights`, `./weights`, `..`.
pub(super) fn is_meant(word: &str) -> bool {
    Path::new(word).is_dir() || (word.contains('/') && !word.contains(".py:"))
}

/// Lays the model over the tree, under the name of its folder, and returns the name.
///
/// # Errors
/// The folder's name, if no model can be called so.
pub(super) fn lay_over(tree: &mut Tree, folder: &str, source: &Source) -> Result<String, String> {
    let name = name_of(folder);
    name.parse::<ModelName>().map_err(|error| error.to_string())?;
    let model = KeyPath::dotted("models").join(name.as_str());
    tree.set(model.join("kind"), "llm", source.clone());
    tree.set(model.join("path"), folder, source.clone());
    Ok(name)
}

/// `/models/Qwen3-0.6B/` is called `Qwen3-0.6B`.
fn name_of(folder: &str) -> String {
    let path = Path::new(folder);
    // `.` and `..` have a name only once they are resolved.
    let resolved = || path.canonicalize().ok();
    let last = path.file_name().map(ToOwned::to_owned);
    let last = last.or_else(|| resolved().and_then(|path| path.file_name().map(ToOwned::to_owned)));
    last.unwrap_or_default().to_string_lossy().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_called_like_its_folder() {
        for (folder, name) in [
            ("/models/Qwen3-0.6B/", "Qwen3-0.6B"),
            ("./my model", "my-model"),
            ("Llama-3.2-1B", "Llama-3.2-1B"),
        ] {
            assert_eq!(name_of(folder), name);
        }
        assert!(!name_of(".").is_empty());
    }

    #[test]
    fn a_class_is_not_taken_for_a_folder() {
        assert!(!is_meant("src/app.py:Digits"));
        assert!(!is_meant("app.py:Digits"));
        assert!(!is_meant("package.module:Digits"));
        assert!(is_meant("./missing"));
        assert!(is_meant("/"));
    }
}
