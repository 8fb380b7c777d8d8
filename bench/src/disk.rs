//! The disk's own rate: how many times a second a small append can be made durable.

use std::{
    io::{self, Write},
    path::Path,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::load::histogram_of_seconds;

/// What the disk can do.
#[derive(Debug, Serialize)]
pub struct SyncRate {
    /// Bytes that were appended before each sync.
    pub bytes: usize,
    /// How many were made.
    pub syncs: u64,
    /// How many a second.
    pub per_s: f64,
    /// Half of them took no longer, in milliseconds.
    pub p50_ms: f64,
    /// 99 % of them took no longer, in milliseconds.
    pub p99_ms: f64,
    /// The longest, in milliseconds.
    pub max_ms: f64,
}

/// Appends `bytes` and calls `fdatasync`, again and again for `time`, in a file of its own in
/// `folder` that is gone afterwards.
///
/// # Errors
/// Those of the disk.
pub fn sync_rate(folder: &Path, bytes: usize, time: Duration) -> io::Result<SyncRate> {
    let mut file = tempfile::tempfile_in(folder)?;
    let page = vec![0x5a; bytes];
    let mut times = histogram_of_seconds();
    let begun = Instant::now();
    while begun.elapsed() < time {
        let before = Instant::now();
        file.write_all(&page)?;
        file.sync_data()?;
        record(&mut times, before.elapsed());
    }
    let ms = |nanoseconds: u64| nanoseconds as f64 / 1e6;
    Ok(SyncRate {
        bytes,
        syncs: times.len(),
        per_s: times.len() as f64 / begun.elapsed().as_secs_f64(),
        p50_ms: ms(times.value_at_quantile(0.5)),
        p99_ms: ms(times.value_at_quantile(0.99)),
        max_ms: ms(times.max()),
    })
}

fn record(times: &mut Histogram<u64>, took: Duration) {
    times.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syncs_are_counted_and_leave_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let rate = sync_rate(folder.path(), 512, Duration::from_millis(20)).unwrap();
        assert!(rate.syncs > 0 && rate.p50_ms <= rate.max_ms);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}
