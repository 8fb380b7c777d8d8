//! Models on disk: Hugging Face directories to something that runs. One file per architecture.
//!
//! [`Source`] opens a directory and checks it whole, reading headers only. [`Source::plan`] is the
//! arithmetic of memory. [`Source::load`] packs the weights for the kernels, or reads them packed
//! from an earlier start, and gives a [`Model`]: a [`Decoder`], which is an
//! [`engine::ModelRunner`], or an [`Encoder`].
//!
//! Absent on purpose: no tokenizer, no sampling and no defaults of it, no scheduling, no download.

mod architecture;
mod bert;
mod cache;
mod checkpoint;
mod config;
mod decoder;
mod encoder;
mod error;
mod llama;
mod mistral;
mod options;
mod packing;
mod plan;
mod qwen2;
mod qwen3;
mod source;

pub use decoder::{BatchError, Decoder};
pub use encoder::{EmbedError, Encoder, Pooling};
pub use error::LoadError;
pub use options::{CacheSettings, Options, Progress, Stage};
pub use plan::Plan;
pub use source::{ModelKind, Source};

/// A loaded model.
#[derive(Debug)]
pub enum Model {
    /// Writes text.
    Decoder(Box<Decoder>),
    /// Turns texts into vectors.
    Encoder(Box<Encoder>),
}
