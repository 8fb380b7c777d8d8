//! What a log file holds.

use std::{fs, path::Path};

use telemetry::{
    Metrics,
    log::{self, LogFormat, LogSettings},
};

#[test]
fn a_line_of_text_has_the_four_columns_of_the_seed_and_its_fields() {
    let lines = written(LogFormat::Text, "info", || {
        tracing::info!(target: "gateway::access", status = 200, path = "/invoke/a b", "done");
        tracing::warn!(target: "fleet", worker = %"w-1", "gone");
    });
    let columns: Vec<Vec<&str>> =
        lines.iter().map(|line| line.splitn(4, " | ").collect()).collect();
    assert_eq!(
        columns[0][1..],
        ["INFO", "gateway::access", "done status=200 path=\"/invoke/a b\""]
    );
    assert_eq!(columns[1][1..], ["WARNING", "fleet", "gone worker=w-1"]);
    assert_eq!(columns[0][0].len(), "2026-11-20 20:34:47,123".len());
}

#[test]
fn what_a_client_sends_cannot_forge_a_line() {
    let lines = written(LogFormat::Text, "info", || {
        tracing::info!(agent = "x\n2026 | INFO | root | \"hi\\\"", "a\nb\x1b[31m");
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].ends_with(r#"| a\nb\x1b[31m agent="x\n2026 | INFO | root | \"hi\\\"""#),
        "{}",
        lines[0]
    );
}

#[test]
fn the_fields_of_the_spans_around_an_event_follow_it() {
    let lines = written(LogFormat::Text, "info", || {
        let outer = tracing::info_span!("request", request_id = "r-1").entered();
        let inner = tracing::info_span!("call", model = "echo", attempt = 2).entered();
        tracing::info!(status = 200, "done");
        drop((inner, outer));
    });
    assert!(lines[0].ends_with("done status=200 model=echo attempt=2 request_id=r-1"), "{lines:?}");
}

#[test]
fn a_line_of_json_is_one_object() {
    let lines = written(LogFormat::Json, "info", || {
        tracing::info!(target: "gateway::access", status = 200, "line one\nline two");
    });
    let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["target"], "gateway::access");
    assert_eq!(line["message"], "line one\nline two");
    assert_eq!(line["status"], 200);
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn only_what_the_levels_ask_for_is_written() {
    let lines = written(LogFormat::Text, "warn,tasks=debug", || {
        tracing::info!(target: "gateway", "no");
        tracing::debug!(target: "tasks::queue", "yes");
        tracing::error!(target: "gateway", "yes");
    });
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.ends_with("yes")), "{lines:?}");
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let settings = LogSettings { file: Some("/dev/null/x.log".into()), ..LogSettings::default() };
    let error = log::open(&settings, Metrics::new("test").log_lines_dropped()).unwrap_err();
    assert_eq!(error.to_string(), "could not open the log file `/dev/null/x.log`");
}

/// The lines that a file holds after `work` has logged and the log has ended.
fn written(format: LogFormat, levels: &str, work: impl FnOnce()) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.log");
    assert_eq!(within(&path, format, levels, work), 0, "lines dropped");
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// Runs `work` with a log of its own; returns how many lines were dropped.
fn within(path: &Path, format: LogFormat, levels: &str, work: impl FnOnce()) -> u64 {
    let settings = LogSettings { levels: levels.parse().unwrap(), format, file: Some(path.into()) };
    let dropped = Metrics::new("test").log_lines_dropped();
    let (dispatch, guard) = log::open(&settings, dropped.clone()).unwrap();
    tracing::dispatcher::with_default(&dispatch, work);
    drop(guard);
    dropped.get()
}
