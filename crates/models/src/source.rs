//! A model directory, opened and checked, with no weight read yet.

use std::path::{Path, PathBuf};

use crate::{
    LoadError, Model, Options, Plan, Pooling, Progress, architecture,
    checkpoint::Checkpoint,
    config::{Fields, ModelConfig},
    decoder::{Decoder, DecoderTensors},
    encoder::{Encoder, EncoderTensors},
};

/// A Hugging Face directory that can be loaded: its config makes sense, and every tensor that the
/// architecture needs is there, with its shape and a dtype that we read.
#[derive(Debug)]
pub struct Source {
    directory: PathBuf,
    config: ModelConfig,
    checkpoint: Checkpoint,
    pooling: Pooling,
}

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelKind {
    /// Writes text.
    Decoder,
    /// Turns texts into vectors.
    Encoder,
}

impl Source {
    /// Opens a directory with config.json and safetensors. Only headers are read.
    ///
    /// # Errors
    /// [`LoadError`] naming the file and the field or tensor.
    pub fn open(directory: &Path) -> Result<Self, LoadError> {
        let fields = Fields::open(&directory.join("config.json"))?;
        let config = architecture::read(&fields)?;
        let checkpoint = Checkpoint::open(directory)?;
        match &config {
            ModelConfig::Decoder(config) => drop(DecoderTensors::find(&checkpoint, config)?),
            ModelConfig::Encoder(config) => drop(EncoderTensors::find(&checkpoint, config)?),
        }
        Ok(Self {
            directory: directory.into(),
            config,
            checkpoint,
            pooling: Pooling::read(directory)?,
        })
    }

    /// Where it was opened.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it is for.
    pub fn kind(&self) -> ModelKind {
        match self.config {
            ModelConfig::Decoder(_) => ModelKind::Decoder,
            ModelConfig::Encoder(_) => ModelKind::Encoder,
        }
    }

    /// Token ids are below this.
    pub fn vocab_size(&self) -> usize {
        match &self.config {
            ModelConfig::Decoder(config) => config.shape.vocab_size,
            ModelConfig::Encoder(config) => config.vocab_size,
        }
    }

    /// Numbers that the checkpoint holds, biases and norms included.
    pub fn parameters(&self) -> usize {
        self.checkpoint.parameters()
    }

    /// Tokens of one sequence at most.
    pub fn max_positions(&self) -> usize {
        match &self.config {
            ModelConfig::Decoder(config) => config.shape.max_positions,
            ModelConfig::Encoder(config) => config.max_tokens(),
        }
    }

    /// The memory that loading with `options` would take; nothing is allocated. `kv_blocks` may
    /// still be open: it counts only in [`Plan::total_bytes`].
    pub fn plan(&self, options: &Options) -> Plan {
        match &self.config {
            ModelConfig::Decoder(config) => Plan::of_decoder(config, options),
            ModelConfig::Encoder(config) => Plan::of_encoder(config, options),
        }
    }

    /// Loads the weights: from the packed cache where it has them, else by packing the checkpoint.
    /// `progress` is told now and then how far that is. Source and packed weights are never
    /// resident together: the source is read row by row.
    ///
    /// # Errors
    /// [`LoadError`] when an option asks for the impossible, or memory or threads are refused.
    pub fn load(
        &self,
        options: &Options,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Model, LoadError> {
        options.check()?;
        Ok(match &self.config {
            ModelConfig::Decoder(config) => {
                options.check_kv_blocks()?;
                let decoder = Decoder::load(config, &self.checkpoint, options, progress)?;
                Model::Decoder(Box::new(decoder))
            }
            ModelConfig::Encoder(config) => {
                let pooling = self.pooling;
                let encoder = Encoder::load(config, &self.checkpoint, pooling, options, progress)?;
                Model::Encoder(Box::new(encoder))
            }
        })
    }
}
