//! From scores to weights, group by group, with a running maximum.

use std::ops::Range;

use crate::{
    attention::{GROUP_TOKENS, Workspace},
    bf16,
    isa::{Isa, multiversion},
    lanes, tile,
};

/// The largest score and the sum of weights of each row so far.
pub(super) struct Rows {
    max: [f32; tile::ROWS],
    sum: [f32; tile::ROWS],
    count: usize,
}

impl Rows {
    pub(super) fn new(count: usize) -> Self {
        Self { max: [f32::NEG_INFINITY; tile::ROWS], sum: [0.0; tile::ROWS], count }
    }

    /// Turns the scores of a group of `tokens` into weights, and scales earlier sums to the new maximum.
    /// What a row does not see weighs exactly nothing.
    pub(super) fn weigh(
        &mut self,
        isa: Isa,
        work: &mut Workspace<'_>,
        (tokens, head_dim, scaled): (usize, usize, bool),
        visible: impl Fn(usize) -> Range<usize>,
    ) {
        for row in 0..self.count {
            let mut state = (self.max[row], self.sum[row]);
            let scores = &mut work.scores[row * GROUP_TOKENS..][..tokens];
            let scales = scaled.then_some((&*work.key_scales, &*work.value_scales));
            let line = &mut work.weights[row * tile::ROW_BYTES..];
            let factor = weigh_row(isa, scores, scales, visible(row), &mut state, line);
            (self.max[row], self.sum[row]) = state;
            if factor != 1.0 {
                scale(isa, &mut work.sums[row * head_dim..][..head_dim], factor);
            }
        }
    }

    /// Divides each row's sums by the sum of its weights.
    pub(super) fn divide(&self, isa: Isa, sums: &mut [f32], head_dim: usize) {
        for (row, sums) in sums.chunks_exact_mut(head_dim).take(self.count).enumerate() {
            scale(isa, sums, 1.0 / self.sum[row]);
        }
    }
}

multiversion! {
    fn scale(values: &mut [f32], factor: f32) {
        for value in values {
            *value *= factor;
        }
    }
}

multiversion! {
    /// One row of a group. Gives the factor for its earlier sums.
    fn weigh_row(
        scores: &mut [f32],
        scales: Option<(&[f32], &[f32])>,
        visible: Range<usize>,
        state: &mut (f32, f32),
        line: &mut [u8],
    ) -> f32 {
        if let Some((keys, _)) = scales {
            for (score, scale) in scores.iter_mut().zip(keys) {
                *score *= scale;
            }
        }
        let (before, seen, after) = parts(scores, &visible);
        before.fill(f32::NEG_INFINITY);
        after.fill(f32::NEG_INFINITY);
        if seen.is_empty() {
            put(scores, None, line, |_| 0.0);
            return 1.0;
        }
        let (old, sum) = *state;
        let max = lanes::larger(old, lanes::max(seen));
        for score in scores.iter_mut() {
            let weight = lanes::exp2(*score - max);
            *score = if *score == f32::NEG_INFINITY { 0.0 } else { weight };
        }
        let factor = if old == f32::NEG_INFINITY { 0.0 } else { lanes::exp2(old - max) };
        *state = (max, sum * factor + lanes::sum(scores));
        put(scores, scales.map(|(_, values)| values), line, |weight| weight);
        factor
    }
}

/// The slice in front of the range, the range, and the slice behind it.
#[inline(always)]
fn parts<'a>(
    all: &'a mut [f32],
    range: &Range<usize>,
) -> (&'a mut [f32], &'a mut [f32], &'a mut [f32]) {
    let (front, after) = all.split_at_mut(range.end.max(range.start.min(all.len())).min(all.len()));
    let start = range.start.min(front.len());
    let (before, seen) = front.split_at_mut(start);
    (before, seen, after)
}

/// Writes weights as one line in each tile of the group.
#[inline(always)]
fn put(weights: &[f32], scales: Option<&[f32]>, line: &mut [u8], map: impl Fn(f32) -> f32) {
    for (index, weights) in weights.chunks_exact(tile::DEPTH_BF16).enumerate() {
        let to = line[index * tile::BYTES..][..tile::ROW_BYTES].chunks_exact_mut(2);
        match scales {
            Some(scales) => {
                let scales = &scales[index * tile::DEPTH_BF16..];
                for ((to, &weight), scale) in to.zip(weights).zip(scales) {
                    to.copy_from_slice(&bf16::from_f32(map(weight) * scale).to_le_bytes());
                }
            }
            None => {
                for (to, &weight) in to.zip(weights) {
                    to.copy_from_slice(&bf16::from_f32(map(weight)).to_le_bytes());
                }
            }
        }
    }
}
