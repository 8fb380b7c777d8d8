//! What became of a line, as a line of a file of results.

use api::{
    openai::{ErrorBody, OutputError, OutputLine, OutputResponse},
    task::{TaskState, TaskView},
};
use serde_json::value::{RawValue, to_raw_value};
use types::{ErrorCode, Fault};

use crate::lifecycle::Cause;

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Whether it has an answer.
    pub(crate) is_answered: bool,
    /// The line of results, without its end.
    pub(crate) text: String,
}

/// The outcome of a task that has ended.
pub(crate) fn of_task(batch: &str, custom_id: &str, task: &TaskView) -> Outcome {
    let is_answered = task.state == TaskState::Completed;
    let (status_code, body) = if is_answered {
        (200, one_line(task.result.as_deref()))
    } else {
        let code = task.error_code.as_deref().and_then(ErrorCode::from_slug);
        let code = code.unwrap_or(ErrorCode::InternalError);
        (code.status(), error_body(code, &detail(task.result.as_deref())))
    };
    let request_id = task.task_id.to_string();
    let response = OutputResponse { status_code, request_id, body };
    written(is_answered, batch, custom_id, Some(response), None)
}

/// The outcome of a line that no task was made for: asking again would give the same.
pub(crate) fn of_fault(batch: &str, custom_id: &str, fault: &Fault) -> Outcome {
    let body = error_body(fault.code, &fault.detail);
    let response =
        OutputResponse { status_code: fault.code.status(), request_id: String::new(), body };
    written(false, batch, custom_id, Some(response), None)
}

/// The outcome of a line that was not called.
pub(crate) fn of_cause(batch: &str, custom_id: &str, cause: Cause) -> Outcome {
    let (code, message) = cause.of_line();
    let error = OutputError { code: code.into(), message: message.into() };
    written(false, batch, custom_id, None, Some(error))
}

fn written(
    is_answered: bool,
    batch: &str,
    custom_id: &str,
    response: Option<OutputResponse>,
    error: Option<OutputError>,
) -> Outcome {
    // Names a line of a batch for good: its name is unique there.
    let id = format!("{}-{custom_id}", batch.replacen("batch_", "batch_req_", 1));
    let line = OutputLine { id, custom_id: custom_id.to_owned(), response, error };
    // It is made of texts, numbers and JSON, which always serialise.
    Outcome { is_answered, text: serde_json::to_string(&line).unwrap_or_default() }
}

/// JSON without line breaks: outside of its texts they are space, and inside they are escaped.
fn one_line(result: Option<&RawValue>) -> Box<RawValue> {
    let text = result.map_or("null", RawValue::get);
    let flat = text.replace(['\n', '\r'], " ");
    RawValue::from_string(flat).unwrap_or_default()
}

/// The words in `{"error": …}`.
fn detail(result: Option<&RawValue>) -> String {
    let value: serde_json::Value =
        result.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    value["error"].as_str().map_or_else(|| "the call failed".to_owned(), str::to_owned)
}

fn error_body(code: ErrorCode, message: &str) -> Box<RawValue> {
    to_raw_value(&ErrorBody::new(code, message, None)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use types::{Priority, TaskId};
    use uuid::Uuid;

    use super::*;

    fn task(state: TaskState, result: &str, error_code: Option<&str>) -> TaskView {
        let view = json!({
            "task_id": TaskId::new(Uuid::from_u128(7)), "model": "m", "payload": {}, "status": "x",
            "state": state, "ts": "1.0", "error_code": error_code, "attempt": 1,
            "priority": Priority::Low, "created_ms": 1, "updated_ms": 1, "attempts": [],
        });
        let mut view: TaskView = serde_json::from_value(view).unwrap();
        view.result = Some(RawValue::from_string(result.into()).unwrap());
        view
    }

    #[track_caller]
    fn read(outcome: &Outcome) -> Value {
        assert!(!outcome.text.contains('\n'));
        serde_json::from_str(&outcome.text).unwrap()
    }

    #[test]
    fn an_answer_stands_verbatim_in_its_line_but_for_line_breaks() {
        let answer = "{\n  \"n\": 1.50,\r\n \"text\": \"a\\nb\"\n}";
        let outcome = of_task("batch_1", "a", &task(TaskState::Completed, answer, None));
        assert!(outcome.is_answered && outcome.text.contains("1.50"), "{}", outcome.text);
        let line = read(&outcome);
        assert_eq!(line["id"], "batch_req_1-a");
        assert_eq!(line["custom_id"], "a");
        assert_eq!(line["response"]["status_code"], 200);
        assert_eq!(line["response"]["body"]["text"], "a\nb");
        assert_eq!(line["error"], Value::Null);
    }

    #[test]
    fn a_failure_has_the_status_and_the_body_that_a_call_would_have_had() {
        let failed = task(TaskState::Dead, r#"{"error":"boom"}"#, Some("handler_failed"));
        let outcome = of_task("batch_1", "a", &failed);
        assert!(!outcome.is_answered);
        let response = &read(&outcome)["response"];
        assert_eq!(response["status_code"], 500);
        let error = json!({"message": "boom", "type": "server_error", "param": null, "code": "handler_failed"});
        assert_eq!(response["body"]["error"], error);
        let gone =
            of_fault("batch_1", "a", &Fault::new(ErrorCode::ModelNotFound, "model m not found"));
        assert_eq!(read(&gone)["response"]["status_code"], 404);
    }

    #[test]
    fn a_line_that_was_not_called_says_why() {
        for (cause, code) in
            [(Cause::Expired, "batch_expired"), (Cause::Cancelled, "batch_cancelled")]
        {
            let line = read(&of_cause("batch_1", "a", cause));
            assert_eq!((&line["response"], &line["error"]["code"]), (&Value::Null, &json!(code)));
        }
    }
}
