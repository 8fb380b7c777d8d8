//! What a run has shown.

use nix::sys::resource::{UsageWho, getrusage};
use serde::Serialize;

use super::{Plan, Times, tally::Tally};

/// The result of one run. Times are in milliseconds and count from when a request was due.
#[derive(Debug, Serialize)]
pub struct Report {
    /// `closed` or `open`.
    pub load: &'static str,
    /// Kept connections.
    pub connections: usize,
    /// Requests that were due in a second; `None` for closed load.
    pub rate: Option<f64>,
    /// Time that counted, in seconds.
    pub seconds: f64,
    /// Answers that counted.
    pub requests: u64,
    /// Answers in a second.
    pub rps: f64,
    /// Mean latency.
    pub mean_ms: f64,
    /// Half of the answers took no longer.
    pub p50_ms: f64,
    /// 90 % of the answers took no longer.
    pub p90_ms: f64,
    /// 99 % of the answers took no longer.
    pub p99_ms: f64,
    /// 99.9 % of the answers took no longer.
    pub p99_9_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// 99 % of the requests were sent no later than so long after they were due.
    pub lag_p99_ms: f64,
    /// Answers with another status than 2xx.
    pub non2xx: u64,
    /// Requests that broke off, and connections that could not be made.
    pub errors: u64,
    /// Requests without an answer five seconds after the end.
    pub unanswered: u64,
    /// Requests that were due and never sent.
    pub unsent: u64,
    /// Connections that the server closed between two requests.
    pub reopened: u64,
    /// Processor time that this program itself used, warm-up included, in seconds.
    pub client_cpu_s: f64,
}

impl Report {
    pub(super) fn new(plan: &Plan, times: Times, tally: &Tally) -> Self {
        let last = tally.last.unwrap_or(times.end).max(times.end);
        let seconds = (last - times.counts_from).as_secs_f64();
        let requests = tally.latencies.len();
        let ms = |nanoseconds: u64| nanoseconds as f64 / 1e6;
        let quantile_ms = |share| ms(tally.latencies.value_at_quantile(share));
        Self {
            load: if plan.rate.is_some() { "open" } else { "closed" },
            connections: plan.connections.get(),
            rate: plan.rate,
            seconds,
            requests,
            rps: requests as f64 / seconds,
            mean_ms: tally.latencies.mean() / 1e6,
            p50_ms: quantile_ms(0.5),
            p90_ms: quantile_ms(0.9),
            p99_ms: quantile_ms(0.99),
            p99_9_ms: quantile_ms(0.999),
            max_ms: ms(tally.latencies.max()),
            lag_p99_ms: ms(tally.lags.value_at_quantile(0.99)),
            non2xx: tally.non2xx,
            errors: tally.errors,
            unanswered: tally.unanswered,
            unsent: tally.unsent,
            reopened: tally.reopened,
            client_cpu_s: own_cpu_s(),
        }
    }

    /// Whether every request was answered, and well.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.requests > 0 && self.non2xx + self.errors + self.unanswered + self.unsent == 0
    }
}

fn own_cpu_s() -> f64 {
    let Ok(used) = getrusage(UsageWho::RUSAGE_SELF) else { return f64::NAN };
    [used.user_time(), used.system_time()]
        .iter()
        .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
        .sum()
}
