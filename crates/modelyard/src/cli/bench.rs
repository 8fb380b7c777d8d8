//! `modelyard bench`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What can be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    Engine(BenchEngineArgs),
    Perplexity(BenchPerplexityArgs),
}

/// Measure the engine with a model.
///
/// Measured are the engine's steps, without HTTP and without text: made-up prompts, greedy answers,
/// no prefix cache. Without a case all are measured, one after the other.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  modelyard bench engine ./Qwen3-0.6B
  modelyard bench engine ./Qwen3-0.6B --quantize w8a8 --kv int8 --case concurrent --sequences 64
  modelyard bench engine ./Qwen3-0.6B --case decode --json")]
pub(crate) struct BenchEngineArgs {
    /// Folder of the weights.
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,

    /// Instructions to use: amx, avx512, avx2 or portable [default: the best there are].
    #[arg(long, value_name = "NAME")]
    pub(crate) isa: Option<String>,

    /// What is measured [default: prefill, decode, then 1, 16 and 64 at once].
    #[arg(long, value_enum)]
    pub(crate) case: Option<CaseArg>,

    /// Sequences at once, for `concurrent` [default: 16].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) sequences: Option<u32>,

    /// Tokens of each prompt.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) input: Option<u32>,

    /// Tokens of each answer.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) output: Option<u32>,

    /// Measured runs.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) repeat: Option<u32>,

    /// Tokens of one step.
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(32..))]
    pub(crate) max_batch_tokens: u32,

    /// Neither read nor write packed weights.
    #[arg(long)]
    pub(crate) no_cache: bool,

    /// Print a line of JSON for each case.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Measure how well a model foretells texts.
///
/// The lower its perplexity, the less a model is surprised. Compare it between the ways to hold the
/// weights of one model; between models with other tokenizers it says nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  python tools/demo-model/texts.py > held-out.jsonl
  modelyard bench perplexity crates/llm/demo --texts held-out.jsonl --quantize int8")]
pub(crate) struct BenchPerplexityArgs {
    /// Folder of the weights.
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// File with one JSON object in each line: `prompt`, which is given, and `answer`, which counts.
    #[arg(long, value_name = "FILE")]
    pub(crate) texts: PathBuf,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,

    /// Print a line of JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What an engine is made with.
#[derive(Debug, Args)]
pub(crate) struct EngineArgs {
    /// How the weights are held.
    #[arg(long, value_enum, default_value_t = QuantizeArg::Bf16)]
    pub(crate) quantize: QuantizeArg,

    /// How keys and values are held.
    #[arg(long, value_enum, default_value_t = KvArg::Bf16)]
    pub(crate) kv: KvArg,

    /// Threads that compute [default: every processor].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
}

/// `--quantize`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum QuantizeArg {
    Bf16,
    Int8,
    W8a8,
    Int4,
}

/// `--kv`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KvArg {
    Bf16,
    Int8,
}

/// `--case`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CaseArg {
    Ready,
    Prefill,
    Decode,
    Concurrent,
}
