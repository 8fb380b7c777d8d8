//! Ids. Each is a type of its own and a plain UUID (version 7) on the wire.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text was not a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what} id; expected a UUID like 0198c0de-0000-7000-8000-000000000000")]
pub struct BadId {
    what: &'static str,
    text: String,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Names the thing; the caller brings a fresh `Uuid::now_v7()`.
            pub const fn new(uuid: Uuid) -> Self { Self(uuid) }

            /// The id as a UUID.
            pub const fn uuid(self) -> Uuid { self.0 }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($what, "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                // Only the hyphenated form, so that an id has one spelling.
                match Uuid::try_parse(text) {
                    Ok(uuid) if text.len() == 36 => Ok(Self(uuid)),
                    _ => Err(BadId { what: $what, text: text.chars().take(64).collect() }),
                }
            }
        }
    )*};
}

ids! {
    /// One piece of work as a client sees it: a durable task or a synchronous call.
    TaskId = "task";
    /// One attempt to run a piece of work on one replica; the worker reports in these.
    CallId = "call";
    /// One registered worker process. A restarted process gets a new one.
    WorkerId = "worker";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_prints() {
        let id = TaskId::new(Uuid::from_u128(7));
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn other_spellings_of_a_uuid_are_refused() {
        for text in ["", "7", "00000000000000000000000000000007", "urn:uuid:0", "né"] {
            let error = text.parse::<TaskId>().unwrap_err().to_string();
            assert!(error.contains("not a task id"), "{error}");
        }
    }
}
