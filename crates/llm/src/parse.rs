//! What a model writes, told apart: thoughts, content, calls of tools.

mod call;
mod head;
#[cfg(test)]
mod tests;

use call::{Call, Progress};

/// Opens the thoughts of a model that thinks before it answers.
pub const THINK_OPEN: &str = "<think>";
/// Closes them.
pub const THINK_CLOSE: &str = "</think>";
/// Opens a call of a tool, in the manner of Hermes and Qwen.
pub const CALL_OPEN: &str = "<tool_call>";
/// Closes it.
pub const CALL_CLOSE: &str = "</tool_call>";

/// A part of an answer, in the order in which it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// More of the thoughts.
    Reasoning(String),
    /// More of what is said.
    Content(String),
    /// A tool is called; its arguments follow.
    Call {
        /// The tool.
        name: String,
    },
    /// More of the arguments of the call that came last: JSON text, as the model wrote it.
    Arguments(String),
}

/// What an answer may hold besides content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Format {
    /// Thoughts before the content.
    pub thoughts: Thoughts,
    /// Calls of tools.
    pub calls: bool,
}

/// Whether an answer begins with thoughts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Thoughts {
    /// It does not; a `<think>` is content.
    #[default]
    None,
    /// It does if it begins with `<think>`.
    Possible,
    /// It does: the prompt ended with `<think>`.
    Open,
}

/// Where in the answer we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// In the thoughts.
    Reasoning,
    /// In what is said, or where that may begin.
    Content,
    /// In a call of a tool.
    Call,
}

/// Tells the parts of one answer apart while it is written. However the text is cut into pieces,
/// the same parts come out.
///
/// Blank space around thoughts and before a call is dropped. A call that is no JSON object with a
/// `name` is content, verbatim; once the arguments have begun, they are told as they come, and it
/// is for the caller to check them.
#[derive(Debug)]
pub struct OutputParser {
    calls: bool,
    state: State,
    /// What cannot be told yet, because it may be the beginning of a tag, or blank space before one.
    held: String,
}

#[derive(Debug)]
enum State {
    /// Nothing but blank space so far; `<think>` may come.
    Beginning,
    /// Before the first letter of the thoughts.
    ThoughtsBeginning,
    Thoughts,
    /// Before the first letter after the thoughts, or after a call.
    ContentBeginning,
    Content,
    Call(Call),
}

impl OutputParser {
    /// For one answer.
    pub fn new(format: Format) -> Self {
        let state = match format.thoughts {
            Thoughts::None => State::Content,
            Thoughts::Possible => State::Beginning,
            Thoughts::Open => State::ThoughtsBeginning,
        };
        Self { calls: format.calls, state, held: String::new() }
    }

    /// Where in the answer we are.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::ThoughtsBeginning | State::Thoughts => Phase::Reasoning,
            State::Beginning | State::ContentBeginning | State::Content => Phase::Content,
            State::Call(_) => Phase::Call,
        }
    }

    /// Takes more of the text, and puts what is certain at the end of `pieces`.
    pub fn push(&mut self, text: &str, pieces: &mut Vec<Piece>) {
        self.held.push_str(text);
        while self.step(pieces) {}
    }

    /// Nothing follows: what was held back is told as what it then is.
    pub fn finish(&mut self, pieces: &mut Vec<Piece>) {
        let rest = std::mem::take(&mut self.held);
        match std::mem::replace(&mut self.state, State::Content) {
            State::ThoughtsBeginning | State::Thoughts => {
                say(Piece::Reasoning, rest.trim_end(), pieces);
            }
            State::Call(call) => call.finish(pieces),
            State::ContentBeginning if rest.trim().is_empty() => {}
            State::Beginning | State::ContentBeginning | State::Content => {
                say(Piece::Content, &rest, pieces);
            }
        }
    }

    /// Goes one step through what is held; `false` if more text is needed.
    fn step(&mut self, pieces: &mut Vec<Piece>) -> bool {
        match &mut self.state {
            State::Beginning => self.begin(),
            State::ThoughtsBeginning => self.skip_blank(State::Thoughts),
            State::Thoughts => {
                let is_over = tell_until(THINK_CLOSE, &mut self.held, Piece::Reasoning, pieces);
                self.go_if(is_over, State::ContentBeginning)
            }
            State::ContentBeginning => self.skip_blank(State::Content),
            State::Content if !self.calls => {
                say(Piece::Content, &std::mem::take(&mut self.held), pieces);
                false
            }
            State::Content => {
                let is_over = tell_until(CALL_OPEN, &mut self.held, Piece::Content, pieces);
                self.go_if(is_over, State::Call(Call::default()))
            }
            State::Call(call) => match call.push(&std::mem::take(&mut self.held), pieces) {
                Progress::More => false,
                Progress::Over { rest } => {
                    self.held = rest;
                    self.go_if(true, State::ContentBeginning)
                }
            },
        }
    }

    fn go_if(&mut self, is_over: bool, next: State) -> bool {
        if is_over {
            self.state = next;
        }
        is_over
    }

    fn begin(&mut self) -> bool {
        let seen = self.held.trim_start();
        if let Some(rest) = seen.strip_prefix(THINK_OPEN) {
            self.held = rest.to_owned();
            self.go_if(true, State::ThoughtsBeginning)
        } else {
            self.go_if(!THINK_OPEN.starts_with(seen), State::Content)
        }
    }

    fn skip_blank(&mut self, next: State) -> bool {
        self.held = self.held.trim_start().to_owned();
        self.go_if(!self.held.is_empty(), next)
    }
}

/// Tells what comes before `tag`. `true`: the tag is there, `held` is what follows it. `false`:
/// `held` is what may be the beginning of the tag, and the blank space before it.
fn tell_until(
    tag: &str,
    held: &mut String,
    kind: fn(String) -> Piece,
    pieces: &mut Vec<Piece>,
) -> bool {
    if let Some(at) = held.find(tag) {
        say(kind, held[..at].trim_end(), pieces);
        *held = held.split_off(at + tag.len());
        return true;
    }
    let certain = held.len() - beginning_of(tag, held);
    let certain = held[..certain].trim_end().len();
    say(kind, &held[..certain], pieces);
    *held = held.split_off(certain);
    false
}

/// Bytes at the end of `text` that are the beginning of `tag`.
fn beginning_of(tag: &str, text: &str) -> usize {
    (1..tag.len()).rev().find(|&length| text.ends_with(&tag[..length])).unwrap_or(0)
}

fn say(kind: fn(String) -> Piece, text: &str, pieces: &mut Vec<Piece>) {
    if !text.is_empty() {
        pieces.push(kind(text.to_owned()));
    }
}
