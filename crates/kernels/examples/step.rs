//! Times the parts of a forward pass with random weights in the shape of Qwen3-0.6B, so that kernels can be
//! tuned without model files: `cargo run --release -p kernels --example step -- bf16 bf16 2`.
#![allow(clippy::print_stdout, reason = "a program that prints what it measured")]

use std::{
    env,
    error::Error,
    time::{Duration, Instant},
};

use kernels::{
    Activations, Arena, Cpu, HeadShape, KvCache, KvFormat, Linear, Mask, Output, Predictions,
    QkPreparation, Queries, RmsNorm, Rope, Rows, Span, Spans, WeightFormat,
};

const HIDDEN: usize = 1024;
const INNER: usize = 3072;
const LAYERS: usize = 28;
const VOCABULARY: usize = 151_936;
const HEADS: HeadShape = HeadShape { heads: 16, kv_heads: 8, head_dim: 128 };
const ROWS: usize = 2048;
const BLOCKS_PER_SEQUENCE: usize = 9;
const SEQUENCES: usize = 64;

struct Layer {
    qkv: Linear,
    o: Linear,
    gate_up: Linear,
    down: Linear,
}

/// How long each part of a pass took, summed up.
#[derive(Default)]
struct Parts(Vec<(&'static str, Duration)>);

impl Parts {
    fn time<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        let took = start.elapsed();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += took,
            None => self.0.push((name, took)),
        }
        result
    }

    fn print(&mut self, passes: u32) {
        let parts = self.0.iter().map(|(name, sum)| {
            format!("{name} {:.2}", sum.as_secs_f64() * 1e3 / f64::from(passes))
        });
        println!("    ms per pass: {}", parts.collect::<Vec<_>>().join("  "));
        self.0.clear();
    }
}

struct Model {
    cpu: Cpu,
    layers: Vec<Layer>,
    head: Linear,
    norm: Vec<f32>,
    head_norm: Vec<f32>,
    rope: Rope,
    cache: KvCache,
    hidden: Rows,
    queries: Queries,
    x: Activations,
    attended: Activations,
    inner: Activations,
    predictions: Predictions,
    parts: Parts,
}

/// Weights that look random; drawing real ones would take longer than packing them.
fn random_row(seed: usize, values: &mut [f32]) {
    let mut state = (seed as u32).wrapping_mul(2_654_435_761) | 1;
    for value in values {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        *value = (state as i32 as f32) * (0.04 / i32::MAX as f32);
    }
}

impl Model {
    fn new(cpu: Cpu, format: WeightFormat, kv: KvFormat) -> Result<Self, Box<dyn Error>> {
        let gated = Linear::gated_outputs(INNER);
        let shapes =
            [(HEADS.qkv_columns(), HIDDEN), (HIDDEN, 2048), (gated, HIDDEN), (HIDDEN, INNER)];
        let bytes = |(n, k)| Arena::footprint(Linear::packed_bytes(format, n, k));
        let total = LAYERS * shapes.map(bytes).iter().sum::<usize>() + bytes((VOCABULARY, HIDDEN));
        let mut arena = Arena::anonymous(total)?;
        let mut pack = |shape: (usize, usize)| -> Result<Linear, Box<dyn Error>> {
            let slab = arena.take(Linear::packed_bytes(format, shape.0, shape.1))?;
            Ok(Linear::pack(&cpu, format, shape, slab, random_row)?)
        };
        let mut layers = Vec::new();
        for _ in 0..LAYERS {
            let [qkv, o, gate_up, down] = shapes;
            layers.push(Layer {
                qkv: pack(qkv)?,
                o: pack(o)?,
                gate_up: pack(gate_up)?,
                down: pack(down)?,
            });
        }
        let head = pack((VOCABULARY, HIDDEN))?;
        let frequencies: Vec<f32> = (0..64).map(|i| 1e6f32.powf(-(i as f32) / 64.0)).collect();
        Ok(Self {
            layers,
            head,
            norm: vec![1.0; HIDDEN],
            head_norm: vec![1.0; 128],
            rope: Rope::new(4096, &frequencies, 1.0),
            cache: KvCache::new(kv, HEADS, LAYERS, BLOCKS_PER_SEQUENCE * SEQUENCES + 64)?,
            hidden: Rows::new(ROWS, HIDDEN)?,
            queries: Queries::new(HEADS, ROWS)?,
            x: Activations::new(format, ROWS, HIDDEN)?,
            attended: Activations::new(format, ROWS, 2048)?,
            inner: Activations::new(format, ROWS, INNER)?,
            predictions: Predictions::new(SEQUENCES, VOCABULARY)?,
            parts: Parts::default(),
            cpu,
        })
    }

    /// Runs tokens of sequences, each `(position, length, first block)`.
    fn forward(&mut self, chunks: &[(usize, usize, usize)]) -> Result<(), Box<dyn Error>> {
        let blocks: Vec<Vec<u32>> = chunks
            .iter()
            .map(|&(position, length, first)| {
                (0..(position + length).div_ceil(32)).map(|block| (first + block) as u32).collect()
            })
            .collect();
        let spans = chunks.iter().zip(&blocks).map(|(&(position, length, _), blocks)| Span {
            position,
            length,
            blocks,
        });
        let spans = Spans::new(&self.cache, spans)?;
        let tokens: Vec<u32> = (0..spans.rows()).map(|row| (row * 7919 % 11_000) as u32).collect();
        let Self { cpu, layers, head, norm, head_norm, rope, cache, hidden, queries, .. } = self;
        let Self { x, attended, inner, predictions, parts, .. } = self;
        let norm = RmsNorm { weight: norm, epsilon: 1e-6 };
        let head_norm = Some(RmsNorm { weight: head_norm, epsilon: 1e-6 });
        let preparation = QkPreparation {
            query_norm: head_norm,
            key_norm: head_norm,
            rope: Some(rope),
            ..QkPreparation::default()
        };
        parts.time("embed", || cpu.embed(head, &tokens, hidden));
        for (index, layer) in layers.iter().enumerate() {
            parts.time("norm", || cpu.rms_norm(hidden, norm, x));
            parts.time("project", || {
                cpu.project((x, &layer.qkv), &spans, &preparation, queries, (cache, index));
            });
            parts.time("attend", || {
                cpu.attend(queries, (cache, index), &spans, Mask::Causal, attended);
            });
            parts.time("o", || {
                cpu.linear(attended, &layer.o, Output::Add { to: hidden, bias: None });
            });
            parts.time("norm", || cpu.rms_norm(hidden, norm, x));
            parts.time("gate-up", || cpu.linear(x, &layer.gate_up, Output::SwiGlu { to: inner }));
            parts.time("down", || {
                cpu.linear(inner, &layer.down, Output::Add { to: hidden, bias: None });
            });
        }
        let last: Vec<usize> = spans.last_rows().collect();
        parts.time("norm", || cpu.rms_norm_rows(hidden, &last, norm, x));
        predictions.request(last.iter().map(|_| false));
        parts.time("head", || cpu.predict(x, head, predictions));
        Ok(())
    }

    /// Runs the same pass over and over; prints its best and median.
    fn measure(
        &mut self,
        name: &str,
        passes: u32,
        chunks: &[(usize, usize, usize)],
    ) -> Result<(), Box<dyn Error>> {
        let rows: usize = chunks.iter().map(|chunk| chunk.1).sum();
        self.forward(chunks)?;
        self.parts.0.clear();
        let mut times = Vec::new();
        for _ in 0..passes {
            let start = Instant::now();
            self.forward(chunks)?;
            times.push(start.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        let rate = |seconds: f64| rows as f64 / seconds;
        let (best, median) = (times[0], times[times.len() / 2]);
        println!(
            "{name}: best {:.1} tok/s ({:.2} ms), median {:.1}",
            rate(best),
            best * 1e3,
            rate(median)
        );
        self.parts.print(passes);
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let argument =
        |index: usize, default: &str| arguments.get(index).map_or(default, |a| a).to_owned();
    let (format, kv) = (argument(0, "bf16").parse()?, argument(1, "bf16").parse()?);
    let cpu = Cpu::detect(argument(2, "2").parse()?)?;
    cpu.pin();
    println!("{format} weights, {kv} keys and values, {} on {} threads", cpu.isa(), cpu.threads());
    let start = Instant::now();
    let mut model = Model::new(cpu, format, kv)?;
    println!("packed in {:.2} s", start.elapsed().as_secs_f64());
    let wanted = argument(3, "all");
    let sequence = |index: usize| index * BLOCKS_PER_SEQUENCE;
    for (name, passes, chunks) in [
        ("prefill 512", 7, vec![(0, 512, 0)]),
        ("decode 1", 64, vec![(128, 1, 0)]),
        ("decode 16", 24, (0..16).map(|index| (192, 1, sequence(index))).collect()),
        ("decode 64", 12, (0..64).map(|index| (192, 1, sequence(index))).collect()),
        ("prefill 16 x 128", 3, (0..16).map(|index| (0, 128, sequence(index))).collect()),
    ] {
        if wanted == "all" || name.starts_with(&wanted) {
            model.measure(name, passes, &chunks)?;
        }
    }
    Ok(())
}
