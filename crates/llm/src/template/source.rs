//! Where a model keeps its template, and its special tokens.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{DEFAULT, TemplateError};

const CONFIG: &str = "tokenizer_config.json";
const JINJA: &str = "chat_template.jinja";

/// What was found.
pub(super) struct Source {
    /// By name; the usual one is `default`.
    pub(super) templates: Vec<(String, String)>,
    pub(super) special_tokens: BTreeMap<String, String>,
    /// The file of the templates.
    pub(super) path: PathBuf,
}

/// `chat_template` of `tokenizer_config.json`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Templates {
    One(String),
    Several(Vec<Named>),
}

#[derive(Deserialize)]
struct Named {
    name: String,
    template: String,
}

pub(super) fn read(folder: &Path) -> Result<Source, TemplateError> {
    let path = folder.join(CONFIG);
    let invalid = |reason: String| TemplateError::Invalid { path: path.clone(), reason };
    let config: Map<String, Value> = match read_file(&path)? {
        Some(text) => serde_json::from_str(&text)
            .map_err(|error| invalid(format!("it is not a JSON object: {error}")))?,
        None => Map::new(),
    };
    let special_tokens = special_tokens(&config);
    let jinja = folder.join(JINJA);
    if let Some(text) = read_file(&jinja)? {
        let templates = vec![(DEFAULT.to_owned(), text)];
        return Ok(Source { templates, special_tokens, path: jinja });
    }
    let templates = match config.get("chat_template") {
        None | Some(Value::Null) => Vec::new(),
        Some(value) => match Templates::deserialize(value) {
            Ok(Templates::One(text)) => vec![(DEFAULT.to_owned(), text)],
            Ok(Templates::Several(all)) => {
                all.into_iter().map(|named| (named.name, named.template)).collect()
            }
            Err(_) => {
                let words = "`chat_template` is neither a text nor a list of `name` and `template`";
                return Err(invalid(words.into()));
            }
        },
    };
    Ok(Source { templates, special_tokens, path })
}

/// Fields like `"bos_token": "<s>"` or `"bos_token": {"content": "<s>", …}`.
fn special_tokens(config: &Map<String, Value>) -> BTreeMap<String, String> {
    let named = config.iter().filter(|(name, _)| name.ends_with("_token"));
    named
        .filter_map(|(name, value)| {
            let text = value.as_str().or_else(|| value.get("content")?.as_str())?;
            Some((name.clone(), text.to_owned()))
        })
        .collect()
}

fn read_file(path: &Path) -> Result<Option<String>, TemplateError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TemplateError::Read { path: path.to_owned(), source }),
    }
}

/// Some templates mark what the assistant says with `{% generation %}`, a statement that only
/// matters in training. A block that is always taken has the same effect on blank space.
pub(super) fn without_generation_marks(template: &str) -> String {
    let mut result = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = rest.find("{%") {
        let (before, statement) = rest.split_at(start);
        result.push_str(before);
        let end = statement.find("%}").map_or(statement.len(), |end| end + 2);
        let (statement, after) = statement.split_at(end);
        let word = statement.trim_matches(|letter: char| "{%-+} \t\n".contains(letter));
        match word {
            "generation" => result.push_str(&statement.replace(word, "if true")),
            "endgeneration" => result.push_str(&statement.replace(word, "endif")),
            _ => result.push_str(statement),
        }
        rest = after;
    }
    result + rest
}
