//! What each token is made of, in bytes. Text and grammars are both made from these.

use std::collections::HashMap;

use engine::TokenId;
use serde_json::Value;
use tokenizers::Tokenizer as HfTokenizer;

/// A way to turn tokens into text that is not known here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`decoder` is of type `{kind}`, which cannot be used to write text")]
pub struct Unsupported {
    /// The type.
    pub kind: String,
}

/// The bytes of each token.
#[derive(Debug, Default)]
pub struct Vocabulary {
    /// All tokens, one after another.
    bytes: Vec<u8>,
    /// Where each begins, and where the last ends.
    starts: Vec<usize>,
    special: Vec<bool>,
    strips_first_space: bool,
}

impl Vocabulary {
    /// Of the tokens up to `highest`.
    pub(crate) fn of(tokenizer: &HfTokenizer, highest: TokenId) -> Result<Self, Unsupported> {
        let decoder = tokenizer.get_decoder().map(serde_json::to_value);
        let decoder = decoder.transpose().unwrap_or_default().unwrap_or_default();
        let mut spelling = Spelling::default();
        spelling.read(&decoder)?;
        let alphabet = byte_alphabet();
        let mut words: Vec<(TokenId, Vec<u8>, bool)> = (0..=highest)
            .filter_map(|id| Some((id, tokenizer.id_to_token(id)?)))
            .map(|(id, piece)| (id, spelling.bytes(&piece, &alphabet), false))
            .collect();
        // Added tokens stand for themselves, and may stand in the vocabulary as well.
        let added = tokenizer.get_added_tokens_decoder();
        words.extend(
            added.into_iter().map(|(id, token)| (id, token.content.into_bytes(), token.special)),
        );
        Ok(Self::from_words(words, spelling.strips_first_space))
    }

    /// Later words replace earlier ones of the same token.
    pub(crate) fn from_words(
        mut words: Vec<(TokenId, Vec<u8>, bool)>,
        strips_first_space: bool,
    ) -> Self {
        words.sort_by_key(|(id, ..)| *id);
        let mut vocabulary = Self { strips_first_space, ..Self::default() };
        let mut words = words.into_iter().peekable();
        while let Some((id, word, special)) = words.next() {
            if words.peek().is_some_and(|(next, ..)| *next == id) {
                continue;
            }
            vocabulary.starts.resize(id as usize + 1, vocabulary.bytes.len());
            vocabulary.special.resize(id as usize + 1, false);
            vocabulary.special[id as usize] = special;
            vocabulary.bytes.extend_from_slice(&word);
        }
        vocabulary.starts.push(vocabulary.bytes.len());
        vocabulary
    }

    /// Tokens, with the unused numbers between them.
    pub fn len(&self) -> usize {
        self.special.len()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.special.is_empty()
    }

    /// The bytes of a token; none of a number that is not used.
    pub fn bytes(&self, token: TokenId) -> &[u8] {
        let token = token as usize;
        match (self.starts.get(token), self.starts.get(token + 1)) {
            (Some(&start), Some(&end)) => &self.bytes[start..end],
            _ => &[],
        }
    }

    /// Bytes of the longest token; `None` if there are bytes that no token is made of, for those may
    /// be lost without one.
    pub(crate) fn longest_token(&self) -> Option<usize> {
        let lengths = self.starts.windows(2).map(|ends| ends[1] - ends[0]);
        let mut is_known = [false; 256];
        for (&start, length) in self.starts.iter().zip(lengths.clone()) {
            if length == 1 {
                is_known[usize::from(self.bytes[start])] = true;
            }
        }
        lengths.max().filter(|_| is_known.iter().all(|&known| known))
    }

    /// Whether it is a mark for the model, not text for people.
    pub fn is_special(&self, token: TokenId) -> bool {
        self.special.get(token as usize).copied().unwrap_or(false)
    }

    /// Whether the space before the first word of a text is not part of it.
    pub fn strips_first_space(&self) -> bool {
        self.strips_first_space
    }

    /// A token as text; what is no whole character shows as U+FFFD.
    pub fn text(&self, token: TokenId) -> String {
        String::from_utf8_lossy(self.bytes(token)).into_owned()
    }
}

/// How bytes are spelt in the pieces of a vocabulary.
#[derive(Debug, Default)]
struct Spelling {
    /// Each byte is a letter of the [`byte_alphabet`].
    byte_level: bool,
    /// `<0x0A>` is the byte 10.
    byte_fallback: bool,
    /// Stands for a space.
    space: Option<String>,
    strips_first_space: bool,
}

impl Spelling {
    /// Learns from the `decoder` of a `tokenizer.json`.
    fn read(&mut self, decoder: &Value) -> Result<(), Unsupported> {
        let text = |field: &str| decoder[field].as_str().map(str::to_owned);
        match decoder["type"].as_str() {
            None | Some("Fuse") => {}
            Some("ByteLevel") => self.byte_level = true,
            Some("ByteFallback") => self.byte_fallback = true,
            Some("Metaspace") => {
                self.space = text("replacement");
                self.strips_first_space = decoder["prepend_scheme"].as_str() != Some("never");
            }
            Some("Replace") if decoder["content"].as_str() == Some(" ") => {
                self.space = decoder["pattern"]["String"].as_str().map(str::to_owned);
            }
            Some("Strip") if decoder["content"].as_str() == Some(" ") => {
                self.strips_first_space = decoder["start"].as_u64().is_some_and(|start| start > 0);
            }
            Some("Sequence") => {
                for part in decoder["decoders"].as_array().into_iter().flatten() {
                    self.read(part)?;
                }
            }
            Some(kind) => return Err(Unsupported { kind: kind.to_owned() }),
        }
        Ok(())
    }

    fn bytes(&self, piece: &str, alphabet: &HashMap<char, u8>) -> Vec<u8> {
        if self.byte_level {
            let bytes: Option<Vec<u8>> =
                piece.chars().map(|letter| alphabet.get(&letter).copied()).collect();
            // A piece with other letters was added by hand and stands for itself.
            return bytes.unwrap_or_else(|| piece.as_bytes().to_vec());
        }
        if let (true, Some(byte)) = (self.byte_fallback, fallback_byte(piece)) {
            return vec![byte];
        }
        match &self.space {
            Some(space) => piece.replace(space.as_str(), " ").into_bytes(),
            None => piece.as_bytes().to_vec(),
        }
    }
}

/// The byte that a piece like `<0x0A>` stands for.
fn fallback_byte(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok())?
}

/// The letters by which byte-level tokenizers write bytes: printable Latin-1 stands for itself,
/// the other bytes, in order, for the characters from U+0100 on.
fn byte_alphabet() -> HashMap<char, u8> {
    let stands_for_itself = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let (same, others): (Vec<u8>, Vec<u8>) = (0..=u8::MAX).partition(stands_for_itself);
    let shifted = ('\u{100}'..).zip(others);
    same.into_iter().map(|byte| (char::from(byte), byte)).chain(shifted).collect()
}

#[cfg(test)]
mod tests;
