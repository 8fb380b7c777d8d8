//! The LLM engine's decisions, apart from the model that computes and the thread that loops.
//!
//! No clock, no randomness, no thread and no I/O: requests go in, batches come out, and chance is
//! a function of seed and position. So the whole of it is tested with a model that is a toy.
//!
//! - [`Engine`]: sequences, and what runs in each step
//! - [`ModelRunner`]: the seam to what computes a [`Batch`]
//! - [`Sampler`]: from logits to a token
//!
//! # A step
//! Each step has one budget of tokens. Those that decode have one row each, always; prompts share
//! the rest, in chunks. All rows are one forward pass. Keys and values lie in blocks of
//! [`BLOCK_TOKENS`] positions. Full blocks are found by the tokens up to their end, and shared by
//! all that begin with the same; they stay until their room is needed. When no block is left, the
//! youngest sequence of the lowest class gives its own back, and is computed again later.
//!
//! None of this changes what a sequence says, if only the runner computes each row alike
//! wherever it stands.
//!
//! # A generation
//! ```
//! use engine::{
//!     Batch, Engine, EngineConfig, Event, ModelRunner, ModelShape, Output, Request, Row,
//!     RunError, RunOutput, Sampler, SamplingParams,
//! };
//!
//! /// A model that counts: after token t the likeliest is t + 1.
//! struct Counting(Vec<[f32; 10]>);
//!
//! impl ModelRunner for Counting {
//!     fn shape(&self) -> ModelShape {
//!         ModelShape {
//!             vocab: 10,
//!             max_positions: 64,
//!             kv_blocks: 4,
//!             max_batch_tokens: 16,
//!             max_sequences: 4,
//!         }
//!     }
//!
//!     fn run(&mut self, batch: &Batch) -> Result<RunOutput<'_>, RunError> {
//!         let next = |chunk: &engine::Chunk| chunk.tokens.last().map_or(0, |last| (last + 1) % 10);
//!         let logits = |token| std::array::from_fn(|id| if id == token { 9.0 } else { 0.0 });
//!         self.0 = batch.chunks.iter().map(|chunk| logits(next(chunk) as usize)).collect();
//!         let rows = batch.chunks.iter().zip(&mut self.0);
//!         let rows = rows.map(|(chunk, logits)| match chunk.output {
//!             Output::Nothing => Row::Nothing,
//!             Output::Argmax => Row::Argmax(next(chunk)),
//!             Output::Logits => Row::Logits(logits),
//!         });
//!         Ok(RunOutput { rows: rows.collect() })
//!     }
//! }
//!
//! let mut runner = Counting(Vec::new());
//! let mut sampler = Sampler::new();
//! let mut engine = Engine::new(EngineConfig::of(runner.shape(), 100));
//! let greedy = SamplingParams::greedy();
//! engine.add(Request { prompt: vec![3, 4], max_tokens: 4, sampling: greedy, ..Request::default() })?;
//! engine.add(Request { prompt: vec![7], max_tokens: 9, stop_tokens: vec![9], ..Request::default() })?;
//!
//! let mut said = [vec![], vec![]];
//! while let Some(batch) = engine.schedule() {
//!     let output = runner.run(&batch)?;
//!     let mut sampled = Vec::new();
//!     for (chunk, row) in batch.chunks.iter().zip(output.rows) {
//!         sampled.push(match (row, engine.context(chunk.sequence, None)) {
//!             (Row::Argmax(token), _) => Some(token.into()),
//!             (Row::Logits(logits), Some(context)) => Some(sampler.sample(logits, &context)?),
//!             _ => None,
//!         });
//!     }
//!     for event in engine.settle(&batch, sampled) {
//!         if let Event::Token { sequence, sampled } = event {
//!             said[sequence.number() as usize].push(sampled.token);
//!         }
//!     }
//! }
//! assert_eq!(said, [vec![5, 6, 7, 8], vec![8]]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod blocks;
mod engine;
mod ids;
mod request;
mod runner;
mod sampler;
mod sequence;
mod table;

pub use engine::{Engine, EngineConfig, Stats};
pub use ids::{BLOCK_TOKENS, BlockId, SequenceId, TokenId, blocks_for};
pub use request::{Event, FinishReason, Refused, Request, Usage};
pub use runner::{Batch, Chunk, ModelRunner, ModelShape, Output, Row, RunError, RunOutput};
pub use sampler::{
    BadSampling, NoToken, SampleContext, Sampled, Sampler, SamplingParams, TokenMask,
};
