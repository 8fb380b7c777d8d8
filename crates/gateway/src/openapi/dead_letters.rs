//! The paths of dead letters.

use serde_json::{Map, Value, json};
use types::ErrorCode;

use super::{query, reference, schema, with_errors};

pub(super) fn paths() -> Map<String, Value> {
    let one = |summary: &str, answer: (&str, Value)| {
        json!({
            "tags": ["dead letters"],
            "summary": summary,
            "parameters": [reference("id")],
            "responses": with_errors(&[400, 404, 503], answer.0, answer.1),
        })
    };
    let many = |summary: &str, answer: Value| {
        json!({
            "tags": ["dead letters"],
            "summary": summary,
            "parameters": filter(),
            "responses": with_errors(&[400, 503], "200", answer),
        })
    };
    let task = || ("200", schema("The task.", "TaskView"));
    let gone = ("204", json!({"description": "Nothing is known of it any more."}));
    let handled = || schema("What was done.", "PageHandled");
    let base = "/api/native/v1/dead-letters";
    Map::from_iter([
        (
            base.to_owned(),
            json!({"get": many("List tasks that used up their attempts", schema("A page.", "TaskPage"))}),
        ),
        (
            format!("{base}/replay"),
            json!({"post": many("Queue a page of dead letters again", handled())}),
        ),
        (
            format!("{base}/discard"),
            json!({"post": many("Throw a page of dead letters away", handled())}),
        ),
        (
            format!("{base}/{{id}}"),
            json!({
                "get": one("Show a dead letter with its attempts", task()),
                "delete": one("Throw a dead letter away", gone),
            }),
        ),
        (
            format!("{base}/{{id}}/replay"),
            json!({"post": one("Queue a dead letter again", task())}),
        ),
    ])
}

fn filter() -> Vec<Value> {
    let slugs: Vec<_> = ErrorCode::ALL.iter().map(|code| code.slug()).collect();
    vec![
        query("model", "Only of this model.", json!({"type": "string"})),
        query("tenant", "Only of this tenant.", json!({"type": "string"})),
        query("error_code", "Only with this last error.", json!({"type": "string", "enum": slugs})),
        query("cursor", "`next_cursor` of the page before.", json!({"type": "string"})),
        query(
            "limit",
            "Tasks on a page.",
            json!({"type": "integer", "minimum": 1, "maximum": 1000}),
        ),
    ]
}
