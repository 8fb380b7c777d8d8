//! What the sequences of one request have in common, and how each is made from it.

use std::{cell::OnceCell, sync::Arc};

use api::openai::SamplingFields;
use engine::{SamplingParams, TokenId};
use types::ErrorCode;

use super::{
    ApiError, Stamp, Wanted,
    answer::{Head, Telling},
    choice::Reading,
    sampling,
    shape::Shape,
};
use crate::{
    detokenizer::{Detokenizer, TextOptions},
    guide::Guide,
    parse::{Format, OutputParser, Thoughts},
    stop::{StopScanner, StopWatch},
    text::TextSide,
};

/// What the sequences of one request have in common.
pub(super) struct Plan {
    sampling: SamplingParams,
    stop_tokens: Vec<TokenId>,
    stops: Vec<String>,
    skip_special: bool,
    ignores_end: bool,
    /// Log-probabilities are wanted, and this many of the likeliest tokens.
    pub(super) logprobs: Option<usize>,
    pub(super) shape: Option<Shape>,
    /// Made from the shape once, for all choices.
    guide: OnceCell<Guide>,
    /// An answer of a certain shape may begin with thoughts. If not, it begins at once: a model
    /// that does not think by itself would lose its way in them.
    pub(super) may_think: bool,
    /// How the parts of an answer are told apart; `None`: not at all.
    pub(super) format: Option<Format>,
    /// Calls of tools in one answer.
    pub(super) calls_max: usize,
    /// An answer is a text of its own, not the rest of the prompt.
    pub(super) is_start: bool,
}

impl TextSide {
    /// What the fields that all calls share ask for; the caller adds the rest.
    pub(super) fn plan(&self, fields: &SamplingFields, stamp: &Stamp) -> Result<Plan, ApiError> {
        let (vocab_size, defaults) = (self.facts.vocab_size, &self.defaults);
        let stop_tokens = sampling::stop_tokens(fields, &defaults.end_tokens, vocab_size)?;
        Ok(Plan {
            sampling: sampling::params(fields, &defaults.sampling, stamp.seed, vocab_size)?,
            stop_tokens,
            stops: sampling::stops(fields)?,
            skip_special: fields.skip_special_tokens.unwrap_or(true),
            ignores_end: fields.ignore_eos.unwrap_or(false),
            logprobs: None,
            shape: None,
            guide: OnceCell::new(),
            may_think: false,
            format: None,
            calls_max: 0,
            is_start: false,
        })
    }

    /// The sequence of one choice; `number` counts the choices of its prompt.
    pub(super) fn wanted(
        &self,
        plan: &Plan,
        prompt: Vec<TokenId>,
        max_tokens: usize,
        number: usize,
    ) -> Result<Wanted, ApiError> {
        let mut sampling = plan.sampling.clone();
        sampling.logprobs = plan.logprobs;
        sampling.seed = sampling.seed.wrapping_add(u64::try_from(number).unwrap_or(u64::MAX));
        let guide = self.guide_of(plan)?;
        let scanner = || StopScanner::new(plan.stops.clone());
        let watch =
            (!plan.stops.is_empty()).then(|| StopWatch::new(self.detokenizer(plan), scanner()));
        let stop_tokens = plan.stop_tokens.clone();
        Ok(Wanted { prompt, sampling, max_tokens, stop_tokens, guide, watch })
    }

    /// Leads one choice, if the answer must have a shape.
    fn guide_of(&self, plan: &Plan) -> Result<Option<Guide>, ApiError> {
        let Some((field, grammar)) = &plan.shape else { return Ok(None) };
        if plan.ignores_end {
            let words = "`ignore_eos` would go on after the answer that is asked for is complete";
            return Err(ApiError::invalid("ignore_eos", words));
        }
        if let Some(made) = plan.guide.get() {
            return Ok(Some(made.copied()));
        }
        let thoughts = match plan.format.map(|format| format.thoughts) {
            Some(Thoughts::Possible) if plan.may_think => Thoughts::Possible,
            Some(Thoughts::Open) => Thoughts::Open,
            Some(Thoughts::Possible | Thoughts::None) | None => Thoughts::None,
        };
        let unusable =
            |why: String| ApiError::invalid(*field, format!("`{field}` cannot be used: {why}"));
        let mut made =
            self.guide(grammar, thoughts).map_err(|error| unusable(error.to_string()))?;
        // A grammar that nothing fits is a mistake of the request, which is known from here on.
        made.mask().map_err(|error| unusable(format!("no answer fits it ({error})")))?;
        Ok(Some(plan.guide.get_or_init(|| made).copied()))
    }

    /// How the answer of one choice is read.
    pub(super) fn reading(&self, plan: &Plan) -> Reading {
        Reading {
            detokenizer: self.detokenizer(plan),
            scanner: StopScanner::new(plan.stops.clone()),
            parser: plan.format.map(OutputParser::new),
            calls_max: plan.calls_max,
        }
    }

    fn detokenizer(&self, plan: &Plan) -> Detokenizer {
        // Who tells the parts apart must see the marks between them.
        let keep = if plan.format.is_some() { self.marks.clone() } else { Vec::new() };
        let options =
            TextOptions { skip_special: plan.skip_special, keep, is_start: plan.is_start };
        Detokenizer::new(Arc::clone(&self.vocabulary), options)
    }

    pub(super) fn head(&self, stamp: &Stamp) -> Head {
        Head {
            id: stamp.id.clone(),
            created: u64::try_from(stamp.now.unix_timestamp()).unwrap_or(0),
            model: self.facts.name.clone(),
            vocabulary: Arc::clone(&self.vocabulary),
        }
    }

    /// The tokens of a text that stands in this field.
    pub(super) fn encode(
        &self,
        field: &str,
        text: &str,
        add_special: bool,
    ) -> Result<Vec<TokenId>, ApiError> {
        self.check_bytes(field, text)?;
        let tokens = self.tokenizer.encode(text, add_special);
        let tokens = tokens.map_err(|error| ApiError::invalid(field, error.to_string()))?;
        if tokens.is_empty() {
            return Err(ApiError::invalid(
                field,
                format!("`{field}` is empty; there is nothing to continue"),
            ));
        }
        Ok(tokens)
    }

    /// Refuses a text of which nothing has to be cut to know that it does not fit: to cut megabytes
    /// takes seconds.
    fn check_bytes(&self, field: &str, text: &str) -> Result<(), ApiError> {
        let most = self.facts.max_model_len;
        let least = self.least_tokens(text);
        if least <= most {
            return Ok(());
        }
        let message = format!(
            "the context of this model holds {most} tokens, and `{field}` alone has {} bytes, which \
             are at least {least} tokens; shorten it",
            text.len()
        );
        Err(ApiError { code: ErrorCode::ContextOverflow, message, param: Some(field.into()) })
    }

    /// Refuses more sequences than a request may have.
    pub(super) fn check_sequences(&self, field: &str, sequences: usize) -> Result<(), ApiError> {
        let most = self.facts.max_sequences;
        if sequences <= most {
            return Ok(());
        }
        let words = format!(
            "this asks for {sequences} answers at once (prompts times `n`); at most {most} are made for one request"
        );
        Err(ApiError { code: ErrorCode::InvalidRequest, message: words, param: Some(field.into()) })
    }
}

impl Telling {
    pub(super) fn of(fields: &SamplingFields, choices: usize) -> Self {
        let options = fields.stream_options.as_ref();
        let include_usage = options.and_then(|options| options.include_usage).unwrap_or(false);
        Self { is_stream: fields.stream.unwrap_or(false), include_usage, choices }
    }
}
