//! The numbers of one running program.
//!
//! [`Metrics`] is a cheap handle. What belongs to a model or to a route is reached through a handle
//! of its own, made once and kept by the caller, so that counting on the hot path neither looks up
//! a map nor allocates.

mod engine;
mod family;
mod instruments;
mod model;
mod process;
mod registered;
mod sample;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use api::worker::EngineStats;
use parking_lot::RwLock;
use prometheus_client::registry::Registry;
use types::{ModelName, WorkerId};

use self::{
    engine::Engines,
    family::{CounterFamily, Registrar},
    model::ModelFamilies,
    process::ProcessCollector,
    registered::Registered,
};
use crate::names;

pub use self::{
    instruments::{Count, Held, Level, Times},
    model::{Breaker, ModelMetrics, Outcome, ReplicaState},
    registered::Usage,
};

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every metric of the program. Clones share their numbers.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    registry: Registry,
    models: ModelFamilies,
    by_model: RwLock<BTreeMap<ModelName, Arc<ModelMetrics>>>,
    http_requests: CounterFamily<2>,
    by_route: RwLock<BTreeMap<&'static str, Arc<RouteMetrics>>>,
    http_connections: Level,
    store: family::TimesFamily<1>,
    log_lines_dropped: Count,
    engines: Engines,
    registered: Registered,
}

impl Metrics {
    /// Fresh numbers, all zero. The uptime counts from here.
    ///
    /// - `version`: of the program, shown by `modelyard_build_info`.
    pub fn new(version: &'static str) -> Self {
        let mut registrar = Registrar::default();
        registrar.info(&names::BUILD, [("version", Cow::Borrowed(version))]);
        registrar.collector(ProcessCollector::default());
        let models = ModelFamilies::register(&mut registrar);
        let engines = Engines::default();
        registrar.collector(engines.clone());
        let registered = Registered::default();
        registrar.collector(registered.clone());
        let http_requests = registrar.counters(&names::HTTP_REQUESTS);
        let http_connections = registrar.gauge(&names::HTTP_CONNECTIONS);
        let store = registrar.times(&names::STORE_DURATION);
        let log_lines_dropped = registrar.counter(&names::LOG_LINES_DROPPED);
        Self(Arc::new(Shared {
            registry: registrar.into_registry(),
            models,
            by_model: RwLock::default(),
            http_requests,
            by_route: RwLock::default(),
            http_connections,
            store,
            log_lines_dropped,
            engines,
            registered,
        }))
    }

    /// The numbers of one model; the same handle for the same name. Keep it.
    pub fn model(&self, name: &ModelName) -> Arc<ModelMetrics> {
        if let Some(known) = self.0.by_model.read().get(name) {
            return Arc::clone(known);
        }
        let mut by_model = self.0.by_model.write();
        let fresh = || Arc::new(ModelMetrics::new(&self.0.models, name));
        Arc::clone(by_model.entry(name.clone()).or_insert_with(fresh))
    }

    /// The numbers of one HTTP route; the same handle for the same template. Keep it.
    ///
    /// - `template`: the route as the router knows it, never a path as a client sent it, because
    ///   each one stays in memory for good.
    pub fn route(&self, template: &'static str) -> Arc<RouteMetrics> {
        if let Some(known) = self.0.by_route.read().get(template) {
            return Arc::clone(known);
        }
        let mut by_route = self.0.by_route.write();
        let fresh = || Arc::new(RouteMetrics::new(self.0.http_requests.clone(), template));
        Arc::clone(by_route.entry(template).or_insert_with(fresh))
    }

    /// Open client connections.
    pub fn http_connections(&self) -> &Level {
        &self.0.http_connections
    }

    /// Times of one operation on the task store, for example `submit`. Keep it.
    pub fn store_operation(&self, operation: &'static str) -> Times {
        self.0.store.with(&[("operation", Cow::Borrowed(operation))])
    }

    /// Log lines that could not be written; given to [`crate::log::start`].
    pub fn log_lines_dropped(&self) -> Count {
        self.0.log_lines_dropped.clone()
    }

    /// The engine of a worker told how it does. Shown until [`Self::worker_gone`].
    pub fn engine(&self, model: &ModelName, worker: WorkerId, stats: EngineStats) {
        self.0.engines.set(model, worker, stats);
    }

    /// A worker that registered by a protocol of its own told how it does. Shown until
    /// [`Self::worker_gone`].
    ///
    /// - `load`: calls that it holds, as a share of its places.
    /// - `lines`: its own numbers in the Prometheus text format; what cannot be read is left out.
    pub fn worker_told(
        &self,
        model: &ModelName,
        worker: WorkerId,
        load: Option<f64>,
        lines: &[String],
    ) {
        self.0.registered.set(model, worker, load, lines);
    }

    /// A worker that registered by a protocol of its own told what was used.
    pub fn used(&self, model: &ModelName, usage: Usage) {
        self.0.registered.used(model, usage);
    }

    /// A worker is gone, and what it told of itself with it.
    pub fn worker_gone(&self, worker: WorkerId) {
        self.0.engines.remove(worker);
        self.0.registered.remove(worker);
    }

    /// Everything in the OpenMetrics text format, of the media type [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        // Only the writer could fail, and a string does not.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.0.registry);
        text
    }
}

/// The statuses that HTTP allows; others are counted as 500.
const STATUSES: std::ops::Range<u16> = 100..600;

/// Answers of one route, by status.
#[derive(Debug)]
pub struct RouteMetrics {
    by_status: family::LazyCounters<2>,
}

impl RouteMetrics {
    fn new(requests: CounterFamily<2>, template: &'static str) -> Self {
        let labels = move |slot: usize| {
            let status = usize::from(STATUSES.start) + slot;
            [("route", Cow::Borrowed(template)), ("status", Cow::Owned(status.to_string()))]
        };
        Self { by_status: family::LazyCounters::new(requests, STATUSES.len(), labels) }
    }

    /// A request was answered.
    pub fn answered(&self, status: u16) {
        let status = if STATUSES.contains(&status) { status } else { 500 };
        self.by_status.at(usize::from(status - STATUSES.start)).inc();
    }
}
