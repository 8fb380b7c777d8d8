//! Every metric that we expose: its name, what it is measured by, and what it tells.
//!
//! The one list from which metrics are registered and `docs/metrics.md` is written.

use std::fmt::Write as _;

/// How a metric behaves over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the program restarts. Exposed with the suffix `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets, in the unit that ends its name.
    Histogram,
    /// A constant 1 whose labels are the message. Exposed with the suffix `_info`.
    Info,
}

/// One metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Name {
    /// The name as registered; [`Name::exposed`] adds what the text format adds.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Label names, in order.
    pub labels: &'static [&'static str],
    /// What it tells, in one sentence without the full stop.
    pub help: &'static str,
}

impl Name {
    /// The name that a query uses.
    pub fn exposed(&self) -> String {
        let suffix = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        format!("{}{suffix}", self.name)
    }
}

macro_rules! names {
    ($($name:ident $kind:ident $text:literal [$($label:literal)*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $name: Name = Name {
                name: $text,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )*

        /// Every metric, in the order of the documentation.
        pub const ALL: &[Name] = &[$($name),*];
    };
}

names! {
    MODEL_CALLS Counter "modelyard_model_calls" ["model" "outcome"]
        "Calls that ended after they were admitted; outcome is completed, cancelled or a code of docs/errors";
    MODEL_CALL_DURATION Histogram "modelyard_model_call_duration_seconds" ["model"]
        "Time from the arrival of a call to the end of its answer, waiting included";
    MODEL_QUEUE_WAIT Histogram "modelyard_model_queue_wait_seconds" ["model"]
        "Time that a call waited for a place on a replica";
    MODEL_FIRST_BYTE Histogram "modelyard_model_first_byte_seconds" ["model"]
        "Time from the arrival of a call to the head of its answer";
    MODEL_IN_FLIGHT Gauge "modelyard_model_calls_in_flight" ["model"]
        "Calls that run on a replica now, synchronous and asynchronous together";
    MODEL_QUEUED Gauge "modelyard_model_calls_queued" ["model"]
        "Calls that wait for a place now";
    MODEL_REPLICAS Gauge "modelyard_model_replicas" ["model" "state"]
        "Replicas by state";
    MODEL_REFUSALS Counter "modelyard_model_refusals" ["model" "reason"]
        "Calls that were refused before they began; reason is a code of docs/errors";
    MODEL_STUCK Counter "modelyard_model_stuck_calls" ["model"]
        "Calls that neither ended in time nor could be cancelled, so that their worker was replaced";
    MODEL_RESTARTS Counter "modelyard_model_worker_restarts" ["model"]
        "Worker processes that were started again after they ended";
    MODEL_TASKS Counter "modelyard_model_task_transitions" ["model" "state"]
        "Durable tasks that entered a state";
    MODEL_BREAKER Gauge "modelyard_model_breaker_state" ["model"]
        "Circuit breaker of the model's endpoints, the worst of them: 0 closed, 1 half open, 2 open";
    ENGINE_RUNNING Gauge "modelyard_engine_sequences_running" ["model" "replica"]
        "Sequences that the engine computes now; one request has `n` of them";
    ENGINE_WAITING Gauge "modelyard_engine_sequences_waiting" ["model" "replica"]
        "Sequences that wait in the engine for a place in its batch";
    ENGINE_KV_USED Gauge "modelyard_engine_kv_blocks_used" ["model" "replica"]
        "Blocks of 32 tokens of the KV cache that sequences use now";
    ENGINE_KV Gauge "modelyard_engine_kv_blocks" ["model" "replica"]
        "Blocks of 32 tokens of the KV cache in all";
    ENGINE_PROMPT_TOKENS Counter "modelyard_engine_prompt_tokens" ["model" "replica"]
        "Tokens of prompts, those from the prefix cache included";
    ENGINE_CACHED_TOKENS Counter "modelyard_engine_cached_tokens" ["model" "replica"]
        "Tokens of prompts that the prefix cache spared";
    ENGINE_GENERATED_TOKENS Counter "modelyard_engine_generated_tokens" ["model" "replica"]
        "Tokens of answers, those of cancelled calls included";
    ENGINE_PREEMPTIONS Counter "modelyard_engine_preemptions" ["model" "replica"]
        "Sequences that were computed anew because others needed their blocks";
    ENGINE_STEPS Counter "modelyard_engine_steps" ["model" "replica"]
        "Forward passes";
    ENGINE_STEP_SEQUENCES Counter "modelyard_engine_step_sequences" ["model" "replica"]
        "Sequences of all forward passes; divided by the steps, the size of a batch";
    ENGINE_STEP_TOKENS Counter "modelyard_engine_step_tokens" ["model" "replica"]
        "Tokens that all forward passes computed";
    ENGINE_FIRST_TOKEN Histogram "modelyard_engine_time_to_first_token_seconds" ["model" "replica"]
        "Time from the arrival of a request in the engine to its first token";
    ENGINE_INTER_TOKEN Histogram "modelyard_engine_inter_token_latency_seconds" ["model" "replica"]
        "Time from one token of a sequence to the next";
    WORKER_LOAD Gauge "modelyard_worker_load" ["model" "replica"]
        "Calls that a registered worker says it holds, as a share of its places; above 1 if some wait there";
    USAGE_REQUESTS Counter "modelyard_usage_requests" ["model"]
        "Requests of which registered workers told what they used";
    USAGE_TOKENS Counter "modelyard_usage_tokens" ["model" "kind"]
        "Tokens that registered workers told of; kind is prompt, completion, or reasoning, which is a part of completion";
    HTTP_REQUESTS Counter "modelyard_http_requests" ["route" "status"]
        "Answered requests by route template and HTTP status";
    HTTP_CONNECTIONS Gauge "modelyard_http_open_connections" []
        "Client connections that are open now";
    STORE_DURATION Histogram "modelyard_store_operation_duration_seconds" ["operation"]
        "Time of one operation on the task store, from asking to its answer";
    LOG_LINES_DROPPED Counter "modelyard_log_lines_dropped" []
        "Log lines that were thrown away because standard output or the log file was too slow";
    BUILD Info "modelyard_build" ["version"]
        "The version of this program";
    UPTIME Gauge "modelyard_uptime_seconds" []
        "Time since this program started";
    RESIDENT_MEMORY Gauge "modelyard_resident_memory_bytes" []
        "Memory of this process that is in RAM; workers not included";
    OPEN_DESCRIPTORS Gauge "modelyard_open_descriptors" []
        "File descriptors of this process that are open now";
}

/// `docs/metrics.md`, from the list.
pub fn page() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         `GET /metrics` gives these in the OpenMetrics text format, which Prometheus reads. A name ends with its unit.\n\
         Histogram buckets run from 1 ms to 100 s. This page is written from `crates/telemetry/src/names.rs`.\n\n\
         | name | kind | labels | what it tells |\n|---|---|---|---|\n",
    );
    for name in ALL {
        let kind = format!("{:?}", name.kind).to_lowercase();
        let labels = name.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>();
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | {kind} | {} | {}. |",
            name.exposed(),
            labels.join(", "),
            name.help
        );
    }
    page.push_str(
        "\n## Numbers of workers\n\n\
         A worker that [registers by itself](ieops.md) may tell numbers of its own. They are shown under their own names, of \
         the\nkind `unknown`, with the labels `model` and `replica` before the worker's; at most 512 of each worker, and none \
         whose name\nbegins with `modelyard_` or `process_`. They are as old as its last beat, and go when it does.\n",
    );
    page
}
