//! Logits as weights: exp((logit - highest) / temperature), so that the likeliest weighs 1.

use std::f32::consts::{LN_2, LOG2_E};

/// Weights whose sum is kept, so that a draw skips over them.
pub(super) const STRIDE: usize = 128;
/// Independent sums, so that the compiler keeps them in vector registers. Fixed, because the
/// order of adding decides the last bits.
const LANES: usize = 16;

/// Weights of a whole vocabulary.
#[derive(Debug, Default)]
pub(super) struct Weights {
    pub(super) of: Vec<f32>,
    pub(super) blocks: Vec<Block>,
}

/// What [`STRIDE`] weights have together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Block {
    pub(super) sum: f32,
    pub(super) max: f32,
}

impl Weights {
    /// Those below `min` (as a fraction of the highest) become 0.
    pub(super) fn fill(&mut self, logits: &[f32], highest: f32, temperature: f32, min: f32) {
        let scale = LOG2_E / temperature;
        self.of.resize(logits.len(), 0.0);
        self.blocks.clear();
        for (logits, weights) in logits.chunks(STRIDE).zip(self.of.chunks_mut(STRIDE)) {
            for (weight, logit) in weights.iter_mut().zip(logits) {
                let exact = exp2((logit - highest) * scale);
                *weight = if exact >= min { exact } else { 0.0 };
            }
            self.blocks.push(Block { sum: sum(weights), max: super::select::max(weights) });
        }
    }

    pub(super) fn sum(&self) -> f64 {
        self.blocks.iter().map(|block| f64::from(block.sum)).sum()
    }

    /// The weights block by block, with the number of the first of each.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (u32, &Block, &[f32])> {
        let weights = self.of.chunks(STRIDE);
        (0..)
            .step_by(STRIDE)
            .zip(&self.blocks)
            .zip(weights)
            .map(|((first, block), of)| (first, block, of))
    }
}

/// The natural logarithm of the sum of exp(logit).
pub(super) fn log_sum_exp(logits: &[f32], highest: f32) -> f32 {
    let mut total = 0.0_f64;
    let mut weights = [0.0; STRIDE];
    for logits in logits.chunks(STRIDE) {
        for (weight, logit) in weights.iter_mut().zip(logits) {
            *weight = exp2((logit - highest) * LOG2_E);
        }
        total += f64::from(sum(&weights[..logits.len()]));
    }
    highest + total.ln() as f32
}

fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (blocks, rest) = values.as_chunks::<LANES>();
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane += value;
        }
    }
    lanes.iter().chain(rest).sum()
}

/// 2^x for x ≤ 0, exact to two units in the last place; 0 below 2^-126 and for what is not a number.
/// Branchless, so that the compiler works on many at once: the one of the standard library
/// takes ten times as long over a vocabulary.
pub(super) fn exp2(x: f32) -> f32 {
    /// Added and taken away again, it rounds to a whole number, which then stands in the low bits.
    const ROUND: f32 = (3 << 22) as f32;
    /// The series of e^y, for y within ± ln 2 / 2.
    const SERIES: [f32; 5] = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5];
    let rounded = x + ROUND;
    let y = (x - (rounded - ROUND)) * LN_2;
    let series = SERIES.iter().fold(0.0, |sum, factor| sum * y + factor);
    let fraction = (series * y + 1.0) * y + 1.0;
    let exponent = rounded.to_bits() << 23;
    let power = f32::from_bits(fraction.to_bits().wrapping_add(exponent));
    if x >= -126.0 { power } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_those_of_the_standard_library() {
        for step in 0..126_000 {
            let x = -f32::from(u16::try_from(step / 2).unwrap()) / 500.0;
            let exact = f64::from(x).exp2();
            let error = (f64::from(exp2(x)) - exact).abs() / exact;
            assert!(error < 2.0 * f64::from(f32::EPSILON), "2^{x}: {error}");
        }
        assert_eq!((exp2(0.0), exp2(-1.0), exp2(-126.0)), (1.0, 0.5, f32::MIN_POSITIVE));
        assert_eq!((exp2(-127.0), exp2(f32::NEG_INFINITY), exp2(f32::NAN)), (0.0, 0.0, 0.0));
    }

    #[test]
    fn the_sum_of_equal_logits_is_their_number() {
        for count in [1, 15, 128, 1000, 151_936] {
            let log = log_sum_exp(&vec![3.0; count], 3.0);
            assert!((log - 3.0 - (count as f32).ln()).abs() < 1e-5, "{count}: {log}");
        }
    }
}
