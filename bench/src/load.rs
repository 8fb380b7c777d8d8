//! Load over kept connections, closed or open.
//!
//! *Closed*: each connection sends its next request when the last one is answered; it finds the
//! highest throughput. *Open*: requests are due at a constant rate, whether or not the server keeps
//! up, and each latency counts from when the request was due (Tene's *coordinated omission*): a
//! server that stalls for a second is charged for all requests that should have begun in it.

mod alarm;
mod driver;
mod line;
mod pace;
mod report;
mod tally;
mod target;

use std::{
    io,
    num::NonZeroUsize,
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use self::{driver::Driver, pace::Pace, tally::Tally};
pub use self::{
    report::Report,
    target::{BadUrl, Target},
};

/// What to send, how, and for how long.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where to, and what.
    pub target: Target,
    /// Kept connections, all threads together.
    pub connections: NonZeroUsize,
    /// Threads; one is enough for some 50,000 requests a second.
    pub threads: NonZeroUsize,
    /// Requests a second, for open load; `None` for closed load.
    pub rate: Option<f64>,
    /// Time before anything counts.
    pub warm_up: Duration,
    /// Time that counts.
    pub measured: Duration,
}

/// When a run begins, counts, and ends.
#[derive(Debug, Clone, Copy)]
struct Times {
    begin: Instant,
    /// Requests that are due from here on count.
    counts_from: Instant,
    /// No request is due from here on.
    end: Instant,
    /// What is not answered by then is lost.
    give_up: Instant,
}

/// How long answers may be late after the end.
const GRACE: Duration = Duration::from_secs(5);

impl Times {
    fn of(plan: &Plan) -> Self {
        let begin = Instant::now();
        let counts_from = begin + plan.warm_up;
        let end = counts_from + plan.measured;
        Self { begin, counts_from, end, give_up: end + GRACE }
    }
}

/// Runs `plan` to its end, which comes at most 5 s after its time.
///
/// # Errors
/// When no connection can be made at the beginning. What fails later is counted.
pub fn run(plan: &Plan) -> io::Result<Report> {
    let times = Times::of(plan);
    let threads = plan.threads.min(plan.connections).get();
    let tallies = thread::scope(|scope| {
        let shares: Vec<_> = (0..threads)
            .map(|index| scope.spawn(move || share(plan, times, index, threads)))
            .collect();
        shares.into_iter().map(|share| share.join().unwrap_or_else(|_| Err(lost()))).collect()
    });
    let tallies: io::Result<Vec<Tally>> = tallies;
    let all = tallies?.iter().fold(Tally::new(), Tally::with);
    Ok(Report::new(plan, times, &all))
}

/// What one thread of several does: its part of the connections and of the rate.
fn share(plan: &Plan, times: Times, index: usize, threads: usize) -> io::Result<Tally> {
    let connections = plan.connections.get();
    let lines = connections / threads + usize::from(index < connections % threads);
    let pace = match plan.rate {
        None => Pace::closed(times.end),
        Some(rate) => Pace::open(times, rate, index, threads),
    };
    Driver::new(&plan.target, lines, pace, times)?.run()
}

fn lost() -> io::Error {
    io::Error::other("a thread of the load generator failed")
}

/// A histogram of times in nanoseconds, up to two minutes, three digits precise.
#[must_use]
pub fn histogram_of_seconds() -> Histogram<u64> {
    let mut times = Histogram::new_with_bounds(1_000, 120_000_000_000, 3)
        .unwrap_or_else(|_| unreachable!("the bounds are in order"));
    times.auto(false);
    times
}
