//! The answer to one request, from its first token to its last byte.

mod chat;
mod completion;
mod generate;
mod logprobs;

use std::sync::Arc;

use api::openai::{CompletionDetails, PromptDetails, Usage};
use bytes::Bytes;
use engine::Sampled;
use serde::Serialize;

pub(super) use chat::ChatStyle;
pub(super) use completion::CompletionStyle;
pub(super) use generate::GenerateStyle;

use super::{
    ApiError,
    choice::{Choice, Delta, Finish, Reading},
};
use crate::vocabulary::Vocabulary;

/// Why a sequence ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// A stop token or a stop string came.
    Stop,
    /// There was no room for more.
    Length,
}

/// What stands in every object of one answer.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) id: String,
    /// Unix time, in seconds.
    pub(super) created: u64,
    pub(super) model: String,
    pub(super) vocabulary: Arc<Vocabulary>,
}

/// The shape of the answer.
pub(super) enum Style {
    Chat(ChatStyle),
    Completion(CompletionStyle),
    Generate(GenerateStyle),
}

/// How an answer is told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Telling {
    /// As events, while it is made.
    pub(super) is_stream: bool,
    /// The last event tells the usage.
    pub(super) include_usage: bool,
    /// Sequences that share a prompt.
    pub(super) choices: usize,
}

/// The answer to one request. Tell it, for each sequence by its place in the call, every token and
/// the end; events for the client come out, if it wants a stream.
pub struct Answer {
    head: Head,
    style: Style,
    telling: Telling,
    choices: Vec<Choice>,
    usage: Usage,
}

impl Answer {
    pub(super) fn new(
        head: Head,
        style: Style,
        telling: Telling,
        readings: impl IntoIterator<Item = Reading>,
    ) -> Self {
        let choices = readings.into_iter().map(Choice::new).collect();
        Self { head, style, telling, choices, usage: Usage::default() }
    }

    /// Whether the client wants events: content type `text/event-stream`, else `application/json`.
    pub fn is_stream(&self) -> bool {
        self.telling.is_stream
    }

    /// The events before the first token.
    pub fn begin(&mut self) -> Vec<Bytes> {
        match &mut self.style {
            Style::Chat(chat) => chat.begin(&self.head),
            Style::Completion(completion) => completion.begin(&self.head),
            Style::Generate(_) => Vec::new(),
        }
    }

    /// A token of this sequence, its stop token not among them.
    pub fn token(&mut self, sequence: usize, sampled: &Sampled) -> Vec<Bytes> {
        let Some(choice) = self.choices.get_mut(sequence) else { return Vec::new() };
        let delta = choice.push(sampled);
        self.tell(sequence, delta, None)
    }

    /// This sequence has ended, and took so much.
    pub fn finished(&mut self, sequence: usize, ended: Ended, usage: engine::Usage) -> Vec<Bytes> {
        let Some(choice) = self.choices.get_mut(sequence) else { return Vec::new() };
        let (delta, finish) = choice.finish(ended == Ended::Length);
        let reasoning = choice.reasoning_tokens();
        self.count(sequence, usage, reasoning);
        self.tell(sequence, delta, Some(finish))
    }

    /// All sequences have ended: the last events, or the whole answer.
    pub fn end(&mut self) -> Bytes {
        if !self.telling.is_stream {
            return self.whole();
        }
        let mut bytes = Vec::new();
        if self.telling.include_usage {
            let event = match &self.style {
                Style::Completion(_) => completion::usage_event(&self.head, self.usage),
                Style::Chat(_) | Style::Generate(_) => chat::usage_event(&self.head, self.usage),
            };
            bytes.extend_from_slice(&event);
        }
        bytes.extend_from_slice(b"data: [DONE]\n\n");
        bytes.into()
    }

    /// The last event of a stream that cannot go on.
    pub fn failed(&self, error: &ApiError) -> Bytes {
        frame(&error.body())
    }

    /// What the sequences took that have ended so far.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    fn tell(&mut self, sequence: usize, delta: Delta, finish: Option<Finish>) -> Vec<Bytes> {
        match &mut self.style {
            Style::Chat(chat) => chat.tell(&self.head, sequence, delta, finish),
            Style::Completion(completion) => completion.tell(&self.head, sequence, delta, finish),
            Style::Generate(generate) => {
                generate.tell(sequence, delta);
                Vec::new()
            }
        }
    }

    fn whole(&mut self) -> Bytes {
        match &mut self.style {
            Style::Chat(chat) => chat.whole(&self.head, self.usage),
            Style::Completion(completion) => completion.whole(&self.head, self.usage),
            Style::Generate(generate) => generate.whole(),
        }
    }

    /// A prompt counts once, with what its first sequence found in the cache.
    fn count(&mut self, sequence: usize, usage: engine::Usage, reasoning: usize) {
        let count = |tokens: usize| u64::try_from(tokens).unwrap_or(u64::MAX);
        let sum = &mut self.usage;
        let prompt = sum.prompt_tokens_details.get_or_insert_with(PromptDetails::default);
        if sequence.is_multiple_of(self.telling.choices.max(1)) {
            sum.prompt_tokens += count(usage.prompt_tokens);
            prompt.cached_tokens += count(usage.cached_tokens);
        }
        let completion =
            sum.completion_tokens_details.get_or_insert_with(CompletionDetails::default);
        completion.reasoning_tokens += count(reasoning);
        sum.completion_tokens += count(usage.completion_tokens);
        sum.total_tokens = sum.prompt_tokens + sum.completion_tokens;
    }
}

/// Answers are made of texts and numbers; they always serialise.
fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// A whole answer.
fn body(value: &impl Serialize) -> Bytes {
    to_bytes(value).into()
}

/// A server-sent event.
fn frame(event: &impl Serialize) -> Bytes {
    [b"data: ", to_bytes(event).as_slice(), b"\n\n"].concat().into()
}

#[cfg(test)]
mod tests;
