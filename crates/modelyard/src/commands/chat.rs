//! `modelyard chat`: a talk with a language model, through the OpenAI API of a server.

mod answer;
mod conversation;
mod own_server;
mod prompt;

use std::{io::Write, path::Path};

use adapters::client::{GatewayClient, GatewayError};
use http::Method;

use self::{
    answer::Answer,
    conversation::{Conversation, Typed},
    own_server::OwnServer,
    prompt::Prompt,
};
use super::{output, request};
use crate::{
    cli::{ChatArgs, Connection},
    failure::Failure,
};

const HELP: &str = "\
/clear           forget the talk so far
/system TEXT     tell the model something first; without TEXT, nothing
/retry           ask the last question once more
/history         show the talk so far
/help            show this
/quit            end, as Ctrl-D does
A line that ends with \\ goes on in the next one.
";

pub(super) async fn run(args: ChatArgs) -> Result<(), Failure> {
    let (client, _server) = connect(&args).await?;
    let mut conversation = Conversation::new(&args);
    let mut prompt = Prompt::open();
    prompt.greet(args.model.as_deref())?;
    while let Some(line) = prompt.line()? {
        match Typed::from(line.as_str()) {
            Typed::Nothing => {}
            Typed::Quit => break,
            Typed::Help => output::print(HELP.as_bytes())?,
            Typed::Clear => conversation.clear(),
            Typed::System(text) => conversation.set_system(text),
            Typed::History => output::print(conversation.told().as_bytes())?,
            Typed::Unknown(command) => {
                tell(&format!("there is no {command}; /help shows what there is"));
            }
            Typed::Retry if !conversation.take_back_answer() => tell("nothing was asked yet"),
            Typed::Retry => say(&client, &mut conversation, &prompt).await?,
            Typed::Question(text) => {
                conversation.ask(text);
                say(&client, &mut conversation, &prompt).await?;
            }
        }
    }
    Ok(())
}

/// The server that is meant, or one of our own where that is a folder or nobody answers.
async fn connect(args: &ChatArgs) -> Result<(GatewayClient, Option<OwnServer>), Failure> {
    let folder = args.model.as_deref().filter(|model| Path::new(model).is_dir());
    let named = request::client(&args.connection)?;
    if folder.is_none() {
        let answers = named.send(Method::GET, "/health/live", None).await;
        let nobody = matches!(answers, Err(GatewayError::Unreachable(_)));
        if !nobody || !args.connection.is_default() {
            return Ok((named, None));
        }
    }
    let server = OwnServer::start(folder).await?;
    let client = request::client(&Connection { url: server.url(), key: None })?;
    Ok((client, Some(server)))
}

/// Asks, and prints the answer as it comes. Ctrl-C stops it, and it counts as far as it came.
async fn say(
    client: &GatewayClient,
    conversation: &mut Conversation,
    prompt: &Prompt,
) -> Result<(), Failure> {
    let body = conversation.body();
    let answer = client.send(Method::POST, "/v1/chat/completions", Some(body)).await;
    let mut answer = match answer {
        Ok(response) => Answer::of(response),
        // A refusal ends the question, not the talk, if there is somebody to ask again.
        Err(error) if prompt.is_person() => {
            tell(&told(&error));
            conversation.take_back_question();
            return Ok(());
        }
        Err(error) => return Err(Failure::new(told(&error))),
    };
    let mut text = String::new();
    loop {
        let piece = tokio::select! {
            piece = answer.next() => piece?,
            _ = tokio::signal::ctrl_c() => None,
        };
        let Some(piece) = piece else { break };
        output::print(prompt.shown(&piece).as_bytes())?;
        text.push_str(&piece.content);
    }
    output::print(b"\n")?;
    conversation.hear(text);
    Ok(())
}

/// The words of an error in OpenAI's shape, or what else is known.
fn told(error: &GatewayError) -> String {
    let GatewayError::Refused { text, .. } = error else { return types::chain(error) };
    let body = serde_json::from_str::<serde_json::Value>(text).ok();
    let message = body.and_then(|body| body["error"]["message"].as_str().map(str::to_owned));
    message.unwrap_or_else(|| types::chain(error))
}

/// Something beside the talk, which must not end in a file that holds the answers.
fn tell(text: &str) {
    // If standard error cannot be written, nobody reads it.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
