//! What workers told of themselves that registered by a protocol of their own.

use std::{collections::BTreeMap, fmt, sync::Arc};

use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use types::{ModelName, WorkerId};

use super::sample::Sample;
use crate::names;

/// Numbers of one worker that are shown.
const SAMPLES_MAX: usize = 512;

/// Names that are ours: a worker's own numbers of the same name would be taken for them.
const OURS: [&str; 2] = ["modelyard_", "process_"];

/// What was used in one request, as a worker counted it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests.
    pub requests: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub completion_tokens: u64,
    /// Those of them that are thoughts.
    pub reasoning_tokens: u64,
}

/// The workers that are registered, and what was used. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Registered(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    workers: BTreeMap<WorkerId, Worker>,
    used: BTreeMap<ModelName, Usage>,
}

#[derive(Debug)]
struct Worker {
    model: ModelName,
    load: Option<f64>,
    samples: Vec<Sample>,
}

impl Registered {
    /// - `lines`: its own numbers in the Prometheus text format. What cannot be read, and what is
    ///   named as ours, is left out.
    pub(super) fn set(
        &self,
        model: &ModelName,
        worker: WorkerId,
        load: Option<f64>,
        lines: &[String],
    ) {
        let samples = lines.iter().filter_map(|line| Sample::read(line));
        let foreign =
            samples.filter(|sample| !OURS.iter().any(|ours| sample.name.starts_with(ours)));
        let samples = foreign.take(SAMPLES_MAX).collect();
        let told = Worker { model: model.clone(), load, samples };
        self.0.lock().workers.insert(worker, told);
    }

    pub(super) fn remove(&self, worker: WorkerId) {
        self.0.lock().workers.remove(&worker);
    }

    pub(super) fn used(&self, model: &ModelName, usage: Usage) {
        let mut told = self.0.lock();
        let sum = told.used.entry(model.clone()).or_default();
        sum.requests = sum.requests.saturating_add(usage.requests);
        sum.prompt_tokens = sum.prompt_tokens.saturating_add(usage.prompt_tokens);
        sum.completion_tokens = sum.completion_tokens.saturating_add(usage.completion_tokens);
        sum.reasoning_tokens = sum.reasoning_tokens.saturating_add(usage.reasoning_tokens);
    }
}

impl Collector for Registered {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let told = self.0.lock();
        encode_loads(&told, &mut encoder)?;
        encode_usage(&told, &mut encoder)?;
        encode_samples(&told, &mut encoder)
    }
}

fn encode_loads(told: &Told, encoder: &mut DescriptorEncoder) -> fmt::Result {
    let mut loads = told.workers.iter().filter_map(|(id, worker)| Some((id, worker, worker.load?)));
    let Some(first) = loads.next() else { return Ok(()) };
    let name = names::WORKER_LOAD;
    let help = format!("{}.", name.help);
    let mut family = encoder.encode_descriptor(name.name, &help, None, MetricType::Gauge)?;
    for (id, worker, load) in std::iter::once(first).chain(loads) {
        let labels = whose(*id, worker);
        ConstGauge::new(load).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Reads one of the numbers of a sum.
type Read = fn(&Usage) -> u64;

fn encode_usage(told: &Told, encoder: &mut DescriptorEncoder) -> fmt::Result {
    const TOKENS: [(&str, Read); 3] = [
        ("prompt", |usage| usage.prompt_tokens),
        ("completion", |usage| usage.completion_tokens),
        ("reasoning", |usage| usage.reasoning_tokens),
    ];
    if told.used.is_empty() {
        return Ok(());
    }
    let (requests, tokens) = (names::USAGE_REQUESTS, names::USAGE_TOKENS);
    let help = format!("{}.", requests.help);
    let mut family = encoder.encode_descriptor(requests.name, &help, None, MetricType::Counter)?;
    for (model, usage) in &told.used {
        let labels = [("model", model.as_str())];
        ConstCounter::new(usage.requests).encode(family.encode_family(&labels)?)?;
    }
    let help = format!("{}.", tokens.help);
    let mut family = encoder.encode_descriptor(tokens.name, &help, None, MetricType::Counter)?;
    for (model, usage) in &told.used {
        for (kind, read) in TOKENS {
            let labels = [("model", model.as_str()), ("kind", kind)];
            ConstCounter::new(read(usage)).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// A name is one family, whichever workers have it. Its kind is unknown: what a worker says of that is
/// not to be relied on where several say it.
fn encode_samples(told: &Told, encoder: &mut DescriptorEncoder) -> fmt::Result {
    let mut families: BTreeMap<&str, Vec<(WorkerId, &Worker, &Sample)>> = BTreeMap::new();
    for (id, worker) in &told.workers {
        for sample in &worker.samples {
            families.entry(&sample.name).or_default().push((*id, worker, sample));
        }
    }
    for (name, samples) in families {
        let help = "A number that registered workers tell of themselves.";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Unknown)?;
        for (id, worker, sample) in samples {
            let mut labels = whose(id, worker);
            labels.extend(sample.labels.iter().cloned());
            ConstGauge::new(sample.value).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn whose(id: WorkerId, worker: &Worker) -> Vec<(String, String)> {
    vec![("model".into(), worker.model.to_string()), ("replica".into(), id.to_string())]
}
