//! What `/metrics` shows.

use std::{collections::BTreeSet, fs, time::Duration};

use api::{
    task::TaskState,
    worker::{Distribution, EngineStats},
};
use telemetry::{Breaker, Metrics, Outcome, ReplicaState, metrics::Usage, names};
use types::{ErrorCode, WorkerId};
use uuid::Uuid;

#[test]
fn a_call_is_counted_once_by_outcome_and_once_in_the_histogram() {
    let metrics = Metrics::new("1.2.3");
    let echo = metrics.model(&"echo".parse().unwrap());

    echo.call_ended(Outcome::Completed, Duration::from_millis(3));
    echo.call_ended(Outcome::Failed(ErrorCode::HandlerFailed), Duration::from_millis(300));
    echo.refused(ErrorCode::QueueFull);

    shows(
        &metrics,
        &[
            r#"modelyard_model_calls_total{model="echo",outcome="completed"} 1"#,
            r#"modelyard_model_calls_total{model="echo",outcome="handler_failed"} 1"#,
            r#"modelyard_model_refusals_total{model="echo",reason="queue_full"} 1"#,
            r#"modelyard_model_call_duration_seconds_bucket{le="0.002",model="echo"} 0"#,
            r#"modelyard_model_call_duration_seconds_bucket{le="0.005",model="echo"} 1"#,
            r#"modelyard_model_call_duration_seconds_bucket{le="+Inf",model="echo"} 2"#,
            r#"modelyard_build_info{version="1.2.3"} 1"#,
        ],
    );
}

#[test]
fn a_level_falls_when_what_holds_it_is_dropped() {
    let metrics = Metrics::new("test");
    let echo = metrics.model(&"echo".parse().unwrap());
    let held = echo.in_flight.hold();
    shows(&metrics, &[r#"modelyard_model_calls_in_flight{model="echo"} 1"#]);
    drop(held);
    shows(&metrics, &[r#"modelyard_model_calls_in_flight{model="echo"} 0"#]);
}

#[test]
fn states_are_told_apart_by_label_and_the_breaker_by_number() {
    let metrics = Metrics::new("test");
    let echo = metrics.model(&"echo".parse().unwrap());
    echo.replicas(ReplicaState::Ready).set(2);
    echo.task_entered(TaskState::Queued);
    echo.breaker_changed(None, Some(Breaker::Closed));
    echo.breaker_changed(Some(Breaker::Closed), Some(Breaker::Open));
    shows(
        &metrics,
        &[
            r#"modelyard_model_replicas{model="echo",state="ready"} 2"#,
            r#"modelyard_model_replicas{model="echo",state="stuck"} 0"#,
            r#"modelyard_model_task_transitions_total{model="echo",state="queued"} 1"#,
            r#"modelyard_model_breaker_state{model="echo"} 2"#,
        ],
    );
}

#[test]
fn of_the_breakers_of_several_endpoints_the_worst_is_shown() {
    let metrics = Metrics::new("test");
    let echo = metrics.model(&"echo".parse().unwrap());
    let changes = |from, to| {
        echo.breaker_changed(from, to);
        let text = metrics.encode();
        let shown = text.split_once(r#"modelyard_model_breaker_state{model="echo"} "#).unwrap().1;
        shown.chars().next().unwrap()
    };
    assert_eq!(changes(None, Some(Breaker::Closed)), '0');
    assert_eq!(changes(None, Some(Breaker::Open)), '2');
    assert_eq!(changes(Some(Breaker::Closed), Some(Breaker::HalfOpen)), '2');
    assert_eq!(changes(Some(Breaker::Open), None), '1', "the open one was withdrawn");
    assert_eq!(changes(Some(Breaker::HalfOpen), None), '0');
}

#[test]
fn a_route_counts_by_its_template_whatever_status_it_answers() {
    let metrics = Metrics::new("test");
    let route = metrics.route("/invoke/{model}");
    for status in [200, 200, 429, 7, 999] {
        route.answered(status);
    }
    shows(
        &metrics,
        &[
            r#"modelyard_http_requests_total{route="/invoke/{model}",status="200"} 2"#,
            r#"modelyard_http_requests_total{route="/invoke/{model}",status="429"} 1"#,
            r#"modelyard_http_requests_total{route="/invoke/{model}",status="500"} 2"#,
        ],
    );
}

#[test]
fn two_handles_of_one_name_count_together() {
    let metrics = Metrics::new("test");
    let name = "echo".parse().unwrap();
    metrics.model(&name).stuck.inc();
    metrics.clone().model(&name).stuck.inc();
    shows(&metrics, &[r#"modelyard_model_stuck_calls_total{model="echo"} 2"#]);
}

#[test]
fn an_engine_is_shown_as_it_told_of_itself_last_until_its_worker_is_gone() {
    let metrics = Metrics::new("test");
    let (model, worker) = ("qwen".parse().unwrap(), WorkerId::new(Uuid::from_u128(7)));
    let tell = |generated_tokens| {
        let mut counts = vec![0; 17];
        (counts[1], counts[16]) = (3, 1);
        let time_to_first_token = Distribution { counts, sum: 150_004_500 };
        let running = 2;
        let stats =
            EngineStats { running, generated_tokens, time_to_first_token, ..Default::default() };
        metrics.engine(&model, worker, stats);
    };
    tell(5);
    tell(9);
    let labels = format!(r#"model="qwen",replica="{worker}""#);
    let lines = [
        format!("modelyard_engine_sequences_running{{{labels}}} 2"),
        format!("modelyard_engine_generated_tokens_total{{{labels}}} 9"),
        format!("modelyard_engine_time_to_first_token_seconds_sum{{{labels}}} 150.0045"),
        format!("modelyard_engine_time_to_first_token_seconds_count{{{labels}}} 4"),
        format!(r#"modelyard_engine_time_to_first_token_seconds_bucket{{le="0.001",{labels}}} 0"#),
        format!(r#"modelyard_engine_time_to_first_token_seconds_bucket{{le="0.002",{labels}}} 3"#),
        format!(r#"modelyard_engine_time_to_first_token_seconds_bucket{{le="+Inf",{labels}}} 4"#),
        format!("modelyard_engine_inter_token_latency_seconds_count{{{labels}}} 0"),
    ];
    shows(&metrics, &lines.each_ref().map(String::as_str));

    metrics.worker_gone(worker);
    assert!(!metrics.encode().contains("modelyard_engine"));
}

#[test]
fn a_registered_worker_is_shown_with_its_own_numbers_until_it_is_gone() {
    let metrics = Metrics::new("test");
    let model = "far".parse().unwrap();
    let [one, two] = [1, 2].map(|id| WorkerId::new(Uuid::from_u128(id)));
    let lines = ["# TYPE seen counter", r#"seen_total{kind="a"} 3"#, "modelyard_uptime_seconds 1"];
    metrics.worker_told(&model, one, Some(0.25), &lines.map(str::to_owned));
    metrics.worker_told(&model, two, None, &["seen_total 1".to_owned(), "nonsense".to_owned()]);
    let usage = Usage { requests: 1, prompt_tokens: 7, completion_tokens: 5, reasoning_tokens: 2 };
    metrics.used(&model, usage);
    metrics.used(&model, usage);
    shows(
        &metrics,
        &[
            &format!(r#"modelyard_worker_load{{model="far",replica="{one}"}} 0.25"#),
            &format!(r#"seen_total{{model="far",replica="{one}",kind="a"}} 3.0"#),
            &format!(r#"seen_total{{model="far",replica="{two}"}} 1.0"#),
            r#"modelyard_usage_requests_total{model="far"} 2"#,
            r#"modelyard_usage_tokens_total{model="far",kind="prompt"} 14"#,
            r#"modelyard_usage_tokens_total{model="far",kind="reasoning"} 4"#,
        ],
    );
    let text = metrics.encode();
    assert_eq!(text.matches("# TYPE seen_total unknown").count(), 1, "{text}");
    assert_eq!(text.matches("\nmodelyard_uptime_seconds ").count(), 1, "ours alone");
    assert!(text.ends_with("# EOF\n"));

    metrics.worker_gone(one);
    metrics.worker_gone(two);
    let text = metrics.encode();
    assert!(!text.contains("seen") && !text.contains("worker_load"), "{text}");
    assert!(text.contains("usage_tokens_total"), "what was used stays used");
}

#[test]
fn every_name_of_the_list_is_exposed_with_its_help_and_nothing_else_is() {
    let metrics = Metrics::new("test");
    metrics.model(&"echo".parse().unwrap()).task_entered(TaskState::Queued);
    metrics.model(&"echo".parse().unwrap()).refused(ErrorCode::QueueFull);
    metrics.route("/").answered(200);
    metrics.store_operation("submit").observe(Duration::from_millis(1));
    let worker = WorkerId::new(Uuid::from_u128(7));
    metrics.engine(&"qwen".parse().unwrap(), worker, EngineStats::default());

    metrics.worker_told(&"far".parse().unwrap(), worker, Some(0.5), &[]);
    metrics.used(&"far".parse().unwrap(), Usage::default());

    let text = metrics.encode();
    let exposed: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# HELP ")).collect();
    let listed: Vec<String> =
        names::ALL.iter().map(|name| format!("{} {}.", name.name, name.help)).collect();
    assert_eq!(exposed, listed.iter().map(String::as_str).collect());
}

#[test]
fn names_begin_with_the_program_and_durations_end_with_their_unit() {
    for name in names::ALL {
        assert!(name.name.starts_with("modelyard_"), "{name:?}");
        if name.kind == names::Kind::Histogram {
            assert!(name.name.ends_with("_seconds"), "{name:?}");
        }
    }
}

#[test]
fn the_page_of_the_documentation_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, names::page()).unwrap();
    }
    assert_eq!(
        fs::read_to_string(path).unwrap_or_default(),
        names::page(),
        "docs/metrics.md is stale; run the tests once with UPDATE_DOCS=1"
    );
}

#[track_caller]
fn shows(metrics: &Metrics, lines: &[&str]) {
    let text = metrics.encode();
    for line in lines {
        assert!(text.lines().any(|shown| shown == *line), "`{line}` is not in\n{text}");
    }
}
