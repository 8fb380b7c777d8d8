//! `modelyard store`: what is imported is what is exported, and what stands in the way is told.

use std::fs;

use serde_json::Value;

use crate::desk::{Desk, Outcome};

const HEADER: &str = r#"{"header":{"format":"modelyard-store","version":1}}"#;
const DOCUMENT: &str =
    r#"{"document":{"kind":"file","id":"file-1","label":"acme","body":"{\"bytes\":1}"}}"#;

/// A task that waits until the year 2100, with all that such a task can have.
fn task(number: u32) -> String {
    format!(
        "{{\"task\":{{\"id\":\"0198c0de-7b1a-7f00-8000-3f1f6e0c2a{number:02}\",\"model\":\"echo\",\
         \"tenant\":\"acme\",\"place\":\"delayed\",\"priority\":\"high\",\"attempt\":1,\"failures\":1,\
         \"attempts_max\":3,\"backoff_ms\":100,\"backoff_max_ms\":1000,\"owner\":4,\
         \"due_ms\":4102444800000,\"keep_ms\":3600000,\"created_ms\":1700000000000,\
         \"updated_ms\":1700000001000,\"progress\":\"0.30000000000000004\",\
         \"request\":{{\"route\":\"say\",\"content_type\":\"application/json\",\
         \"headers\":[[\"x-a\",\"b\"]],\"body\":{{\"text\":\"{{}}\"}}}},\
         \"error\":{{\"code\":\"handler_failed\",\"detail\":\"boom\"}},\
         \"idempotency\":{{\"key\":\"k{number}\",\"sha256\":\"{zeros}\"}},\
         \"attempts\":[{{\"attempt\":1,\"owner\":4,\"began_ms\":1700000000500,\
         \"ended_ms\":1700000001000,\"error\":{{\"code\":\"handler_failed\",\"detail\":\"boom\"}}}}]}}}}",
        zeros = "0".repeat(64),
    )
}

fn export(tasks: u32) -> String {
    let mut lines = vec![HEADER.to_owned()];
    lines.extend((0..tasks).map(task));
    lines.push(DOCUMENT.to_owned());
    lines.push(format!("{{\"end\":{{\"tasks\":{tasks},\"documents\":1}}}}"));
    lines.join("\n") + "\n"
}

fn json(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.out).unwrap()
}

#[test]
fn an_import_is_exported_byte_for_byte_and_is_sound() {
    let desk = Desk::new().file("in.jsonl", &export(3));
    let imported = desk.run(&["store", "import", "in.jsonl"]);
    assert_eq!(imported.status, Some(0), "{}", imported.err);
    assert_eq!(json(&imported)["tasks_written"], 3);
    let written = desk.run(&["store", "export", "out.jsonl"]);
    assert_eq!((written.status, written.out.as_str()), (Some(0), ""), "{}", written.err);
    assert_eq!(written.err, "exported 3 tasks and 1 documents\n");
    assert_eq!(fs::read_to_string(desk.path().join("out.jsonl")).unwrap(), export(3));
    assert_eq!(desk.run(&["store", "export"]).out, export(3));
    let report = desk.run(&["store", "check"]);
    assert_eq!(report.status, Some(0), "{}", report.err);
    let report = json(&report);
    assert_eq!((&report["tasks"]["queued"], &report["documents"]["file"]), (&3.into(), &1.into()));
    assert_eq!(report["problems"], serde_json::json!([]));
}

#[test]
fn a_file_is_not_written_over_and_a_store_that_is_missing_is_not_made() {
    let desk = Desk::new().file("out.jsonl", "precious");
    for command in [&["store", "check"][..], &["store", "export"]] {
        let outcome = desk.run(command);
        assert_eq!(outcome.status, Some(1), "{}", outcome.err);
        assert!(outcome.err.contains("there is no such file"), "{}", outcome.err);
    }
    assert_eq!(fs::read_dir(desk.path()).unwrap().count(), 1);
    let desk = desk.file("in.jsonl", &export(1));
    desk.run(&["store", "import", "in.jsonl"]);
    let outcome = desk.run(&["store", "export", "out.jsonl"]);
    assert_eq!(outcome.status, Some(64), "{}", outcome.err);
    assert!(outcome.err.contains("out.jsonl exists already"), "{}", outcome.err);
    assert_eq!(fs::read_to_string(desk.path().join("out.jsonl")).unwrap(), "precious");
}

#[test]
fn a_store_that_is_not_empty_takes_only_what_it_lacks() {
    let desk = Desk::new().file("two.jsonl", &export(2)).file("three.jsonl", &export(3));
    desk.run(&["store", "import", "two.jsonl"]);
    let refused = desk.run(&["store", "import", "three.jsonl"]);
    assert_eq!(refused.status, Some(64));
    assert!(refused.err.starts_with("error: the store is not empty"), "{}", refused.err);
    assert!(refused.err.contains("--merge"), "{}", refused.err);
    let merged = json(&desk.run(&["store", "import", "three.jsonl", "--merge"]));
    assert_eq!((&merged["tasks_written"], &merged["tasks_there_already"]), (&1.into(), &2.into()));
    assert_eq!(merged["documents_there_already"], 1);
    // Another task with a key that is known.
    let other = export(3).replace("3f1f6e0c2a02", "3f1f6e0c2a77");
    let desk = desk.file("other.jsonl", &other);
    let outcome = desk.run(&["store", "import", "other.jsonl", "--merge"]);
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.err.contains("1 tasks were not imported"), "{}", outcome.err);
    let taken = &json(&outcome)["keys_taken"][0];
    assert_eq!(taken["key_of"], "0198c0de-7b1a-7f00-8000-3f1f6e0c2a02");
}

#[test]
fn a_bad_line_is_named_and_what_stands_before_it_is_kept() {
    let whole = export(3);
    let lines: Vec<&str> = whole.lines().collect();
    let bad = |number: usize, line: &str| {
        let mut lines = lines.clone();
        lines[number - 1] = line;
        lines.join("\n")
    };
    let wrong_place = lines[2].replace("delayed", "elsewhere");
    for (file, told, kept) in [
        (bad(3, &wrong_place), "line 3: `task.place`: unknown variant `elsewhere`", 1),
        (bad(5, "{}"), "line 5: ", 3),
        (bad(6, HEADER), "line 6: `.`: a second header", 3),
        (bad(1, lines[1]), "line 1: `.`: the first line of an export is its header", 0),
        (bad(6, lines[4]), "after line 6: the last line of an export is missing", 3),
        (lines[..3].join("\n"), "after line 3: the last line of an export is missing", 2),
        (format!("{whole}x"), "line 7: `.`: the export has ended before it", 3),
        (whole.replace("\"tasks\":3", "\"tasks\":4"), "line 6: `end`: 3 tasks and 1 documents", 3),
        (whole.replace("\"file\"", "\"song\""), "line 5: `document.kind`: `song` is not known", 3),
    ] {
        let desk = Desk::new().file("bad.jsonl", &file).file("good.jsonl", &whole);
        let outcome = desk.run(&["store", "import", "bad.jsonl"]);
        assert_eq!(outcome.status, Some(1), "{told}: {}", outcome.err);
        assert!(outcome.err.starts_with(&format!("error: {told}")), "{told}: {}", outcome.err);
        assert!(outcome.err.contains(&format!("hint: {kept} tasks")), "{told}: {}", outcome.err);
        let again = desk.run(&["store", "import", "good.jsonl", "--merge"]);
        assert_eq!(again.status, Some(0), "{}", again.err);
        assert_eq!(json(&again)["tasks_there_already"], kept);
        assert_eq!(desk.run(&["store", "export"]).out.lines().count(), 6);
    }
}

#[test]
fn a_store_that_a_server_has_is_left_alone() {
    let desk = Desk::new().file("in.jsonl", &export(1));
    desk.run(&["store", "import", "in.jsonl"]);
    let mut server = desk.start(&["serve", "--listen", "unix:door.sock"]);
    server.until("| listening");
    // The store is opened after the door.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let outcome = loop {
        let outcome = desk.run(&["store", "check"]);
        if outcome.status != Some(0) || std::time::Instant::now() > until {
            break outcome;
        }
    };
    assert_eq!(outcome.status, Some(1), "{}", outcome.err);
    assert!(outcome.err.contains("has it open; stop that server"), "{}", outcome.err);
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(desk.run(&["store", "check"]).status, Some(0));
}
