//! `POST /v1/chat/completions`: from a conversation to sequences.

use api::openai::ChatRequest;
use serde_json::Value;

use super::{
    Answer, ApiError, Call, Stamp, Wanted,
    answer::{ChatStyle, Style, Telling},
    messages,
    read::read_with_sampling,
    sampling,
    shape::{Shape, shape},
    tools::Tools,
};
use crate::{
    parse::Format,
    template::{Conversation, TemplateError},
    text::TextSide,
};

impl TextSide {
    /// Reads a request to go on with a conversation.
    ///
    /// # Errors
    /// [`ApiError`] names the field and the fix.
    pub fn chat(&self, body: &[u8], stamp: &Stamp) -> Result<Call, ApiError> {
        let request: ChatRequest = read_with_sampling(body)?;
        refuse_unsupported(&request)?;
        let fields = &request.sampling;
        let tools = Tools::of(&request)?;
        let prompt = self.chat_prompt(&request, &tools, stamp)?;
        let format = Format { thoughts: self.thoughts(&prompt), calls: !tools.shown.is_empty() };
        let prompt = self.encode("messages", &prompt, false)?;
        let max_tokens = sampling::max_tokens(
            asked_tokens(&request)?,
            self.defaults.max_tokens,
            ("messages", prompt.len()),
            self.facts.max_model_len,
        )?;
        let logprobs = logprobs(&request)?;
        let choices = sampling::choices(fields, self.facts.max_sequences)?;
        let mut plan = self.plan(fields, stamp)?;
        plan.logprobs = logprobs;
        plan.may_think = wants_thoughts(&request);
        plan.shape = merge(tools.forced, shape(fields)?)?;
        plan.format = Some(format);
        plan.calls_max = if tools.several { usize::MAX } else { 1 };
        plan.is_start = true;
        let telling = Telling::of(fields, choices);
        let style = ChatStyle::new(choices, logprobs.is_some(), telling.is_stream);
        let mut sequences: Vec<Wanted> = Vec::with_capacity(choices);
        for number in 0..choices {
            sequences.push(self.wanted(&plan, prompt.clone(), max_tokens, number)?);
        }
        let readings = (0..choices).map(|_| self.reading(&plan));
        let answer = Answer::new(self.head(stamp), Style::Chat(style), telling, readings);
        Ok(Call { sequences, answer })
    }

    /// The text that the model is to continue.
    fn chat_prompt(
        &self,
        request: &ChatRequest,
        tools: &Tools,
        stamp: &Stamp,
    ) -> Result<String, ApiError> {
        let messages = messages::for_template(&request.messages)?;
        let mut variables = request.chat_template_kwargs.clone().unwrap_or_default();
        if let Some(enable_thinking) = request.enable_thinking {
            variables.insert("enable_thinking".into(), Value::Bool(enable_thinking));
        }
        self.render(&Conversation {
            messages: &messages,
            tools: &tools.shown,
            add_generation_prompt: request.add_generation_prompt.unwrap_or(true),
            variables: &variables,
            now: stamp.now,
        })
    }

    pub(super) fn render(&self, conversation: &Conversation<'_>) -> Result<String, ApiError> {
        let template = self.template.as_ref().ok_or_else(|| {
            let words = "this model has no chat template (`chat_template.jinja`, or `chat_template` \
                         in tokenizer_config.json), so it cannot chat; use /v1/completions";
            ApiError::invalid("messages", words)
        })?;
        template.render(conversation).map_err(|error| match error {
            TemplateError::Refused { .. } => ApiError::invalid("messages", error.to_string()),
            TemplateError::Read { .. } | TemplateError::Invalid { .. } => {
                ApiError::new(types::ErrorCode::InternalError, error.to_string())
            }
        })
    }
}

/// Whether thoughts are asked for, and not only possible.
fn wants_thoughts(request: &ChatRequest) -> bool {
    let variables = request.chat_template_kwargs.as_ref();
    let asked = variables.and_then(|variables| variables.get("enable_thinking")?.as_bool());
    request.enable_thinking.or(asked).unwrap_or(false)
}

fn refuse_unsupported(request: &ChatRequest) -> Result<(), ApiError> {
    if request.chat_template.is_some() {
        return Err(ApiError::unsupported("chat_template", "the model's own template is used"));
    }
    if request.continue_final_message == Some(true) {
        let fix = "write the beginning of the answer into a prompt for /v1/completions";
        return Err(ApiError::unsupported("continue_final_message", fix));
    }
    Ok(())
}

/// `max_completion_tokens`, or `max_tokens`, its older name.
fn asked_tokens(request: &ChatRequest) -> Result<Option<(&'static str, i64)>, ApiError> {
    let newer = request.max_completion_tokens.map(|asked| ("max_completion_tokens", asked));
    let older = request.sampling.max_tokens.map(|asked| ("max_tokens", asked));
    match (newer, older) {
        (Some((_, newer)), Some((_, older))) if newer != older => Err(ApiError::invalid(
            "max_completion_tokens",
            "`max_completion_tokens` and `max_tokens` mean the same; give one of them",
        )),
        (newer, older) => Ok(newer.or(older)),
    }
}

fn logprobs(request: &ChatRequest) -> Result<Option<usize>, ApiError> {
    let top = request.top_logprobs.unwrap_or(0);
    let top = sampling::within("top_logprobs", top, 0..=sampling::TOP_LOGPROBS_MAX)?;
    match (request.logprobs.unwrap_or(false), top) {
        (true, top) => Ok(Some(top)),
        (false, 0) => Ok(None),
        (false, _) => {
            Err(ApiError::invalid("top_logprobs", "`top_logprobs` needs `logprobs` to be true"))
        }
    }
}

/// A forced call and a shape of the content exclude each other.
fn merge(
    forced: Option<crate::guide::Grammar>,
    shape: Option<Shape>,
) -> Result<Option<Shape>, ApiError> {
    match (forced, shape) {
        (Some(_), Some((field, _))) => {
            let words = format!(
                "`{field}` says what the answer looks like, but `tool_choice` forces a call"
            );
            Err(ApiError::invalid(field, words))
        }
        (Some(calls), None) => Ok(Some(("tools", calls))),
        (None, shape) => Ok(shape),
    }
}
