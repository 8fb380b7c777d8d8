//! Answers of `POST /v1/completions`.

use api::openai::{Completion, CompletionChoice, CompletionLogprobs, Usage};
use bytes::Bytes;

use super::{Head, body, frame, logprobs};
use crate::{
    openai::choice::{Delta, Finish, Told},
    parse::Piece,
};

/// Texts, and their log-probabilities if they are wanted.
pub(in crate::openai) struct CompletionStyle {
    wants_logprobs: bool,
    is_stream: bool,
    texts: Vec<Text>,
}

/// One continued text.
#[derive(Default)]
struct Text {
    /// What it begins with, because the prompt is to be repeated.
    echo: String,
    text: String,
    told: Vec<Told>,
    finish: Option<Finish>,
}

impl CompletionStyle {
    /// `echoes`: what each text begins with, one for each sequence.
    pub(in crate::openai) fn new(
        echoes: Vec<String>,
        wants_logprobs: bool,
        is_stream: bool,
    ) -> Self {
        let texts = echoes.into_iter().map(|echo| Text { echo, ..Text::default() }).collect();
        Self { wants_logprobs, is_stream, texts }
    }

    pub(super) fn begin(&self, head: &Head) -> Vec<Bytes> {
        let echoed = |text: &Text| self.is_stream && !text.echo.is_empty();
        let texts = (0..).zip(&self.texts).filter(|(_, text)| echoed(text));
        texts
            .map(|(index, text)| event(head, choice(index, text.echo.clone(), None, None)))
            .collect()
    }

    pub(super) fn tell(
        &mut self,
        head: &Head,
        sequence: usize,
        delta: Delta,
        finish: Option<Finish>,
    ) -> Vec<Bytes> {
        let Some(text) = self.texts.get_mut(sequence) else { return Vec::new() };
        let added: String = delta.pieces.into_iter().filter_map(said).collect();
        if !self.is_stream {
            text.text.push_str(&added);
            text.told.extend(delta.logprobs);
            text.finish = finish;
            return Vec::new();
        }
        if added.is_empty() && delta.logprobs.is_empty() && finish.is_none() {
            return Vec::new();
        }
        let logprobs = self.wants_logprobs.then(|| text.logprobs(&delta.logprobs, head));
        let index = u32::try_from(sequence).unwrap_or(u32::MAX);
        vec![event(head, choice(index, added, logprobs, finish))]
    }

    pub(super) fn whole(&mut self, head: &Head, usage: Usage) -> Bytes {
        let texts = (0..).zip(std::mem::take(&mut self.texts));
        let choices = texts.map(|(index, text)| {
            let logprobs = self.wants_logprobs.then(|| text.logprobs(&text.told, head));
            choice(index, text.echo + &text.text, logprobs, text.finish)
        });
        body(&completion(head, choices.collect(), Some(usage)))
    }
}

impl Text {
    fn logprobs(&self, told: &[Told], head: &Head) -> CompletionLogprobs {
        logprobs::for_completion(told, &head.vocabulary, self.echo.chars().count())
    }
}

/// Texts are not parsed, so all of them is said.
fn said(piece: Piece) -> Option<String> {
    match piece {
        Piece::Content(text) => Some(text),
        Piece::Reasoning(_) | Piece::Call { .. } | Piece::Arguments(_) => None,
    }
}

pub(super) fn usage_event(head: &Head, usage: Usage) -> Bytes {
    frame(&completion(head, Vec::new(), Some(usage)))
}

fn event(head: &Head, choice: CompletionChoice) -> Bytes {
    frame(&completion(head, vec![choice], None))
}

fn completion(head: &Head, choices: Vec<CompletionChoice>, usage: Option<Usage>) -> Completion {
    Completion {
        id: format!("cmpl-{}", head.id),
        object: "text_completion".into(),
        created: head.created,
        model: head.model.clone(),
        choices,
        usage,
    }
}

fn choice(
    index: u32,
    text: String,
    logprobs: Option<CompletionLogprobs>,
    finish: Option<Finish>,
) -> CompletionChoice {
    let finish_reason = finish.map(|finish| finish.as_str().to_owned());
    CompletionChoice { index, text, logprobs, finish_reason }
}
