//! The forward pass that Qwen, Llama and Mistral share.

mod batch;
mod tensors;
mod weights;
mod work;

use engine::{Batch, ModelRunner, ModelShape, Output as Wanted, Row, RunError, RunOutput};
use kernels::{Cpu, KvCache, Mask, Output, QkPreparation, RmsNorm, Rope, Spans};

use crate::{
    LoadError, Options, Progress,
    checkpoint::Checkpoint,
    config::DecoderConfig,
    options::Formats,
    packing::{CacheWriter, Packing},
};
pub use batch::BatchError;
pub(crate) use tensors::{DecoderTensors, Projection};
pub(crate) use weights::linear_sizes;
use weights::{DecoderWeights, LayerWeights};
pub(crate) use work::{Work, head_shape, rope_positions};

/// How much of the KV cache is taken from the system before the first request. The rest is taken as it is
/// used, which costs a request 0.2 ms for every 2 MiB and is not noticed beside the computation.
const KV_TOUCHED_BYTES: usize = 512 << 20;

/// A decoder with its weights, its KV cache and its threads.
#[derive(Debug)]
pub struct Decoder {
    cpu: Cpu,
    shape: ModelShape,
    norm_epsilon: f32,
    windows: Vec<Option<usize>>,
    rope: Rope,
    weights: DecoderWeights,
    cache: KvCache,
    work: Work,
    /// Kept so that whoever drops the model waits for its packed weights.
    _writer: CacheWriter,
}

impl Decoder {
    pub(crate) fn load(
        config: &DecoderConfig,
        checkpoint: &Checkpoint,
        options: &Options,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, LoadError> {
        let cpu = options.cpu()?;
        let formats = Formats::of(options.format);
        let tensors = DecoderTensors::find(checkpoint, config)?;
        let packing = Packing {
            cpu: &cpu,
            checkpoint,
            cache: options.cache.as_ref(),
            fingerprint: format!("{formats:?} {config:?}"),
        };
        let packed = packing.run(&weights::recipes(&tensors, config, formats), progress)?;
        let shape = &config.shape;
        let frequencies = config.rope.frequencies(shape.head_dim);
        let rope = Rope::new(0, &frequencies, 1.0);
        let cache =
            KvCache::new(options.kv_format, head_shape(shape), shape.layers, options.kv_blocks)?
                .touched(&cpu, KV_TOUCHED_BYTES);
        Ok(Self {
            cpu,
            shape: ModelShape {
                vocab: shape.vocab_size,
                max_positions: shape.max_positions,
                kv_blocks: options.kv_blocks,
                max_batch_tokens: options.max_batch_tokens,
                max_sequences: options.max_sequences,
            },
            norm_epsilon: shape.norm_epsilon,
            windows: config.windows.clone(),
            rope,
            weights: DecoderWeights::new(&tensors, packed.linears)?,
            cache,
            work: Work::new(shape, formats, options)?,
            _writer: packed.writer,
        })
    }

    /// All layers over the rows of a batch. Leaves them in `work.hidden`, and their keys and values
    /// in the cache.
    ///
    /// # Errors
    /// [`LoadError::Read`] when the checkpoint, which has the embeddings, cannot be read any more.
    fn forward(&mut self, tokens: &[u32], spans: &Spans) -> Result<(), LoadError> {
        let Self { cpu, weights, work, cache, .. } = self;
        weights.embed(cpu, tokens, &mut work.hidden)?;
        for (index, layer) in weights.layers.iter().enumerate() {
            let norm = |weight| RmsNorm { weight, epsilon: self.norm_epsilon };
            let mask = self.windows[index].map_or(Mask::Causal, Mask::Window);

            cpu.rms_norm(&work.hidden, norm(&layer.input_norm), &mut work.normed);
            let preparation = preparation(layer, &self.rope, self.norm_epsilon);
            let input = (&work.normed, &*layer.qkv);
            cpu.project(input, spans, &preparation, &mut work.queries, (cache, index));
            cpu.attend(&work.queries, (cache, index), spans, mask, &mut work.attended);
            let bias = layer.output_bias.as_deref();
            cpu.linear(&work.attended, &layer.output, Output::Add { to: &mut work.hidden, bias });

            cpu.rms_norm(&work.hidden, norm(&layer.post_norm), &mut work.normed);
            cpu.linear(&work.normed, &layer.gate_up, Output::SwiGlu { to: &mut work.gated });
            let to = &mut work.hidden;
            cpu.linear(&work.gated, &layer.down, Output::Add { to, bias: None });
        }
        Ok(())
    }

    /// The head, over the last rows of those chunks that ask for something.
    fn predict(&mut self, batch: &Batch, spans: &Spans) -> RunOutput<'_> {
        let Self { cpu, weights, work, .. } = self;
        let asked = batch.chunks.iter().map(|chunk| chunk.output);
        let (rows, wanted): (Vec<usize>, Vec<Wanted>) =
            spans.last_rows().zip(asked).filter(|(_, wanted)| *wanted != Wanted::Nothing).unzip();
        if !rows.is_empty() {
            let norm = RmsNorm { weight: &weights.norm, epsilon: self.norm_epsilon };
            cpu.rms_norm_rows(&work.hidden, &rows, norm, &mut work.last);
            work.predictions.request(wanted.iter().map(|wanted| *wanted == Wanted::Logits));
            cpu.predict(&work.last, &weights.head, &mut work.predictions);
        }
        let best: Vec<u32> = (0..rows.len()).map(|row| work.predictions.argmax(row)).collect();
        let (mut best, vocab) = (best.into_iter(), self.shape.vocab);
        // A row of logits that are no numbers has no largest one.
        let mut best = || best.next().filter(|&token| (token as usize) < vocab);
        let mut logits = work.predictions.all_logits_mut();
        let rows = batch.chunks.iter().map(|chunk| match chunk.output {
            Wanted::Nothing => Row::Nothing,
            Wanted::Argmax => best().map_or(Row::NotANumber, Row::Argmax),
            Wanted::Logits => {
                let logits = logits.next();
                best().and(logits).map_or(Row::NotANumber, Row::Logits)
            }
        });
        RunOutput { rows: rows.collect() }
    }
}

fn preparation<'a>(layer: &'a LayerWeights, rope: &'a Rope, epsilon: f32) -> QkPreparation<'a> {
    let norms = layer.qk_norms.as_ref();
    QkPreparation {
        bias: layer.qkv_bias.as_deref(),
        query_norm: norms.map(|(query, _)| RmsNorm { weight: query, epsilon }),
        key_norm: norms.map(|(_, key)| RmsNorm { weight: key, epsilon }),
        rope: Some(rope),
        score_scale: None,
    }
}

impl ModelRunner for Decoder {
    fn shape(&self) -> ModelShape {
        self.shape
    }

    fn run(&mut self, batch: &Batch) -> Result<RunOutput<'_>, RunError> {
        let failed = |error: BatchError| RunError(error.into());
        let (tokens, spans) = batch::rows(batch, &self.shape, &self.cache).map_err(failed)?;
        let ends = batch.chunks.iter().map(|chunk| chunk.position + chunk.tokens.len());
        self.rope.reach(ends.max().unwrap_or(0));
        self.forward(&tokens, &spans).map_err(|error| RunError(error.into()))?;
        Ok(self.predict(batch, &spans))
    }
}
