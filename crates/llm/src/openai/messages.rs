//! The messages of a conversation, as chat templates see them.

use api::openai::{Content, ContentPart, Message, PastCall};
use serde_json::{Map, Value, json};

use super::ApiError;

/// Messages of one conversation. Long before, it fills every context, and templates go through them
/// several times.
const MESSAGES_MAX: usize = 2_048;

/// Checks the messages and turns them into what templates were written for: contents are texts,
/// arguments of calls are objects.
pub(super) fn for_template(messages: &[Message]) -> Result<Vec<Value>, ApiError> {
    if messages.is_empty() {
        return Err(ApiError::invalid("messages", "No messages provided"));
    }
    if messages.len() > MESSAGES_MAX {
        let words = format!("`messages` has 1 to {MESSAGES_MAX} messages, not {}", messages.len());
        return Err(ApiError::invalid("messages", words));
    }
    messages.iter().enumerate().map(|(number, message)| one(number, message)).collect()
}

fn one(number: usize, message: &Message) -> Result<Value, ApiError> {
    let role = match message.role.as_str() {
        // The newer name of the same role; templates know the older one.
        "developer" => "system",
        role @ ("system" | "user" | "assistant" | "tool") => role,
        other => {
            let param = format!("messages[{number}].role");
            let words = format!(
                "`{param}` is `system`, `developer`, `user`, `assistant` or `tool`, not `{other}`"
            );
            return Err(ApiError::invalid(param, words));
        }
    };
    let calls = message.tool_calls.as_deref().unwrap_or_default();
    let mut fields = Map::new();
    fields.insert("role".into(), role.into());
    fields.insert("content".into(), content(number, message, role == "assistant")?);
    if let Some(thoughts) = &message.reasoning_content {
        fields.insert("reasoning_content".into(), thoughts.as_str().into());
    }
    if let Some(name) = &message.name {
        fields.insert("name".into(), name.as_str().into());
    }
    if let Some(id) = &message.tool_call_id {
        fields.insert("tool_call_id".into(), id.as_str().into());
    }
    if !calls.is_empty() {
        fields.insert("tool_calls".into(), calls.iter().map(call).collect());
    }
    Ok(Value::Object(fields))
}

fn content(number: usize, message: &Message, may_be_absent: bool) -> Result<Value, ApiError> {
    let param = format!("messages[{number}].content");
    match &message.content {
        Some(Content::Text(text)) => Ok(text.as_str().into()),
        Some(Content::Parts(parts)) => {
            let texts: Result<Vec<&str>, ApiError> =
                parts.iter().enumerate().map(|(at, part)| text_of(&param, at, part)).collect();
            Ok(texts?.join("\n").into())
        }
        None if may_be_absent && message.tool_calls.is_some() => Ok(Value::Null),
        None if may_be_absent => Ok("".into()),
        None => {
            let words = format!("`{param}` is missing; a message of this role has content");
            Err(ApiError::invalid(param, words))
        }
    }
}

fn text_of<'a>(content: &str, at: usize, part: &'a ContentPart) -> Result<&'a str, ApiError> {
    let param = format!("{content}[{at}]");
    match (part.kind.as_str(), &part.text) {
        ("text", Some(text)) => Ok(text),
        ("text", None) => {
            let words = format!("`{param}` is a text part without `text`");
            Err(ApiError::invalid(param, words))
        }
        (other, _) => {
            let words = format!(
                "`{param}` is of type `{other}`; this model takes text, so use `text` parts"
            );
            Err(ApiError::invalid(param, words))
        }
    }
}

fn call(call: &PastCall) -> Value {
    let arguments = match &call.function.arguments {
        // JSON text, as this API writes it. What is no JSON is shown to the template as it is.
        Value::String(text) => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()))
        }
        Value::Null => json!({}),
        object => object.clone(),
    };
    let function = json!({"name": call.function.name, "arguments": arguments});
    json!({"id": call.id, "type": "function", "function": function})
}
