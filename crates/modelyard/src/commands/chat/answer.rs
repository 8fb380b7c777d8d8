//! An answer that comes piece by piece, as server-sent events.

use std::io;

use adapters::client::GatewayClient;
use api::Body;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::Response;
use serde::Deserialize;
use tokio_util::{
    codec::{FramedRead, LinesCodec},
    io::StreamReader,
};

use crate::failure::Failure;

/// A longer line is no answer of a language model.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// What one event adds.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Piece {
    #[serde(deserialize_with = "text")]
    pub(super) content: String,
    #[serde(rename = "reasoning_content", deserialize_with = "text")]
    pub(super) reasoning: String,
}

type Lines = dyn Stream<Item = Result<String, tokio_util::codec::LinesCodecError>> + Send + Unpin;

/// The pieces of one answer. Dropping it stops the model.
pub(super) struct Answer {
    lines: Box<Lines>,
}

impl Answer {
    pub(super) fn of(response: Response<Body>) -> Self {
        Self::from_pieces(GatewayClient::pieces(response).map_err(io::Error::other))
    }

    fn from_pieces(pieces: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static) -> Self {
        let codec = LinesCodec::new_with_max_length(LINE_BYTES_MAX);
        Self { lines: Box::new(FramedRead::new(StreamReader::new(pieces), codec)) }
    }

    /// The next piece, `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Piece>, Failure> {
        while let Some(line) = self.lines.next().await {
            let line = line.map_err(|error| broken(&error))?;
            let Some(data) = line.strip_prefix("data:").map(str::trim) else { continue };
            if data == "[DONE]" {
                return Ok(None);
            }
            let event: Event = serde_json::from_str(data).map_err(|error| broken(&error))?;
            if let Some(error) = event.error {
                return Err(Failure::new(error.message));
            }
            if let Some(choice) = event.choices.into_iter().next() {
                return Ok(Some(choice.delta));
            }
        }
        Ok(None)
    }
}

fn broken(error: &dyn std::error::Error) -> Failure {
    Failure::new(format!("the answer broke off: {}", types::chain(error)))
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    choices: Vec<Choice>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Piece,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// Servers write `null` where there is no text.
fn text<'de, D: serde::Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    Option::deserialize(value).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn heard(pieces: &'static [&'static str]) -> Result<Vec<(String, String)>, String> {
        let pieces = futures_util::stream::iter(pieces);
        let mut answer = Answer::from_pieces(pieces.map(|text| Ok(Bytes::from(*text))));
        let mut all = Vec::new();
        loop {
            match answer.next().await {
                Ok(Some(piece)) => all.push((piece.content, piece.reasoning)),
                Ok(None) => return Ok(all),
                Err(failure) => return Err(format!("{failure:?}")),
            }
        }
    }

    #[tokio::test]
    async fn pieces_are_found_however_the_stream_is_cut() {
        let stream = &[
            "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"con",
            "tent\":null,\"reasoning_content\":\"Hm\"}}]}\n\n: ping\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"4",
            "2\"}}]}\n\ndata: {\"choices\":[],\"usage\":{}}\n\ndata: [DONE]\n\n",
        ];
        let expected = [(String::new(), "Hm".to_owned()), ("42".to_owned(), String::new())];
        assert_eq!(heard(stream).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn an_error_within_the_stream_is_told() {
        let told = heard(&["data: {\"error\":{\"message\":\"out of memory\"}}\n\n"]).await;
        assert!(told.unwrap_err().contains("out of memory"));
    }
}
