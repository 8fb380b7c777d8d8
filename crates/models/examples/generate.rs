//! Runs a decoder by hand: how long it takes to be ready, its memory, and its speed.
//!
//! ```text
//! cargo run --release -p models --example generate -- DIR [FORMAT [KV [SEQUENCES [PROMPT [NEW]]]]]
//! ```
#![allow(clippy::print_stdout, reason = "a tool for the terminal")]

use std::{env, error::Error, fs, path::PathBuf, sync::Arc, time::Instant};

use engine::{Batch, BlockId, Chunk, ModelRunner, Output, Row, SequenceId, TokenId, blocks_for};
use kernels::{KvFormat, WeightFormat};
use models::{CacheSettings, Decoder, Model, Options, Source};

/// Rows of a step: what the engine's default budget gives.
const BATCH_TOKENS: usize = 512;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let argument = |index: usize, default: &str| {
        arguments.get(index).cloned().unwrap_or_else(|| default.to_owned())
    };
    let (prompt, new): (usize, usize) = (argument(5, "128").parse()?, argument(6, "64").parse()?);
    let sequences: usize = argument(4, "1").parse()?;
    let options = Options {
        format: argument(2, "bf16").parse::<WeightFormat>()?,
        kv_format: argument(3, "bf16").parse::<KvFormat>()?,
        kv_blocks: sequences * blocks_for(prompt + new),
        max_batch_tokens: BATCH_TOKENS.max(sequences),
        max_sequences: sequences,
        threads: env::var("THREADS").map_or(Ok(2), |threads| threads.parse())?,
        isa: None,
        cache: env::var_os("CACHE").map(|directory| CacheSettings {
            directory: directory.into(),
            bytes_max: None,
            bytes_min: 0,
        }),
    };

    let start = Instant::now();
    let source = Source::open(&PathBuf::from(argument(1, ".")))?;
    println!("{:?}", source.plan(&options));
    let mut stage = None;
    let model = source.load(&options, &mut |progress| stage = Some(progress.stage))?;
    let Model::Decoder(mut decoder) = model else { return Err("not a decoder".into()) };
    println!("{stage:?}: ready after {:.2} s", start.elapsed().as_secs_f64());
    println!("{}", memory()?);

    let mut sequences: Vec<Sequence> =
        (0..sequences).map(|index| Sequence::new(index, prompt, new)).collect();
    for round in ["first", "second"] {
        sequences.iter_mut().for_each(Sequence::restart);
        let start = Instant::now();
        prefill(&mut decoder, &mut sequences)?;
        let seconds = start.elapsed().as_secs_f64();
        println!("{round} prefill: {:.0} tok/s", (sequences.len() * prompt) as f64 / seconds);
        let mut steps: Vec<f64> = Vec::new();
        for _ in 1..new {
            let start = Instant::now();
            let chunks = sequences.iter_mut().map(|sequence| sequence.next(1)).collect();
            step(&mut decoder, chunks, &mut sequences)?;
            steps.push(start.elapsed().as_secs_f64());
        }
        steps.sort_by(f64::total_cmp);
        let rate = |seconds: f64| sequences.len() as f64 / seconds;
        if let (Some(best), Some(median)) = (steps.first(), steps.get(steps.len() / 2)) {
            println!("{round} decode: {:.1} tok/s, best {:.1}", rate(*median), rate(*best));
        }
    }
    println!("{}", memory()?);
    Ok(())
}

/// Prompts go in as many to a batch as it takes.
fn prefill(decoder: &mut Decoder, sequences: &mut [Sequence]) -> Result<(), Box<dyn Error>> {
    loop {
        let mut room = BATCH_TOKENS;
        let mut chunks = Vec::new();
        for sequence in sequences.iter_mut() {
            let count = sequence.prompt.saturating_sub(sequence.run).min(room);
            if count > 0 {
                room -= count;
                chunks.push(sequence.next(count));
            }
        }
        if chunks.is_empty() {
            return Ok(());
        }
        step(decoder, chunks, sequences)?;
    }
}

fn step(
    decoder: &mut Decoder,
    chunks: Vec<Chunk>,
    sequences: &mut [Sequence],
) -> Result<(), Box<dyn Error>> {
    let batch = Batch { chunks };
    let output = decoder.run(&batch)?;
    for (chunk, row) in batch.chunks.iter().zip(&output.rows) {
        if let Row::Argmax(token) = row {
            sequences[chunk.sequence.number() as usize].tokens.push(*token);
        }
    }
    Ok(())
}

/// A prompt of made-up tokens, and what was generated after it.
struct Sequence {
    id: usize,
    prompt: usize,
    tokens: Vec<TokenId>,
    run: usize,
    blocks: Arc<Vec<BlockId>>,
}

impl Sequence {
    fn new(id: usize, prompt: usize, new: usize) -> Self {
        let count = blocks_for(prompt + new);
        let blocks = (id * count..(id + 1) * count).map(|block| BlockId::new(block as u32));
        let token = |index: usize| ((index + id * 131) * 7919 % 2000) as TokenId;
        let tokens = (0..prompt).map(token).collect();
        Self { id, prompt, tokens, run: 0, blocks: Arc::new(blocks.collect()) }
    }

    fn restart(&mut self) {
        self.tokens.truncate(self.prompt);
        self.run = 0;
    }

    /// The next `count` tokens that have not been run.
    fn next(&mut self, count: usize) -> Chunk {
        let position = self.run;
        self.run += count;
        let is_last = self.run == self.tokens.len();
        let output = if is_last { Output::Argmax } else { Output::Nothing };
        Chunk {
            sequence: SequenceId::new(self.id as u64),
            tokens: self.tokens[position..self.run].to_vec(),
            position,
            blocks: Arc::clone(&self.blocks),
            output,
        }
    }
}

/// What the system counts as this process's memory now, and at most.
fn memory() -> Result<String, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let lines =
        status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    Ok(lines.collect::<Vec<_>>().join(", "))
}
