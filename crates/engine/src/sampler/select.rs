//! The highest of many logits, without sorting them all.
//!
//! Of equal logits the lowest id is the likelier, here as everywhere. What is not a number is
//! never chosen, and neither is what is impossible (minus infinity).

use std::cmp::Ordering;

use crate::ids::TokenId;

/// Logits looked at together: as a whole they are skipped if none is high enough.
const STRIDE: usize = 256;
/// Independent maxima, so that the compiler keeps them in vector registers.
const LANES: usize = 16;

/// A token with its logit or weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub(super) token: TokenId,
    pub(super) value: f32,
}

impl Candidate {
    /// The likelier first.
    pub(super) fn likelier(&self, other: &Self) -> Ordering {
        other.value.total_cmp(&self.value).then(self.token.cmp(&other.token))
    }
}

/// The highest number; minus infinity if there is none.
pub(super) fn max(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (blocks, rest) = values.as_chunks::<LANES>();
    for block in blocks {
        for (lane, &value) in lanes.iter_mut().zip(block) {
            // False for what is not a number.
            *lane = if value > *lane { value } else { *lane };
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

/// The token with the highest logit.
pub(super) fn argmax(logits: &[f32]) -> Option<TokenId> {
    let max = max(logits);
    if max == f32::NEG_INFINITY {
        return None;
    }
    (0..).zip(logits).find(|&(_, &logit)| logit == max).map(|(token, _)| token)
}

/// The `count` likeliest tokens, best first.
pub(super) fn likeliest(logits: &[f32], count: usize, found: &mut Vec<Candidate>) {
    found.clear();
    if count == 0 {
        return;
    }
    let mut floor = f32::NEG_INFINITY;
    for (block, first) in logits.chunks(STRIDE).zip((0..).step_by(STRIDE)) {
        // Equal to the floor is too low: what is kept has lower ids.
        if max(block) <= floor {
            continue;
        }
        let above = (first..).zip(block).filter(|&(_, &value)| value > floor);
        found.extend(above.map(|(token, &value)| Candidate { token, value }));
        if found.len() >= 2 * count + STRIDE {
            floor = keep(found, count);
        }
    }
    if found.len() > count {
        keep(found, count);
    }
    found.sort_unstable_by(Candidate::likelier);
}

/// Keeps the likeliest, in no order, and tells the lowest value among them.
fn keep(found: &mut Vec<Candidate>, count: usize) -> f32 {
    let (_, last, _) = found.select_nth_unstable_by(count - 1, Candidate::likelier);
    let floor = last.value;
    found.truncate(count);
    floor
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Few values, so that many are equal, with some that are no numbers.
    fn logits() -> impl Strategy<Value = Vec<f32>> {
        let value = prop_oneof![
            8 => (-20..20_i8).prop_map(|value| f32::from(value) / 4.0),
            1 => Just(f32::NEG_INFINITY),
            1 => Just(f32::NAN),
        ];
        prop::collection::vec(value, 1..2000)
    }

    /// The same by sorting.
    fn sorted(logits: &[f32]) -> Vec<Candidate> {
        let all = (0..).zip(logits).map(|(token, &value)| Candidate { token, value });
        let mut all: Vec<_> = all.filter(|it| it.value > f32::NEG_INFINITY).collect();
        all.sort_by(Candidate::likelier);
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

        #[test]
        fn the_likeliest_are_the_first_of_all_sorted(logits in logits(), count in 0..300_usize) {
            let mut found = Vec::new();
            likeliest(&logits, count, &mut found);
            let mut sorted = sorted(&logits);
            prop_assert_eq!(argmax(&logits), sorted.first().map(|first| first.token));
            sorted.truncate(count);
            prop_assert_eq!(found, sorted);
        }
    }
}
