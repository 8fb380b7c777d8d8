//! The environment: `MODELYARD_SERVER__LISTEN` stands for `server.listen`.

use std::{collections::BTreeMap, io, path::Path};

use super::{
    Issue, Issues,
    key::KeyPath,
    registry, schema,
    tree::{Source, Tree},
};

/// Every variable of ours begins so.
const PREFIX: &str = "MODELYARD_";
/// Stands between two keys.
const NESTING: &str = "__";
/// Variables with our prefix that are not settings.
const NOT_SETTINGS: [&str; 9] = [
    "MODELYARD_API_KEY",
    "MODELYARD_CACHE_DIR",
    "MODELYARD_CACHE_MB_MAX",
    "MODELYARD_CONFIG",
    "MODELYARD_DATA_DIR",
    "MODELYARD_ISA",
    "MODELYARD_URL",
    api::worker::LAUNCH_ENV,
    api::worker::LIFELINE_ENV,
];

/// The variables of the process, those of `.env` included.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    from_dotenv: Vec<String>,
}

impl Environment {
    /// Only these variables, for tests.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self { variables: variables.into_iter().map(owned).collect(), from_dotenv: Vec::new() }
    }

    /// Reads `.env` in `directory` into the environment of the process, where workers and
    /// `${NAME}` find it too, and returns all of it. What is set already stays as it is.
    ///
    /// Call it before any thread is started: setting a variable is not safe beside one.
    ///
    /// # Errors
    /// When there is an `.env` that cannot be read or understood.
    pub fn with_dotenv(directory: &Path) -> Result<Self, dotenvy::Error> {
        let path = directory.join(".env");
        let mut from_dotenv = Vec::new();
        match dotenvy::from_path_iter(&path) {
            Ok(lines) => {
                for line in lines {
                    let (name, _) = line?;
                    if std::env::var_os(&name).is_none() {
                        from_dotenv.push(name);
                    }
                }
                dotenvy::from_path(&path)?;
            }
            Err(dotenvy::Error::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Ok(Self { variables: std::env::vars_os().filter_map(text).collect(), from_dotenv })
    }

    /// A variable that is set to something. Templates leave a key out by leaving it empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    pub(super) fn source(&self, name: &str) -> Source {
        let in_dotenv = self.from_dotenv.iter().any(|other| other == name);
        Source::Variable { name: name.to_owned(), in_dotenv }
    }
}

/// The variable that stands for a key, for the documentation.
pub(super) fn variable_of(key: &KeyPath) -> String {
    let keys: Vec<String> = key.keys().iter().map(|key| key.to_ascii_uppercase()).collect();
    format!("{PREFIX}{}", keys.join(NESTING))
}

/// Lays every variable that stands for a key over the tree; returns warnings.
pub(super) fn lay_over(
    tree: &mut Tree,
    environment: &Environment,
    issues: &mut Issues,
) -> Vec<String> {
    let mut warnings = Vec::new();
    for name in environment.variables.keys() {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let Some(text) = environment.get(name) else { continue };
        if NOT_SETTINGS.contains(&name.as_str()) {
            continue;
        }
        let key = key_of(rest, tree);
        if key.keys().len() > 1 {
            tree.set_text(key, text, environment.source(name));
        } else if let Some(near) = nearest_variable(rest) {
            let problem = format!("{name} is not a variable of this program");
            issues.push(Issue::general(problem, format!("did you mean {near}?")));
        } else {
            warnings.push(format!("{name} is not a variable of this program; it is ignored"));
        }
    }
    warnings
}

fn key_of(rest: &str, tree: &Tree) -> KeyPath {
    let mut keys: Vec<String> = rest.split(NESTING).map(str::to_ascii_lowercase).collect();
    if let [section, model, ..] = keys.as_mut_slice()
        && section == "models"
    {
        *model = model_name(model, tree);
    }
    KeyPath::new(keys)
}

/// The model that a variable means: a variable can spell neither `-` nor `.` nor capitals.
fn model_name(spelled: &str, tree: &Tree) -> String {
    let plain = |name: &str| name.to_ascii_lowercase().replace(|c: char| !c.is_alphanumeric(), "_");
    let configured = tree.children(&KeyPath::dotted("models"));
    let built_in = registry::names();
    let mut known = configured.into_iter().chain(built_in.iter().map(String::as_str));
    known.find(|name| plain(name) == spelled).unwrap_or(spelled).to_owned()
}

/// The variable that was meant. The prefix, which all share, does not make two of them alike.
fn nearest_variable(rest: &str) -> Option<String> {
    let known: Vec<String> = schema::all_keys().iter().map(variable_of).collect();
    let names = known.iter().map(String::as_str).chain(NOT_SETTINGS);
    let near = types::nearest(rest, names.filter_map(|name| name.strip_prefix(PREFIX)))?;
    Some(format!("{PREFIX}{near}"))
}
