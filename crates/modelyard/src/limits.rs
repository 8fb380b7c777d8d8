//! The descriptor limit: each client and each call to a worker takes one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit of this process to what the system allows it; returns the limit now, or `None`
/// where the system does not tell.
pub(crate) fn raise_descriptors() -> Option<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return Some(hard);
    }
    Some(soft)
}
