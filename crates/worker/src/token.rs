//! The secret that opens a worker on a TCP address.

use std::fmt::Write;

use http::{HeaderMap, header};
use subtle::ConstantTimeEq;

use crate::WorkerError;

/// 256 bits, so that it cannot be guessed.
const TOKEN_BYTES: usize = 32;

/// A random bearer token, told to the gateway when the worker registers.
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn random() -> Result<Self, WorkerError> {
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).map_err(WorkerError::Token)?;
        let mut text = String::with_capacity(2 * TOKEN_BYTES);
        for byte in bytes {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(Self(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the caller holds the token. Takes equally long for every wrong one, so that it
    /// cannot be found out piece by piece.
    pub(crate) fn opens(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = given.and_then(|value| value.split_once(' '));
        bearer.is_some_and(|(scheme, token)| {
            scheme.eq_ignore_ascii_case("bearer")
                && bool::from(token.trim().as_bytes().ct_eq(self.0.as_bytes()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_opens() {
        let token = Token::random().unwrap();
        let opens = |value: String| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            token.opens(&headers)
        };
        assert!(opens(format!("Bearer {}", token.as_str())));
        assert!(opens(format!("bearer {}", token.as_str())));
        assert!(!opens(format!("Basic {}", token.as_str())));
        assert!(!opens(format!("Bearer {}", &token.as_str()[1..])));
        assert!(!opens("Bearer ".into()));
        assert!(!token.opens(&HeaderMap::new()));
    }
}
