//! One line of a worker as a log record.

use serde_json::{Map, Value};
use tracing::Level;

/// What a line says, and how loudly.
#[derive(Debug, PartialEq)]
pub(super) struct Record {
    pub(super) level: Level,
    pub(super) message: String,
    /// How far it has come with what the message says, 0 to 100, if it says so.
    pub(super) percent: Option<f64>,
    /// What else the worker wrote into its record, as a JSON object; empty for plain lines.
    pub(super) fields: String,
}

impl Record {
    /// Reads a line. A JSON object with a level and a message is a record of its own; everything
    /// else is a plain line at `info`, on both streams, because many programs log to stderr.
    pub(super) fn parse(line: &str) -> Self {
        line.starts_with('{')
            .then(|| serde_json::from_str(line).ok())
            .flatten()
            .and_then(Self::from_object)
            .unwrap_or_else(|| Self {
                level: Level::INFO,
                message: line.to_owned(),
                percent: None,
                fields: String::new(),
            })
    }

    fn from_object(mut object: Map<String, Value>) -> Option<Self> {
        let level = level(object.get("level")?.as_str()?)?;
        // The JSON format of `tracing` puts the message and its fields one level down.
        if let Some(Value::Object(inner)) = object.shift_remove("fields") {
            object.extend(inner);
        }
        let message = object.shift_remove("message")?.as_str()?.to_owned();
        // Our own record says these already.
        for known in ["level", "timestamp", "model", "launch_id"] {
            object.shift_remove(known);
        }
        let percent = object.get("percent").and_then(Value::as_f64);
        let percent = percent.map(|percent| percent.clamp(0.0, 100.0));
        let fields = match object.is_empty() {
            true => String::new(),
            false => Value::Object(object).to_string(),
        };
        Some(Self { level, message, percent, fields })
    }
}

fn level(word: &str) -> Option<Level> {
    match word.to_ascii_lowercase().as_str() {
        "trace" => Some(Level::TRACE),
        "debug" => Some(Level::DEBUG),
        "info" | "notice" => Some(Level::INFO),
        "warn" | "warning" => Some(Level::WARN),
        "error" | "critical" | "fatal" => Some(Level::ERROR),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_its_level_and_its_fields() {
        check(
            r#"{"level":"WARNING","message":"slow","call":"7","ms":12}"#,
            (Level::WARN, "slow", r#"{"call":"7","ms":12}"#),
        );
    }

    #[test]
    fn the_nested_form_is_understood() {
        check(
            r#"{"timestamp":"t","level":"ERROR","fields":{"message":"no","model":"m","a":1},"target":"w"}"#,
            (Level::ERROR, "no", r#"{"target":"w","a":1}"#),
        );
    }

    #[test]
    fn everything_else_is_a_plain_line() {
        for line in ["hello", "{broken", "{}", r#"{"level":"loud","message":"x"}"#, "[1]"] {
            check(line, (Level::INFO, line, ""));
        }
    }

    #[test]
    fn a_record_may_say_how_far_its_worker_has_come() {
        for (line, percent) in [
            (r#"{"level":"INFO","message":"packing","percent":12.5}"#, Some(12.5)),
            (r#"{"level":"INFO","message":"packing","percent":101}"#, Some(100.0)),
            (r#"{"level":"INFO","message":"packing","percent":"much"}"#, None),
            ("50%", None),
        ] {
            assert_eq!(Record::parse(line).percent, percent, "{line}");
        }
    }

    #[track_caller]
    fn check(line: &str, (level, message, fields): (Level, &str, &str)) {
        let (message, fields) = (message.to_owned(), fields.to_owned());
        assert_eq!(Record::parse(line), Record { level, message, percent: None, fields });
    }
}
