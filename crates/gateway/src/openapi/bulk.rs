//! Many tasks in one request.

use serde_json::{Value, json};

use super::{query, reference, schema, with_errors};

pub(super) fn submit() -> Value {
    let headers = ["x-deadline-ms", "x-priority", "x-tenant", "x-request-id"].map(reference);
    json!({
        "tags": ["tasks"],
        "summary": "Submit many tasks",
        "description": "Each is accepted or refused for itself; the answer tells which. It is an \
            error only if none is accepted: then it is the first refusal.",
        "parameters": headers,
        "requestBody": body("BulkSubmission", true),
        "responses": with_errors(
            &[400, 404, 409, 413, 422, 503],
            "202",
            schema("How it went with each.", "BulkAnswer"),
        ),
    })
}

pub(super) fn cancel() -> Value {
    json!({
        "tags": ["tasks"],
        "summary": "Cancel many tasks",
        "description": "Those that the body names, or a page of those that the query describes.",
        "parameters": [
            query("model", "Only of this model.", json!({"type": "string"})),
            query("tenant", "Only of this tenant.", json!({"type": "string"})),
            query("state", "Only in this state.", json!({"$ref": "#/components/schemas/TaskState"})),
            query("cursor", "`next_cursor` of the page before.", json!({"type": "string"})),
            query(
                "limit",
                "Tasks on a page.",
                json!({"type": "integer", "minimum": 1, "maximum": 1000}),
            ),
        ],
        "requestBody": body("BulkCancel", false),
        "responses": with_errors(
            &[400, 413, 422, 503],
            "200",
            schema("What was done.", "PageHandled"),
        ),
    })
}

fn body(name: &str, required: bool) -> Value {
    let shape = json!({"$ref": format!("#/components/schemas/{name}")});
    json!({"required": required, "content": {"application/json": {"schema": shape}}})
}
