//! Measures the engine with a model: its steps and nothing else. No HTTP, no tokenizer; the tokens are made up.

mod figures;
mod perplexity;
mod run;

use std::{fs, io, time::Instant};

use engine::{EngineConfig, ModelRunner, blocks_for};
use kernels::Isa;
use models::{Decoder, LoadError, Model, Source, Stage};
use serde::Serialize;

pub use self::{
    figures::{Percentiles, RunFigures},
    perplexity::{Perplexity, PerplexityJob, Text, perplexity},
};
use crate::{
    load::{self, Order},
    tokenizer::TokenizerError,
};

/// Blocks beside those that the sequences fill: the engine keeps one free for each that runs.
const SPARE_BLOCKS: usize = 4;

/// Tokens of each sequence in the run that warms up.
const WARM_UP_TOKENS: usize = 4;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    /// How soon a first token comes after the start of the program.
    Ready,
    /// One long prompt.
    Prefill,
    /// One answer.
    Decode,
    /// Many sequences that all begin now.
    Concurrent,
}

/// A measurement to be made.
#[derive(Debug, Clone)]
pub struct Job {
    /// The model, and how it is to run.
    pub order: Order,
    /// Instructions to use; `None`: the best that this processor has.
    pub isa: Option<Isa>,
    /// What is measured.
    pub case: Case,
    /// Sequences at once.
    pub sequences: usize,
    /// Tokens of each prompt.
    pub input: usize,
    /// Tokens of each answer.
    pub output: usize,
    /// Runs, after one that warms up.
    pub repeat: usize,
    /// When the program started.
    pub started: Instant,
}

/// What was measured, and with what.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Always `modelyard`.
    pub engine: &'static str,
    /// Version of this program.
    pub version: &'static str,
    /// Name of the model.
    pub model: String,
    /// How its weights are held.
    pub weights: String,
    /// How keys and values are held.
    pub kv: String,
    /// The instructions that computed.
    pub isa: String,
    /// Threads that computed.
    pub threads: usize,
    /// What was measured.
    pub case: Case,
    /// Sequences at once.
    pub sequences: usize,
    /// Tokens of each prompt.
    pub input_tokens: usize,
    /// Tokens of each answer.
    pub output_tokens: usize,
    /// From the start of the program until the model could run, in seconds.
    pub load_s: f64,
    /// `hit`, `built` or `off`: whether packed weights of an earlier start were taken.
    pub packed_cache: &'static str,
    /// Packed weights in memory.
    pub weights_bytes: usize,
    /// Memory of keys and values.
    pub kv_bytes: usize,
    /// Most memory that the process had at any time.
    pub peak_rss_bytes: u64,
    /// One entry for each run.
    pub runs: Vec<RunFigures>,
}

/// Nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The model cannot be loaded.
    #[error("cannot load the model")]
    Load(#[from] LoadError),
    /// Its tokenizer cannot be used.
    #[error("cannot load the model")]
    Tokenizer(#[from] TokenizerError),
    /// It makes vectors.
    #[error("the model makes vectors, not text; only language models can be measured")]
    Encoder,
    /// There is nothing to foretell.
    #[error("a text has an empty `answer`; there is nothing to foretell")]
    EmptyText,
    /// The prompt and the answer do not fit.
    #[error(
        "{asked} tokens do not fit into the {max} of the model; ask for fewer with --input and --output"
    )]
    TooLong {
        /// Prompt and answer together.
        asked: usize,
        /// What the model can take.
        max: usize,
    },
    /// The engine refused or failed.
    #[error("the engine failed: {0}")]
    Engine(String),
    /// The system does not say how much memory was used.
    #[error("cannot read /proc/self/status")]
    Memory(#[from] io::Error),
}

/// Loads, warms up, and measures.
///
/// # Errors
/// [`BenchError`] says what stands in the way.
pub fn measure(job: &Job) -> Result<Measured, BenchError> {
    let source = Source::open(&job.order.folder)?;
    let asked = job.input + job.output;
    if asked > source.max_positions() {
        return Err(BenchError::TooLong { asked, max: source.max_positions() });
    }
    let mut options = load::options(&job.order);
    options.isa = job.isa;
    options.max_sequences = job.sequences;
    options.max_batch_tokens = options.max_batch_tokens.max(job.sequences);
    options.kv_blocks = job.sequences * (blocks_for(asked) + 1) + SPARE_BLOCKS;
    let plan = source.plan(&options);
    let mut stage = None;
    let loaded = source.load(&options, &mut |progress| stage = Some(progress.stage))?;
    let Model::Decoder(mut decoder) = loaded else { return Err(BenchError::Encoder) };
    let load_s = job.started.elapsed().as_secs_f64();
    let runs = runs(&mut decoder, job)?;
    Ok(Measured {
        engine: "modelyard",
        version: env!("CARGO_PKG_VERSION"),
        model: job.order.name.clone(),
        weights: options.format.to_string(),
        kv: options.kv_format.to_string(),
        isa: options
            .isa
            .unwrap_or_else(|| Isa::from_env().unwrap_or_else(|_| Isa::best()))
            .to_string(),
        threads: options.threads,
        case: job.case,
        sequences: job.sequences,
        input_tokens: job.input,
        output_tokens: job.output,
        load_s,
        packed_cache: match (stage, &options.cache) {
            (Some(Stage::Reading), _) => "hit",
            (_, Some(cache)) if plan.weights_bytes as u64 >= cache.bytes_min => "built",
            _ => "off",
        },
        weights_bytes: plan.weights_bytes,
        kv_bytes: plan.kv_bytes_per_token * engine::BLOCK_TOKENS * options.kv_blocks,
        peak_rss_bytes: peak_rss()?,
        runs,
    })
}

fn runs(decoder: &mut Decoder, job: &Job) -> Result<Vec<RunFigures>, BenchError> {
    let shape = decoder.shape();
    let config = EngineConfig {
        // Made-up prompts share nothing, and what they would share must not count.
        prefix_cache: false,
        ..EngineConfig::of(shape, job.sequences)
    };
    let work = |output| run::Work {
        sequences: job.sequences,
        input: job.input,
        output,
        vocab: shape.vocab,
    };
    if job.case != Case::Ready {
        run::run(decoder, config, work(job.output.min(WARM_UP_TOKENS)))?;
    }
    (0..job.repeat).map(|_| run::run(decoder, config, work(job.output))).collect()
}

/// The largest resident set of this process, in bytes.
fn peak_rss() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("it has no line VmHWM"))
}
