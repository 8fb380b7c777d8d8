//! `/v1/files` and `/v1/batches` for machines.

use serde_json::{Map, Value, json};

use super::{openai_shaped, query, reference, schema, with_errors};

/// The paths of files and batches.
pub(super) fn paths() -> Map<String, Value> {
    let mut paths = file_paths();
    paths.append(&mut batch_paths());
    paths.insert("/api/v1/models/{model}/batch_inference".into(), json!({"post": inference()}));
    paths
}

fn file_paths() -> Map<String, Value> {
    let upload = json!({
        "tags": ["batches"],
        "summary": "Upload a file of calls",
        "description": "Answered once the file is on disk. One call a line: `custom_id`, `method`, `url`, `body`.",
        "requestBody": {"required": true, "content": {"multipart/form-data": {
            "schema": {"type": "object", "required": ["file", "purpose"], "properties": {
                "file": {"type": "string", "contentMediaType": "application/jsonl"},
                "purpose": {"type": "string", "enum": ["batch"]},
                "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
                "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2_592_000},
            }},
        }}},
        "responses": answers(&[400, 413, 415, 503], schema("The file.", "FileObject")),
    });
    let list = json!({
        "tags": ["batches"],
        "summary": "List files",
        "parameters": [
            query("purpose", "Only with this purpose.", json!({"type": "string"})),
            after(),
            query("order", "By age.", json!({"type": "string", "enum": ["asc", "desc"]})),
            query("limit", "Files on a page.", json!({"type": "integer", "minimum": 1, "maximum": 10_000})),
        ],
        "responses": answers(&[400, 503], page("FileObject")),
    });
    let get = |summary: &str, answer: Value| {
        json!({
            "tags": ["batches"],
            "summary": summary,
            "parameters": [id("file-")],
            "responses": answers(&[400, 404, 503], answer),
        })
    };
    let content = json!({
        "description": "Its bytes.",
        "content": {"application/octet-stream": {"schema": {"type": "string"}}},
    });
    let delete = json!({
        "tags": ["batches"],
        "summary": "Delete a file that no open batch reads",
        "parameters": [id("file-")],
        "responses": answers(&[400, 404, 409, 503], schema("It is deleted.", "FileDeleted")),
    });
    let show = get("Show a file", schema("The file.", "FileObject"));
    Map::from_iter([
        ("/v1/files".into(), json!({"post": upload, "get": list})),
        ("/v1/files/{id}".into(), json!({"get": show, "delete": delete})),
        ("/v1/files/{id}/content".into(), json!({"get": get("Read a file", content)})),
    ])
}

fn batch_paths() -> Map<String, Value> {
    let create = json!({
        "tags": ["batches"],
        "summary": "Call a model once for every line of a file",
        "description": "Answered once the batch is on disk; it then reaches exactly one final status.",
        "parameters": [reference("x-tenant")],
        "requestBody": {"required": true, "content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/BatchRequest"},
        }}},
        "responses": answers(&[400, 404, 413, 415, 503], schema("The batch.", "BatchObject")),
    });
    let list = json!({
        "tags": ["batches"],
        "summary": "List batches, newest first",
        "parameters": [
            after(),
            query("limit", "Batches on a page.", json!({"type": "integer", "minimum": 1, "maximum": 100})),
        ],
        "responses": answers(&[400, 503], page("BatchObject")),
    });
    let on_batch = |summary: &str, codes: &[u16]| {
        json!({
            "tags": ["batches"],
            "summary": summary,
            "parameters": [id("batch_")],
            "responses": answers(codes, schema("The batch.", "BatchObject")),
        })
    };
    let show = on_batch("Show a batch", &[400, 404, 503]);
    let cancel = on_batch("Cancel a batch", &[400, 404, 409, 503]);
    Map::from_iter([
        ("/v1/batches".into(), json!({"post": create, "get": list})),
        ("/v1/batches/{id}".into(), json!({"get": show})),
        ("/v1/batches/{id}/cancel".into(), json!({"post": cancel})),
    ])
}

fn inference() -> Value {
    let results =
        json!({"type": "array", "items": {"$ref": "#/components/schemas/InferenceResult"}});
    json!({
        "tags": ["batches"],
        "summary": "Call a model once for each request, and wait for all",
        "description": "As `ai-model-service` has it. Each request is a task; one that fails has an `error_message`.",
        "parameters": [reference("model"), reference("x-tenant")],
        "requestBody": {"required": true, "content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/BatchInferenceRequest"},
        }}},
        "responses": with_errors(&[400, 404, 413, 415, 422, 503], "200", json!({
            "description": "One result for each request, in their order.",
            "content": {"application/json": {"schema": results}},
        })),
    })
}

fn answers(codes: &[u16], good: Value) -> Value {
    openai_shaped(with_errors(codes, "200", good))
}

fn id(prefix: &str) -> Value {
    let schema = json!({"type": "string", "pattern": format!("^{prefix}[0-9a-f]{{32}}$")});
    json!({"name": "id", "in": "path", "required": true, "schema": schema})
}

fn after() -> Value {
    query("after", "`last_id` of the page before.", json!({"type": "string"}))
}

fn page(name: &str) -> Value {
    let id = json!({"type": ["string", "null"]});
    let reference = format!("#/components/schemas/{name}");
    let schema = json!({
        "type": "object",
        "required": ["object", "data", "has_more"],
        "properties": {
            "object": {"const": "list"},
            "data": {"type": "array", "items": {"$ref": reference}},
            "first_id": id,
            "last_id": id,
            "has_more": {"type": "boolean"},
        },
    });
    json!({"description": "A page.", "content": {"application/json": {"schema": schema}}})
}
