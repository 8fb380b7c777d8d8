//! `modelyard batch`

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    time::Duration,
};

use adapters::client::{GatewayClient, GatewayError};
use api::openai::{BatchObject, BatchStatus, FileObject, ListPage};
use bytes::Bytes;
use http::{Method, header};
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::{output, request};
use crate::{
    cli::{BatchCommand, BatchSubmitArgs, Connection},
    failure::Failure,
};

/// Between two looks at a batch that is waited for.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn run(command: BatchCommand) -> Result<(), Failure> {
    match command {
        BatchCommand::Submit(args) => submit(&args).await,
        BatchCommand::Get { id, connection } => {
            output::print_value(&batch(&request::client(&connection)?, &id).await?)
        }
        BatchCommand::Wait { id, connection } => {
            print_end(&request::client(&connection)?, &id).await
        }
        BatchCommand::Results { id, errors, connection } => {
            results(&request::client(&connection)?, &id, errors).await
        }
        BatchCommand::List { limit, after, connection } => list(limit, after, &connection).await,
        BatchCommand::Cancel { id, connection } => {
            let client = request::client(&connection)?;
            let answer = client.send(Method::POST, &format!("/v1/batches/{id}/cancel"), None).await;
            output::print_value(&request::json::<BatchObject>(told(answer)?).await?)
        }
    }
}

fn told<T>(result: Result<T, GatewayError>) -> Result<T, Failure> {
    result.map_err(|error| request::refused(&error))
}

async fn submit(args: &BatchSubmitArgs) -> Result<(), Failure> {
    let endpoint = match &args.endpoint {
        Some(endpoint) => endpoint.clone(),
        None => first_url(&args.file)?,
    };
    let content = fs::read(&args.file).map_err(|error| unreadable(&args.file, &error))?;
    let name = args.file.file_name().map(|name| name.to_string_lossy().into_owned());
    let client = request::client(&args.connection)?;
    let file = upload(&client, name.as_deref().unwrap_or("calls.jsonl"), &content).await?;
    let asked = json!({
        "input_file_id": file.id, "endpoint": endpoint, "completion_window": args.window,
    });
    let batch: BatchObject = told(client.post("/v1/batches", &asked).await)?;
    if args.wait {
        return print_end(&client, &batch.id).await;
    }
    output::print_value(&batch)
}

/// What the first call of a file calls.
fn first_url(file: &Path) -> Result<String, Failure> {
    let opened = fs::File::open(file).map_err(|error| unreadable(file, &error))?;
    for line in BufReader::new(opened).lines() {
        let line = line.map_err(|error| unreadable(file, &error))?;
        if line.trim().is_empty() {
            continue;
        }
        let call: Option<Value> = serde_json::from_str(&line).ok();
        let url = call.as_ref().and_then(|call| call["url"].as_str());
        return url.map(str::to_owned).ok_or_else(|| {
            Failure::misuse("the first line of the file is no call with a `url`")
                .hint("`modelyard batch submit --help` shows one; or name it with --endpoint")
        });
    }
    Err(Failure::misuse("the file has no lines").hint("write one call a line"))
}

fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::misuse(format!("cannot read {}: {error}", file.display()))
}

async fn upload(client: &GatewayClient, name: &str, content: &[u8]) -> Result<FileObject, Failure> {
    // No content has it by chance.
    let boundary = Uuid::new_v4().simple().to_string();
    let name: String = name.chars().filter(|char| !matches!(char, '"' | '\r' | '\n')).collect();
    let head = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
         --{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
    );
    let form = [head.as_bytes(), content, format!("\r\n--{boundary}--\r\n").as_bytes()].concat();
    let kind = format!("multipart/form-data; boundary={boundary}");
    let client = told(client.clone().with_header(header::CONTENT_TYPE, &kind))?;
    let answer = client.send(Method::POST, "/v1/files", Some(Bytes::from(form))).await;
    request::json(told(answer)?).await
}

async fn batch(client: &GatewayClient, id: &str) -> Result<BatchObject, Failure> {
    told(client.get(&format!("/v1/batches/{id}")).await)
}

/// Waits for the end of a batch and prints it. Only a completed batch is a success.
async fn print_end(client: &GatewayClient, id: &str) -> Result<(), Failure> {
    loop {
        let found = batch(client, id).await?;
        if found.status.is_terminal() {
            output::print_value(&found)?;
            return match found.status {
                BatchStatus::Completed => Ok(()),
                status => Err(Failure::new(format!("batch {id} is {}", status.as_str()))),
            };
        }
        sleep(LOOK).await;
    }
}

async fn results(client: &GatewayClient, id: &str, errors: bool) -> Result<(), Failure> {
    let found = batch(client, id).await?;
    if !found.status.is_terminal() {
        let status = found.status.as_str();
        return Err(Failure::new(format!("batch {id} is {status}; it has no results yet"))
            .hint(format!("wait for it: modelyard batch wait {id}")));
    }
    // Without a file there is not one such line.
    let file = if errors { found.error_file_id } else { found.output_file_id };
    let Some(file) = file else { return Ok(()) };
    let answer = client.send(Method::GET, &format!("/v1/files/{file}/content"), None).await;
    let mut pieces = GatewayClient::pieces(told(answer)?);
    while let Some(piece) = request::next(&mut pieces).await? {
        output::print(&piece)?;
    }
    Ok(())
}

async fn list(
    limit: Option<u32>,
    after: Option<String>,
    connection: &Connection,
) -> Result<(), Failure> {
    let query = request::query([("limit", limit.map(|limit| limit.to_string())), ("after", after)]);
    let path = format!("/v1/batches?{query}");
    let page: ListPage<BatchObject> = told(request::client(connection)?.get(&path).await)?;
    output::print_value(&page)
}
