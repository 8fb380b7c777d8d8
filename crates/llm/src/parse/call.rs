//! One call of a tool: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    CALL_CLOSE, CALL_OPEN, Piece, beginning_of,
    head::{Head, read_head},
    say,
};

/// A call, from behind its opening tag on.
#[derive(Debug, Default)]
pub(super) struct Call {
    state: State,
    /// What is not told yet.
    held: String,
}

/// How far a call has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It goes on.
    More,
    /// It is over; this follows it.
    Over { rest: String },
}

#[derive(Debug, Default)]
enum State {
    /// Neither name nor arguments are known.
    #[default]
    Head,
    /// Too unusual to be told in pieces: judged when it is whole.
    Whole,
    Arguments(Scan),
    /// Behind the arguments: only the closing tag matters.
    Tail,
}

impl Call {
    pub(super) fn push(&mut self, text: &str, pieces: &mut Vec<Piece>) -> Progress {
        self.held.push_str(text);
        loop {
            match &mut self.state {
                State::Head => match read_head(&self.held) {
                    Head::Incomplete => return Progress::More,
                    Head::Unusual => self.state = State::Whole,
                    Head::Arguments { name, at } => {
                        pieces.push(Piece::Call { name });
                        self.held = self.held.split_off(at);
                        self.state = State::Arguments(Scan::default());
                    }
                },
                State::Whole => {
                    let Some((body, rest)) = self.held.split_once(CALL_CLOSE) else {
                        return Progress::More;
                    };
                    tell_whole(body, CALL_CLOSE, pieces);
                    return Progress::Over { rest: rest.to_owned() };
                }
                State::Arguments(scan) => {
                    let length = scan.length(&self.held);
                    say(Piece::Arguments, &self.held[..length], pieces);
                    self.held = self.held.split_off(length);
                    if !scan.is_over {
                        return Progress::More;
                    }
                    self.state = State::Tail;
                }
                State::Tail => return self.look_for_end(),
            }
        }
    }

    fn look_for_end(&mut self) -> Progress {
        if let Some((_, rest)) = self.held.split_once(CALL_CLOSE) {
            return Progress::Over { rest: rest.to_owned() };
        }
        let kept = beginning_of(CALL_CLOSE, &self.held);
        self.held = self.held.split_off(self.held.len() - kept);
        Progress::More
    }

    /// Nothing follows, not even the closing tag.
    pub(super) fn finish(self, pieces: &mut Vec<Piece>) {
        match self.state {
            State::Head | State::Whole => tell_whole(&self.held, "", pieces),
            State::Arguments(_) | State::Tail => {}
        }
    }
}

#[derive(Deserialize)]
struct WholeCall<'a> {
    name: String,
    #[serde(borrow, alias = "parameters")]
    arguments: Option<&'a RawValue>,
}

/// A call, if it is one; else content, as it was written.
fn tell_whole(body: &str, close: &str, pieces: &mut Vec<Piece>) {
    let Ok(call) = serde_json::from_str::<WholeCall<'_>>(body) else {
        return say(Piece::Content, &format!("{CALL_OPEN}{body}{close}"), pieces);
    };
    pieces.push(Piece::Call { name: call.name });
    let arguments = call.arguments.map_or("{}", RawValue::get);
    // Some models write the arguments as JSON text within JSON.
    let unwrapped = serde_json::from_str::<String>(arguments);
    say(Piece::Arguments, unwrapped.as_deref().unwrap_or(arguments), pieces);
}

/// Follows a JSON object to its end, without judging it.
#[derive(Debug, Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    is_over: bool,
}

impl Scan {
    /// How many bytes of `text`, which goes on where the last one ended, belong to the object.
    fn length(&mut self, text: &str) -> usize {
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.in_string => self.is_escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        self.is_over = true;
                        return at + 1;
                    }
                }
                // No JSON: the model has broken off, and this is the closing tag.
                b'<' => {
                    self.is_over = true;
                    return at;
                }
                _ => {}
            }
        }
        text.len()
    }
}
