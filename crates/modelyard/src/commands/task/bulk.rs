//! `modelyard task submit --lines` and `modelyard task cancel`: many tasks.

use adapters::client::GatewayClient;
use api::task::{
    BulkAnswer, BulkOutcome, BulkSubmission, BulkTask, PageHandled, TaskAccepted, TaskView,
};
use bytes::Bytes;
use http::Method;
use serde_json::value::RawValue;

use super::told;
use crate::{
    cli::{CancelArgs, SubmitArgs},
    commands::{output, request},
    failure::Failure,
};

/// Tasks of one request; a server takes more.
const TOGETHER: usize = 500;

/// Lines that were refused and are told one by one; the rest is only counted.
const TOLD_MAX: usize = 10;

/// Submits each line, prints the ids, and fails if one was refused.
pub(super) async fn submit(args: SubmitArgs) -> Result<(), Failure> {
    let text = request::text(args.body.clone())?;
    let tasks = lines(&args, &text)?;
    let client = request::client(&args.connection)?;
    let mut refused = Vec::new();
    let mut numbers = 1..;
    for tasks in tasks.chunks(TOGETHER) {
        let outcomes = submit_together(&client, tasks).await?.tasks;
        for (number, outcome) in numbers.by_ref().zip(outcomes) {
            match outcome {
                BulkOutcome::Accepted(TaskAccepted { task_id, .. }) => {
                    output::print(format!("{task_id}\n").as_bytes())?;
                }
                BulkOutcome::Refused(refusal) => {
                    refused.push(format!("task {number}: {}", refusal.detail));
                }
            }
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    let failure = Failure::new(format!("{} of {} tasks were refused", refused.len(), tasks.len()));
    refused.truncate(TOLD_MAX);
    Err(failure.hint(refused.join("\n      ")))
}

fn lines(args: &SubmitArgs, text: &str) -> Result<Vec<BulkTask>, Failure> {
    let numbered = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let task = |(number, line): (usize, &str)| {
        let payload = RawValue::from_string(line.trim().to_owned())
            .map_err(|error| Failure::misuse(format!("line {number} is not JSON: {error}")))?;
        Ok(BulkTask {
            model: args.model.to_string(),
            payload,
            route: None,
            idempotency_key: args.idempotency_key.as_ref().map(|key| format!("{key}-{number}")),
            priority: args.priority,
            deadline_ms: None,
            start_after: None,
        })
    };
    numbered.map(task).collect()
}

async fn submit_together(
    client: &GatewayClient,
    tasks: &[BulkTask],
) -> Result<BulkAnswer, Failure> {
    let body = serde_json::to_vec(&BulkSubmission { tasks: tasks.to_vec() })
        .map_err(|error| Failure::new(format!("the tasks have no JSON form: {error}")))?;
    let answer = told(client.send(Method::POST, "/tasks", Some(Bytes::from(body))).await)?;
    request::json(answer).await
}

/// Cancels one task, or page by page all that match.
pub(super) async fn cancel(args: CancelArgs) -> Result<(), Failure> {
    let client = request::client(&args.connection)?;
    if let Some(id) = args.id {
        let path = format!("/tasks/{id}/cancel");
        let answer = told(client.send(Method::POST, &path, None).await)?;
        return output::print_value(&request::json::<TaskView>(answer).await?);
    }
    let query = request::query([
        ("limit", Some(TOGETHER.to_string())),
        ("model", args.model.map(|model| model.to_string())),
        ("state", args.state.map(|state| state.as_str().to_owned())),
    ]);
    let path = format!("/api/native/v1/tasks/cancel?{query}");
    let handled = request::each_page(&client, &path).await?;
    output::print_value(&PageHandled { handled, next_cursor: None })
}
