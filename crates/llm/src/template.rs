//! Chat templates: a conversation as the text that the model was taught to read.
//!
//! Templates are jinja2 programs that come with the model. They see what the Python library that
//! they were written for shows them: the same variables, functions, filters and Python methods.

mod functions;
mod json;
mod source;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use minijinja::{
    Environment, Value, context,
    value::{Serde, merge_maps},
};
use time::OffsetDateTime;

const DEFAULT: &str = "default";
const TOOL_USE: &str = "tool_use";

/// A chat template that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A file of the model cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the model is not what it should be.
    #[error("{}: {reason}", path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The template cannot render this conversation, or does not want to.
    #[error("the model's chat template does not take these messages: {reason}")]
    Refused {
        /// In the template's words.
        reason: String,
    },
}

/// The special tokens that `tokenizer_config.json` names, for example `eos_token`.
///
/// # Errors
/// [`TemplateError`] if the file is damaged.
pub fn special_tokens(folder: &Path) -> Result<BTreeMap<String, String>, TemplateError> {
    source::read(folder).map(|source| source.special_tokens)
}

/// What is rendered.
#[derive(Debug, Clone)]
pub struct Conversation<'a> {
    /// The messages, as the template sees them.
    pub messages: &'a [serde_json::Value],
    /// Functions that the model may call.
    pub tools: &'a [serde_json::Value],
    /// Whether the text ends with the head of the assistant's answer.
    pub add_generation_prompt: bool,
    /// Further variables of the template, for example `enable_thinking`.
    pub variables: &'a serde_json::Map<String, serde_json::Value>,
    /// What `strftime_now` tells.
    pub now: OffsetDateTime,
}

/// The chat template of one model.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    /// `bos_token` and its like.
    special_tokens: BTreeMap<String, String>,
    has_tool_use: bool,
    mentions_thoughts: bool,
}

impl ChatTemplate {
    /// Reads the template of a model's folder: `chat_template.jinja`, else `chat_template` of
    /// `tokenizer_config.json`. `None` if the model has none, and so cannot chat.
    ///
    /// # Errors
    /// [`TemplateError`] if a file is damaged or the template is no valid program.
    pub fn open(folder: &Path) -> Result<Option<Self>, TemplateError> {
        let source = source::read(folder)?;
        if source.templates.is_empty() {
            return Ok(None);
        }
        let mut environment = functions::environment();
        let mentions_thoughts =
            source.templates.iter().any(|(_, text)| text.contains(crate::parse::THINK_OPEN));
        let has_tool_use = source.templates.iter().any(|(name, _)| name == TOOL_USE);
        for (name, text) in source.templates {
            let text = source::without_generation_marks(&text);
            environment.add_template_owned(name, text).map_err(|error| TemplateError::Invalid {
                path: source.path.clone(),
                reason: format!("the chat template is not valid: {}", words(&error)),
            })?;
        }
        let special_tokens = source.special_tokens;
        Ok(Some(Self { environment, special_tokens, has_tool_use, mentions_thoughts }))
    }

    /// Whether the template knows thoughts between `<think>` and `</think>`.
    pub fn mentions_thoughts(&self) -> bool {
        self.mentions_thoughts
    }

    /// Renders a conversation.
    ///
    /// # Errors
    /// [`TemplateError::Refused`], with what the template says.
    pub fn render(&self, conversation: &Conversation<'_>) -> Result<String, TemplateError> {
        let tools = conversation.tools;
        let name = if self.has_tool_use && !tools.is_empty() { TOOL_USE } else { DEFAULT };
        let tools = (!tools.is_empty()).then(|| Value::from(Serde(tools)));
        let now = conversation.now;
        let strftime_now =
            Value::from_function(move |format: &str| functions::strftime(now, format));
        let known = context! {
            messages => Value::from(Serde(conversation.messages)),
            tools => tools.unwrap_or(Value::from(())),
            documents => Value::from(()),
            add_generation_prompt => conversation.add_generation_prompt,
            strftime_now => strftime_now,
        };
        // Later ones win.
        let variables = merge_maps([
            Value::from(Serde(&self.special_tokens)),
            Value::from(Serde(conversation.variables)),
            known,
        ]);
        self.environment
            .get_template(name)
            .and_then(|template| template.render(variables))
            .map_err(|error| TemplateError::Refused { reason: words(&error) })
    }
}

/// What `raise_exception` was given, or what went wrong and where.
fn words(error: &minijinja::Error) -> String {
    match (error.detail(), error.line()) {
        (Some(detail), _) if functions::is_raised(error) => detail.to_owned(),
        (detail, line) => {
            let what = detail.map_or_else(|| error.kind().to_string(), str::to_owned);
            line.map_or_else(
                || what.clone(),
                |line| format!("{what} (line {line} of the template)"),
            )
        }
    }
}
