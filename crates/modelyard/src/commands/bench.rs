//! `modelyard bench`: the engine's speed with a model, and what it foretells, measured in this process.

mod perplexity;

use std::{path::PathBuf, time::Instant};

use llm::{
    bench::{self, Case, Job, Measured},
    load::{CacheSettings, Order},
};
use serde::Serialize;
use types::{EngineSpec, KvFormat, Quantize};

use super::{Surroundings, output, worker};
use crate::{
    cli::{BenchCommand, BenchEngineArgs, CaseArg, EngineArgs, KvArg, QuantizeArg},
    failure::Failure,
};

pub(super) fn run(command: &BenchCommand, around: &Surroundings) -> Result<(), Failure> {
    let args = match command {
        BenchCommand::Engine(args) => args,
        BenchCommand::Perplexity(args) => return perplexity::run(args, around),
    };
    for (case, sequences) in cases(args) {
        let job = job(args, around, case, sequences)?;
        let measured = bench::measure(&job).map_err(|error| Failure::from_error(&error))?;
        print(&measured, args.json)?;
    }
    Ok(())
}

/// What was asked for, or the usual round.
fn cases(args: &BenchEngineArgs) -> Vec<(Case, u32)> {
    let Some(case) = args.case else {
        let at_once = [1, 16, 64].map(|sequences| (Case::Concurrent, sequences));
        return [(Case::Prefill, 1), (Case::Decode, 1)].into_iter().chain(at_once).collect();
    };
    let case = match case {
        CaseArg::Ready => Case::Ready,
        CaseArg::Prefill => Case::Prefill,
        CaseArg::Decode => Case::Decode,
        CaseArg::Concurrent => Case::Concurrent,
    };
    let usual = if case == Case::Concurrent { 16 } else { 1 };
    vec![(case, args.sequences.unwrap_or(usual))]
}

fn job(
    args: &BenchEngineArgs,
    around: &Surroundings,
    case: Case,
    sequences: u32,
) -> Result<Job, Failure> {
    let (input, output, repeat) = match case {
        Case::Ready => (16, 1, 1),
        Case::Prefill => (512, 1, 5),
        Case::Decode => (16, 128, 1),
        Case::Concurrent => (128, 128, 1),
    };
    let isa = args.isa.as_deref().map(str::parse).transpose();
    let spec = EngineSpec {
        max_sequences: sequences,
        max_batch_tokens: args.max_batch_tokens,
        ..spec(&args.engine)
    };
    let cache = worker::cache(&around.environment)?.filter(|_| !args.no_cache);
    Ok(Job {
        order: order(around.directory.join(&args.folder), spec, cache),
        isa: isa.map_err(|error| Failure::misuse(format!("--isa: {error}")))?,
        case,
        sequences: sequences as usize,
        input: args.input.unwrap_or(input) as usize,
        output: args.output.unwrap_or(output) as usize,
        repeat: args.repeat.unwrap_or(repeat) as usize,
        started: Instant::now(),
    })
}

fn spec(args: &EngineArgs) -> EngineSpec {
    let EngineArgs { quantize, kv, threads } = *args;
    EngineSpec { quantize: quantize.into(), kv: kv.into(), threads, ..EngineSpec::default() }
}

/// A model is called as its folder.
fn order(folder: PathBuf, spec: EngineSpec, cache: Option<CacheSettings>) -> Order {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Order { folder, name, spec, cache }
}

impl From<QuantizeArg> for Quantize {
    fn from(arg: QuantizeArg) -> Self {
        match arg {
            QuantizeArg::Bf16 => Self::Bf16,
            QuantizeArg::Int8 => Self::Int8,
            QuantizeArg::W8a8 => Self::W8a8,
            QuantizeArg::Int4 => Self::Int4,
        }
    }
}

impl From<KvArg> for KvFormat {
    fn from(arg: KvArg) -> Self {
        match arg {
            KvArg::Bf16 => Self::Bf16,
            KvArg::Int8 => Self::Int8,
        }
    }
}

fn print(measured: &Measured, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(measured);
    }
    output::print(told(measured).as_bytes())
}

/// The figures for a program.
fn print_json(figures: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(figures)
        .map_err(|error| Failure::new(format!("the figures have no JSON form: {error}")))?;
    output::print(format!("{line}\n").as_bytes())
}

/// The figures for a person, those of the median run.
fn told(measured: &Measured) -> String {
    let Measured { case, sequences, input_tokens, output_tokens, .. } = measured;
    let mut runs: Vec<_> = measured.runs.iter().collect();
    runs.sort_by(|one, other| one.wall_s.total_cmp(&other.wall_s));
    let Some(run) = runs.get(runs.len() / 2) else { return String::new() };
    let decode = run.decode_tokens_per_s.map(|rate| format!(", decode {rate:.1} tokens/s"));
    let itl = run.itl_ms.map(|itl| format!(", between tokens {:.1} / {:.1} ms", itl.p50, itl.p99));
    format!(
        "{case:?}: {sequences} x {input_tokens} tokens in, {output_tokens} out ({}, KV {}, {}, {} threads)\n  \
         total {:.1} tokens/s, prefill {:.0} tokens/s{}\n  \
         first token {:.0} / {:.0} ms (p50 / p99){}; ready after {:.2} s, memory {} MiB at most\n",
        measured.weights,
        measured.kv,
        measured.isa,
        measured.threads,
        run.output_tokens_per_s,
        run.prefill_tokens_per_s,
        decode.unwrap_or_default(),
        run.ttft_ms.p50,
        run.ttft_ms.p99,
        itl.unwrap_or_default(),
        measured.load_s,
        measured.peak_rss_bytes >> 20,
    )
}
