//! The forward pass of BERT-like encoders: one vector for each text.

mod pooling;
mod tensors;
mod weights;
mod work;

use kernels::{Cpu, Mask, Output, QkPreparation, Span, SpanError, Spans};

use crate::{
    LoadError, Options, Progress,
    checkpoint::Checkpoint,
    config::EncoderConfig,
    options::Formats,
    packing::{CacheWriter, Packing},
};
pub use pooling::Pooling;
pub(crate) use tensors::EncoderTensors;
use weights::EncoderWeights;
pub(crate) use weights::linear_sizes;
pub(crate) use work::Work;

/// An encoder with its weights and its threads.
#[derive(Debug)]
pub struct Encoder {
    cpu: Cpu,
    config: EncoderConfig,
    pooling: Pooling,
    weights: EncoderWeights,
    work: Work,
    /// Kept so that whoever drops the model waits for its packed weights.
    _writer: CacheWriter,
}

/// Why texts were not embedded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    /// There is nothing to embed.
    #[error("text {text} has no tokens")]
    Empty {
        /// Its index.
        text: usize,
    },
    /// More than the model has positions for.
    #[error("text {text} has {tokens} tokens, and the model takes {max_tokens}")]
    TooLong {
        /// Its index.
        text: usize,
        /// Its length.
        tokens: usize,
        /// What the model takes.
        max_tokens: usize,
    },
    /// A token that is not in the vocabulary.
    #[error("text {text}: token {token} is not below {vocab}, the vocabulary's size")]
    UnknownToken {
        /// The text's index.
        text: usize,
        /// The first such token.
        token: u32,
        /// The size of the vocabulary.
        vocab: usize,
    },
    /// A batch that the kernels do not take: a mistake of this crate.
    #[error(transparent)]
    Spans(#[from] SpanError),
}

impl Encoder {
    pub(crate) fn load(
        config: &EncoderConfig,
        checkpoint: &Checkpoint,
        pooling: Pooling,
        options: &Options,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, LoadError> {
        let cpu = options.cpu()?;
        let formats = Formats::of(options.format);
        let tensors = EncoderTensors::find(checkpoint, config)?;
        let packing = Packing {
            cpu: &cpu,
            checkpoint,
            cache: options.cache.as_ref(),
            fingerprint: format!("{formats:?} {config:?}"),
        };
        let packed = packing.run(&weights::recipes(&tensors, config, formats), progress)?;
        Ok(Self {
            cpu,
            config: config.clone(),
            pooling,
            weights: EncoderWeights::new(&tensors, config, packed.linears)?,
            work: Work::new(config, formats, options)?,
            _writer: packed.writer,
        })
    }

    /// Tokens of one text at most.
    pub fn max_tokens(&self) -> usize {
        self.config.max_tokens()
    }

    /// Numbers of one vector.
    pub fn width(&self) -> usize {
        self.config.hidden_size
    }

    /// One vector of length 1 for each text, which is given as token ids with its special tokens. A
    /// text's vector has the same bits whatever it is embedded with.
    ///
    /// # Errors
    /// [`EmbedError`] naming the first text that cannot be embedded; then none is.
    pub fn embed(&mut self, texts: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.check(texts)?;
        let mut vectors = Vec::with_capacity(texts.len());
        let mut rest = texts;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(self.work.texts_that_fit(rest));
            self.forward(batch)?;
            let mut first = 0;
            for text in batch {
                vectors.push(self.pool(first, text.len()));
                first += text.len();
            }
            rest = later;
        }
        Ok(vectors)
    }

    fn check(&self, texts: &[Vec<u32>]) -> Result<(), EmbedError> {
        let (vocab, max_tokens) = (self.config.vocab_size, self.max_tokens());
        for (text, tokens) in texts.iter().enumerate() {
            if tokens.is_empty() {
                return Err(EmbedError::Empty { text });
            }
            if tokens.len() > max_tokens {
                return Err(EmbedError::TooLong { text, tokens: tokens.len(), max_tokens });
            }
            if let Some(&token) = tokens.iter().find(|&&token| token as usize >= vocab) {
                return Err(EmbedError::UnknownToken { text, token, vocab });
            }
        }
        Ok(())
    }

    /// All layers over the rows of some texts. Leaves them in `work.hidden`.
    fn forward(&mut self, texts: &[Vec<u32>]) -> Result<(), EmbedError> {
        let Self { cpu, weights, work, .. } = self;
        let blocks = work.blocks(texts);
        let spans = texts.iter().zip(&blocks);
        let spans = spans.map(|(text, blocks)| Span { position: 0, length: text.len(), blocks });
        let spans = Spans::new(&work.cache, spans)?;
        let epsilon = self.config.norm_epsilon;

        cpu.embed(&weights.words, &texts.concat(), &mut work.hidden);
        weights.add_positions(texts, self.config.first_position, &mut work.hidden);
        cpu.layer_norm(&mut work.hidden, weights.norm.with(epsilon), &mut work.normed);
        for layer in &weights.layers {
            let bias = Some(layer.qkv_bias.as_slice());
            let preparation = QkPreparation { bias, ..QkPreparation::default() };
            // Each layer overwrites what the one before it has stored.
            let cache = (&mut work.cache, 0);
            let input = (&work.normed, &*layer.qkv);
            cpu.project(input, &spans, &preparation, &mut work.queries, cache);
            let attended = &mut work.attended;
            cpu.attend(&work.queries, (&work.cache, 0), &spans, Mask::Full, attended);
            let bias = Some(layer.output_bias.as_slice());
            cpu.linear(&work.attended, &layer.output, Output::Add { to: &mut work.hidden, bias });
            cpu.layer_norm(&mut work.hidden, layer.attention_norm.with(epsilon), &mut work.normed);

            let bias = Some(layer.up_bias.as_slice());
            cpu.linear(&work.normed, &layer.up, Output::Gelu { to: &mut work.wide, bias });
            let bias = Some(layer.down_bias.as_slice());
            cpu.linear(&work.wide, &layer.down, Output::Add { to: &mut work.hidden, bias });
            cpu.layer_norm(&mut work.hidden, layer.norm.with(epsilon), &mut work.normed);
        }
        Ok(())
    }

    /// The vector of the text whose rows begin at `first`.
    fn pool(&self, first: usize, tokens: usize) -> Vec<f32> {
        let width = self.width();
        let mut rows = vec![0.0; tokens * width];
        for (row, to) in rows.chunks_exact_mut(width).enumerate() {
            self.work.hidden.read(first + row, to);
        }
        self.pooling.apply(&rows, width)
    }
}
