//! Which packed files go when another one needs room.

use std::{fs::Metadata, path::PathBuf, time::SystemTime};

/// A packed file in the cache folder.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) last_used: SystemTime,
}

impl Kept {
    pub(super) fn new(path: PathBuf, metadata: &Metadata) -> Self {
        let last_used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Self { path, bytes: metadata.len(), last_used }
    }
}

/// The files that must go, so that `needed` bytes more do not exceed `limit` bytes in all: those that
/// were not used for longest. `None`: it would be too much without any other file.
pub(super) fn evicted(mut kept: Vec<Kept>, needed: u64, limit: u64) -> Option<Vec<PathBuf>> {
    let room = limit.checked_sub(needed)?;
    let mut total: u64 = kept.iter().map(|file| file.bytes).sum();
    kept.sort_by_key(|file| file.last_used);
    let too_much = kept.into_iter().take_while(|file| {
        let goes = total > room;
        total -= file.bytes;
        goes
    });
    Some(too_much.map(|file| file.path).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Files of 10, 20 and 30 bytes; the second was not used for longest, then the first.
    fn three() -> Vec<Kept> {
        let file = |name: &str, bytes, seconds| Kept {
            path: name.into(),
            bytes,
            last_used: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        };
        vec![file("a", 10, 5), file("b", 20, 1), file("c", 30, 9)]
    }

    #[track_caller]
    fn check(needed: u64, limit: u64, expected: Option<&[&str]>) {
        let names = |paths: Vec<PathBuf>| paths.iter().map(|p| p.display().to_string()).collect();
        let found: Option<Vec<String>> = evicted(three(), needed, limit).map(names);
        let expected = expected.map(|names| names.iter().map(ToString::to_string).collect());
        assert_eq!(found, expected, "{needed} below {limit}");
    }

    #[test]
    fn what_fits_drives_nobody_out() {
        check(40, 100, Some(&[]));
        check(0, 60, Some(&[]));
    }

    #[test]
    fn what_was_not_used_for_longest_goes_and_no_more_than_must() {
        check(41, 100, Some(&["b"]));
        check(60, 100, Some(&["b"]));
        check(61, 100, Some(&["b", "a"]));
        check(71, 100, Some(&["b", "a", "c"]));
        check(100, 100, Some(&["b", "a", "c"]));
    }

    #[test]
    fn what_is_larger_than_the_limit_is_not_kept_and_costs_nobody_its_place() {
        check(101, 100, None);
        check(1, 0, None);
    }
}
