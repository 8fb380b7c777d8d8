//! `POST /tokenize` and `/detokenize`.

use api::openai::{DetokenizeAnswer, DetokenizeRequest, TokenizeAnswer, TokenizeRequest};
use engine::TokenId;
use time::OffsetDateTime;

use super::{ApiError, messages, read::read, tools};
use crate::{template::Conversation, text::TextSide, vocabulary::Vocabulary};

impl TextSide {
    /// Cuts a text, or a conversation as the template writes it, into tokens.
    ///
    /// # Errors
    /// [`ApiError`] names the field and the fix.
    pub fn tokenize(&self, body: &[u8], now: OffsetDateTime) -> Result<TokenizeAnswer, ApiError> {
        let request: TokenizeRequest = read(body)?;
        let (text, is_chat) = match (&request.prompt, &request.messages) {
            (Some(text), None) => (text.clone(), false),
            (None, Some(messages)) => {
                let rendered = self.render(&Conversation {
                    messages: &messages::for_template(messages)?,
                    tools: &tools::shown(request.tools.as_deref().unwrap_or_default()),
                    add_generation_prompt: request.add_generation_prompt.unwrap_or(true),
                    variables: &request.chat_template_kwargs.unwrap_or_default(),
                    now,
                })?;
                (rendered, true)
            }
            _ => {
                let words = "give either `prompt`, a text, or `messages`, a conversation";
                return Err(ApiError::invalid("prompt", words));
            }
        };
        let add_special = request.add_special_tokens.unwrap_or(!is_chat);
        let tokens = self.tokenizer.encode(&text, add_special);
        let tokens = tokens.map_err(|error| ApiError::invalid("prompt", error.to_string()))?;
        let max_model_len = self.facts.max_model_len;
        Ok(TokenizeAnswer { count: tokens.len(), max_model_len, tokens })
    }

    /// Puts tokens together, special ones included.
    ///
    /// # Errors
    /// [`ApiError`] names the first token that does not exist.
    pub fn detokenize(&self, body: &[u8]) -> Result<DetokenizeAnswer, ApiError> {
        let request: DetokenizeRequest = read(body)?;
        let unknown = request.tokens.iter().find(|&&token| token as usize >= self.facts.vocab_size);
        match unknown {
            Some(&token) => Err(no_such_token("tokens", token, self.facts.vocab_size)),
            None => Ok(DetokenizeAnswer { prompt: text_of(&self.vocabulary, &request.tokens) }),
        }
    }
}

/// The text of tokens, special ones included.
pub(super) fn text_of(vocabulary: &Vocabulary, tokens: &[TokenId]) -> String {
    let bytes: Vec<u8> =
        tokens.iter().flat_map(|&token| vocabulary.bytes(token)).copied().collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Tokens that a request gives itself.
pub(super) fn check(
    field: &str,
    tokens: &[TokenId],
    vocab_size: usize,
) -> Result<Vec<TokenId>, ApiError> {
    if tokens.is_empty() {
        return Err(ApiError::invalid(field, format!("a list of tokens in `{field}` is empty")));
    }
    match tokens.iter().find(|&&token| token as usize >= vocab_size) {
        Some(&token) => Err(no_such_token(field, token, vocab_size)),
        None => Ok(tokens.to_vec()),
    }
}

fn no_such_token(field: &str, token: TokenId, vocab_size: usize) -> ApiError {
    let words =
        format!("`{field}` holds {token}, but the tokens of this model are below {vocab_size}");
    ApiError::invalid(field, words)
}
