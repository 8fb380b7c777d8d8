//! `POST /v1/completions` and `POST /generate`: from texts to sequences.

use api::openai::{CompletionRequest, GenerateRequest, SamplingFields, TextInput};
use engine::TokenId;

use super::{
    Answer, ApiError, Call, Stamp, Wanted,
    answer::{CompletionStyle, GenerateStyle, Style, Telling},
    plan::Plan,
    read::{read, read_with_sampling},
    sampling,
    shape::shape,
};
use crate::text::TextSide;

/// What this call has always given where nothing was asked.
const COMPLETION_TOKENS: usize = 16;
/// What `ai-platform` gives where nothing is asked.
const GENERATE_TOKENS: usize = 256;
const GENERATE_TEMPERATURE: f64 = 0.6;

impl TextSide {
    /// Reads a request to continue texts.
    ///
    /// # Errors
    /// [`ApiError`] names the field and the fix.
    pub fn completion(&self, body: &[u8], stamp: &Stamp) -> Result<Call, ApiError> {
        let request: CompletionRequest = read_with_sampling(body)?;
        let fields = &request.sampling;
        let choices = sampling::choices(fields, self.facts.max_sequences)?;
        refuse_unsupported(&request, choices)?;
        let missing =
            || ApiError::invalid("prompt", "`prompt` is missing; give a text or an array of texts");
        let prompts = self.tokens_of("prompt", request.prompt.as_ref().ok_or_else(missing)?)?;
        self.check_sequences("prompt", prompts.len().saturating_mul(choices))?;
        let logprobs = request
            .logprobs
            .map(|top| sampling::within("logprobs", top, 0..=sampling::TOP_LOGPROBS_MAX));
        let logprobs = logprobs.transpose()?;
        let mut plan = self.plan(fields, stamp)?;
        (plan.logprobs, plan.shape) = (logprobs, shape(fields)?);
        let telling = Telling::of(fields, choices);
        let echoes = self.echoes(&request, &prompts, choices);
        let style = CompletionStyle::new(echoes, logprobs.is_some(), telling.is_stream);
        let sequences = self.continued("prompt", prompts, fields, &plan, COMPLETION_TOKENS)?;
        let readings = sequences.iter().map(|_| self.reading(&plan));
        let answer = Answer::new(self.head(stamp), Style::Completion(style), telling, readings);
        Ok(Call { sequences, answer })
    }

    /// Reads a request of `ai-platform` to continue texts.
    ///
    /// # Errors
    /// [`ApiError`] names the field and the fix.
    pub fn generate(&self, body: &[u8], stamp: &Stamp) -> Result<Call, ApiError> {
        let request: GenerateRequest = read(body)?;
        if request.prompts.is_empty() {
            return Err(ApiError::invalid("prompts", "No prompts provided."));
        }
        let mut fields = beside(request.sampling_params, &read(body)?)?;
        fields.temperature = fields.temperature.or(Some(GENERATE_TEMPERATURE));
        if fields.n.is_some_and(|n| n != 1) {
            return Err(ApiError::unsupported("sampling_params.n", "each prompt has one result"));
        }
        if fields.stream == Some(true) {
            return Err(ApiError::unsupported("sampling_params.stream", "use /v1/completions"));
        }
        self.check_sequences("prompts", request.prompts.len())?;
        let prompts = self.tokens_of("prompts", &TextInput::Texts(request.prompts.clone()))?;
        let mut plan = self.plan(&fields, stamp)?;
        plan.shape = shape(&fields)?;
        let sequences = self.continued("prompts", prompts, &fields, &plan, GENERATE_TOKENS)?;
        let readings = sequences.iter().map(|_| self.reading(&plan));
        let style = Style::Generate(GenerateStyle::new(request.prompts));
        let answer = Answer::new(self.head(stamp), style, Telling::of(&fields, 1), readings);
        Ok(Call { sequences, answer })
    }

    /// `n` sequences for each prompt, prompts in order.
    fn continued(
        &self,
        field: &'static str,
        prompts: Vec<Vec<TokenId>>,
        fields: &SamplingFields,
        plan: &Plan,
        default: usize,
    ) -> Result<Vec<Wanted>, ApiError> {
        let choices = sampling::choices(fields, self.facts.max_sequences)?;
        let asked = fields.max_tokens.map(|asked| ("max_tokens", asked));
        let mut sequences = Vec::with_capacity(prompts.len() * choices);
        for prompt in prompts {
            let length = (field, prompt.len());
            let max_model_len = self.facts.max_model_len;
            let max_tokens = sampling::max_tokens(asked, Some(default), length, max_model_len)?;
            for number in 0..choices {
                sequences.push(self.wanted(plan, prompt.clone(), max_tokens, number)?);
            }
        }
        Ok(sequences)
    }

    /// The tokens of each text of a field.
    pub(super) fn tokens_of(
        &self,
        field: &str,
        input: &TextInput,
    ) -> Result<Vec<Vec<TokenId>>, ApiError> {
        let check =
            |tokens: &[TokenId]| super::tokenize::check(field, tokens, self.facts.vocab_size);
        let lists = match input {
            TextInput::Text(text) => vec![self.encode(field, text, true)?],
            TextInput::Texts(texts) => {
                let lists = texts.iter().map(|text| self.encode(field, text, true));
                lists.collect::<Result<_, _>>()?
            }
            TextInput::Tokens(tokens) => vec![check(tokens)?],
            TextInput::TokenLists(lists) => {
                lists.iter().map(|tokens| check(tokens)).collect::<Result<_, _>>()?
            }
        };
        if lists.is_empty() {
            return Err(ApiError::invalid(
                field,
                format!("`{field}` is empty; give at least one text"),
            ));
        }
        Ok(lists)
    }

    /// What each answer begins with.
    fn echoes(
        &self,
        request: &CompletionRequest,
        prompts: &[Vec<TokenId>],
        choices: usize,
    ) -> Vec<String> {
        let echo = request.echo.unwrap_or(false);
        let texts = prompts.iter().enumerate().map(|(number, tokens)| match &request.prompt {
            _ if !echo => String::new(),
            Some(TextInput::Text(text)) => text.clone(),
            Some(TextInput::Texts(texts)) => texts.get(number).cloned().unwrap_or_default(),
            _ => super::tokenize::text_of(&self.vocabulary, tokens),
        });
        texts.flat_map(|text| std::iter::repeat_n(text, choices)).collect()
    }
}

/// The fields that a request gives in `sampling_params`, and where that says nothing those beside
/// it: nobody who writes `max_tokens` in the wrong place means that it may be ignored.
fn beside(inside: SamplingFields, outside: &SamplingFields) -> Result<SamplingFields, ApiError> {
    let merged = || {
        let mut fields = serde_json::to_value(inside)?;
        let outside = serde_json::to_value(outside)?;
        for (name, value) in outside.as_object().into_iter().flatten() {
            if fields[name].is_null() {
                fields[name] = value.clone();
            }
        }
        serde_json::from_value(fields)
    };
    // Each was read from such a value.
    merged().map_err(|error: serde_json::Error| {
        ApiError::new(types::ErrorCode::InternalError, error.to_string())
    })
}

fn refuse_unsupported(request: &CompletionRequest, choices: usize) -> Result<(), ApiError> {
    if request.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()) {
        return Err(ApiError::unsupported("suffix", "models here only continue a text"));
    }
    let best_of = request.best_of.unwrap_or_else(|| i64::try_from(choices).unwrap_or(i64::MAX));
    if usize::try_from(best_of) != Ok(choices) {
        return Err(ApiError::unsupported("best_of", "leave it out, or give it the value of `n`"));
    }
    if request.echo == Some(true) && request.logprobs.is_some() {
        let words = "`echo` with `logprobs` is not supported: the tokens of a prompt have no \
                     log-probabilities here; leave one of them out";
        return Err(ApiError::invalid("echo", words));
    }
    Ok(())
}
