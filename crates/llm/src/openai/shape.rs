//! What an answer must look like: the many names of one wish.

use api::openai::{ResponseFormat, SamplingFields, StructuredOutputs};
use serde_json::Value;

use super::ApiError;
use crate::guide::Grammar;

/// The field that asks for it, and the grammar.
pub(super) type Shape = (&'static str, Grammar);

/// The shape that a request asks for, if any.
pub(super) fn shape(fields: &SamplingFields) -> Result<Option<Shape>, ApiError> {
    let whitespace = fields.guided_whitespace_pattern.clone();
    let mut found: Vec<Shape> = Vec::new();
    if let Some(format) = &fields.response_format {
        found.extend(response_format(format, whitespace.clone())?);
    }
    if let Some(schema) = &fields.guided_json {
        found.push(("guided_json", json("guided_json", schema, whitespace)?));
    }
    if let Some(expression) = &fields.guided_regex {
        found.push(("guided_regex", Grammar::Regex(expression.clone())));
    }
    if let Some(choices) = &fields.guided_choice {
        found.push(("guided_choice", Grammar::Choice(choices.clone())));
    }
    if let Some(grammar) = &fields.guided_grammar {
        found.push(("guided_grammar", Grammar::Lark(grammar.clone())));
    }
    if let Some(outputs) = &fields.structured_outputs {
        found.extend(structured_outputs(outputs)?);
    }
    if let [(first, _), (second, _), ..] = found.as_slice() {
        let words =
            format!("`{first}` and `{second}` cannot both decide what the answer looks like");
        return Err(ApiError::invalid(*second, words));
    }
    Ok(found.pop())
}

fn response_format(
    format: &ResponseFormat,
    whitespace: Option<String>,
) -> Result<Option<Shape>, ApiError> {
    const SCHEMA: &str = "response_format.json_schema.schema";
    match format.kind.as_str() {
        "text" => Ok(None),
        "json_object" => {
            let schema = serde_json::json!({"type": "object"});
            Ok(Some(("response_format", Grammar::Json { schema, whitespace })))
        }
        "json_schema" => {
            let schema = format.json_schema.as_ref().and_then(|format| format.schema.clone());
            let schema = schema.ok_or_else(|| {
                ApiError::invalid(
                    SCHEMA,
                    format!("`{SCHEMA}` is missing; put the JSON schema there"),
                )
            })?;
            Ok(Some((SCHEMA, Grammar::Json { schema, whitespace })))
        }
        other => {
            let words = format!(
                "`response_format.type` is `text`, `json_object` or `json_schema`, not `{other}`"
            );
            Err(ApiError::invalid("response_format.type", words))
        }
    }
}

fn structured_outputs(outputs: &StructuredOutputs) -> Result<Vec<Shape>, ApiError> {
    let whitespace = &outputs.whitespace_pattern;
    let mut found: Vec<Shape> = Vec::new();
    if let Some(schema) = &outputs.json {
        let field = "structured_outputs.json";
        found.push((field, json(field, schema, whitespace.clone())?));
    }
    if outputs.json_object == Some(true) {
        let schema = serde_json::json!({"type": "object"});
        let grammar = Grammar::Json { schema, whitespace: whitespace.clone() };
        found.push(("structured_outputs.json_object", grammar));
    }
    if let Some(expression) = &outputs.regex {
        found.push(("structured_outputs.regex", Grammar::Regex(expression.clone())));
    }
    if let Some(choices) = &outputs.choice {
        found.push(("structured_outputs.choice", Grammar::Choice(choices.clone())));
    }
    if let Some(grammar) = &outputs.grammar {
        found.push(("structured_outputs.grammar", Grammar::Lark(grammar.clone())));
    }
    Ok(found)
}

/// A schema, or the text of one.
fn json(
    field: &'static str,
    schema: &Value,
    whitespace: Option<String>,
) -> Result<Grammar, ApiError> {
    let schema = match schema {
        Value::String(text) => serde_json::from_str(text).map_err(|error| {
            ApiError::invalid(field, format!("the text of `{field}` is not JSON: {error}"))
        })?,
        schema => schema.clone(),
    };
    Ok(Grammar::Json { schema, whitespace })
}
