//! How far each way to store weights moves a decoder's logits from those of a reference in f32.
//!
//! ```text
//! tools/reference/record_logits.py DIR EXPECTED      (once; needs torch)
//! cargo run --release -p models --example quality -- DIR EXPECTED
//! ```
#![allow(clippy::print_stdout, reason = "a tool for the terminal")]

use std::{env, error::Error, fs, path::Path, sync::Arc};

use engine::{Batch, BlockId, Chunk, ModelRunner, Output, Row, SequenceId, blocks_for};
use kernels::{KvFormat, WeightFormat};
use models::{Decoder, Model, Options, Source};
use safetensors::SafeTensors;

const WAYS: [(WeightFormat, KvFormat); 7] = [
    (WeightFormat::Bf16, KvFormat::Bf16),
    (WeightFormat::Bf16, KvFormat::Int8),
    (WeightFormat::Int8, KvFormat::Bf16),
    (WeightFormat::Int8, KvFormat::Int8),
    (WeightFormat::W8a8, KvFormat::Bf16),
    (WeightFormat::W8a8, KvFormat::Int8),
    (WeightFormat::Int4, KvFormat::Bf16),
];

/// Tokens of a prompt, and the logits of its last positions, one row after another.
struct Recorded {
    name: String,
    tokens: Vec<u32>,
    logits: Vec<f32>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let [_, directory, expected, formats @ ..] = &arguments[..] else {
        return Err("usage: quality DIR EXPECTED [FORMAT…]".into());
    };
    let prompts = read(Path::new(expected))?;
    let source = Source::open(Path::new(directory))?;
    for (format, kv_format) in WAYS {
        if formats.is_empty() || formats.contains(&format.to_string()) {
            let mut decoder = load(&source, format, kv_format, &prompts)?;
            for prompt in &prompts {
                let cosines = cosines(&mut decoder, prompt)?;
                let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
                let least = cosines.iter().copied().fold(1.0, f64::min);
                let name = &prompt.name;
                println!("{format}, KV {kv_format}, {name}: least {least:.5}, mean {mean:.5}");
            }
        }
    }
    Ok(())
}

fn load(
    source: &Source,
    format: WeightFormat,
    kv_format: KvFormat,
    prompts: &[Recorded],
) -> Result<Decoder, Box<dyn Error>> {
    let longest = prompts.iter().map(|prompt| prompt.tokens.len()).max().unwrap_or(1);
    let options = Options {
        format,
        kv_format,
        kv_blocks: blocks_for(longest),
        max_batch_tokens: longest,
        max_sequences: 1,
        threads: env::var("THREADS").map_or(Ok(2), |threads| threads.parse())?,
        isa: None,
        cache: None,
    };
    match source.load(&options, &mut |_| {})? {
        Model::Decoder(decoder) => Ok(*decoder),
        Model::Encoder(_) => Err("not a decoder".into()),
    }
}

/// One cosine for each recorded position. What comes before them is run as one chunk, then each token by itself,
/// as when it is generated.
fn cosines(decoder: &mut Decoder, prompt: &Recorded) -> Result<Vec<f64>, Box<dyn Error>> {
    let vocab = decoder.shape().vocab;
    let count = blocks_for(prompt.tokens.len()) as u32;
    let blocks: Arc<Vec<BlockId>> = Arc::new((0..count).map(BlockId::new).collect());
    let chunk = |from: usize, to: usize, output| Chunk {
        sequence: SequenceId::new(0),
        tokens: prompt.tokens[from..to].to_vec(),
        position: from,
        blocks: Arc::clone(&blocks),
        output,
    };
    let first = prompt.tokens.len() - prompt.logits.len() / vocab;
    if first > 0 {
        decoder.run(&Batch { chunks: vec![chunk(0, first, Output::Nothing)] })?;
    }
    let mut cosines = Vec::new();
    for (position, expected) in (first..).zip(prompt.logits.chunks(vocab)) {
        let chunk = chunk(position, position + 1, Output::Logits);
        let output = decoder.run(&Batch { chunks: vec![chunk] })?;
        match &output.rows[..] {
            [Row::Logits(logits)] => cosines.push(cosine(logits, expected)),
            _ => return Err("the logits are not numbers".into()),
        }
    }
    Ok(cosines)
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn read(path: &Path) -> Result<Vec<Recorded>, Box<dyn Error>> {
    let bytes = fs::read(path)?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let mut prompts = Vec::new();
    for name in tensors.names() {
        if let Some(prompt) = name.strip_suffix(".tokens") {
            let words = |name: &str| -> Result<Vec<[u8; 4]>, Box<dyn Error>> {
                Ok(tensors.tensor(name)?.data().as_chunks().0.to_vec())
            };
            let logits = words(&format!("{prompt}.logits.f32"))?;
            prompts.push(Recorded {
                name: prompt.to_owned(),
                tokens: words(name)?.into_iter().map(u32::from_le_bytes).collect(),
                logits: logits.into_iter().map(f32::from_le_bytes).collect(),
            });
        }
    }
    prompts.sort_by_key(|prompt| prompt.tokens.len());
    Ok(prompts)
}
