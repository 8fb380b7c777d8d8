//! The text side of one model: everything that reads or writes for it.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use engine::TokenId;

use crate::{
    defaults::{Defaults, DefaultsError},
    guide::{BadGrammar, Grammar, Grammars, Guide},
    parse::{CALL_CLOSE, CALL_OPEN, THINK_CLOSE, THINK_OPEN, Thoughts},
    template::{self, ChatTemplate, TemplateError},
    tokenizer::{Tokenizer, TokenizerError},
    vocabulary::Vocabulary,
};

/// A model whose files about text cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// Its tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// Its chat template, or its special tokens.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Its recommendations.
    #[error(transparent)]
    Defaults(#[from] DefaultsError),
}

/// What must be known of a model.
#[derive(Debug, Clone)]
pub struct TextFacts {
    /// Its public name, which answers tell.
    pub name: String,
    /// `vocab_size` of its `config.json`.
    pub vocab_size: usize,
    /// Tokens of prompt and answer together, at most.
    pub max_model_len: usize,
    /// Sequences of one request, at most.
    pub max_sequences: usize,
}

/// The text side of one model.
pub struct TextSide {
    pub(crate) facts: TextFacts,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) vocabulary: Arc<Vocabulary>,
    /// Bytes of the longest token, and of how many bytes of a text one is left at least; `None`: any
    /// number of them may be lost.
    bounds: Option<(usize, usize)>,
    pub(crate) template: Option<ChatTemplate>,
    pub(crate) defaults: Defaults,
    /// Marks that answers are told apart by, although they may be special tokens.
    pub(crate) marks: Vec<TokenId>,
    /// Made for the first answer that needs a grammar: most models are never asked for one.
    grammars: OnceLock<Result<Grammars, BadGrammar>>,
}

impl TextSide {
    /// Reads the folder of a model that writes text. No weights are touched.
    ///
    /// # Errors
    /// [`TextError`] names the file and what is wrong with it.
    pub fn open(folder: &Path, facts: TextFacts) -> Result<Self, TextError> {
        let tokenizer = Tokenizer::open(folder, facts.vocab_size)?;
        let vocabulary = Arc::new(tokenizer.vocabulary()?);
        let bounds = vocabulary.longest_token().zip(tokenizer.shrinkage());
        let template = ChatTemplate::open(folder)?;
        let mut defaults = Defaults::open(folder)?;
        let end = template::special_tokens(folder)?.remove("eos_token");
        if let Some(token) = end.and_then(|text| tokenizer.token(&text))
            && !defaults.end_tokens.contains(&token)
        {
            defaults.end_tokens.push(token);
        }
        let marks = [THINK_OPEN, THINK_CLOSE, CALL_OPEN, CALL_CLOSE];
        let marks = marks.into_iter().filter_map(|mark| tokenizer.token(mark)).collect();
        let grammars = OnceLock::new();
        Ok(Self { facts, tokenizer, vocabulary, bounds, template, defaults, marks, grammars })
    }

    /// What is known of the model.
    pub fn facts(&self) -> &TextFacts {
        &self.facts
    }

    /// Whether it can chat: it has a template for it.
    pub fn can_chat(&self) -> bool {
        self.template.is_some()
    }

    /// Tokens that a text has at least, known without cutting it; 0 where nothing is known.
    pub(crate) fn least_tokens(&self, text: &str) -> usize {
        let Some((longest, shrinkage)) = self.bounds else { return 0 };
        // A mark may join an ASCII letter, which makes it no shorter.
        let ascii = text.bytes().filter(u8::is_ascii).count();
        let left = ascii + (text.len() - ascii) / shrinkage;
        left.div_ceil(longest)
    }

    pub(crate) fn guide(&self, grammar: &Grammar, thoughts: Thoughts) -> Result<Guide, BadGrammar> {
        let make = || Grammars::new(Arc::clone(&self.vocabulary), &self.defaults.end_tokens);
        self.grammars.get_or_init(make).as_ref().map_err(Clone::clone)?.guide(grammar, thoughts)
    }

    /// Whether an answer to this prompt begins with thoughts.
    pub(crate) fn thoughts(&self, prompt: &str) -> Thoughts {
        let knows_thoughts = self.template.as_ref().is_some_and(ChatTemplate::mentions_thoughts);
        let prompt = prompt.trim_end();
        if !knows_thoughts || prompt.ends_with(THINK_CLOSE) {
            Thoughts::None
        } else if prompt.ends_with(THINK_OPEN) {
            Thoughts::Open
        } else {
            Thoughts::Possible
        }
    }
}
