//! Answers that must look a certain way: a schema, an expression or a grammar decides at each
//! place which tokens may follow.

mod grammar;
mod grammars;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use engine::{TokenId, TokenMask};
use llguidance::{Matcher, toktrie::SimpleVob};

pub use grammar::{BadGrammar, Callable, Grammar};
pub use grammars::Grammars;

use crate::{parse::THINK_CLOSE, vocabulary::Vocabulary};

/// A grammar that cannot go on: it became too complex, or took a token that it does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the grammar of the answer failed: {reason}")]
pub struct GuideError {
    /// What happened.
    pub reason: String,
}

/// Leads one answer. Ask for the mask, sample, tell the token; a stop token need not be told.
pub struct Guide {
    matcher: Matcher,
    stage: Stage,
    marks: Marks,
    vocabulary: Arc<Vocabulary>,
    /// The tokens of thoughts: all but those that would end the answer, which is still owed.
    thoughts: Arc<SimpleVob>,
    /// The mask that was lent last.
    mask: SimpleVob,
}

/// The grammar is of the answer, so it waits until the model has thought.
#[derive(Debug, Clone)]
enum Stage {
    /// Thoughts may begin, or the answer.
    Beginning,
    /// Anything but the end goes until `</think>`. Holds the last bytes of the thoughts.
    Thinking { seen: Vec<u8> },
    /// Right behind the thoughts: an empty line may follow, as models were taught. Holds how many
    /// line ends it may still have.
    BehindThoughts { line_ends: usize },
    /// The grammar decides.
    Answering,
}

/// Tokens that the stages turn on.
#[derive(Debug, Clone, Copy, Default)]
struct Marks {
    think_open: Option<TokenId>,
    line_end: Option<TokenId>,
    two_line_ends: Option<TokenId>,
}

/// Line ends between thoughts and answer.
const LINE_ENDS_MAX: usize = 2;

impl Guide {
    /// The tokens that may follow. The stop tokens are among them where the answer may end, and
    /// only there. Takes microseconds as a rule, a few milliseconds at worst.
    ///
    /// # Errors
    /// [`GuideError`] if the grammar became too complex; the answer cannot go on.
    pub fn mask(&mut self) -> Result<TokenMask<'_>, GuideError> {
        let Marks { think_open, line_end, two_line_ends } = self.marks;
        let also = match self.stage {
            Stage::Thinking { .. } => return Ok(TokenMask(self.thoughts.as_slice())),
            Stage::Beginning => [think_open, None],
            Stage::BehindThoughts { line_ends: LINE_ENDS_MAX } => [line_end, two_line_ends],
            Stage::BehindThoughts { line_ends: 1 } => [line_end, None],
            Stage::BehindThoughts { .. } | Stage::Answering => [None, None],
        };
        self.mask = self.matcher.compute_mask_or_eos().map_err(|error| failed(&error))?;
        for token in also.into_iter().flatten() {
            self.mask.allow_token(token);
        }
        Ok(TokenMask(self.mask.as_slice()))
    }

    /// Another one for the same answer, from its beginning if this one is still there. Copying
    /// takes a fraction of what compiling the grammar takes.
    #[must_use]
    pub fn copied(&self) -> Self {
        Self {
            matcher: self.matcher.deep_clone(),
            stage: self.stage.clone(),
            marks: self.marks,
            vocabulary: Arc::clone(&self.vocabulary),
            thoughts: Arc::clone(&self.thoughts),
            mask: self.mask.clone(),
        }
    }

    /// Goes on with the token that was sampled.
    ///
    /// # Errors
    /// [`GuideError`] if the grammar does not allow it.
    pub fn accept(&mut self, token: TokenId) -> Result<(), GuideError> {
        match &mut self.stage {
            Stage::Beginning if Some(token) == self.marks.think_open => {
                self.stage = Stage::Thinking { seen: Vec::new() };
                return Ok(());
            }
            Stage::BehindThoughts { line_ends } => {
                let is_line_end =
                    [self.marks.line_end, self.marks.two_line_ends].contains(&Some(token));
                let length = self.vocabulary.bytes(token).len();
                if is_line_end && length <= *line_ends {
                    *line_ends -= length;
                    return Ok(());
                }
                self.stage = Stage::Answering;
            }
            Stage::Thinking { seen } => {
                if is_thought_over(seen, self.vocabulary.bytes(token)) {
                    self.stage = Stage::BehindThoughts { line_ends: LINE_ENDS_MAX };
                }
                return Ok(());
            }
            Stage::Beginning => self.stage = Stage::Answering,
            Stage::Answering => {}
        }
        self.matcher.consume_token(token).map_err(|error| failed(&error))
    }

    /// Whether only a stop token may follow.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Answering) && self.matcher.is_stopped()
    }
}

/// Whether `</think>` is complete with these bytes.
fn is_thought_over(seen: &mut Vec<u8>, bytes: &[u8]) -> bool {
    seen.extend_from_slice(bytes);
    let is_over = seen.windows(THINK_CLOSE.len()).any(|window| window == THINK_CLOSE.as_bytes());
    seen.drain(..seen.len().saturating_sub(THINK_CLOSE.len() - 1));
    is_over
}

fn failed(error: &impl ToString) -> GuideError {
    GuideError { reason: grammar::first_line(&error.to_string()) }
}
