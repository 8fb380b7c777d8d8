//! Makes guides: what the grammars of one model have in common.

use std::sync::Arc;

use engine::TokenId;
use llguidance::{
    Matcher, ParserFactory,
    panic_utils::catch_unwind,
    toktrie::{ApproximateTokEnv, InferenceCapabilities, SimpleVob, TokEnv, TokRxInfo, TokTrie},
};

use super::{
    Guide, Marks, Stage,
    grammar::{BadGrammar, Grammar, first_line},
};
use crate::{
    parse::{THINK_CLOSE, THINK_OPEN, Thoughts},
    vocabulary::Vocabulary,
};

/// Work for one mask, in the library's units; about ten milliseconds.
const STEP_FUEL: u64 = 150_000;

/// The tokens of a model as a trie, made once, and what turns grammars into guides over it.
pub struct Grammars {
    factory: ParserFactory,
    vocabulary: Arc<Vocabulary>,
    /// The tokens of thoughts.
    thoughts: Arc<SimpleVob>,
    marks: Marks,
}

impl Grammars {
    /// For a model's tokens; `end_tokens` end its texts.
    ///
    /// # Errors
    /// [`BadGrammar`] if the model has no end token, so that no answer could be complete.
    pub fn new(vocabulary: Arc<Vocabulary>, end_tokens: &[TokenId]) -> Result<Self, BadGrammar> {
        let known = |token: &TokenId| (*token as usize) < vocabulary.len();
        let end_tokens: Vec<TokenId> = end_tokens.iter().copied().filter(known).collect();
        let (Some(&end), Ok(size)) = (end_tokens.first(), TokenId::try_from(vocabulary.len()))
        else {
            return Err(BadGrammar::because("the model names no token that ends a text"));
        };
        let words: Vec<Vec<u8>> = (0..size).map(|token| word(&vocabulary, token)).collect();
        let find = |text: &str| (0..size).find(|&token| vocabulary.bytes(token) == text.as_bytes());
        let marks = Marks {
            think_open: find(THINK_OPEN),
            line_end: find("\n"),
            two_line_ends: find("\n\n"),
        };
        let made = catch_unwind(std::panic::AssertUnwindSafe(|| {
            let trie = TokTrie::from(&TokRxInfo::new(size, end), &words);
            let trie = trie.with_eos_tokens(&end_tokens);
            let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
            let capabilities = InferenceCapabilities::default();
            let slices = llguidance::earley::SlicedBiasComputer::general_slices();
            let mut factory = ParserFactory::new(&environment, capabilities, &slices)?;
            factory.quiet();
            let limits = factory.limits_mut();
            limits.step_lexer_fuel = STEP_FUEL;
            limits.verbose_errors = false;
            Ok(factory)
        }));
        let factory = made.map_err(|error| BadGrammar::because(first_line(&error.to_string())))?;
        let thoughts = Arc::new(thoughts(&vocabulary));
        Ok(Self { factory, vocabulary, thoughts, marks })
    }

    /// Makes the guide of one answer. Takes about a millisecond for a usual schema, and bounded
    /// time for any.
    ///
    /// # Errors
    /// [`BadGrammar`] says what is wrong with the grammar.
    pub fn guide(&self, grammar: &Grammar, thoughts: Thoughts) -> Result<Guide, BadGrammar> {
        let translated = grammar.translate()?;
        let parser =
            catch_unwind(std::panic::AssertUnwindSafe(|| self.factory.create_parser(translated)));
        let parser = parser.map_err(|error| BadGrammar::because(first_line(&error.to_string())))?;
        let matcher = Matcher::new(Ok(parser));
        if let Some(error) = matcher.get_error() {
            return Err(BadGrammar::because(first_line(&error)));
        }
        let stage = match thoughts {
            Thoughts::None => Stage::Answering,
            Thoughts::Possible => Stage::Beginning,
            Thoughts::Open => Stage::Thinking { seen: Vec::new() },
        };
        let (vocabulary, thoughts) = (Arc::clone(&self.vocabulary), Arc::clone(&self.thoughts));
        Ok(Guide {
            matcher,
            stage,
            marks: self.marks,
            vocabulary,
            thoughts,
            mask: SimpleVob::new(),
        })
    }
}

/// All text, and what closes the thoughts; no end and no other mark, for the answer is still owed.
fn thoughts(vocabulary: &Vocabulary) -> SimpleVob {
    let mut mask = SimpleVob::alloc(vocabulary.len());
    for token in (0..).take(vocabulary.len()) {
        let bytes = vocabulary.bytes(token);
        let is_close = bytes == THINK_CLOSE.as_bytes();
        if is_close || !(bytes.is_empty() || vocabulary.is_special(token)) {
            mask.allow_token(token);
        }
    }
    mask
}

/// Special tokens are marked, so that no text is made of them.
fn word(vocabulary: &Vocabulary, token: TokenId) -> Vec<u8> {
    let bytes = vocabulary.bytes(token);
    let mark = vocabulary.is_special(token).then_some(TokTrie::SPECIAL_TOKEN_MARKER);
    mark.into_iter().chain(bytes.iter().copied()).collect()
}
