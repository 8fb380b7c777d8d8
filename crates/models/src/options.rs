//! What the caller decides about a model.

use std::path::PathBuf;

use kernels::{Cpu, Isa, KvFormat, WeightFormat};

use crate::LoadError;

/// How a model is to be loaded.
#[derive(Debug, Clone)]
pub struct Options {
    /// How the weights of linear maps are held.
    pub format: WeightFormat,
    /// How keys and values are held.
    pub kv_format: KvFormat,
    /// Blocks of [`engine::BLOCK_TOKENS`] tokens in the KV cache. Decoders only.
    pub kv_blocks: usize,
    /// Most rows (tokens) of one batch.
    pub max_batch_tokens: usize,
    /// Most chunks (sequences) of one batch.
    pub max_sequences: usize,
    /// Threads that compute, the caller's included.
    pub threads: usize,
    /// Instructions to use; `None`: the best that this processor has.
    pub isa: Option<Isa>,
    /// Where packed weights are kept for the next start; `None`: nowhere.
    pub cache: Option<CacheSettings>,
}

/// Where packed weights are kept, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSettings {
    /// The folder; it is made for this user alone if it is not there.
    pub directory: PathBuf,
    /// Bytes that all packed files together may take; those that were not used for longest go first.
    /// `None`: 20 GiB, or a tenth of the disk if that is less.
    pub bytes_max: Option<u64>,
    /// Packed weights of fewer bytes are not kept: they are packed again sooner than anybody notices,
    /// and many small files would only be in the way.
    pub bytes_min: u64,
}

/// How far loading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Bytes of packed weights that are ready.
    pub done_bytes: usize,
    /// Bytes of packed weights in all.
    pub total_bytes: usize,
}

/// The parts of loading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The checkpoint is read and brought into the kernels' layout.
    Packing,
    /// Packed weights of an earlier start are read.
    Reading,
}

/// Which format each part of a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Formats {
    /// The linear layers.
    pub(crate) layers: WeightFormat,
    /// The output head, also where it is the table of embeddings.
    pub(crate) head: WeightFormat,
    /// An encoder's table of words. A decoder reads its embeddings from the checkpoint, as exact as they are.
    pub(crate) table: WeightFormat,
}

impl Formats {
    pub(crate) fn of(format: WeightFormat) -> Self {
        // The head runs on few rows and waits for memory: there, 8-bit activations would save nothing.
        let exact = if format == WeightFormat::W8a8 { WeightFormat::Int8 } else { format };
        Self { layers: format, head: exact, table: exact }
    }
}

impl Options {
    /// The processor that these options describe.
    ///
    /// # Errors
    /// [`LoadError::Cpu`] when the machine lacks the instructions or refuses threads.
    pub(crate) fn cpu(&self) -> Result<Cpu, LoadError> {
        Ok(match self.isa {
            Some(isa) => Cpu::new(isa, self.threads)?,
            None => Cpu::detect(self.threads)?,
        })
    }

    /// # Errors
    /// [`LoadError::Option`] for a number that leaves nothing to run.
    pub(crate) fn check(&self) -> Result<(), LoadError> {
        at_least_one("max_batch_tokens", self.max_batch_tokens)?;
        at_least_one("max_sequences", self.max_sequences)?;
        at_least_one("threads", self.threads)
    }

    /// # Errors
    /// As `check`.
    pub(crate) fn check_kv_blocks(&self) -> Result<(), LoadError> {
        at_least_one("kv_blocks", self.kv_blocks)
    }
}

fn at_least_one(option: &'static str, value: usize) -> Result<(), LoadError> {
    match value {
        0 => Err(LoadError::Option { option, problem: "must be at least 1".into() }),
        _ => Ok(()),
    }
}
