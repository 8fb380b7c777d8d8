//! top_p: the likeliest tokens that together reach a probability, without sorting all weights.

use super::{select::Candidate, weights::Weights};

/// A bin holds the weights that agree in exponent and the first 5 bits of the mantissa.
const BIN_SHIFT: u32 = 18;
/// Weights are at most 1.
const BINS: usize = (1.0_f32.to_bits() >> BIN_SHIFT) as usize + 1;

/// The scratch space of the search.
#[derive(Debug, Default)]
pub(super) struct Nucleus {
    /// The sum of the weights in each bin.
    bins: Vec<f64>,
    boundary: Vec<Candidate>,
}

/// The likeliest tokens: all those above the last, and of those that weigh as much as it, the
/// ones up to its id.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cut {
    pub(super) last: Candidate,
    /// The sum of their weights.
    pub(super) mass: f64,
}

impl Cut {
    pub(super) fn keeps(&self, candidate: &Candidate) -> bool {
        candidate.likelier(&self.last).is_le()
    }
}

impl Nucleus {
    /// The fewest tokens, likeliest first, whose weights reach `top_p` of the sum `total`.
    pub(super) fn cut(&mut self, weights: &Weights, total: f64, top_p: f32) -> Option<Cut> {
        // All weights below this together are less than what may be missing.
        let least = (total * f64::from(1.0 - top_p) / weights.of.len() as f64) as f32;
        let goal = total * f64::from(top_p);
        self.bins.clear();
        self.bins.resize(BINS, 0.0);
        for (_, block, weights) in weights.blocks() {
            if block.max >= least {
                for weight in weights.iter().filter(|&&weight| weight >= least) {
                    self.bins[bin(*weight)] += f64::from(*weight);
                }
            }
        }
        let (mut above, mut reached, mut boundary) = (0.0, 0.0, 0);
        for (index, sum) in self.bins.iter().enumerate().rev().filter(|(_, sum)| **sum > 0.0) {
            (above, reached, boundary) = (reached, reached + sum, index);
            if reached >= goal {
                break;
            }
        }
        // Only those in the bin where the goal is reached have to be sorted.
        self.collect(weights, boundary);
        self.boundary.sort_unstable_by(Candidate::likelier);
        let (mut mass, mut last) = (above, None);
        for candidate in &self.boundary {
            mass += f64::from(candidate.value);
            last = Some(*candidate);
            if mass >= goal {
                break;
            }
        }
        Some(Cut { last: last?, mass })
    }

    /// Gathers the tokens of one bin.
    fn collect(&mut self, weights: &Weights, wanted: usize) {
        self.boundary.clear();
        for (first, block, weights) in weights.blocks() {
            if bin(block.max) >= wanted {
                let inside = (first..).zip(weights).filter(|&(_, &weight)| bin(weight) == wanted);
                self.boundary.extend(inside.map(|(token, &value)| Candidate { token, value }));
            }
        }
    }
}

/// Positive floats sort like their bits.
fn bin(weight: f32) -> usize {
    ((weight.to_bits() >> BIN_SHIFT) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same by sorting everything.
    fn by_sorting(weights: &Weights, goal: f64) -> Vec<Candidate> {
        let all = (0..).zip(&weights.of).map(|(token, &value)| Candidate { token, value });
        let mut all: Vec<_> = all.filter(|candidate| candidate.value > 0.0).collect();
        all.sort_by(Candidate::likelier);
        let mut mass = 0.0;
        let reached = all.iter().position(|candidate| {
            mass += f64::from(candidate.value);
            mass >= goal
        });
        all.truncate(reached.map_or(all.len(), |last| last + 1));
        all
    }

    proptest! {
        #[test]
        fn the_nucleus_is_the_beginning_of_all_sorted(
            steps in prop::collection::vec(0..400_u16, 1..1500),
            width in prop::sample::select(vec![0.0_f32, 0.01, 0.1]),
            top_p in 0.01..0.999_f32,
        ) {
            let logits: Vec<_> = steps.iter().map(|&step| f32::from(step) * width).collect();
            let mut weights = Weights::default();
            weights.fill(&logits, super::super::select::max(&logits), 0.7, 0.0);
            let total = weights.sum();
            let cut = Nucleus::default().cut(&weights, total, top_p).unwrap();
            let sorted = by_sorting(&weights, total * f64::from(top_p));

            let all = (0..).zip(&weights.of).map(|(token, &value)| Candidate { token, value });
            let kept: Vec<_> = all.filter(|candidate| cut.keeps(candidate)).collect();
            // Sums in another order may put one more or one less inside.
            prop_assert!(kept.len().abs_diff(sorted.len()) <= 1, "{} {}", kept.len(), sorted.len());
            let mass: f64 = kept.iter().map(|candidate| f64::from(candidate.value)).sum();
            prop_assert!((mass - cut.mass).abs() < 1e-6 * total, "{mass} {}", cut.mass);
            let boundary = sorted[kept.len().min(sorted.len()) - 1];
            prop_assert!(kept.contains(&boundary));
        }
    }
}
