//! The promise: a row's bits do not depend on the rows beside it, on where its sequence was cut, or on
//! how many threads there are.

use kernels::{
    Activations, BLOCK_TOKENS, Cpu, HeadShape, KvCache, KvFormat, Linear, Mask, Output,
    QkPreparation, Queries, RmsNorm, Rope, Rows, Span, Spans, WeightFormat,
};
use proptest::prelude::*;

use crate::fixture::{FORMATS, Random, bits, cpu, isas, pack, rows, values};

const HIDDEN: usize = 96;
const INNER: usize = 80;
const SHAPE: HeadShape = HeadShape { heads: 6, kv_heads: 2, head_dim: 32 };

/// One layer of a decoder with random weights.
struct Layer {
    cpu: Cpu,
    format: WeightFormat,
    kv: KvFormat,
    mask: Mask,
    qkv: Linear,
    o: Linear,
    up: Linear,
    down: Linear,
    norm: Vec<f32>,
    head_norm: Vec<f32>,
    rope: Rope,
}

/// A part of a sequence that is run at a time: which one, and from where to where.
#[derive(Debug, Clone, Copy)]
struct Part {
    sequence: usize,
    from: usize,
    to: usize,
}

impl Layer {
    fn new(cpu: Cpu, format: WeightFormat, kv: KvFormat, mask: Mask) -> Self {
        let mut random = Random::new(99);
        let qkv = pack(&cpu, format, &random.matrix(SHAPE.qkv_columns(), HIDDEN));
        let o = pack(&cpu, format, &random.matrix(HIDDEN, SHAPE.heads * SHAPE.head_dim));
        let up = pack(&cpu, format, &random.matrix(Linear::gated_outputs(INNER), HIDDEN));
        let down = pack(&cpu, format, &random.matrix(HIDDEN, INNER));
        let frequencies: Vec<f32> = (0..16).map(|i| 1e4f32.powf(-(i as f32) / 16.0)).collect();
        let rope = Rope::new(1000, &frequencies, 1.0);
        let (norm, head_norm) = (random.row(HIDDEN), random.row(32));
        Self { cpu, format, kv, mask, qkv, o, up, down, norm, head_norm, rope }
    }

    /// Runs batches of parts, one after another, and gives each sequence's rows.
    fn run(&self, sequences: &[Vec<Vec<f32>>], batches: &[Vec<Part>]) -> Vec<Vec<Vec<u32>>> {
        let count = |sequence: &Vec<Vec<f32>>| sequence.len().div_ceil(BLOCK_TOKENS);
        let total: usize = sequences.iter().map(count).sum();
        let mut cache = KvCache::new(self.kv, SHAPE, 1, total).unwrap();
        let mut next = 0u32..;
        let mut blocks: Vec<Vec<u32>> = Vec::new();
        for sequence in sequences {
            blocks.push(next.by_ref().take(count(sequence)).collect());
        }
        let mut results: Vec<Vec<Vec<u32>>> = vec![Vec::new(); sequences.len()];
        for batch in batches {
            let spans = batch.iter().map(|part| Span {
                position: part.from,
                length: part.to - part.from,
                blocks: &blocks[part.sequence],
            });
            let spans = Spans::new(&cache, spans).unwrap();
            let input = batch
                .iter()
                .flat_map(|part| sequences[part.sequence][part.from..part.to].iter().cloned());
            let hidden = self.step(&input.collect::<Vec<_>>(), &spans, &mut cache);
            let mut hidden = bits(&values(&hidden)).into_iter();
            for part in batch {
                results[part.sequence].extend(hidden.by_ref().take(part.to - part.from));
            }
        }
        results
    }

    fn step(&self, input: &[Vec<f32>], spans: &Spans, cache: &mut KvCache) -> Rows {
        let (cpu, m, format) = (&self.cpu, input.len(), self.format);
        let norm = RmsNorm { weight: &self.norm, epsilon: 1e-6 };
        let head_norm = Some(RmsNorm { weight: &self.head_norm, epsilon: 1e-6 });
        let mut hidden = rows(input);
        let mut x = Activations::new(format, m, HIDDEN).unwrap();
        let mut attended = Activations::new(format, m, SHAPE.heads * SHAPE.head_dim).unwrap();
        let mut inner = Activations::new(format, m, INNER).unwrap();
        let mut queries = Queries::new(SHAPE, m).unwrap();
        let preparation = QkPreparation {
            query_norm: head_norm,
            key_norm: head_norm,
            rope: Some(&self.rope),
            ..QkPreparation::default()
        };
        cpu.rms_norm(&hidden, norm, &mut x);
        cpu.project((&x, &self.qkv), spans, &preparation, &mut queries, (cache, 0));
        cpu.attend(&queries, (cache, 0), spans, self.mask, &mut attended);
        cpu.linear(&attended, &self.o, Output::Add { to: &mut hidden, bias: None });
        cpu.rms_norm(&hidden, norm, &mut x);
        cpu.linear(&x, &self.up, Output::SwiGlu { to: &mut inner });
        cpu.linear(&inner, &self.down, Output::Add { to: &mut hidden, bias: None });
        hidden
    }
}

fn sequences(lengths: &[usize]) -> Vec<Vec<Vec<f32>>> {
    let mut random = Random::new(17);
    lengths.iter().map(|&length| random.matrix(length, HIDDEN)).collect()
}

/// Every sequence alone and whole.
fn alone(lengths: &[usize]) -> Vec<Vec<Part>> {
    lengths.iter().enumerate().map(|(sequence, &to)| vec![Part { sequence, from: 0, to }]).collect()
}

/// All sequences at once, each in chunks as `sizes` says, over and over.
fn together(lengths: &[usize], sizes: &[usize]) -> Vec<Vec<Part>> {
    let mut done = vec![0; lengths.len()];
    let mut batches = Vec::new();
    for turn in 0.. {
        let mut batch = Vec::new();
        for (sequence, &length) in lengths.iter().enumerate() {
            let from = done[sequence];
            let to = length.min(from + sizes[(turn + sequence) % sizes.len()]);
            if to > from {
                batch.push(Part { sequence, from, to });
                done[sequence] = to;
            }
        }
        if batch.is_empty() {
            return batches;
        }
        batches.push(batch);
    }
    batches
}

fn same_in_any_company(
    lengths: &[usize],
    sizes: &[usize],
    (format, kv, mask): (WeightFormat, KvFormat, Mask),
) {
    let sequences = sequences(lengths);
    for isa in isas() {
        let layer = |threads| Layer::new(cpu(isa, threads), format, kv, mask);
        let expected = layer(1).run(&sequences, &alone(lengths));
        for threads in [1, 2, 3] {
            let actual = layer(threads).run(&sequences, &together(lengths, sizes));
            assert!(
                actual == expected,
                "{isa} {format} {kv} {mask:?} on {threads} threads: {lengths:?} by {sizes:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_sequence_has_the_same_bits_alone_and_in_any_batch_and_chunks(
        lengths in prop::collection::vec(1usize..70, 1..5),
        sizes in prop::collection::vec(1usize..40, 1..4),
        format in 0usize..4, int8: bool, window in prop::option::of(1usize..50),
    ) {
        let kv = if int8 { KvFormat::Int8 } else { KvFormat::Bf16 };
        let mask = window.map_or(Mask::Causal, Mask::Window);
        same_in_any_company(&lengths, &sizes, (FORMATS[format], kv, mask));
    }
}

#[test]
fn long_sequences_have_the_same_bits_in_chunks_that_straddle_groups() {
    for (format, kv) in [(WeightFormat::Bf16, KvFormat::Bf16), (WeightFormat::W8a8, KvFormat::Int8)]
    {
        for mask in [Mask::Causal, Mask::Window(290)] {
            same_in_any_company(&[600, 1, 255], &[130, 7, 64], (format, kv, mask));
        }
    }
}

#[test]
fn what_a_block_held_before_leaves_no_trace() {
    let sound = &sequences(&[40])[0];
    let broken = [f32::NAN, f32::INFINITY].map(|value| vec![vec![value; HIDDEN]; 64]);
    for (isa, kv) in isas().flat_map(|isa| [KvFormat::Bf16, KvFormat::Int8].map(|kv| (isa, kv))) {
        let layer = Layer::new(cpu(isa, 2), WeightFormat::Bf16, kv, Mask::Causal);
        let mut cache = KvCache::new(kv, SHAPE, 1, 2).unwrap();
        let mut run = |input: &[Vec<f32>]| {
            let span = Span { position: 0, length: input.len(), blocks: &[0, 1] };
            let spans = Spans::new(&cache, [span]).unwrap();
            bits(&values(&layer.step(input, &spans, &mut cache)))
        };
        let expected = run(sound);
        for broken in &broken {
            run(broken);
            assert!(run(sound) == expected, "{isa} {kv}");
        }
    }
}

#[test]
fn a_decode_step_has_the_bits_of_a_prefill() {
    for format in FORMATS {
        same_in_any_company(&[70, 40], &[33, 1, 1, 1], (format, KvFormat::Bf16, Mask::Causal));
    }
}
