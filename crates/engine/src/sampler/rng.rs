//! Chance as a function: of the seed of a sequence and the position of the token.

use policy::random::SplitMix64;

/// The step of the SplitMix64 sequence, which makes every number of it reachable at once.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A number in [0, 1), always the same one for the same place. A sequence that is computed again
/// after it was preempted, or batched differently, draws what it would have drawn.
pub(super) fn uniform(seed: u64, position: usize) -> f64 {
    // Seeds that follow each other must not give sequences that overlap.
    let begin = SplitMix64::new(seed).draw();
    let bits = SplitMix64::new(begin.wrapping_add(STEP.wrapping_mul(position as u64))).draw();
    // 53 bits are what an f64 holds exactly.
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_seed_and_position_alone() {
        assert_eq!(uniform(7, 3), uniform(7, 3));
        assert_ne!(uniform(7, 3), uniform(7, 4));
        assert_ne!(uniform(7, 3), uniform(8, 3));
        // Neighbours in both are not the same place of one sequence.
        assert_ne!(uniform(7, 4), uniform(8, 3));
    }

    #[test]
    fn draws_are_spread_evenly_over_positions_and_over_seeds() {
        for by_seed in [false, true] {
            let mut tenths = [0; 10];
            for i in 0..10_000 {
                let draw = if by_seed { uniform(i as u64, 5) } else { uniform(5, i) };
                tenths[(draw * 10.0) as usize] += 1;
            }
            assert!(tenths.iter().all(|count| (900..1100).contains(count)), "{tenths:?}");
        }
    }
}
