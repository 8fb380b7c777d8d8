//! One answer, while its tokens come: text, stop strings, thoughts, calls, log-probabilities.

use std::collections::VecDeque;

use engine::{Sampled, TokenId};

use crate::{
    detokenizer::Detokenizer,
    parse::{OutputParser, Phase, Piece},
    stop::StopScanner,
};

/// How one answer is read.
pub(super) struct Reading {
    pub(super) detokenizer: Detokenizer,
    pub(super) scanner: StopScanner,
    /// `None`: the text is the answer, as it is.
    pub(super) parser: Option<OutputParser>,
    /// Further calls are dropped.
    pub(super) calls_max: usize,
}

/// What a token, or the end, adds to an answer.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Delta {
    pub(super) pieces: Vec<Piece>,
    /// Of the tokens whose text was told by now.
    pub(super) logprobs: Vec<Told>,
}

/// A token with its log-probability.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub(super) token: TokenId,
    pub(super) logprob: f32,
    pub(super) top: Vec<(TokenId, f32)>,
    /// Characters of the answer before it.
    pub(super) offset: usize,
}

/// A token whose text may still be held back.
struct Waiting {
    told: Told,
    /// Bytes of the answer up to its end, or at least so many if it ends within a character.
    end: usize,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    Stop,
    Length,
    ToolCalls,
}

impl Finish {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
        }
    }
}

/// One answer. However its tokens fall, the same text comes out, in the same parts.
pub(super) struct Choice {
    reading: Reading,
    /// Bytes and characters that the tokens have made.
    made: (usize, usize),
    /// Bytes that are certain to belong to the answer.
    released: usize,
    waiting: VecDeque<Waiting>,
    calls: usize,
    is_stopped: bool,
    reasoning_tokens: usize,
}

impl Choice {
    pub(super) fn new(reading: Reading) -> Self {
        Self {
            reading,
            made: (0, 0),
            released: 0,
            waiting: VecDeque::new(),
            calls: 0,
            is_stopped: false,
            reasoning_tokens: 0,
        }
    }

    /// Tokens of the thoughts, their marks included.
    pub(super) fn reasoning_tokens(&self) -> usize {
        self.reasoning_tokens
    }

    /// Takes a token. Tokens after a stop string are ignored.
    pub(super) fn push(&mut self, sampled: &Sampled) -> Delta {
        if self.is_stopped {
            return Delta::default();
        }
        let mut text = String::new();
        self.reading.detokenizer.push(sampled.token, &mut text);
        if let Some(logprob) = sampled.logprob {
            let (start, offset) = self.made;
            let (token, top) = (sampled.token, sampled.top.clone());
            let told = Told { token, logprob, top, offset };
            let end = start + text.len() + self.reading.detokenizer.pending_bytes();
            self.waiting.push_back(Waiting { told, end });
        }
        let before = self.phase();
        let delta = self.take(&text);
        if before == Phase::Reasoning || self.phase() == Phase::Reasoning {
            self.reasoning_tokens += 1;
        }
        delta
    }

    /// No token follows. Tells what was held back, and why the answer ended.
    pub(super) fn finish(&mut self, is_full: bool) -> (Delta, Finish) {
        let mut delta = Delta::default();
        if !self.is_stopped {
            let mut text = String::new();
            self.reading.detokenizer.finish(&mut text);
            delta = self.take(&text);
        }
        if !self.is_stopped {
            let mut text = String::new();
            self.reading.scanner.finish(&mut text);
            self.parse(&text, &mut delta);
        }
        if let Some(parser) = &mut self.reading.parser {
            let mut pieces = Vec::new();
            parser.finish(&mut pieces);
            self.keep(pieces, &mut delta);
        }
        let finish = match (is_full && !self.is_stopped, self.calls) {
            (true, _) => Finish::Length,
            (false, 0) => Finish::Stop,
            (false, _) => Finish::ToolCalls,
        };
        (delta, finish)
    }

    fn phase(&self) -> Phase {
        self.reading.parser.as_ref().map_or(Phase::Content, OutputParser::phase)
    }

    fn take(&mut self, text: &str) -> Delta {
        self.made.0 += text.len();
        self.made.1 += text.chars().count();
        let (mut certain, mut delta) = (String::new(), Delta::default());
        self.is_stopped = self.reading.scanner.push(text, &mut certain);
        self.parse(&certain, &mut delta);
        delta
    }

    fn parse(&mut self, text: &str, delta: &mut Delta) {
        let before = self.phase();
        match &mut self.reading.parser {
            Some(parser) => {
                let mut pieces = Vec::new();
                parser.push(text, &mut pieces);
                self.keep(pieces, delta);
            }
            None if text.is_empty() => {}
            None => delta.pieces.push(Piece::Content(text.to_owned())),
        }
        self.released += text.len();
        // Only what is said is told, so not the tokens of thoughts, calls and their marks.
        let is_said = before == Phase::Content && self.phase() == Phase::Content;
        // Nor one that a stop string cuts in two: its text as a whole is not in the answer.
        while self.waiting.front().is_some_and(|first| first.end <= self.released) {
            delta.logprobs.extend(self.waiting.pop_front().filter(|_| is_said).map(|one| one.told));
        }
    }

    /// Drops calls beyond what is allowed.
    fn keep(&mut self, pieces: Vec<Piece>, delta: &mut Delta) {
        for piece in pieces {
            self.calls += usize::from(matches!(piece, Piece::Call { .. }));
            let is_of_call = matches!(piece, Piece::Call { .. } | Piece::Arguments(_));
            if !is_of_call || self.calls <= self.reading.calls_max {
                delta.pieces.push(piece);
            }
        }
    }
}

#[cfg(test)]
mod tests;
