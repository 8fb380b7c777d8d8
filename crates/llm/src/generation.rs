//! What the step loop is asked for, and what it tells.

use std::task::{Context, Poll};

use engine::{Request, Sampled, TokenId, TokenMask, Usage};
use tokio::sync::mpsc;
use worker::Running;

use crate::guide::Guide;

/// Says after each generated token whether the text ends with it, for example with a stop string.
pub type Halt = Box<dyn FnMut(TokenId) -> bool + Send>;

/// What leads one sequence: a grammar, as a rule.
pub trait Guidance: Send {
    /// The tokens that may come next; `None` if any may.
    ///
    /// # Errors
    /// A sentence, if it cannot go on; the sequence then ends with it.
    fn mask(&mut self) -> Result<Option<TokenMask<'_>>, String>;

    /// This token came.
    ///
    /// # Errors
    /// A sentence, if it cannot go on.
    fn accept(&mut self, token: TokenId) -> Result<(), String>;
}

/// A prompt and what to make of it.
#[derive(Default)]
pub struct Generation {
    /// The prompt, its limits, and how tokens are chosen.
    pub request: Request,
    /// One for each choice; at least one. Choice i draws with the seed + i.
    pub choices: Vec<Controls>,
    /// The call that it belongs to: holds its place until the last sequence has left the batch, and
    /// is told what each of them used.
    pub call: Option<Running>,
}

/// What decides about one sequence besides the engine.
#[derive(Default)]
pub struct Controls {
    /// Allows tokens.
    pub guidance: Option<Box<dyn Guidance>>,
    /// Ends the text.
    pub halt: Option<Halt>,
}

impl Generation {
    /// One answer to the request, with nothing else to decide about it.
    pub fn plain(request: Request) -> Self {
        Self { request, choices: vec![Controls::default()], call: None }
    }
}

/// What happened to a sequence.
#[derive(Debug, Clone, PartialEq)]
pub enum TokenEvent {
    /// It has one more token. Not told of a stop token.
    Token(Sampled),
    /// It ended; nothing follows.
    Finished {
        /// Why.
        reason: Finish,
        /// What it took. The prompt is counted for the first choice only, so that the sum over all
        /// choices is what the request took.
        usage: Usage,
    },
}

/// Why a sequence ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// By this stop token.
    Stop(TokenId),
    /// By its [`Halt`].
    Halted,
    /// `max_tokens`, the context or the memory for keys and values was full.
    Length,
    /// Something went wrong, in words for the caller.
    Failed(String),
}

/// What a channel carries: which of the sequences, and what happened to it. They are numbered over
/// all choices of all generations that were asked for together.
pub(crate) type Item = (usize, TokenEvent);

/// The events of the sequences that were asked for together. Dropping it aborts them, down to the
/// batch.
///
/// A reader may be as slow as it likes: there is room for every event of its sequences, so the loop
/// never waits for it, and neither does anybody else.
#[derive(Debug)]
pub struct Tokens {
    events: mpsc::Receiver<Item>,
}

impl Tokens {
    pub(crate) const fn new(events: mpsc::Receiver<Item>) -> Self {
        Self { events }
    }

    /// The next event of any of the sequences. `None` after the last of all, or earlier if the loop
    /// came to an unnatural end.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<(usize, TokenEvent)> {
        self.events.recv().await
    }

    /// As [`Self::next`], for what polls.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<(usize, TokenEvent)>> {
        self.events.poll_recv(cx)
    }

    /// As [`Self::next`], for a thread that may block; not for asynchronous code.
    pub fn blocking_next(&mut self) -> Option<(usize, TokenEvent)> {
        self.events.blocking_recv()
    }
}

impl Guidance for Guide {
    fn mask(&mut self) -> Result<Option<TokenMask<'_>>, String> {
        Self::mask(self).map(Some).map_err(|error| error.to_string())
    }

    fn accept(&mut self, token: TokenId) -> Result<(), String> {
        Self::accept(self, token).map_err(|error| error.to_string())
    }
}
