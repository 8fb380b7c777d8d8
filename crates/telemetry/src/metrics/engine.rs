//! What the engines of workers told of themselves last.

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

use api::worker::{DURATION_BOUNDS_US, Distribution, EngineStats};
use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use types::{ModelName, WorkerId};

use super::family::Labels;
use crate::names::{self, Name};

/// The engines that live, by worker. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Engines(Arc<Mutex<BTreeMap<WorkerId, Told>>>);

#[derive(Debug)]
struct Told {
    labels: Labels<2>,
    stats: EngineStats,
}

impl Engines {
    pub(super) fn set(&self, model: &ModelName, worker: WorkerId, stats: EngineStats) {
        let mut engines = self.0.lock();
        if let Some(told) = engines.get_mut(&worker) {
            told.stats = stats;
            return;
        }
        let labels =
            [("model", Cow::Owned(model.to_string())), ("replica", Cow::Owned(worker.to_string()))];
        engines.insert(worker, Told { labels, stats });
    }

    pub(super) fn remove(&self, worker: WorkerId) {
        self.0.lock().remove(&worker);
    }
}

/// How a number is read.
#[derive(Clone, Copy)]
enum Read {
    Gauge(fn(&EngineStats) -> u64),
    Counter(fn(&EngineStats) -> u64),
    Times(for<'a> fn(&'a EngineStats) -> &'a Distribution),
}

const NUMBERS: [(&Name, Read); 13] = [
    (&names::ENGINE_RUNNING, Read::Gauge(|stats| stats.running)),
    (&names::ENGINE_WAITING, Read::Gauge(|stats| stats.waiting)),
    (&names::ENGINE_KV_USED, Read::Gauge(|stats| stats.kv_blocks_used)),
    (&names::ENGINE_KV, Read::Gauge(|stats| stats.kv_blocks)),
    (&names::ENGINE_PROMPT_TOKENS, Read::Counter(|stats| stats.prompt_tokens)),
    (&names::ENGINE_CACHED_TOKENS, Read::Counter(|stats| stats.cached_tokens)),
    (&names::ENGINE_GENERATED_TOKENS, Read::Counter(|stats| stats.generated_tokens)),
    (&names::ENGINE_PREEMPTIONS, Read::Counter(|stats| stats.preemptions)),
    (&names::ENGINE_STEPS, Read::Counter(|stats| stats.steps)),
    (&names::ENGINE_STEP_SEQUENCES, Read::Counter(|stats| stats.step_sequences)),
    (&names::ENGINE_STEP_TOKENS, Read::Counter(|stats| stats.step_tokens)),
    (&names::ENGINE_FIRST_TOKEN, Read::Times(|stats| &stats.time_to_first_token)),
    (&names::ENGINE_INTER_TOKEN, Read::Times(|stats| &stats.inter_token_latency)),
];

impl Collector for Engines {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let engines = self.0.lock();
        // A family without a member would be a heading over nothing.
        if engines.is_empty() {
            return Ok(());
        }
        for (name, read) in NUMBERS {
            let help = format!("{}.", name.help);
            let mut family = encoder.encode_descriptor(name.name, &help, None, read.kind())?;
            for told in engines.values() {
                read.encode(&told.stats, family.encode_family(&told.labels)?)?;
            }
        }
        Ok(())
    }
}

impl Read {
    const fn kind(self) -> MetricType {
        match self {
            Self::Gauge(_) => MetricType::Gauge,
            Self::Counter(_) => MetricType::Counter,
            Self::Times(_) => MetricType::Histogram,
        }
    }

    fn encode(self, stats: &EngineStats, mut out: MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Gauge(read) => {
                ConstGauge::new(i64::try_from(read(stats)).unwrap_or(i64::MAX)).encode(out)
            }
            Self::Counter(read) => ConstCounter::new(read(stats)).encode(out),
            Self::Times(read) => {
                let (sum, count, buckets) = in_seconds(read(stats));
                out.encode_histogram::<Labels<0>>(sum, count, &buckets, None)
            }
        }
    }
}

/// Sum, number and buckets. Whatever a worker sent, there are as many buckets as there should be.
fn in_seconds(told: &Distribution) -> (f64, u64, Vec<(f64, u64)>) {
    let bounds = DURATION_BOUNDS_US.iter().map(|&bound| bound as f64 / 1e6);
    let counts = told.counts.iter().copied().chain(std::iter::repeat(0));
    let buckets: Vec<_> = bounds.chain([f64::INFINITY]).zip(counts).collect();
    let count = buckets.iter().map(|(_, count)| count).sum();
    (told.sum as f64 / 1e6, count, buckets)
}
