//! `POST /api/v1/models/{model}/batch_inference`: many calls in one request, as `ai-model-service` has
//! it. Each is a durable task; the answer waits for all of them.

use std::time::Duration;

use ::tasks::Submission;
use api::{
    inference::{BatchInferenceRequest, InferenceRequest, InferenceResult},
    task::{TaskState, TaskView},
};
use axum::{
    Json,
    extract::{Path, Request, State},
};
use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use types::{ErrorCode, Fault, ModelName, TaskId};

use crate::{
    Gateway,
    context::CallContext,
    failure::Failure,
    intake::{check_json, is_json, read},
    passage::model_named,
};

/// Most calls of one request: whoever has more sends a file.
const REQUESTS_MAX: usize = 1000;

/// Time that a call may have, in seconds.
const TIMEOUT_SECONDS: std::ops::RangeInclusive<u32> = 1..=300;

/// Beyond its own time a task ends soon; its record is looked at this often until then.
const LOOK: Duration = Duration::from_secs(5);

/// Calls the model's default route with `{"input_data", "parameters"}` once for each request.
pub(crate) async fn batch(
    State(gateway): State<Gateway>,
    Path(model): Path<String>,
    request: Request,
) -> Result<Json<Vec<InferenceResult>>, Failure> {
    let model = model_named(&gateway, &model)?;
    let (parts, body) = request.into_parts();
    if !is_json(&parts.headers) {
        let detail = "send the body as JSON, with the header `Content-Type: application/json`";
        return Err(Failure::new(ErrorCode::UnsupportedMediaType, detail));
    }
    let context = CallContext::of(&parts.headers)?;
    let asked = asked(&read(body, gateway.settings.body_bytes_max).await?)?;
    let submissions = asked.iter().map(|one| submission(&model, &context, one)).collect();
    let accepted = gateway.tasks.submit_all(submissions).await;
    let version = gateway.fleet.view(&model).map(|view| view.spec.version.clone());
    let version = version.unwrap_or_default();
    let results = accepted.into_iter().zip(&asked).map(async |(accepted, asked)| {
        let ended = match accepted {
            Ok(accepted) => end(&gateway, accepted.task_id).await,
            Err(fault) => Err(fault),
        };
        match ended {
            Ok(task) => result(&task, asked, &version),
            Err(fault) => refused(&model, &fault),
        }
    });
    Ok(Json(join_all(results).await))
}

fn asked(body: &[u8]) -> Result<Vec<InferenceRequest>, Failure> {
    check_json(body)?;
    // Serde would take the items of an array for the fields of an object, one after another.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(bad("the body must be an object, {\"requests\": […]}".into()));
    }
    let asked = serde_json::from_slice::<BatchInferenceRequest>(body);
    let requests = asked.map_err(|error| bad(format!("the body does not fit: {error}")))?.requests;
    if !(1..=REQUESTS_MAX).contains(&requests.len()) {
        return Err(bad(format!("requests: send 1 to {REQUESTS_MAX} of them; more go as a file")));
    }
    let late = requests.iter().position(|one| !TIMEOUT_SECONDS.contains(&one.timeout));
    if let Some(at) = late {
        return Err(bad(format!("requests[{at}].timeout: it must be 1 to 300 seconds")));
    }
    Ok(requests)
}

fn bad(detail: String) -> Failure {
    Failure::new(ErrorCode::InvalidInput, detail)
}

fn submission(model: &ModelName, context: &CallContext, asked: &InferenceRequest) -> Submission {
    let body = json!({ "input_data": asked.input_data, "parameters": asked.parameters });
    Submission {
        model: model.clone(),
        tenant: context.tenant.clone(),
        priority: asked.priority,
        route: None,
        payload: Bytes::from(body.to_string()),
        content_type: Some("application/json".into()),
        idempotency_key: None,
        deadline: Some(Duration::from_secs(asked.timeout.into())),
        start_after: None,
        webhook: None,
        traceparent: None,
        request_id: String::new(),
    }
}

/// Waits for the end of a task, which its deadline brings.
async fn end(gateway: &Gateway, id: TaskId) -> Result<TaskView, Fault> {
    loop {
        let view = gateway.tasks.wait(id, LOOK).await?;
        if view.state.is_terminal() {
            return Ok(view);
        }
        if gateway.draining.is_cancelled() {
            let detail =
                format!("the server is shutting down; task {id} goes on with the next one");
            return Err(Fault::new(ErrorCode::ServerDraining, detail));
        }
    }
}

/// What a model of that service answers has a `result` and more beside it; any other answer is the
/// result.
fn result(task: &TaskView, asked: &InferenceRequest, version: &str) -> InferenceResult {
    let answer: Value = task
        .result
        .as_ref()
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default();
    let blank = InferenceResult {
        request_id: task.task_id.to_string(),
        model_id: task.model.to_string(),
        result: Map::new(),
        confidence: None,
        processing_time: task.updated_ms.saturating_sub(task.created_ms),
        model_version: "unknown".into(),
        resource_usage: Map::new(),
        error_message: None,
    };
    if task.state != TaskState::Completed {
        let said = answer["error"].as_str().unwrap_or("the call failed");
        let error_message = Some(failure(task.error_code.as_deref(), said, asked.timeout));
        return InferenceResult { error_message, ..blank };
    }
    let is_full = answer.get("result").is_some();
    let own = |key: &str| answer.get(key).filter(|_| is_full).cloned();
    let named = own("model_version").and_then(|value| value.as_str().map(str::to_owned));
    InferenceResult {
        confidence: own("confidence").and_then(|value| value.as_f64()),
        model_version: named.unwrap_or_else(|| version.to_owned()),
        resource_usage: own("resource_usage").map(object).unwrap_or_default(),
        result: object(own("result").unwrap_or(answer)),
        ..blank
    }
}

/// An object as it is, anything else in one.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

/// The words of that service.
fn failure(code: Option<&str>, said: &str, timeout: u32) -> String {
    match code.and_then(ErrorCode::from_slug) {
        Some(ErrorCode::DeadlineExceeded) => format!("推理请求超时 ({timeout}秒)"),
        Some(code @ (ErrorCode::HandlerFailed | ErrorCode::InvalidInput)) => {
            format!("推理请求失败: HTTP {}: {said}", code.status())
        }
        _ => format!("推理执行异常: {said}"),
    }
}

fn refused(model: &ModelName, fault: &Fault) -> InferenceResult {
    InferenceResult {
        request_id: String::new(),
        model_id: model.to_string(),
        result: Map::new(),
        confidence: None,
        processing_time: 0,
        model_version: "unknown".into(),
        resource_usage: Map::new(),
        error_message: Some(failure(Some(fault.code.slug()), &fault.detail, 0)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn ended(state: TaskState, answer: &str, code: Option<&str>) -> InferenceResult {
        let view = json!({
            "task_id": "0198c0de-7b1a-7f00-8000-3f1f6e0c2a13", "model": "m", "payload": {},
            "status": "x", "state": state, "ts": "1.0", "error_code": code, "attempt": 1,
            "priority": "normal", "created_ms": 1000, "updated_ms": 1250,
        });
        let mut task: TaskView = serde_json::from_value(view).unwrap();
        task.result = Some(RawValue::from_string(answer.into()).unwrap());
        let asked = asked(br#"{"requests": [{"input_data": {}, "timeout": 7}]}"#).ok().unwrap();
        result(&task, &asked[0], "3")
    }

    #[test]
    fn the_answer_of_a_model_of_that_service_is_taken_apart() {
        let answer = r#"{"result": {"a": 1}, "confidence": 0.5, "model_version": "9", "resource_usage": {"cpu": 1}}"#;
        let found = ended(TaskState::Completed, answer, None);
        assert_eq!((&found.result["a"], found.confidence), (&json!(1), Some(0.5)));
        assert_eq!((&*found.model_version, found.processing_time), ("9", 250));
        assert_eq!((&found.resource_usage["cpu"], found.error_message), (&json!(1), None));
    }

    #[test]
    fn any_other_answer_is_the_result() {
        let found = ended(TaskState::Completed, r#"{"label": "cat", "confidence": 0.5}"#, None);
        assert_eq!((&found.result["label"], found.confidence), (&json!("cat"), None));
        assert_eq!(found.model_version, "3");
        assert_eq!(ended(TaskState::Completed, "[7]", None).result["value"], json!([7]));
    }

    #[test]
    fn a_failure_has_the_words_of_that_service() {
        let said = |code| {
            let found = ended(TaskState::Failed, r#"{"error": "boom"}"#, Some(code));
            assert_eq!((found.result.len(), &*found.model_version), (0, "unknown"));
            found.error_message.unwrap()
        };
        assert_eq!(said("deadline_exceeded"), "推理请求超时 (7秒)");
        assert_eq!(said("handler_failed"), "推理请求失败: HTTP 500: boom");
        assert_eq!(said("worker_failed"), "推理执行异常: boom");
    }

    #[test]
    fn a_request_that_does_not_fit_is_named() {
        for (body, expected) in [
            ("[]", "must be an object"),
            ("{}", "missing field `requests`"),
            (r#"{"requests": []}"#, "send 1 to 1000"),
            (
                r#"{"requests": [{"input_data": {}}, {"input_data": {}, "timeout": 0}]}"#,
                "requests[1].timeout",
            ),
            (r#"{"requests": [{"input_data": 7}]}"#, "expected a map"),
            (r#"{"requests": [{"input_data": {}, "priority": "soon"}]}"#, "soon"),
        ] {
            let Err(Failure(fault)) = asked(body.as_bytes()) else { panic!("{body}") };
            assert!(fault.detail.contains(expected), "{}", fault.detail);
        }
    }
}
