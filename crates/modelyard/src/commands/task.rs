//! `modelyard task`

mod bulk;
mod dead;

use std::time::{Duration, Instant};

use adapters::client::{GatewayClient, GatewayError};
use api::{
    headers,
    task::{TaskAccepted, TaskPage, TaskState, TaskStats, TaskView},
};
use http::Method;
use types::TaskId;

use super::{output, request};
use crate::{
    cli::{ListArgs, SubmitArgs, TaskCommand},
    failure::Failure,
};

/// How long one request waits for the end of a task; the server allows up to 60 s.
const POLL: Duration = Duration::from_secs(30);

pub(super) async fn run(command: TaskCommand) -> Result<(), Failure> {
    match command {
        TaskCommand::Submit(args) => submit(args).await,
        TaskCommand::Get { id, attempts, connection } => {
            let client = request::client(&connection)?;
            let path = format!("/tasks/{id}{}", if attempts { "?attempts=true" } else { "" });
            output::print_value(&told(client.get::<TaskView>(&path).await)?)
        }
        TaskCommand::Wait { id, timeout, connection } => {
            let client = request::client(&connection)?;
            print_end(&client, id, timeout.map(Duration::from_secs)).await
        }
        TaskCommand::List(args) => {
            let client = request::client(&args.connection)?;
            output::print_value(&told(client.get::<TaskPage>(&list_path(&args)).await)?)
        }
        TaskCommand::Dead(command) => dead::run(command).await,
        TaskCommand::Stats { connection } => {
            let client = request::client(&connection)?;
            let path = "/api/native/v1/tasks/stats";
            output::print_value(&told(client.get::<TaskStats>(path).await)?)
        }
        TaskCommand::Cancel(args) => bulk::cancel(args).await,
    }
}

fn told<T>(result: Result<T, GatewayError>) -> Result<T, Failure> {
    result.map_err(|error| request::refused(&error))
}

async fn submit(args: SubmitArgs) -> Result<(), Failure> {
    if args.lines {
        return bulk::submit(args).await;
    }
    let body = request::body(args.body)?;
    let mut client = request::client(&args.connection)?;
    let named = [
        (headers::PRIORITY, args.priority.map(|class| class.as_str().to_owned())),
        (headers::IDEMPOTENCY_KEY, args.idempotency_key),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            client = client
                .with_header(name, &value)
                .map_err(|error| Failure::misuse(error.to_string()))?;
        }
    }
    let path = format!("/tasks/{}", args.model);
    let answer = told(client.send(Method::POST, &path, Some(body)).await)?;
    let accepted: TaskAccepted = request::json(answer).await?;
    if args.wait {
        return print_end(&client, accepted.task_id, None).await;
    }
    output::print_value(&accepted)
}

/// Waits for the end of a task and prints it. Only a completed task is a success.
async fn print_end(
    client: &GatewayClient,
    id: TaskId,
    timeout: Option<Duration>,
) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let left =
            timeout.map_or(POLL, |timeout| timeout.saturating_sub(begun.elapsed()).min(POLL));
        let path = format!("/tasks/{id}?wait={:.3}", left.as_secs_f64());
        let view: TaskView = told(client.get(&path).await)?;
        let is_late = timeout.is_some_and(|timeout| begun.elapsed() >= timeout);
        if view.state.is_terminal() {
            output::print_value(&view)?;
            let state = view.state.as_str();
            return match view.state {
                TaskState::Completed => Ok(()),
                _ => Err(Failure::new(format!("task {id} is {state}"))),
            };
        }
        if is_late {
            let state = view.state.as_str();
            return Err(Failure::new(format!("task {id} is still {state}"))
                .hint("it goes on; wait again, or cancel it with `modelyard task cancel`"));
        }
    }
}

fn list_path(args: &ListArgs) -> String {
    let query = request::query([
        ("model", args.model.as_ref().map(ToString::to_string)),
        ("state", args.state.map(|state| state.as_str().to_owned())),
        ("limit", args.limit.map(|limit| limit.to_string())),
        ("cursor", args.cursor.clone()),
    ]);
    format!("/tasks?{query}")
}
