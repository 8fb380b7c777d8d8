//! Why a request brought no answer.

use api::{Begun, BoxError, worker::Address};

/// Why a request brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// No connection: nothing was sent.
    #[error("could not connect to {address}")]
    Unreachable {
        /// Where.
        address: Address,
        /// What the system said.
        source: BoxError,
    },
    /// The connection failed before an answer began.
    #[error("{address} broke off without an answer")]
    Broken {
        /// Where.
        address: Address,
        /// Whether any of the request was sent.
        begun: Begun,
        /// What the connection said.
        source: hyper::Error,
    },
}

impl DialError {
    /// Whether the request may have had an effect.
    pub const fn begun(&self) -> Begun {
        match self {
            Self::Unreachable { .. } => Begun::No,
            Self::Broken { begun, .. } => *begun,
        }
    }
}
