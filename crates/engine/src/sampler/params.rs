//! How a token is chosen, in the words of the APIs that people know.

use crate::ids::TokenId;

/// Below this a temperature counts as 0: dividing by it would only overflow.
const TEMPERATURE_MIN: f32 = 1e-5;

/// How each token of a sequence is chosen. The default draws from the model's own distribution.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingParams {
    /// Divides the logits; 0: always the likeliest token. 0 to 2 is usual.
    pub temperature: f32,
    /// Only the so many likeliest; 0: all.
    pub top_k: usize,
    /// Only the likeliest that together reach this probability; in (0, 1], 1: all.
    pub top_p: f32,
    /// Only those at least this fraction as likely as the likeliest; in [0, 1], 0: all.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of tokens seen in prompt or output; 1: off.
    pub repetition_penalty: f32,
    /// Taken from the logit of each token generated before; -2 to 2, 0: off.
    pub presence_penalty: f32,
    /// Taken from it once for each time it was generated; -2 to 2, 0: off.
    pub frequency_penalty: f32,
    /// Added to the logits of these tokens.
    pub logit_bias: Vec<(TokenId, f32)>,
    /// With the position it decides every draw, so that a preempted sequence goes on as it would
    /// have. The choices of one request count up from it.
    pub seed: u64,
    /// `Some(n)`: the log-probability of each token is told, and the `n` likeliest at its place.
    /// They are the model's own, before penalties, bias, mask and temperature.
    pub logprobs: Option<usize>,
}

impl Default for SamplingParams {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
            logprobs: None,
        }
    }
}

/// A sampling parameter that makes no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{field}` must be {rule}, not {value}")]
pub struct BadSampling {
    /// Its name, as in [`SamplingParams`].
    pub field: &'static str,
    /// What it must be.
    pub rule: &'static str,
    /// What it is.
    pub value: f32,
}

impl SamplingParams {
    /// Always the likeliest token.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::default() }
    }

    /// Whether no draw is made.
    pub fn is_greedy(&self) -> bool {
        self.temperature < TEMPERATURE_MIN
    }

    /// Whether the token with the highest logit is all that is wanted, so that the model can tell
    /// it without giving away its logits.
    pub fn is_argmax(&self) -> bool {
        self.is_greedy()
            && self.logprobs.is_none()
            && self.logit_bias.is_empty()
            && !self.penalizes()
    }

    /// Whether what was seen before matters.
    pub(crate) fn penalizes(&self) -> bool {
        self.repetition_penalty != 1.0
            || self.presence_penalty != 0.0
            || self.frequency_penalty != 0.0
    }

    /// Looks for what makes no sense.
    ///
    /// # Errors
    /// [`BadSampling`] names the first such field.
    pub fn check(&self) -> Result<(), BadSampling> {
        let within = |range: std::ops::RangeInclusive<f32>, value| range.contains(&value);
        let fields = [
            (
                "temperature",
                self.temperature,
                "from 0 to 100",
                within(0.0..=100.0, self.temperature),
            ),
            ("top_p", self.top_p, "above 0 and at most 1", self.top_p > 0.0 && self.top_p <= 1.0),
            ("min_p", self.min_p, "from 0 to 1", within(0.0..=1.0, self.min_p)),
            (
                "repetition_penalty",
                self.repetition_penalty,
                "above 0 and at most 100",
                self.repetition_penalty > 0.0 && self.repetition_penalty <= 100.0,
            ),
            (
                "presence_penalty",
                self.presence_penalty,
                "from -2 to 2",
                within(-2.0..=2.0, self.presence_penalty),
            ),
            (
                "frequency_penalty",
                self.frequency_penalty,
                "from -2 to 2",
                within(-2.0..=2.0, self.frequency_penalty),
            ),
        ];
        let biases = self.logit_bias.iter().map(|&(_, bias)| {
            ("logit_bias", bias, "from -100 to 100 for each token", within(-100.0..=100.0, bias))
        });
        match fields.into_iter().chain(biases).find(|&(.., fine)| !fine) {
            None => Ok(()),
            Some((field, value, rule, _)) => Err(BadSampling { field, rule, value }),
        }
    }
}
