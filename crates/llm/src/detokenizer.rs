//! Tokens to text, one token at a time, never splitting a character.

use std::sync::Arc;

use engine::TokenId;

use crate::vocabulary::Vocabulary;

/// How tokens become text.
#[derive(Debug, Clone, Default)]
pub struct TextOptions {
    /// Special tokens are left out.
    pub skip_special: bool,
    /// Special tokens that are text all the same, because somebody reads them.
    pub keep: Vec<TokenId>,
    /// The text begins here, so the space before its first word is not part of it.
    pub is_start: bool,
}

/// Turns the tokens of one answer into text. However the tokens are pushed, the pieces together
/// are the bytes of all tokens, with U+FFFD for what is no UTF-8.
#[derive(Debug, Clone)]
pub struct Detokenizer {
    vocabulary: Arc<Vocabulary>,
    options: TextOptions,
    /// The beginning of a character, at most three bytes.
    pending: Vec<u8>,
}

impl Detokenizer {
    /// For one answer.
    pub fn new(vocabulary: Arc<Vocabulary>, options: TextOptions) -> Self {
        let is_start = options.is_start && vocabulary.strips_first_space();
        Self { vocabulary, options: TextOptions { is_start, ..options }, pending: Vec::new() }
    }

    /// Puts the text that this token completes at the end of `text`.
    pub fn push(&mut self, token: TokenId, text: &mut String) {
        let is_hidden = self.options.skip_special
            && self.vocabulary.is_special(token)
            && !self.options.keep.contains(&token);
        if is_hidden {
            return;
        }
        let mut bytes = self.vocabulary.bytes(token);
        if !bytes.is_empty() && std::mem::take(&mut self.options.is_start) {
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
        }
        if self.pending.is_empty() && bytes.is_ascii() {
            text.extend(std::str::from_utf8(bytes));
            return;
        }
        self.pending.extend_from_slice(bytes);
        self.release(text);
    }

    /// Bytes of a character that is not complete, and therefore not told.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// No token follows: an unfinished character shows as U+FFFD.
    pub fn finish(&mut self, text: &mut String) {
        if !std::mem::take(&mut self.pending).is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }

    /// Moves whole characters into `text`; what may still become one stays.
    fn release(&mut self, text: &mut String) {
        let mut chunks = self.pending.utf8_chunks().peekable();
        let mut rest = 0;
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let is_last = chunks.peek().is_none();
            if is_last && may_become_character(chunk.invalid()) {
                rest = chunk.invalid().len();
            } else if !chunk.invalid().is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.pending.drain(..self.pending.len() - rest);
    }
}

fn may_become_character(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests;
