//! From scores to weights, group by group, with a running maximum.

use std::ops::Range;

#[cfg(target_arch = "x86_64")]
use crate::attention::avx512;
use crate::{
    attention::workspace::{RowOfScores, WEIGHT_BYTES, Workspace},
    bf16,
    isa::{Isa, multiversion},
    lanes,
    spans::QUERY_ROWS,
    tile,
};

/// The largest score of a row and the sum of its weights so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    pub(super) max: f32,
    pub(super) sum: f32,
}

/// The states of a unit's rows.
pub(super) struct Rows {
    states: [State; QUERY_ROWS],
    count: usize,
}

impl Rows {
    pub(super) fn new(count: usize) -> Self {
        Self { states: [State { max: f32::NEG_INFINITY, sum: 0.0 }; QUERY_ROWS], count }
    }

    /// Turns the scores of a group of `blocks` into weights, and scales earlier sums to the new maximum.
    /// What a row does not see weighs exactly nothing.
    pub(super) fn weigh(
        &mut self,
        isa: Isa,
        work: &mut Workspace<'_>,
        (blocks, scaled): (usize, bool),
        visible: impl Fn(usize) -> Range<usize>,
    ) {
        for (row, state) in self.states.iter_mut().enumerate().take(self.count) {
            let row_of_scores = work.row_of_scores(row, blocks, scaled);
            match isa {
                // SAFETY: a `Cpu` has these instruction sets only where the machine does.
                #[cfg(target_arch = "x86_64")]
                Isa::Amx | Isa::Avx512 => unsafe {
                    avx512::weigh(row_of_scores, visible(row), state);
                },
                _ => weigh(isa, row_of_scores, visible(row), state),
            }
        }
    }

    /// The state of each row.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn states(&mut self) -> impl Iterator<Item = &mut State> {
        self.states.iter_mut().take(self.count)
    }

    /// Divides each row's sums by the sum of its weights.
    pub(super) fn divide(&self, isa: Isa, work: &mut Workspace<'_>) {
        for (row, state) in self.states.iter().enumerate().take(self.count) {
            scale(isa, work.row_of_sums_mut(row), 1.0 / state.sum);
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
    /// One row of a group.
    fn weigh(row: RowOfScores<'_>, visible: Range<usize>, state: &mut State) {
        let RowOfScores { scores, scales, lines, sums } = row;
        if let Some((keys, _)) = scales {
            for (score, scale) in scores.iter_mut().zip(keys) {
                *score *= scale;
            }
        }
        let max = match visible.is_empty() {
            true => state.max,
            false => lanes::larger(state.max, lanes::max(&scores[visible.clone()])),
        };
        for (token, score) in scores.iter_mut().enumerate() {
            let weight = lanes::exp2(*score - max);
            *score = if visible.contains(&token) { weight } else { 0.0 };
        }
        if max > state.max {
            let factor = lanes::exp2(state.max - max);
            *state = State { max, sum: state.sum * factor };
            for sum in sums {
                *sum *= factor;
            }
        }
        state.sum += lanes::sum(scores);
        if let Some((_, values)) = scales {
            for (score, scale) in scores.iter_mut().zip(values) {
                *score *= scale;
            }
        }
        for (weights, line) in scores.chunks_exact(tile::DEPTH_BF16).zip(lines.chunks_mut(WEIGHT_BYTES)) {
            for (to, &weight) in line[..tile::ROW_BYTES].chunks_exact_mut(2).zip(weights) {
                to.copy_from_slice(&bf16::from_f32(weight).to_le_bytes());
            }
        }
    }
}
