//! The LLM engine's decisions: sequences, KV blocks, prefix cache, scheduler, sampler. Pure.

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
