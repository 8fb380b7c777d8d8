//! Attention against plain arithmetic.

use kernels::{
    Activations, BLOCK_TOKENS, Cpu, HeadShape, KvCache, KvFormat, Mask, QkPreparation, Queries,
    RmsNorm, Rope, Rows, Span, Spans, WeightFormat,
};
use proptest::prelude::*;

use crate::fixture::{Random, cpu, distance, dot, isas, pack, rows, values};

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

/// The rows of `x`, through a layer that is the identity.
fn seen(cpu: &Cpu, x: &Activations) -> Vec<Vec<f32>> {
    let columns = x.columns();
    let unit = |row: usize| (0..columns).map(|c| f32::from(u8::from(c == row))).collect();
    let identity: Vec<Vec<f32>> = (0..columns).map(unit).collect();
    let mut to = Rows::new(x.len(), columns).unwrap();
    let output = kernels::Output::Store { to: &mut to, bias: None };
    cpu.linear(x, &pack(cpu, WeightFormat::Int8, &identity), output);
    values(&to)
}

/// Runs one sequence in chunks that end where `cuts` says, with blocks in an odd order.
fn attended(
    cpu: &Cpu,
    shape: HeadShape,
    kv: KvFormat,
    rows_of: &[Vec<f32>],
    mask: Mask,
    cuts: &[usize],
) -> Vec<Vec<f32>> {
    let count = rows_of.len().div_ceil(BLOCK_TOKENS);
    let blocks: Vec<u32> = (0..count as u32).rev().map(|block| block + 1).collect();
    let mut cache = KvCache::new(kv, shape, 2, count + 2).unwrap();
    let mut queries = Queries::new(shape, rows_of.len()).unwrap();
    let mut to =
        Activations::new(WeightFormat::Int8, rows_of.len(), shape.heads * shape.head_dim).unwrap();
    let mut all = Vec::new();
    let mut start = 0;
    for &end in cuts.iter().chain([&rows_of.len()]) {
        if end <= start {
            continue;
        }
        let span = Span { position: start, length: end - start, blocks: &blocks };
        let spans = Spans::new(&cache, [span]).unwrap();
        let preparation = QkPreparation::default();
        cpu.store_qkv(
            &rows(&rows_of[start..end]),
            &spans,
            &preparation,
            &mut queries,
            (&mut cache, 1),
        );
        cpu.attend(&queries, (&cache, 1), &spans, mask, &mut to);
        all.extend(seen(cpu, &to));
        start = end;
    }
    all
}

fn matches_the_book(shape: HeadShape, kv: KvFormat, length: usize, mask: Mask, seed: u64) {
    let rows = Random::new(seed).matrix(length, shape.qkv_columns());
    let expected = expected(shape, &rows, mask);
    // Weights and queries are rounded to bf16; int8 adds the rounding of keys and values.
    let tolerance = if kv == KvFormat::Bf16 { 1e-2 } else { 3e-2 };
    for isa in isas() {
        let actual = attended(&cpu(isa, 2), shape, kv, &rows, mask, &[]);
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

/// Scores that depend on positions, and on nothing but their difference.
#[test]
fn rotated_queries_and_keys_feel_only_their_distance() {
    let shape = HeadShape { heads: 2, kv_heads: 1, head_dim: 64 };
    let frequencies: Vec<f32> = (0..32).map(|i| 1e4f32.powf(-(i as f32) / 32.0)).collect();
    let rope = Rope::new(400, &frequencies, 1.0);
    assert_eq!(rope.positions(), 400);
    let mut random = Random::new(4);
    let sequence = random.matrix(3, shape.qkv_columns());
    for isa in isas() {
        let cpu = cpu(isa, 2);
        let weight = vec![1.5; 64];
        let norm = Some(RmsNorm { weight: &weight, epsilon: 1e-6 });
        let preparation = QkPreparation {
            query_norm: norm,
            key_norm: norm,
            rope: Some(&rope),
            score_scale: None,
        };
        // The same three tokens at 0 and at 320, where only they are in the window.
        let at = |position: usize| {
            let mut cache = KvCache::new(KvFormat::Bf16, shape, 1, 16).unwrap();
            let mut queries = Queries::new(shape, 3).unwrap();
            let mut to = Activations::new(WeightFormat::Int8, 3, 128).unwrap();
            let blocks: Vec<u32> = (0..16).collect();
            let spans =
                Spans::new(&cache, [Span { position, length: 3, blocks: &blocks }]).unwrap();
            cpu.store_qkv(&rows(&sequence), &spans, &preparation, &mut queries, (&mut cache, 0));
            let mask = if position == 0 { Mask::Causal } else { Mask::Window(1) };
            cpu.attend(&queries, (&cache, 0), &spans, mask, &mut to);
            (seen(&cpu, &to), cache, queries)
        };
        let (near, ..) = at(0);
        let (far, ..) = at(320);
        // The first token sees itself only, in both.
        assert!(distance(&far[0], &near[0]) < 1e-6, "{isa}");
        // By the book, for the last token.
        let rotate = |row: &[f32], position: f64| -> Vec<f32> {
            let mean = dot(row, row) / 64.0;
            let normed: Vec<f64> =
                row.iter().map(|&x| 1.5 * f64::from(x) / (mean + 1e-6).sqrt()).collect();
            let turned = |i: usize| {
                let angle = position * f64::from(frequencies[i % 32]);
                let (a, b) = (normed[i % 32], normed[i % 32 + 32]);
                if i < 32 {
                    a * angle.cos() - b * angle.sin()
                } else {
                    b * angle.cos() + a * angle.sin()
                }
            };
            (0..64).map(|i| turned(i) as f32).collect()
        };
        let turned: Vec<Vec<f32>> = sequence
            .iter()
            .enumerate()
            .map(|(position, row)| {
                let mut turned = Vec::new();
                for index in 0..3 {
                    turned.extend(rotate(head(row, index, 64), position as f64));
                }
                turned.extend(head(row, 3, 64));
                turned
            })
            .collect();
        let book = expected(shape, &turned, Mask::Causal);
        for (actual, expected) in near.iter().zip(&book) {
            let away = distance(actual, expected);
            assert!(away < 1e-2, "{isa}: {away}");
        }
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
