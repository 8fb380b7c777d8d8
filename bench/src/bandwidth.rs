//! How fast the processors can read memory: the ceiling of everything that reads each weight once.

use std::{io, num::NonZeroUsize, thread, time::Instant};

use serde::Serialize;

mod region;

use region::Region;

/// What the memory can do.
#[derive(Debug, Serialize)]
pub struct ReadRate {
    /// Threads that read at the same time, each a range of its own.
    pub threads: usize,
    /// Bytes that one pass reads; far more than the caches hold.
    pub bytes: usize,
    /// The best way to ask for what comes next.
    pub ahead: Ahead,
    /// The median of the passes, in GB (10^9 bytes) a second.
    pub gb_per_s: f64,
    /// The fastest pass.
    pub best_gb_per_s: f64,
}

/// How far ahead of the load each line is asked for, in bytes; 0: not asked for.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Ahead {
    /// Into the first cache.
    pub near: usize,
    /// Into the second cache.
    pub far: usize,
}

/// Virtual machines hide from the hardware what it needs to guess well; some processors need no help.
const WAYS: [Ahead; 6] = [
    Ahead { near: 0, far: 0 },
    Ahead { near: 1 << 10, far: 0 },
    Ahead { near: 4 << 10, far: 0 },
    Ahead { near: 2 << 10, far: 8 << 10 },
    Ahead { near: 4 << 10, far: 16 << 10 },
    Ahead { near: 8 << 10, far: 32 << 10 },
];

/// A line of the caches, in words.
const LINE: usize = 8;

/// Reads `bytes` of memory `passes` times in each of several ways, and gives the best of them.
///
/// # Errors
/// When the memory cannot be had.
pub fn read_rate(bytes: usize, threads: NonZeroUsize, passes: usize) -> io::Result<ReadRate> {
    let threads = threads.get();
    let region = Region::new(bytes, threads)?;
    // In turns, so that a minute in which others were busy spoils no single way.
    let mut rates = vec![Vec::with_capacity(passes); WAYS.len()];
    for _ in 0..passes.max(1) {
        for (way, rates) in WAYS.iter().zip(&mut rates) {
            rates.push(pass(region.words(), threads, *way));
        }
    }
    let mut best = ReadRate { threads, bytes, ahead: WAYS[0], gb_per_s: 0.0, best_gb_per_s: 0.0 };
    for (&ahead, rates) in WAYS.iter().zip(&mut rates) {
        rates.sort_by(f64::total_cmp);
        let median = rates[rates.len() / 2];
        if median > best.gb_per_s {
            best.ahead = ahead;
            best.gb_per_s = median;
            best.best_gb_per_s = rates.last().copied().unwrap_or(median);
        }
    }
    Ok(best)
}

/// One pass over everything, in GB a second.
fn pass(words: &[u64], threads: usize, ahead: Ahead) -> f64 {
    let begun = Instant::now();
    thread::scope(|scope| {
        for range in words.chunks(words.len().div_ceil(threads)) {
            scope.spawn(move || std::hint::black_box(sum(range, ahead)));
        }
    });
    size_of_val(words) as f64 / begun.elapsed().as_secs_f64() / 1e9
}

/// Adds up everything, because what is not used is not read.
fn sum(words: &[u64], ahead: Ahead) -> u64 {
    let mut sums = [0u64; LINE];
    for line in words.as_chunks::<LINE>().0 {
        if ahead.near > 0 {
            region::prefetch_near(line.as_ptr().wrapping_byte_add(ahead.near));
        }
        if ahead.far > 0 {
            region::prefetch_far(line.as_ptr().wrapping_byte_add(ahead.far));
        }
        for (sum, word) in sums.iter_mut().zip(line) {
            *sum = sum.wrapping_add(*word);
        }
    }
    sums.iter().fold(0, |all, one| all.wrapping_add(*one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_read_whatever_is_asked_for_ahead() {
        let words: Vec<u64> = (0..1024).collect();
        for way in WAYS {
            assert_eq!(sum(&words, way), 1023 * 512);
        }
    }

    #[test]
    fn a_rate_is_the_median_of_the_best_way() {
        let threads = NonZeroUsize::new(2).unwrap();
        let rate = read_rate(4 << 20, threads, 3).unwrap();
        assert!(rate.gb_per_s > 0.0 && rate.gb_per_s <= rate.best_gb_per_s, "{rate:?}");
    }
}
