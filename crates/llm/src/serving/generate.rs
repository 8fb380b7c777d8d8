//! A request for text: read, generated, answered.

use std::{fmt::Display, str::FromStr, sync::Arc};

use api::{Body, headers};
use http::{HeaderName, Response};
use serde::Serialize;
use time::OffsetDateTime;
use types::{ErrorCode, Fault, Priority, Tenant};
use worker::{Handler, Incoming, Running, json};

use super::{
    failure::{self, Family},
    reply::Reply,
    stream,
};
use crate::{
    generation::{Controls, Generation, Tokens},
    guide::Guide,
    openai::{ApiError, Call, Stamp, Wanted},
    service::Handle,
    stop::StopWatch,
    text::TextSide,
};

/// How a body is read.
type Read = fn(&TextSide, &[u8], &Stamp) -> Result<Call, ApiError>;

/// What the generating routes share.
pub(super) struct Generate {
    pub(super) text: Arc<TextSide>,
    pub(super) handle: Handle,
}

/// Whose call it is, and how urgent.
struct Caller {
    running: Running,
    priority: Priority,
    tenant: Tenant,
}

impl Generate {
    /// A route whose bodies are read, and whose errors are told, this way.
    pub(super) fn serves(self: &Arc<Self>, family: Family, read: Read) -> Arc<dyn Handler> {
        let this = Arc::clone(self);
        Arc::new(move |incoming| {
            let this = Arc::clone(&this);
            async move { Ok(told(this.answer(incoming, read).await, family)) }
        })
    }

    /// `/tokenize`.
    pub(super) fn tokenizes(self: &Arc<Self>) -> Arc<dyn Handler> {
        self.serves_text(|text, body| text.tokenize(body, OffsetDateTime::now_utc()))
    }

    /// `/detokenize`.
    pub(super) fn detokenizes(self: &Arc<Self>) -> Arc<dyn Handler> {
        self.serves_text(TextSide::detokenize)
    }

    fn serves_text<T: Serialize + Send + 'static>(
        self: &Arc<Self>,
        work: fn(&TextSide, &[u8]) -> Result<T, ApiError>,
    ) -> Arc<dyn Handler> {
        let text = Arc::clone(&self.text);
        Arc::new(move |mut incoming: Incoming| {
            let text = Arc::clone(&text);
            async move {
                let done = in_background(&mut incoming, move |body| work(&text, body)).await;
                Ok(told(done.and_then(|answer| whole(&answer)), Family::OpenAi))
            }
        })
    }

    async fn answer(&self, mut incoming: Incoming, read: Read) -> Result<Response<Body>, ApiError> {
        let stamp = stamp()?;
        let text = Arc::clone(&self.text);
        let call = in_background(&mut incoming, move |body| read(&text, body, &stamp)).await?;
        let caller = Caller::of(incoming)?;
        let Call { sequences, answer } = call;
        let reply = Reply::new(answer, sequences.len());
        let tokens = self.handle.generate(caller.generations(sequences)).await?;
        if reply.is_stream() {
            return Ok(stream::respond(tokens, reply));
        }
        collect(tokens, reply).await
    }
}

impl Caller {
    fn of(incoming: Incoming) -> Result<Self, ApiError> {
        let priority = parsed(&incoming, &headers::PRIORITY)?;
        let tenant = parsed(&incoming, &headers::TENANT)?;
        Ok(Self { priority, tenant, running: incoming.running })
    }

    /// Sequences that continue one prompt become choices of one generation, which compute it once.
    fn generations(self, sequences: Vec<Wanted>) -> Vec<Generation> {
        let mut generations: Vec<Generation> = Vec::new();
        for wanted in sequences {
            match generations.last_mut() {
                Some(last) if is_next_choice(last, &wanted) => {
                    last.choices.push(controls(wanted.guide, wanted.watch));
                }
                _ => generations.push(self.generation(wanted)),
            }
        }
        generations
    }

    fn generation(&self, wanted: Wanted) -> Generation {
        let Wanted { prompt, sampling, max_tokens, stop_tokens, guide, watch } = wanted;
        let request = engine::Request {
            prompt,
            max_tokens,
            stop_tokens,
            sampling,
            // The loop knows.
            guided: false,
            priority: self.priority,
            tenant: self.tenant.clone(),
        };
        let choices = vec![controls(guide, watch)];
        Generation { request, choices, call: Some(self.running.clone()) }
    }
}

/// The value of a header, or what counts without it.
fn parsed<T>(incoming: &Incoming, name: &HeaderName) -> Result<T, ApiError>
where
    T: FromStr<Err: Display> + Default,
{
    let value = incoming.header(name).map(str::parse).transpose();
    value.map(Option::unwrap_or_default).map_err(|error: T::Err| {
        ApiError::new(ErrorCode::InvalidHeader, format!("the header `{name}`: {error}"))
    })
}

/// Choices count their seeds up from the first one's.
fn is_next_choice(last: &Generation, wanted: &Wanted) -> bool {
    let request = &last.request;
    let seed = request.sampling.seed.wrapping_add(last.choices.len() as u64);
    wanted.sampling.seed == seed
        && wanted.max_tokens == request.max_tokens
        && wanted.prompt == request.prompt
}

fn controls(guide: Option<Guide>, watch: Option<StopWatch>) -> Controls {
    Controls {
        guidance: guide.map(|guide| Box::new(guide) as _),
        halt: watch.map(|mut watch| Box::new(move |token| watch.ends(token)) as _),
    }
}

/// Waits for everything, and answers then.
async fn collect(mut tokens: Tokens, mut reply: Reply) -> Result<Response<Body>, ApiError> {
    while let Some((sequence, event)) = tokens.next().await {
        reply.take(sequence, event)?;
    }
    Ok(json::response(reply.end()?))
}

/// Reads the body and works on it away from the thread that serves streams: templates, tokenizers
/// and grammars take milliseconds for long texts. The call keeps its place until that is done, also
/// when its client left meanwhile.
pub(super) async fn in_background<T: Send + 'static>(
    incoming: &mut Incoming,
    work: impl FnOnce(&[u8]) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let fault = |fault: Fault| failure::of_fault(&fault);
    json::require_json(incoming.request.headers()).map_err(fault)?;
    let body = incoming.read_body().await.map_err(fault)?;
    let running = incoming.running.clone();
    let working = tokio::task::spawn_blocking(move || {
        let done = work(&body);
        drop(running);
        done
    });
    working.await.unwrap_or_else(|error| {
        let words = format!("the request could not be read: {error}");
        Err(ApiError::new(ErrorCode::InternalError, words))
    })
}

/// An answer of JSON.
pub(super) fn whole(answer: &impl Serialize) -> Result<Response<Body>, ApiError> {
    json::answer(answer).map_err(|fault| failure::of_fault(&fault))
}

/// Errors are answers like any other.
pub(super) fn told(answer: Result<Response<Body>, ApiError>, family: Family) -> Response<Body> {
    answer.unwrap_or_else(|error| {
        tracing::debug!(code = error.code.slug(), %error, "a request was refused or failed");
        failure::response(&error, family)
    })
}

/// What a request gets from outside.
fn stamp() -> Result<Stamp, ApiError> {
    let random = || {
        getrandom::u64().map_err(|error| {
            let words = format!("the system gave no random number: {error}");
            ApiError::new(ErrorCode::InternalError, words)
        })
    };
    let id = format!("{:016x}{:016x}", random()?, random()?);
    Ok(Stamp { id, seed: random()?, now: OffsetDateTime::now_utc() })
}
