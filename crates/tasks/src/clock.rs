//! The wall clock, read in one place.

use std::time::SystemTime;

use types::Timestamp;

pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}
