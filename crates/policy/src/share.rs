//! How a cap is divided among servers that share it.
//!
//! Every server divides for itself, from the same wishes in the same order, and gets the same
//! answer; what it really holds is settled where they meet.

/// Divides `cap` by what each server wants: whoever wants little gets it, the others get the same,
/// and what nobody wants is spread, so that a call that comes meanwhile need not wait to be asked
/// for. Where there is enough, nobody is left with nothing. The sum is at most `cap`.
pub fn divide(cap: u32, wanted: &[u32]) -> Vec<u32> {
    let mut shares = vec![0; wanted.len()];
    let mut left = cap;
    let mut modest_first: Vec<usize> = (0..wanted.len()).collect();
    modest_first.sort_by_key(|&server| wanted[server]);
    for (behind, &server) in modest_first.iter().enumerate() {
        let share = wanted[server].max(1).min(even(left, wanted.len() - behind));
        shares[server] = share;
        left -= share;
    }
    for (behind, &server) in modest_first.iter().rev().enumerate() {
        let share = even(left, wanted.len() - behind);
        shares[server] += share;
        left -= share;
    }
    shares
}

/// One of `among` equal parts, rounded up.
fn even(left: u32, among: usize) -> u32 {
    left.div_ceil(u32::try_from(among).unwrap_or(u32::MAX).max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_server_has_it_all() {
        assert_eq!(divide(4, &[0]), [4]);
        assert_eq!(divide(4, &[9]), [4]);
        assert_eq!(divide(4, &[]), [0; 0]);
    }

    #[test]
    fn whoever_wants_more_than_an_even_share_gets_what_the_others_leave() {
        assert_eq!(divide(10, &[2, 50]), [2, 8]);
        assert_eq!(divide(10, &[50, 50]), [5, 5]);
        assert_eq!(divide(10, &[50, 3, 50]), [4, 3, 3]);
    }

    #[test]
    fn what_nobody_wants_is_spread() {
        assert_eq!(divide(10, &[0, 0]), [5, 5]);
        assert_eq!(divide(9, &[0, 2]), [4, 5]);
    }

    #[test]
    fn too_few_places_go_to_some() {
        assert_eq!(divide(2, &[7, 7, 7]), [1, 1, 0]);
    }

    proptest! {
        #[test]
        fn nothing_is_left_and_nobody_is_left_out(
            cap in 0..200_u32,
            wanted in prop::collection::vec(0..300_u32, 1..9),
        ) {
            let shares = divide(cap, &wanted);
            prop_assert_eq!(shares.iter().sum::<u32>(), cap);
            if cap as usize >= wanted.len() {
                prop_assert!(shares.iter().all(|share| *share > 0), "{:?}", shares);
            }
            // Nobody wants more while another has more than both its wish and an even share.
            let even = cap.div_ceil(wanted.len() as u32);
            for (mine, my_wish) in shares.iter().zip(&wanted) {
                for (other, its_wish) in shares.iter().zip(&wanted) {
                    prop_assert!(mine >= my_wish || other <= its_wish.max(&even), "{:?}", shares);
                }
            }
        }
    }
}
