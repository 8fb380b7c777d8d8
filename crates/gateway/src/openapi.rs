//! `/openapi.json`: the native routes for machines.
//!
//! Written by hand as JSON rather than derived from handlers: most handlers take and give bodies
//! that pass through verbatim, so there is little to derive, and the document stays readable. The
//! schemas are derived from the types of `api`.

mod batches;
mod bulk;
mod dead_letters;

use api::{
    Problem,
    inference::{BatchInferenceRequest, InferenceRequest, InferenceResult},
    openai::{BatchObject, BatchRequest, FileDeleted, FileObject},
    task::{
        BulkAnswer, BulkCancel, BulkSubmission, PageHandled, TaskAccepted, TaskPage, TaskStats,
        TaskView,
    },
};
use serde_json::{Map, Value, json};
use types::ErrorCode;
use utoipa::OpenApi;

use crate::{catalog, health};

#[derive(OpenApi)]
#[openapi(components(schemas(
    Problem,
    TaskAccepted,
    BulkSubmission,
    BulkAnswer,
    BulkCancel,
    TaskView,
    TaskPage,
    TaskStats,
    PageHandled,
    FileObject,
    FileDeleted,
    BatchRequest,
    BatchObject,
    BatchInferenceRequest,
    InferenceRequest,
    InferenceResult,
    catalog::ModelList,
    catalog::ModelCard,
    health::Health
)))]
struct Schemas;

/// The whole document.
pub fn document() -> Value {
    let derived = serde_json::to_value(Schemas::openapi()).unwrap_or_default();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Modelyard",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": "Models as services. Every error is `application/problem+json`; its \
                `code` is explained in docs/errors.",
        },
        "paths": paths(),
        "components": {
            "schemas": derived["components"]["schemas"],
            "parameters": parameters(),
        },
    })
}

fn paths() -> Value {
    let mut paths = Map::new();
    paths.append(&mut model_paths());
    paths.append(&mut task_paths());
    paths.append(&mut dead_letters::paths());
    paths.append(&mut batches::paths());
    paths.append(&mut operations_paths());
    Value::Object(paths)
}

fn model_paths() -> Map<String, Value> {
    let call = [422, 400, 404, 409, 413, 415, 429, 500, 502, 503, 504];
    let invoke = json!({
        "tags": ["models"],
        "summary": "Call a model and wait for its answer",
        "description": "A JSON body reaches the model verbatim, and its JSON answer comes back \
            wrapped. Other content types pass raw in both directions, with the id in x-task-id. \
            A model that streams answers with server-sent events or NDJSON.",
        "parameters": call_parameters("model"),
        "requestBody": {"required": true, "content": {"application/json": {"schema": {}}}},
        "responses": with_errors(&call, "200", json!({
            "description": "The model's answer.",
            "headers": {"x-task-id": {"schema": {"type": "string", "format": "uuid"}}},
            "content": {"application/json": {"schema": {
                "type": "object",
                "required": ["task_id", "result"],
                "properties": {"task_id": {"type": "string", "format": "uuid"}, "result": {}},
            }}},
        })),
    });
    let mut passed = json!({
        "tags": ["models"],
        "summary": "Call a named route of a model",
        "description": "Method, query, headers, body, WebSocket upgrade and answer pass untouched.",
        "parameters": [{"name": "route", "in": "path", "required": true,
            "schema": {"type": "string", "minLength": 1}}],
        "responses": {"default": {"description": "Whatever the model answers."}},
    });
    if let Some(list) = passed["parameters"].as_array_mut() {
        list.extend(call_parameters("model"));
    }
    let mut item = Map::new();
    for method in ["get", "post", "put", "patch", "delete"] {
        item.insert(method.into(), passed.clone());
    }
    Map::from_iter([
        ("/invoke/{model}".into(), json!({"post": invoke})),
        ("/invoke/{model}/{route}".into(), Value::Object(item)),
        (
            "/v1/models".into(),
            json!({"get": {
                "tags": ["models"],
                "summary": "List all models, and why some cannot be called",
                "responses": openai_shaped(with_errors(&[400], "200", schema("The models.", "ModelList"))),
            }}),
        ),
        (
            "/v1/models/{model}".into(),
            json!({"get": {
                "tags": ["models"],
                "summary": "Show one model",
                "parameters": [reference("model")],
                "responses": openai_shaped(with_errors(&[400, 404], "200", schema("The model.", "ModelCard"))),
            }}),
        ),
    ])
}

fn task_submission() -> Value {
    let mut parameters = call_parameters("model");
    parameters.extend([
        query("route", "Another route than the default one.", json!({"type": "string"})),
        query(
            "start_after",
            "Seconds to wait before it may run.",
            json!({"type": "number", "minimum": 0, "maximum": 100_000_000}),
        ),
        reference("idempotency-key"),
        reference("x-webhook-url"),
        reference("x-webhook-events"),
    ]);
    json!({
        "tags": ["tasks"],
        "summary": "Submit a task",
        "description": "Answered once the task is on disk; it then reaches exactly one final state.",
        "parameters": parameters,
        "requestBody": {"required": true, "content": {"application/json": {"schema": {}}}},
        "responses": with_errors(&[400, 404, 409, 413, 422, 503], "202", schema("It is queued.", "TaskAccepted")),
    })
}

fn task_paths() -> Map<String, Value> {
    let view = |codes: &[u16]| with_errors(codes, "200", schema("The task.", "TaskView"));
    let list = json!({
        "tags": ["tasks"],
        "summary": "List tasks, newest first",
        "parameters": [
            query("model", "Only of this model.", json!({"type": "string"})),
            query("tenant", "Only of this tenant.", json!({"type": "string"})),
            query("state", "Only in this state.", json!({"$ref": "#/components/schemas/TaskState"})),
            query("cursor", "`next_cursor` of the page before.", json!({"type": "string"})),
            query("limit", "Tasks on a page.", json!({"type": "integer", "minimum": 1, "maximum": 1000})),
        ],
        "responses": with_errors(&[400, 503], "200", schema("A page.", "TaskPage")),
    });
    let get = json!({
        "tags": ["tasks"],
        "summary": "Show a task",
        "parameters": [
            reference("id"),
            query("wait", "Seconds to wait until it has ended.", json!({"type": "number", "minimum": 0, "maximum": 60})),
            query("after", "With `wait`: until it stands otherwise than in this `version`.", json!({"type": "string"})),
            query("attempts", "Whether to tell how earlier attempts failed.", json!({"type": "boolean"})),
        ],
        "responses": view(&[400, 404, 503]),
    });
    let on_task = |summary: &str| {
        json!({
            "tags": ["tasks"],
            "summary": summary,
            "parameters": [reference("id")],
            "responses": view(&[400, 404, 409, 503]),
        })
    };
    let events = json!({
        "tags": ["tasks"],
        "summary": "Follow a task by server-sent events",
        "parameters": [reference("id")],
        "responses": with_errors(&[400, 404, 503], "200", json!({
            "description": "Events `state` and `progress`, until the task has ended.",
            "content": {"text/event-stream": {}},
        })),
    });
    Map::from_iter([
        ("/api/native/v1/tasks/stats".into(), json!({"get": task_stats()})),
        ("/api/native/v1/tasks/cancel".into(), json!({"post": bulk::cancel()})),
        ("/tasks".into(), json!({"get": list, "post": bulk::submit()})),
        ("/tasks/{model}".into(), json!({"post": task_submission()})),
        ("/tasks/{id}".into(), json!({"get": get, "delete": on_task("Cancel a task")})),
        ("/tasks/{id}/cancel".into(), json!({"post": on_task("Cancel a task")})),
        (
            "/tasks/{id}/retry".into(),
            json!({"post": on_task("Queue a task again that ended without a result")}),
        ),
        ("/tasks/{id}/events".into(), json!({"get": events})),
    ])
}

fn task_stats() -> Value {
    json!({
        "tags": ["tasks"],
        "summary": "Count tasks by model and state, and name the servers that share them",
        "responses": with_errors(&[400, 503], "200", schema("The counts.", "TaskStats")),
    })
}

fn operations_paths() -> Map<String, Value> {
    let health = |summary: &str| {
        json!({"get": {
            "tags": ["operations"],
            "summary": summary,
            "responses": with_errors(&[400], "200", schema("Well.", "Health"))
                .as_object()
                .cloned()
                .map(|mut all| {
                    all.insert("503".into(), schema("Not ready.", "Health"));
                    Value::Object(all)
                }),
        }})
    };
    let plain = |summary: &str, content_type: &str| {
        let mut content = Map::new();
        content.insert(content_type.into(), json!({}));
        json!({"get": {
            "tags": ["operations"],
            "summary": summary,
            "responses": with_errors(&[400], "200", json!({"description": "As it says.", "content": content})),
        }})
    };
    Map::from_iter([
        ("/healthz".into(), plain("The process answers", "application/json")),
        ("/health".into(), health("Everything about the state of the server")),
        ("/health/live".into(), health("The process answers")),
        ("/health/ready".into(), health("It can take work")),
        ("/metrics".into(), plain("Metrics for Prometheus", telemetry::metrics::CONTENT_TYPE)),
    ])
}

fn parameters() -> Value {
    let header = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "header", "description": description, "schema": schema});
    let name = json!({"type": "string", "pattern": "^[A-Za-z0-9._:@-]{1,128}$"});
    json!({
        "model": {"name": "model", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}},
        "id": {"name": "id", "in": "path", "required": true, "schema": {"type": "string", "format": "uuid"}},
        "x-deadline-ms": header("x-deadline-ms", "Time that the call has, in milliseconds.", json!({"type": "integer", "minimum": 0})),
        "x-priority": header("x-priority", "The class it waits in.", json!({"type": "string", "enum": ["low", "normal", "high"]})),
        "x-tenant": header("x-tenant", "Whose call it is.", name),
        "x-request-id": header("x-request-id", "Ties log lines together; echoed.", json!({"type": "string", "pattern": "^[!-~]{1,128}$"})),
        "x-webhook-url": header("x-webhook-url", "Who is told when the task ends.", json!({"type": "string", "format": "uri", "maxLength": 2048})),
        "x-webhook-events": header("x-webhook-events", "What it is told of, with commas between; beside x-webhook-url only. Without it, all ends.", json!({"type": "string", "pattern": "^(completed|failed|cancelled|dead|progress)(,(completed|failed|cancelled|dead|progress))*$"})),
        "idempotency-key": header("idempotency-key", "The same key and body give the same task.", json!({"type": "string", "pattern": "^[!-~]{1,255}$"})),
    })
}

fn call_parameters(path: &str) -> Vec<Value> {
    [path, "x-deadline-ms", "x-priority", "x-tenant", "x-request-id"].map(reference).into()
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

#[expect(clippy::needless_pass_by_value, reason = "`json!` values are made where they are passed")]
fn query(name: &str, description: &str, schema: Value) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": schema})
}

fn schema(description: &str, name: &str) -> Value {
    let reference = format!("#/components/schemas/{name}");
    json!({"description": description, "content": {"application/json": {"schema": {"$ref": reference}}}})
}

/// The same answers, with errors as the OpenAI API has them: below `/v1/` all have that shape.
fn openai_shaped(mut responses: Value) -> Value {
    let text = json!({"type": "string"});
    let error = json!({
        "type": "object",
        "required": ["message", "type", "param", "code"],
        "properties": {"message": text, "type": text, "param": {}, "code": text},
    });
    let body = json!({"type": "object", "required": ["error"], "properties": {"error": error}});
    for (status, response) in responses.as_object_mut().into_iter().flatten() {
        if !status.starts_with('2') {
            response["content"] = json!({"application/json": {"schema": body}});
        }
    }
    responses
}

/// The good answer, and one entry for each status of the error table that can occur.
fn with_errors(statuses: &[u16], good: &str, answer: Value) -> Value {
    let mut responses = Map::from_iter([(good.to_owned(), answer)]);
    for status in statuses {
        let codes: Vec<_> = ErrorCode::ALL
            .iter()
            .filter(|code| code.status() == *status)
            .map(|code| format!("`{}`", code.slug()))
            .collect();
        let problem = json!({"schema": {"$ref": "#/components/schemas/Problem"}});
        let content = json!({api::problem::PROBLEM_JSON: problem});
        responses.insert(
            status.to_string(),
            json!({"description": codes.join(", "), "content": content}),
        );
    }
    Value::Object(responses)
}
