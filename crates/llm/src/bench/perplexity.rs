//! How well a model foretells given texts: its perplexity, to compare ways to hold its weights.

use std::collections::{HashMap, VecDeque};

use engine::{
    Engine, EngineConfig, Event, ModelRunner, Request, Row, Sampled, SamplingParams, SequenceId,
    TokenId, blocks_for,
};
use kernels::Isa;
use models::{Model, Source};
use serde::{Deserialize, Serialize};

use super::{BenchError, SPARE_BLOCKS};
use crate::{
    load::{self, Order},
    tokenizer::Tokenizer,
};

/// Texts that are computed together.
const AT_ONCE: usize = 16;

/// A text and what comes before it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Given, with all its marks; it does not count.
    #[serde(default)]
    pub prompt: String,
    /// What the model should foretell. Without a prompt its first token is given.
    pub answer: String,
}

/// A measurement to be made.
#[derive(Debug, Clone)]
pub struct PerplexityJob {
    /// The model, and how it is to run.
    pub order: Order,
    /// Instructions to use; `None`: the best that this processor has.
    pub isa: Option<Isa>,
    /// What it is to foretell.
    pub texts: Vec<Text>,
}

/// How well the texts were foretold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Perplexity {
    /// Name of the model.
    pub model: String,
    /// How its weights are held.
    pub weights: String,
    /// How keys and values are held.
    pub kv: String,
    /// Texts.
    pub texts: usize,
    /// Tokens that were foretold.
    pub tokens: usize,
    /// Mean of minus the natural logarithm of the probability that each had.
    pub nats_per_token: f64,
    /// The same as the number of equally likely tokens.
    pub perplexity: f64,
}

/// Loads the model and goes through the texts.
///
/// # Errors
/// [`BenchError`] says what stands in the way.
pub fn perplexity(job: &PerplexityJob) -> Result<Perplexity, BenchError> {
    let source = Source::open(&job.order.folder)?;
    let tokenizer = Tokenizer::open(&job.order.folder, source.vocab_size())?;
    let texts = job.texts.iter().map(|text| Foretold::of(text, &tokenizer));
    let texts = texts.collect::<Result<VecDeque<_>, _>>()?;
    let longest = texts.iter().map(Foretold::len).max().unwrap_or(0);
    if longest > source.max_positions() {
        return Err(BenchError::TooLong { asked: longest, max: source.max_positions() });
    }
    let mut options = load::options(&job.order);
    options.isa = job.isa;
    options.max_sequences = AT_ONCE;
    options.max_batch_tokens = options.max_batch_tokens.max(AT_ONCE);
    options.kv_blocks = AT_ONCE * (blocks_for(longest) + 1) + SPARE_BLOCKS;
    let Model::Decoder(mut decoder) = source.load(&options, &mut |_| {})? else {
        return Err(BenchError::Encoder);
    };
    let tokens: usize = texts.iter().map(|text| text.answer.len()).sum();
    let count = texts.len();
    let nats_per_token = foretell(&mut *decoder, texts)? / tokens as f64;
    Ok(Perplexity {
        model: job.order.name.clone(),
        weights: options.format.to_string(),
        kv: options.kv_format.to_string(),
        texts: count,
        tokens,
        nats_per_token,
        perplexity: nats_per_token.exp(),
    })
}

/// A text in tokens.
struct Foretold {
    prompt: Vec<TokenId>,
    /// What is still to come.
    answer: VecDeque<TokenId>,
}

impl Foretold {
    fn of(text: &Text, tokenizer: &Tokenizer) -> Result<Self, BenchError> {
        let cut = |part: &str| {
            let tokens = tokenizer.encode(part, false);
            tokens.map_err(|error| BenchError::Engine(error.to_string()))
        };
        let (mut prompt, mut answer) = (cut(&text.prompt)?, VecDeque::from(cut(&text.answer)?));
        if prompt.is_empty() {
            prompt.extend(answer.pop_front());
        }
        if answer.is_empty() {
            return Err(BenchError::EmptyText);
        }
        Ok(Self { prompt, answer })
    }

    fn len(&self) -> usize {
        self.prompt.len() + self.answer.len()
    }
}

/// The sum over all tokens of minus the logarithm of their probability.
fn foretell(
    runner: &mut impl ModelRunner,
    mut waiting: VecDeque<Foretold>,
) -> Result<f64, BenchError> {
    let config =
        EngineConfig { prefix_cache: false, ..EngineConfig::of(runner.shape(), waiting.len()) };
    let mut engine = Engine::new(config);
    let mut answers: HashMap<SequenceId, VecDeque<TokenId>> = HashMap::new();
    while let Some(Foretold { prompt, answer }) = waiting.pop_front() {
        // With log-probabilities the engine asks for all logits.
        let sampling = SamplingParams { logprobs: Some(0), ..SamplingParams::greedy() };
        let request = Request { prompt, max_tokens: answer.len(), sampling, ..Request::default() };
        let refused = |refused: engine::Refused| BenchError::Engine(refused.to_string());
        answers.insert(engine.add(request).map_err(refused)?, answer);
    }
    let mut nats = 0.0;
    while let Some(batch) = engine.schedule() {
        let output =
            runner.run(&batch).map_err(|error| BenchError::Engine(types::chain(&error)))?;
        let mut given = Vec::with_capacity(batch.chunks.len());
        for (chunk, row) in batch.chunks.iter().zip(output.rows) {
            let mut next = || answers.get_mut(&chunk.sequence).and_then(VecDeque::pop_front);
            given.push(match row {
                Row::Nothing => None,
                Row::Logits(logits) => next().map(|token| {
                    nats -= log_probability(logits, token);
                    Sampled::from(token)
                }),
                Row::Argmax(_) | Row::NotANumber => {
                    return Err(BenchError::Engine("the model gives no logits".into()));
                }
            });
        }
        for event in engine.settle(&batch, given) {
            if let Event::Finished { sequence, .. } = event {
                answers.remove(&sequence);
            }
        }
    }
    Ok(nats)
}

/// Natural logarithm of the probability of a token.
fn log_probability(logits: &[f32], token: TokenId) -> f64 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - highest).exp()).sum();
    let own = logits.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY);
    f64::from(own - highest) - sum.ln()
}

#[cfg(test)]
mod tests {
    use engine::{Batch, ModelShape, Output, RunError, RunOutput};

    use super::*;

    /// Gives the token after the last one three quarters, and the four others the rest.
    struct Sure(Vec<Vec<f32>>);

    impl ModelRunner for Sure {
        fn shape(&self) -> ModelShape {
            ModelShape {
                vocab: 5,
                max_positions: 64,
                kv_blocks: 64,
                max_batch_tokens: 8,
                max_sequences: 4,
            }
        }

        fn run(&mut self, batch: &Batch) -> Result<RunOutput<'_>, RunError> {
            self.0 = vec![vec![0.0; 5]; batch.chunks.len()];
            let rows = batch.chunks.iter().zip(&mut self.0).map(|(chunk, logits)| {
                let next = (chunk.tokens.last().unwrap() + 1) % 5;
                logits[next as usize] = 12_f32.ln();
                if chunk.output == Output::Nothing { Row::Nothing } else { Row::Logits(logits) }
            });
            Ok(RunOutput { rows: rows.collect() })
        }
    }

    #[test]
    fn every_token_of_every_text_counts_once_with_its_probability() {
        let text = |prompt: Vec<TokenId>, answer: &[TokenId]| Foretold {
            prompt,
            answer: answer.iter().copied().collect(),
        };
        // Two tokens as expected, one not; and a prompt of several steps.
        let texts = [text(vec![0], &[1, 2, 0]), text(vec![3; 20], &[4])];
        let nats = foretell(&mut Sure(Vec::new()), texts.into()).unwrap();
        let expected = -(3.0 * 0.75_f64.ln() + (1.0 / 16.0_f64).ln());
        assert!((nats - expected).abs() < 1e-6, "{nats}, not {expected}");
    }
}
