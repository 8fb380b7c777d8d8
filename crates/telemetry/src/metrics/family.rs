//! Metrics that come once per label value, and their registration under the names of the list.

use std::{borrow::Cow, fmt, sync::OnceLock};

use prometheus_client::{
    collector::Collector,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};

use super::instruments::{Count, Level, Times};
use crate::names::Name;

/// Label names with their values.
pub(super) type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];

/// 1 ms to 100 s in steps of 1, 2 and 5, in seconds: three points per decade tell a slow model from
/// a fast one and keep a model at 16 series per histogram.
const BUCKETS_SECONDS: [f64; 16] =
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];

fn histogram() -> Histogram {
    Histogram::new(BUCKETS_SECONDS)
}

/// Counters of one name.
#[derive(Clone, Debug)]
pub(super) struct CounterFamily<const N: usize>(Family<Labels<N>, Counter>);

impl<const N: usize> CounterFamily<N> {
    /// The counter with these labels; it is exposed from now on.
    pub(super) fn with(&self, labels: &Labels<N>) -> Count {
        Count(self.0.get_or_create_owned(labels))
    }
}

/// Gauges of one name.
#[derive(Clone, Debug)]
pub(super) struct LevelFamily<const N: usize>(Family<Labels<N>, Gauge>);

impl<const N: usize> LevelFamily<N> {
    /// The gauge with these labels; it is exposed from now on.
    pub(super) fn with(&self, labels: &Labels<N>) -> Level {
        Level(self.0.get_or_create_owned(labels))
    }
}

/// Histograms of one name.
#[derive(Clone, Debug)]
pub(super) struct TimesFamily<const N: usize>(Family<Labels<N>, Histogram>);

impl<const N: usize> TimesFamily<N> {
    /// The histogram with these labels; it is exposed from now on.
    pub(super) fn with(&self, labels: &Labels<N>) -> Times {
        Times(self.0.get_or_create_owned(labels))
    }
}

/// A table of counters, each of which is exposed from its first use on. Without it a model would
/// show a zero for every error that it never had.
pub(super) struct LazyCounters<const N: usize> {
    family: CounterFamily<N>,
    slots: Box<[OnceLock<Count>]>,
    labels: Box<dyn Fn(usize) -> Labels<N> + Send + Sync>,
}

impl<const N: usize> LazyCounters<N> {
    /// - `slots`: how many counters there can be.
    /// - `labels`: names the counter in a slot.
    pub(super) fn new(
        family: CounterFamily<N>,
        slots: usize,
        labels: impl Fn(usize) -> Labels<N> + Send + Sync + 'static,
    ) -> Self {
        let slots = (0..slots).map(|_| OnceLock::new()).collect();
        Self { family, slots, labels: Box::new(labels) }
    }

    /// The counter in a slot, which must be below the number of slots.
    pub(super) fn at(&self, slot: usize) -> &Count {
        self.slots[slot].get_or_init(|| self.family.with(&(self.labels)(slot)))
    }
}

impl<const N: usize> fmt::Debug for LazyCounters<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LazyCounters").field(&self.slots.len()).finish()
    }
}

/// Registers metrics under the names of the list.
#[derive(Debug, Default)]
pub(super) struct Registrar(Registry);

impl Registrar {
    pub(super) fn counters<const N: usize>(&mut self, name: &Name) -> CounterFamily<N> {
        debug_assert_eq!(name.labels.len(), N, "{name:?}");
        let family = Family::default();
        self.0.register(name.name, name.help, family.clone());
        CounterFamily(family)
    }

    pub(super) fn gauges<const N: usize>(&mut self, name: &Name) -> LevelFamily<N> {
        debug_assert_eq!(name.labels.len(), N, "{name:?}");
        let family = Family::default();
        self.0.register(name.name, name.help, family.clone());
        LevelFamily(family)
    }

    pub(super) fn times<const N: usize>(&mut self, name: &Name) -> TimesFamily<N> {
        debug_assert_eq!(name.labels.len(), N, "{name:?}");
        let family = Family::new_with_constructor(histogram as fn() -> Histogram);
        self.0.register(name.name, name.help, family.clone());
        TimesFamily(family)
    }

    pub(super) fn counter(&mut self, name: &Name) -> Count {
        let counter = Counter::default();
        self.0.register(name.name, name.help, counter.clone());
        Count(counter)
    }

    pub(super) fn gauge(&mut self, name: &Name) -> Level {
        let gauge = Gauge::default();
        self.0.register(name.name, name.help, gauge.clone());
        Level(gauge)
    }

    pub(super) fn info<const N: usize>(&mut self, name: &Name, labels: Labels<N>) {
        self.0.register(name.name, name.help, Info::new(labels));
    }

    pub(super) fn collector(&mut self, collector: impl Collector) {
        self.0.register_collector(Box::new(collector));
    }

    pub(super) fn into_registry(self) -> Registry {
        self.0
    }
}
