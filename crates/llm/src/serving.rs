//! The routes of a language model, as a worker serves them.

mod embed;
mod failure;
mod generate;
mod reply;
mod stream;

use std::sync::Arc;

use worker::{Route, RouteKind, Worker, WorkerBuilder, WorkerError, WorkerLaunch};

use self::{embed::Embed, failure::Family, generate::Generate};
use crate::{
    load::{LoadedDecoder, LoadedEncoder, LoadedModel},
    text::TextSide,
};

/// Calls beyond those whose sequences run that a worker takes: they are read, and wait in the
/// engine, so that a place in the batch never stays empty between two calls.
const CAPACITY_SLACK: u32 = 8;

/// Longest body: a conversation of a million tokens, or a thousand texts to embed.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Requests for vectors that may be held: a batch takes many of them, and each is over in no time.
const EMBEDDING_CAPACITY: u32 = 256;

/// The worker that serves a loaded model under the name of its launch.
///
/// # Errors
/// [`WorkerError`] if the launch cannot be served, for example because of the model's name.
pub fn worker(launch: &WorkerLaunch, model: LoadedModel) -> Result<Worker, WorkerError> {
    let builder = Worker::builder(launch.model.as_str())
        .version(&*launch.version)
        .body_bytes_max(BODY_BYTES_MAX);
    match model {
        LoadedModel::Decoder(decoder) => generating(builder, decoder),
        LoadedModel::Encoder(encoder) => embedding(builder, encoder),
    }
    .build()
}

fn generating(builder: WorkerBuilder, loaded: LoadedDecoder) -> WorkerBuilder {
    let LoadedDecoder { text, handle, max_sequences } = loaded;
    let can_chat = text.can_chat();
    let generate = Arc::new(Generate { text, handle: handle.clone() });
    let post = |path: &str, summary: &str| route("POST", path, summary);
    builder
        .capabilities(["chat"])
        .capacity(u32::try_from(max_sequences).unwrap_or(u32::MAX).saturating_add(CAPACITY_SLACK))
        .route(
            post("/v1/chat/completions", "Goes on with a conversation (OpenAI API)."),
            generate.serves(Family::OpenAi, TextSide::chat),
        )
        .route(
            post("/v1/completions", "Goes on with a text (OpenAI API)."),
            generate.serves(Family::OpenAi, TextSide::completion),
        )
        .route(
            post("/generate", "Goes on with each of the `prompts`."),
            generate.serves(Family::Plain, TextSide::generate),
        )
        .route(
            post("/tokenize", "Cuts a text or a conversation into tokens."),
            generate.tokenizes(),
        )
        .route(post("/detokenize", "Puts tokens together."), generate.detokenizes())
        .default_route(if can_chat { "/v1/chat/completions" } else { "/v1/completions" })
        .engine_stats(move || handle.stats())
}

fn embedding(builder: WorkerBuilder, loaded: LoadedEncoder) -> WorkerBuilder {
    let LoadedEncoder { text, handle } = loaded;
    let embed = Arc::new(Embed { text, handle: handle.clone() });
    builder
        .capabilities(["embeddings"])
        .capacity(EMBEDDING_CAPACITY)
        .route(
            route("POST", "/v1/embeddings", "Turns texts into vectors (OpenAI API)."),
            embed.serves(),
        )
        .engine_stats(move || handle.stats())
}

fn route(method: &str, path: &str, summary: &str) -> Route {
    Route { summary: summary.into(), ..Route::new(RouteKind::Api, method, path) }
}
