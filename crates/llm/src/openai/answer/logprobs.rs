//! Log-probabilities, in the shapes of the two calls.

use api::openai::{ChatLogprobs, CompletionLogprobs, TokenLogprob, TopLogprob};
use serde_json::{Map, Value};

use crate::{openai::choice::Told, vocabulary::Vocabulary};

pub(super) fn for_chat(told: &[Told], vocabulary: &Vocabulary) -> ChatLogprobs {
    let content = told.iter().map(|one| TokenLogprob {
        token: vocabulary.text(one.token),
        logprob: one.logprob,
        bytes: Some(vocabulary.bytes(one.token).to_vec()),
        top_logprobs: one
            .top
            .iter()
            .map(|&(token, logprob)| top(token, logprob, vocabulary))
            .collect(),
    });
    ChatLogprobs { content: content.collect() }
}

fn top(token: u32, logprob: f32, vocabulary: &Vocabulary) -> TopLogprob {
    let bytes = Some(vocabulary.bytes(token).to_vec());
    TopLogprob { token: vocabulary.text(token), logprob, bytes }
}

/// `shift`: characters of the answer before the first of what was generated.
pub(super) fn for_completion(
    told: &[Told],
    vocabulary: &Vocabulary,
    shift: usize,
) -> CompletionLogprobs {
    let mut lists = CompletionLogprobs::default();
    for one in told {
        lists.text_offset.push(shift + one.offset);
        lists.token_logprobs.push(Some(one.logprob));
        lists.tokens.push(vocabulary.text(one.token));
        let tops = one.top.iter().map(|&(token, logprob)| (vocabulary.text(token), logprob.into()));
        lists
            .top_logprobs
            .push((!one.top.is_empty()).then(|| tops.collect::<Map<String, Value>>()));
    }
    lists
}
