//! Which tokens are allowed, as a bitset.

use crate::ids::TokenId;

/// Allowed tokens: token t by bit t % 32 of word t / 32, the layout that grammar engines make.
/// Tokens beyond its end are forbidden.
#[derive(Debug, Clone, Copy)]
pub struct TokenMask<'a>(pub &'a [u32]);

impl TokenMask<'_> {
    /// Whether this token may be chosen.
    pub fn allows(self, token: TokenId) -> bool {
        self.0.get(token as usize / 32).is_some_and(|word| word >> (token % 32) & 1 == 1)
    }

    /// Makes all others impossible.
    pub(crate) fn apply(self, logits: &mut [f32]) {
        let words = self.0.iter().copied().chain(std::iter::repeat(0));
        for (chunk, word) in logits.chunks_mut(32).zip(words) {
            match word {
                u32::MAX => {}
                0 => chunk.fill(f32::NEG_INFINITY),
                _ => {
                    for (bit, logit) in chunk.iter_mut().enumerate() {
                        *logit = if word >> bit & 1 == 1 { *logit } else { f32::NEG_INFINITY };
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_mask_does_not_name_is_impossible() {
        let mask = TokenMask(&[u32::MAX, 0b10]);
        let mut logits = [1.0; 70];
        mask.apply(&mut logits);
        for (token, logit) in (0..).zip(logits) {
            assert_eq!(logit == 1.0, token < 32 || token == 33, "token {token}");
            assert_eq!(mask.allows(token), logit == 1.0, "token {token}");
        }
    }
}
