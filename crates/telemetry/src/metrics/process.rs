//! What is measured only when somebody asks: uptime, memory, descriptors.

use std::{fmt, fs, time::Instant};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

use crate::names::{self, Name};

/// Looks at this process at each scrape.
#[derive(Debug)]
pub(super) struct ProcessCollector {
    started: Instant,
}

impl Default for ProcessCollector {
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let mut gauge = |name: &Name, value: f64| {
            let metric =
                encoder.encode_descriptor(name.name, &sentence(name), None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)
        };
        gauge(&names::UPTIME, self.started.elapsed().as_secs_f64())?;
        // Where there is no /proc there is no number, rather than a wrong one.
        if let Some(bytes) = resident_bytes() {
            gauge(&names::RESIDENT_MEMORY, bytes)?;
        }
        if let Some(count) = open_descriptors() {
            gauge(&names::OPEN_DESCRIPTORS, count)?;
        }
        Ok(())
    }
}

/// The registry ends a help text with a full stop by itself; a collector has to.
fn sentence(name: &Name) -> String {
    format!("{}.", name.help)
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

fn open_descriptors() -> Option<f64> {
    // One of them is the directory that we are just reading.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}
