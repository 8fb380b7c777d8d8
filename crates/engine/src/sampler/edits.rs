//! What changes logits before a token is chosen: bias and penalties.

use super::SampleContext;
use crate::ids::TokenId;

/// In [`Seen`]: the token is in the prompt. The other bits count how often it was generated.
const IN_PROMPT: u32 = 1 << 31;

/// Scratch space: what was seen of each token of the vocabulary. All zero between uses.
#[derive(Debug, Default)]
pub(super) struct Seen(Vec<u32>);

/// Adds the bias of each token that has one.
pub(super) fn bias(logits: &mut [f32], biases: &[(TokenId, f32)]) {
    for &(token, bias) in biases {
        if let Some(logit) = logits.get_mut(token as usize) {
            *logit += bias;
        }
    }
}

impl Seen {
    /// Makes tokens less likely that were seen before. Takes O(tokens seen).
    pub(super) fn penalize(&mut self, logits: &mut [f32], context: &SampleContext<'_>) {
        let params = context.params;
        let prompt = if params.repetition_penalty == 1.0 { &[] } else { context.prompt };
        if self.0.len() < logits.len() {
            self.0.resize(logits.len(), 0);
        }
        for &token in prompt {
            if let Some(seen) = self.0.get_mut(token as usize) {
                *seen |= IN_PROMPT;
            }
        }
        for &token in context.output {
            if let Some(seen) = self.0.get_mut(token as usize) {
                *seen += 1;
            }
        }
        for &token in prompt.iter().chain(context.output) {
            let Some(seen) = self.0.get_mut(token as usize) else { continue };
            // Taken, so that each token pays once and nothing is left behind.
            let seen = std::mem::take(seen);
            if let Some(logit) = logits.get_mut(token as usize).filter(|_| seen != 0) {
                let divides = *logit > 0.0;
                let repetition = params.repetition_penalty;
                *logit = if divides { *logit / repetition } else { *logit * repetition };
                let times = seen & !IN_PROMPT;
                *logit -= params.frequency_penalty * times as f32;
                *logit -= if times > 0 { params.presence_penalty } else { 0.0 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SamplingParams;

    fn penalized(params: &SamplingParams) -> [f32; 5] {
        let (prompt, output) = ([0, 0, 4], [1, 2, 1, 99]);
        let context = SampleContext { params, prompt: &prompt, output: &output, mask: None };
        let mut seen = Seen::default();
        let mut first = [4.0, 4.0, -4.0, 4.0, 0.0];
        let mut second = first;
        seen.penalize(&mut first, &context);
        seen.penalize(&mut second, &context);
        assert_eq!(first, second, "nothing is left behind");
        first
    }

    #[test]
    fn repetition_counts_the_prompt_and_weighs_by_sign() {
        let params = SamplingParams { repetition_penalty: 2.0, ..SamplingParams::default() };
        assert_eq!(penalized(&params), [2.0, 2.0, -8.0, 4.0, 0.0]);
    }

    #[test]
    fn presence_and_frequency_count_only_what_was_generated() {
        let params = SamplingParams {
            presence_penalty: 1.0,
            frequency_penalty: 0.5,
            ..SamplingParams::default()
        };
        assert_eq!(penalized(&params), [4.0, 2.0, -5.5, 4.0, 0.0]);
    }

    #[test]
    fn a_bias_is_added_and_one_of_an_unknown_token_ignored() {
        let mut logits = [1.0, 2.0];
        bias(&mut logits, &[(1, -5.0), (2, 9.0)]);
        assert_eq!(logits, [1.0, -3.0]);
    }
}
