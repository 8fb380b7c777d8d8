//! `modelyard task dead`

use adapters::client::GatewayClient;
use api::task::{PageHandled, TaskPage, TaskView};
use http::Method;

use super::told;
use crate::{
    cli::{DeadCommand, DeadFilter, DeadListArgs, HandleArgs},
    commands::{output, request},
    failure::Failure,
};

const PATH: &str = "/api/native/v1/dead-letters";

/// What one request handles: a server must not be busy with one for long.
const PAGE: u32 = 200;

pub(super) async fn run(command: DeadCommand) -> Result<(), Failure> {
    match command {
        DeadCommand::List(args) => list(args).await,
        DeadCommand::Show { id, connection } => {
            let client = request::client(&connection)?;
            output::print_value(&told(client.get::<TaskView>(&format!("{PATH}/{id}")).await)?)
        }
        DeadCommand::Replay(args) => replay(args).await,
        DeadCommand::Discard(args) => discard(args).await,
    }
}

async fn list(args: DeadListArgs) -> Result<(), Failure> {
    let client = request::client(&args.connection)?;
    let path = format!("{PATH}?{}", query(&args.filter, args.limit, args.cursor.as_deref()));
    output::print_value(&told(client.get::<TaskPage>(&path).await)?)
}

async fn replay(args: HandleArgs) -> Result<(), Failure> {
    let client = request::client(&args.connection)?;
    let Some(id) = args.id else { return all(&client, &args.filter, "replay").await };
    let answer = told(client.send(Method::POST, &format!("{PATH}/{id}/replay"), None).await)?;
    output::print_value(&request::json::<TaskView>(answer).await?)
}

async fn discard(args: HandleArgs) -> Result<(), Failure> {
    let client = request::client(&args.connection)?;
    let Some(id) = args.id else { return all(&client, &args.filter, "discard").await };
    told(client.send(Method::DELETE, &format!("{PATH}/{id}"), None).await)?;
    output::print_value(&PageHandled { handled: 1, next_cursor: None })
}

/// All that match, and then how many there were.
async fn all(client: &GatewayClient, filter: &DeadFilter, deed: &str) -> Result<(), Failure> {
    let path = format!("{PATH}/{deed}?{}", query(filter, Some(PAGE), None));
    let handled = request::each_page(client, &path).await?;
    output::print_value(&PageHandled { handled, next_cursor: None })
}

fn query(filter: &DeadFilter, limit: Option<u32>, cursor: Option<&str>) -> String {
    request::query([
        ("model", filter.model.as_ref().map(ToString::to_string)),
        ("error_code", filter.error_code.map(|code| code.slug().to_owned())),
        ("limit", limit.map(|limit| limit.to_string())),
        ("cursor", cursor.map(str::to_owned)),
    ])
}
