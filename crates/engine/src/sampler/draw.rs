//! A draw among the tokens that top_k, min_p and top_p leave, each as likely as its weight.

use super::{
    nucleus::{Cut, Nucleus},
    params::SamplingParams,
    select::{self, Candidate},
    weights::{self, Weights},
};
use crate::ids::TokenId;

/// The scratch space of draws.
#[derive(Debug, Default)]
pub(super) struct Draw {
    candidates: Vec<Candidate>,
    weights: Weights,
    nucleus: Nucleus,
}

impl Draw {
    /// `highest` is that of the logits; `chance` in [0, 1) decides. First the temperature, then
    /// min_p and top_k, then top_p of what they leave.
    pub(super) fn token(
        &mut self,
        logits: &[f32],
        highest: f32,
        params: &SamplingParams,
        chance: f64,
    ) -> Option<TokenId> {
        if (1..logits.len()).contains(&params.top_k) {
            self.among_few(logits, highest, params, chance)
        } else {
            self.among_all(logits, highest, params, chance)
        }
    }

    /// With top_k few are left, so they are sorted, and only they are weighed.
    fn among_few(
        &mut self,
        logits: &[f32],
        highest: f32,
        params: &SamplingParams,
        chance: f64,
    ) -> Option<TokenId> {
        let candidates = &mut self.candidates;
        select::likeliest(logits, params.top_k, candidates);
        let scale = std::f32::consts::LOG2_E / params.temperature;
        for candidate in candidates.iter_mut() {
            candidate.value = weights::exp2((candidate.value - highest) * scale);
        }
        candidates
            .truncate(candidates.partition_point(|it| it.value > 0.0 && it.value >= params.min_p));
        let mut mass = mass_of(candidates.iter().copied());
        if params.top_p < 1.0 {
            let goal = mass * f64::from(params.top_p);
            let mut sum = 0.0;
            let reached = candidates.iter().position(|candidate| {
                sum += f64::from(candidate.value);
                sum >= goal
            });
            candidates.truncate(reached.map_or(candidates.len(), |last| last + 1));
            mass = mass_of(candidates.iter().copied());
        }
        pick(candidates.iter().copied(), mass * chance)
    }

    /// Without it the whole vocabulary is weighed, and whole blocks of it are skipped.
    fn among_all(
        &mut self,
        logits: &[f32],
        highest: f32,
        params: &SamplingParams,
        chance: f64,
    ) -> Option<TokenId> {
        self.weights.fill(logits, highest, params.temperature, params.min_p);
        let total = self.weights.sum();
        let cut = if params.top_p < 1.0 {
            self.nucleus.cut(&self.weights, total, params.top_p)
        } else {
            None
        };
        let least = cut.map_or(f32::MIN_POSITIVE, |cut| cut.last.value);
        let mut goal = cut.map_or(total, |cut| cut.mass) * chance;
        let mut reached = None;
        for (first, block, weights) in self.weights.blocks().filter(|(_, it, _)| it.max >= least) {
            reached = Some((first, weights));
            let sum = match cut {
                None => f64::from(block.sum),
                Some(_) => mass_of(kept(first, weights, cut)),
            };
            if goal < sum {
                break;
            }
            goal -= sum;
        }
        let (first, weights) = reached?;
        pick(kept(first, weights, cut), goal)
    }
}

/// Those of a block that the cut leaves.
fn kept(first: TokenId, weights: &[f32], cut: Option<Cut>) -> impl Iterator<Item = Candidate> {
    let all = (first..).zip(weights).map(|(token, &value)| Candidate { token, value });
    all.filter(move |it| it.value > 0.0 && cut.is_none_or(|cut| cut.keeps(it)))
}

fn mass_of(candidates: impl Iterator<Item = Candidate>) -> f64 {
    candidates.map(|candidate| f64::from(candidate.value)).sum()
}

/// The one at which the sum of the values passes the goal. What rounding leaves over belongs to
/// the last one.
fn pick(candidates: impl Iterator<Item = Candidate>, goal: f64) -> Option<TokenId> {
    let mut sum = 0.0;
    let mut last = None;
    for candidate in candidates {
        sum += f64::from(candidate.value);
        last = Some(candidate.token);
        if sum > goal {
            break;
        }
    }
    last
}
