//! What an answer may look like, and its translation for the library.

use std::fmt::Write;

use llguidance::api::TopLevelGrammar;
use serde_json::{Map, Value, json};

use crate::parse::{CALL_CLOSE, CALL_OPEN};

/// Deeper schemas are refused, so that following one takes a bounded stack.
const SCHEMA_DEPTH_MAX: usize = 64;
/// Larger schemas, expressions and grammars are refused, in bytes.
const SOURCE_BYTES_MAX: usize = 512 * 1024;

/// A grammar that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct BadGrammar {
    /// What is wrong with it.
    pub reason: String,
}

impl BadGrammar {
    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// What an answer must look like.
#[derive(Debug, Clone, PartialEq)]
pub enum Grammar {
    /// JSON that fits a schema. Without blank space, unless it is allowed by an expression.
    Json {
        /// The schema.
        schema: Value,
        /// Matches the blank space that may stand between the parts.
        whitespace: Option<String>,
    },
    /// The whole answer matches an expression.
    Regex(String),
    /// One of these.
    Choice(Vec<String>),
    /// A grammar in the Lark language.
    Lark(String),
    /// Calls of tools, and nothing else.
    Calls {
        /// Those that may be called.
        tools: Vec<Callable>,
        /// Whether there may be more than one call.
        several: bool,
    },
}

/// A function, as far as the grammar of its calls needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Callable {
    /// Its name.
    pub name: String,
    /// JSON schema of its arguments.
    pub parameters: Value,
}

impl Grammar {
    /// Any JSON object.
    pub fn json_object() -> Self {
        Self::Json { schema: json!({"type": "object"}), whitespace: None }
    }

    pub(super) fn translate(&self) -> Result<TopLevelGrammar, BadGrammar> {
        Ok(match self {
            Self::Json { schema, whitespace } => {
                let layout = Layout { whitespace: whitespace.as_deref(), ..Layout::COMPACT };
                TopLevelGrammar::from_json_schema(layout.apply(schema)?)
            }
            Self::Regex(expression) => {
                check_size(expression)?;
                TopLevelGrammar::from_regex(expression)
            }
            Self::Lark(grammar) => {
                check_size(grammar)?;
                TopLevelGrammar::from_lark(grammar.clone())
            }
            Self::Choice(choices) => {
                if choices.is_empty() || choices.iter().any(String::is_empty) {
                    return Err(BadGrammar::because("give at least one choice, and no empty one"));
                }
                let quoted: Vec<String> = choices.iter().map(|choice| quote(choice)).collect();
                let grammar = format!("start: {}\n", quoted.join(" | "));
                check_size(&grammar)?;
                TopLevelGrammar::from_lark(grammar)
            }
            Self::Calls { tools, several } => TopLevelGrammar::from_lark(calls(tools, *several)?),
        })
    }
}

/// How JSON is laid out.
#[derive(Clone, Copy)]
struct Layout<'a> {
    comma: &'a str,
    colon: &'a str,
    whitespace: Option<&'a str>,
}

impl Layout<'_> {
    const COMPACT: Self = Layout { comma: ",", colon: ":", whitespace: None };
    /// As chat templates show calls to models.
    const SPACED: Self = Layout { comma: ", ", colon: ": ", whitespace: None };

    /// Puts the layout into a schema, where the library looks for it.
    fn apply(self, schema: &Value) -> Result<Value, BadGrammar> {
        let mut schema = match schema {
            Value::Object(schema) => schema.clone(),
            Value::Bool(true) => Map::new(),
            _ => return Err(BadGrammar::because("a JSON schema is an object")),
        };
        let options = json!({
            "item_separator": self.comma,
            "key_separator": self.colon,
            "whitespace_flexible": false,
            "whitespace_pattern": self.whitespace,
            "coerce_one_of": true,
        });
        schema.insert("x-guidance".into(), options);
        let schema = Value::Object(schema);
        if depth(&schema) > SCHEMA_DEPTH_MAX {
            let words = format!("the schema is nested deeper than {SCHEMA_DEPTH_MAX} levels");
            return Err(BadGrammar::because(words));
        }
        check_size(&schema.to_string())?;
        Ok(schema)
    }
}

/// The form that `parse` reads back.
fn calls(tools: &[Callable], several: bool) -> Result<String, BadGrammar> {
    let more = if several { r#" ("\n" call)*"# } else { "" };
    let names: Vec<String> = (0..tools.len()).map(|number| format!("tool_{number}")).collect();
    let (open, close) = (quote(&format!("{CALL_OPEN}\n")), quote(&format!("\n{CALL_CLOSE}")));
    let mut grammar = format!("start: call{more}\ncall: {open} ({}) {close}\n", names.join(" | "));
    for (rule, tool) in names.iter().zip(tools) {
        let name = Value::from(tool.name.as_str());
        let head = quote(&format!(r#"{{"name": {name}, "arguments": "#));
        let in_tool = |error: BadGrammar| {
            BadGrammar::because(format!("the parameters of `{}`: {}", tool.name, error.reason))
        };
        let schema = Layout::SPACED.apply(&as_object(&tool.parameters)).map_err(in_tool)?;
        // Writing to a string cannot fail.
        let _ = writeln!(grammar, "{rule}: {head} %json {schema} \"}}\"");
    }
    check_size(&grammar)?;
    Ok(grammar)
}

/// Arguments are always an object, whatever the schema leaves open.
fn as_object(schema: &Value) -> Value {
    let mut schema = schema.clone();
    match &mut schema {
        Value::Object(fields) if !fields.contains_key("type") && !fields.contains_key("$ref") => {
            fields.insert("type".into(), "object".into());
        }
        Value::Null => schema = json!({"type": "object"}),
        _ => {}
    }
    schema
}

/// A text in the quotes of the Lark language, which are those of JSON.
fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

fn check_size(source: &str) -> Result<(), BadGrammar> {
    if source.len() <= SOURCE_BYTES_MAX {
        return Ok(());
    }
    let words = format!("it is larger than {} KiB", SOURCE_BYTES_MAX / 1024);
    Err(BadGrammar::because(words))
}

/// Bounded by the nesting that the JSON parser accepts.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// The library adds its state and a backtrace below.
pub(super) fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}
