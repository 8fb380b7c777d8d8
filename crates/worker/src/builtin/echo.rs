//! The worker behind `local-echo`: gives back what it gets, in every way in which a worker can
//! answer. The default route answers `{"model": name, "echo": body}`, the body verbatim.

use std::{sync::Arc, time::Duration};

use api::Body;
use bytes::{Bytes, BytesMut};
use http::{Response, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use types::{ErrorCode, Fault};

use crate::{
    Answer, Handler, Incoming, Route, RouteKind, Socket, Worker, WorkerError, WorkerLaunch, json,
    ndjson, sse,
};

/// Calls held at once. They cost little, and with a delay they only wait.
const CAPACITY: u32 = 1_024;

/// Pieces of a stream that wait for a client.
const WAITING_MAX: usize = 64;

pub(super) fn worker(launch: &WorkerLaunch) -> Result<Worker, WorkerError> {
    let route = |kind, method, path, summary: &str| Route {
        summary: summary.into(),
        ..Route::new(kind, method, path)
    };
    let delay = delay(launch)?;
    let echo = Arc::new(Echo::new(launch.model.as_str(), delay));
    Worker::builder(launch.model.as_str())
        .version(&*launch.version)
        .capacity(CAPACITY)
        .route(route(RouteKind::Api, "POST", "/echo", "Gives a JSON object back."), echo)
        .route(
            route(RouteKind::Sse, "POST", "/stream", "Streams the words of `text` as events."),
            Arc::new(stream),
        )
        .route(
            route(RouteKind::Api, "POST", "/ndjson", "Streams the words of `text` as lines."),
            Arc::new(lines),
        )
        .route(
            route(RouteKind::Api, "ANY", "/raw", "Gives any body back, of any type."),
            Arc::new(move |incoming| raw(incoming, delay)),
        )
        .websocket(
            route(RouteKind::Ws, "GET", "/ws", "Gives every message back."),
            Arc::new(messages),
        )
        .build()
}

/// How long each answer is held back.
fn delay(launch: &WorkerLaunch) -> Result<Duration, WorkerError> {
    match launch.metadata.get("delay_ms") {
        None => Ok(Duration::ZERO),
        Some(value) => value.as_u64().map(Duration::from_millis).ok_or(WorkerError::Metadata {
            field: "delay_ms",
            fix: "write a whole number of milliseconds, for example 50",
        }),
    }
}

/// `/echo`.
struct Echo {
    /// The answer up to the body.
    opening: Bytes,
    delay: Duration,
}

impl Echo {
    fn new(model: &str, delay: Duration) -> Self {
        let model = serde_json::Value::from(model);
        Self { opening: format!(r#"{{"model":{model},"echo":"#).into(), delay }
    }

    /// Puts the body into the answer as it came: no number loses digits, no field its place.
    fn compose(opening: &[u8], body: &[u8]) -> Result<Response<Body>, Fault> {
        let object = object(body)?;
        let mut answer = BytesMut::with_capacity(opening.len() + object.len() + 1);
        answer.extend_from_slice(opening);
        answer.extend_from_slice(object.as_bytes());
        answer.extend_from_slice(b"}");
        Ok(json::response(answer.freeze()))
    }
}

impl Handler for Echo {
    fn call(&self, mut incoming: Incoming) -> Answer {
        let (opening, delay) = (self.opening.clone(), self.delay);
        Box::pin(async move {
            json::require_json(incoming.request.headers())?;
            let body = incoming.read_body().await?;
            pause(delay).await;
            Self::compose(&opening, &body)
        })
    }
}

/// The JSON object that a body is.
fn object(body: &[u8]) -> Result<&str, Fault> {
    let value: &RawValue = serde_json::from_slice(body).map_err(json::invalid)?;
    match value.get() {
        object if object.starts_with('{') => Ok(object),
        _ => Err(Fault::new(ErrorCode::InvalidInput, "the body must be a JSON object")),
    }
}

async fn pause(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

/// What is to be streamed.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Speech {
    /// Its words are sent one by one.
    text: String,
    /// How many; beyond the last word it begins again. As many as there are, unless said otherwise.
    count: Option<u64>,
    /// Pause between two, in milliseconds.
    interval_ms: u64,
}

impl Default for Speech {
    fn default() -> Self {
        Self { text: "hello from modelyard".into(), count: None, interval_ms: 0 }
    }
}

/// One piece of a stream.
#[derive(Serialize)]
struct Word<'a> {
    index: u64,
    word: &'a str,
}

impl Speech {
    fn words(&self) -> impl Iterator<Item = Word<'_>> {
        let words: Vec<_> = self.text.split_whitespace().collect();
        // Of no words even a count makes none.
        let count = if words.is_empty() { 0 } else { self.count.unwrap_or(words.len() as u64) };
        let cycle = words.into_iter().cycle();
        (0..count).zip(cycle).map(|(index, word)| Word { index, word })
    }

    async fn breathe(&self, index: u64) {
        if index > 0 {
            pause(Duration::from_millis(self.interval_ms)).await;
        }
    }
}

async fn stream(mut incoming: Incoming) -> Result<Response<Body>, Fault> {
    let speech: Speech = json::read(&mut incoming).await?;
    Ok(sse::respond(WAITING_MAX, |events| async move {
        for word in speech.words() {
            speech.breathe(word.index).await;
            let data = serde_json::to_string(&word).map_err(json::not_serializable)?;
            events.send(&sse::Event::data(data)).await?;
        }
        Ok(())
    }))
}

async fn lines(mut incoming: Incoming) -> Result<Response<Body>, Fault> {
    let speech: Speech = json::read(&mut incoming).await?;
    Ok(ndjson::respond(WAITING_MAX, |lines| async move {
        for word in speech.words() {
            speech.breathe(word.index).await;
            lines.send(&word).await?;
        }
        Ok(())
    }))
}

async fn raw(incoming: Incoming, delay: Duration) -> Result<Response<Body>, Fault> {
    pause(delay).await;
    let (head, body) = incoming.request.into_parts();
    let mut response = Response::new(body);
    if let Some(content_type) = head.headers.get(header::CONTENT_TYPE) {
        response.headers_mut().insert(header::CONTENT_TYPE, content_type.clone());
    }
    Ok(response)
}

async fn messages(_: Incoming, mut socket: Socket) -> Result<(), Fault> {
    while let Some(message) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
    Ok(())
}
