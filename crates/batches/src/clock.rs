//! The wall clock, read in one place.

use std::time::SystemTime;

use types::Timestamp;

pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}

/// Unix time in seconds, as the API shows it.
pub(crate) const fn seconds(time: Timestamp) -> u64 {
    time.millis() / 1000
}
