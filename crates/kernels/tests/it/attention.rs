//! Attention against plain arithmetic.

use kernels::{
    Activations, BLOCK_TOKENS, Cpu, HeadShape, KvCache, KvFormat, Linear, Mask, QkPreparation,
    Queries, RmsNorm, Rope, Span, Spans, WeightFormat,
};
use proptest::prelude::*;

use crate::fixture::{Random, activations, cpu, distance, dot, held, isas, pack, product};

/// A head's worth of a row.
fn head(row: &[f32], index: usize, dim: usize) -> &[f32] {
    &row[index * dim..(index + 1) * dim]
}

/// Attention by the book, in f64. Rows are queries, keys and values of one sequence.
fn expected(shape: HeadShape, rows: &[Vec<f32>], mask: Mask) -> Vec<Vec<f32>> {
    let (dim, group) = (shape.head_dim, shape.group());
    let sees = |from: usize, to: usize| match mask {
        Mask::Causal => to <= from,
        Mask::Window(window) => to <= from && from - to < window,
        Mask::Full => true,
    };
    let one = |from: usize, index: usize| -> Vec<f32> {
        let key = |row: usize| head(&rows[row], shape.heads + index / group, dim);
        let value =
            |row: usize| head(&rows[row], shape.heads + shape.kv_heads + index / group, dim);
        let seen: Vec<usize> = (0..rows.len()).filter(|&to| sees(from, to)).collect();
        let query = head(&rows[from], index, dim);
        let scores: Vec<f64> =
            seen.iter().map(|&to| dot(query, key(to)) / (dim as f64).sqrt()).collect();
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - max).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let mixed = |column: usize| {
            let each = seen.iter().zip(&weights).map(|(&to, w)| w * f64::from(value(to)[column]));
            (each.sum::<f64>() / sum) as f32
        };
        (0..dim).map(mixed).collect()
    };
    (0..rows.len())
        .map(|row| (0..shape.heads).flat_map(|index| one(row, index)).collect())
        .collect()
}

/// A layer that gives queries, keys and values, and what it is given.
struct Projection {
    weights: Linear,
    inputs: Vec<Vec<f32>>,
}

const INPUTS: usize = 40;
/// Its activations have 16 bits, so the tests see what attention gives, and not what storing it costs.
const FORMAT: WeightFormat = WeightFormat::Int4;

impl Projection {
    fn new(cpu: &Cpu, shape: HeadShape, length: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        // Small enough for scores of about one.
        let mut weights = random.matrix(shape.qkv_columns(), INPUTS);
        weights.iter_mut().flatten().for_each(|weight| *weight *= 0.2);
        Self { weights: pack(cpu, FORMAT, &weights), inputs: random.matrix(length, INPUTS) }
    }

    /// Queries, keys and values of each token.
    fn rows(&self, cpu: &Cpu) -> Vec<Vec<f32>> {
        product(cpu, &activations(cpu, FORMAT, &self.inputs), &self.weights, None)
    }

    /// Runs the whole sequence, with blocks in an odd order.
    fn attended(&self, cpu: &Cpu, shape: HeadShape, kv: KvFormat, mask: Mask) -> Vec<Vec<f32>> {
        let count = self.inputs.len().div_ceil(BLOCK_TOKENS);
        let blocks: Vec<u32> = (0..count as u32).rev().map(|block| block + 1).collect();
        let mut cache = KvCache::new(kv, shape, 2, count + 2).unwrap();
        let preparation = QkPreparation::default();
        self.attended_from(cpu, &mut cache, &blocks, &preparation, (0, mask))
    }

    fn attended_from(
        &self,
        cpu: &Cpu,
        cache: &mut KvCache,
        blocks: &[u32],
        preparation: &QkPreparation<'_>,
        (position, mask): (usize, Mask),
    ) -> Vec<Vec<f32>> {
        let (shape, length) = (cache.shape(), self.inputs.len());
        let spans = Spans::new(cache, [Span { position, length, blocks }]).unwrap();
        let mut queries = Queries::new(shape, length).unwrap();
        let mut to = Activations::new(FORMAT, length, shape.heads * shape.head_dim).unwrap();
        let x = activations(cpu, FORMAT, &self.inputs);
        cpu.project((&x, &self.weights), &spans, preparation, &mut queries, (cache, 0));
        cpu.attend(&queries, (cache, 0), &spans, mask, &mut to);
        held(&to)
    }
}

fn matches_the_book(shape: HeadShape, kv: KvFormat, length: usize, mask: Mask, seed: u64) {
    // Weights and queries are rounded to bf16; int8 adds the rounding of keys and values.
    let tolerance = if kv == KvFormat::Bf16 { 1e-2 } else { 3e-2 };
    for isa in isas() {
        let cpu = cpu(isa, 2);
        let projection = Projection::new(&cpu, shape, length, seed);
        let expected = expected(shape, &projection.rows(&cpu), mask);
        let actual = projection.attended(&cpu, shape, kv, mask);
        for (row, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
            let away = distance(actual, expected);
            assert!(away < tolerance, "{isa} {shape:?} {kv} {length} {mask:?}, row {row}: {away}");
        }
    }
}

fn shapes() -> impl Strategy<Value = HeadShape> {
    (1usize..9, 1usize..4, 1usize..9).prop_map(|(group, kv_heads, dim)| HeadShape {
        heads: group * kv_heads,
        kv_heads,
        head_dim: dim * 32,
    })
}

fn masks() -> impl Strategy<Value = Mask> {
    prop_oneof![Just(Mask::Causal), (1usize..80).prop_map(Mask::Window), Just(Mask::Full)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn attention_of_any_shape_is_the_weighed_average(
        shape in shapes(), mask in masks(), length in 1usize..70, seed in 0u64..1 << 40, int8: bool,
    ) {
        let kv = if int8 { KvFormat::Int8 } else { KvFormat::Bf16 };
        matches_the_book(shape, kv, length, mask, seed);
    }
}

#[test]
fn sequences_longer_than_a_group_of_blocks_are_right() {
    let shape = HeadShape { heads: 4, kv_heads: 2, head_dim: 64 };
    for kv in [KvFormat::Bf16, KvFormat::Int8] {
        for mask in [Mask::Causal, Mask::Window(40), Mask::Window(300), Mask::Full] {
            matches_the_book(shape, kv, 600, mask, 3);
        }
    }
}

/// What a head is after its norm and at a position, by the book.
fn prepared(row: &[f32], weight: f64, frequencies: &[f32], position: f64) -> Vec<f32> {
    let half = row.len() / 2;
    let mean = dot(row, row) / row.len() as f64;
    let normed = |i: usize| weight * f64::from(row[i]) / (mean + 1e-6).sqrt();
    let turned = |i: usize| {
        let angle = position * f64::from(frequencies[i % half]);
        let (a, b) = (normed(i % half), normed(i % half + half));
        let other = if i < half {
            a * angle.cos() - b * angle.sin()
        } else {
            b * angle.cos() + a * angle.sin()
        };
        other as f32
    };
    (0..row.len()).map(turned).collect()
}

#[test]
fn queries_and_keys_are_normed_and_rotated_before_they_meet() {
    let shape = HeadShape { heads: 2, kv_heads: 1, head_dim: 64 };
    let frequencies: Vec<f32> = (0..32).map(|i| 1e4f32.powf(-(i as f32) / 32.0)).collect();
    let rope = Rope::new(400, &frequencies, 1.0);
    assert_eq!(rope.positions(), 400);
    let weight = vec![1.5; 64];
    let bias: Vec<f32> = Random::new(8).row(shape.qkv_columns());
    let norm = Some(RmsNorm { weight: &weight, epsilon: 1e-6 });
    let preparation = QkPreparation {
        bias: Some(&bias),
        query_norm: norm,
        key_norm: norm,
        rope: Some(&rope),
        score_scale: None,
    };
    for isa in isas() {
        let cpu = cpu(isa, 2);
        let projection = Projection::new(&cpu, shape, 3, 4);
        let blocks: Vec<u32> = (0..16).collect();
        let attended = |position, mask| {
            let mut cache = KvCache::new(KvFormat::Bf16, shape, 1, 16).unwrap();
            projection.attended_from(&cpu, &mut cache, &blocks, &preparation, (position, mask))
        };
        let turned = |(position, row): (usize, Vec<f32>)| -> Vec<f32> {
            let row: Vec<f32> = row.iter().zip(&bias).map(|(x, b)| x + b).collect();
            let one = |index| prepared(head(&row, index, 64), 1.5, &frequencies, position as f64);
            (0..3).flat_map(one).chain(head(&row, 3, 64).to_vec()).collect()
        };
        let rows: Vec<Vec<f32>> =
            projection.rows(&cpu).into_iter().enumerate().map(turned).collect();
        let near = attended(0, Mask::Causal);
        for (actual, expected) in near.iter().zip(&expected(shape, &rows, Mask::Causal)) {
            let away = distance(actual, expected);
            assert!(away < 1e-2, "{isa}: {away}");
        }
        // Far away, a token that sees only itself sees the same.
        assert!(distance(&attended(320, Mask::Window(1))[0], &near[0]) < 1e-6, "{isa}");
    }
}

#[test]
fn spans_that_cannot_be_run_are_refused() {
    let shape = HeadShape { heads: 2, kv_heads: 1, head_dim: 32 };
    let cache = KvCache::new(KvFormat::Bf16, shape, 1, 4).unwrap();
    let check = |spans: &[(usize, usize, &[u32])], sentence: &str| {
        let spans =
            spans.iter().map(|&(position, length, blocks)| Span { position, length, blocks });
        assert_eq!(Spans::new(&cache, spans).unwrap_err().to_string(), sentence);
    };
    check(&[(0, 0, &[0])], "span 0 has no tokens");
    check(&[(0, 3, &[0]), (30, 3, &[1])], "span 1 needs 2 blocks and has 1");
    check(&[(0, 3, &[4])], "block 4 is not in a cache of 4 blocks");
    check(&[(0, 3, &[1]), (0, 3, &[1])], "block 1 is written by two spans");
    // A block that is only read may be shared.
    let shared = [
        Span { position: 32, length: 1, blocks: &[0, 1] },
        Span { position: 33, length: 1, blocks: &[0, 2] },
    ];
    assert_eq!(Spans::new(&cache, shared).unwrap().last_rows().collect::<Vec<_>>(), [0, 1]);
}
