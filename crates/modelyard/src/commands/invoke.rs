//! `modelyard invoke`

use adapters::client::GatewayClient;
use api::Body;
use http::{
    Method, Response,
    header::{ACCEPT, CONTENT_TYPE},
};

use super::{output, request};
use crate::{cli::InvokeArgs, failure::Failure};

const EVENT_STREAM: &str = "text/event-stream";

pub(super) async fn run(args: InvokeArgs) -> Result<(), Failure> {
    let path = path(&args);
    let body = request::body(args.body)?;
    let mut client = request::client(&args.connection)?;
    if args.stream {
        client =
            client.with_header(ACCEPT, EVENT_STREAM).map_err(|error| request::refused(&error))?;
    }
    let answer = client
        .send(Method::POST, &path, Some(body))
        .await
        .map_err(|error| request::refused(&error))?;
    if is_stream(&answer) {
        print_pieces(answer).await
    } else {
        output::print_answer(&request::whole(answer).await?)
    }
}

fn path(args: &InvokeArgs) -> String {
    match &args.route {
        Some(route) => format!("/invoke/{}/{}", args.model, route.trim_start_matches('/')),
        None => format!("/invoke/{}", args.model),
    }
}

fn is_stream(answer: &Response<Body>) -> bool {
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with(EVENT_STREAM) || kind.contains("ndjson"))
}

/// Prints each piece as it comes. A model that fails after it began can tell only within the
/// stream, by an event of that name.
async fn print_pieces(answer: Response<Body>) -> Result<(), Failure> {
    let mut pieces = GatewayClient::pieces(answer);
    let mut tail = EventTail::default();
    while let Some(piece) = request::next(&mut pieces).await? {
        output::print(&piece)?;
        tail.read(&piece);
    }
    if tail.failed {
        return Err(Failure::new("the model failed before its stream was complete"));
    }
    Ok(())
}

/// Watches a stream for an `error` event, however it is cut into pieces.
#[derive(Debug, Default)]
struct EventTail {
    line: Vec<u8>,
    failed: bool,
}

/// No name of an event is longer; of a longer line only the beginning matters.
const LINE_BYTES_MAX: usize = 64;

impl EventTail {
    fn read(&mut self, piece: &[u8]) {
        for &byte in piece {
            if byte == b'\n' {
                let name = self.line.strip_prefix(b"event:").unwrap_or_default();
                self.failed |= name.trim_ascii() == b"error";
                self.line.clear();
            } else if self.line.len() < LINE_BYTES_MAX {
                self.line.push(byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_event_is_seen_however_the_stream_is_cut() {
        let failed = |pieces: &[&str]| {
            let mut tail = EventTail::default();
            pieces.iter().for_each(|piece| tail.read(piece.as_bytes()));
            tail.failed
        };
        assert!(failed(&["data: 1\n\neve", "nt: err", "or\r\ndata: {}\n\n"]));
        assert!(!failed(&["data: event: error\n\nevent: errors\n\n"]));
    }
}
