//! What the program says of itself.

use crate::desk::Desk;

#[test]
fn help_teaches() {
    for (name, command) in [
        ("help", &[][..]),
        ("help-serve", &["serve"]),
        ("help-check-config", &["check-config"]),
        ("help-openapi", &["openapi"]),
        ("help-invoke", &["invoke"]),
        ("help-chat", &["chat"]),
        ("help-task", &["task"]),
        ("help-task-submit", &["task", "submit"]),
        ("help-task-wait", &["task", "wait"]),
        ("help-task-list", &["task", "list"]),
        ("help-task-dead", &["task", "dead"]),
        ("help-task-dead-replay", &["task", "dead", "replay"]),
        ("help-store", &["store"]),
        ("help-store-check", &["store", "check"]),
        ("help-store-export", &["store", "export"]),
        ("help-store-import", &["store", "import"]),
    ] {
        let args = [command, &["--help"]].concat();
        let outcome = Desk::new().run(&args);
        assert_eq!((outcome.status, outcome.err.as_str()), (Some(0), ""), "{args:?}");
        insta::assert_snapshot!(name, outcome.out);
    }
}

#[test]
fn bad_usage_ends_with_64_and_a_way_on() {
    for args in [
        &[][..],
        &["srve"],
        &["invoke", "local-echo"],
        &["invoke", "a b", "{}"],
        &["serve", "--port", "99999"],
        &["serve", "--port", "1", "--listen", "127.0.0.1:1"],
        &["task", "get", "7"],
        &["task", "list", "--state", "done"],
        &["task", "dead", "replay"],
        &["task", "dead", "replay", "--all", "--error-code", "provider"],
    ] {
        let outcome = Desk::new().run(args);
        assert_eq!(outcome.status, Some(64), "{args:?}: {}", outcome.err);
        assert!(outcome.err.contains("help"), "{args:?}: {}", outcome.err);
    }
}

#[test]
fn the_routes_are_described_for_machines() {
    let outcome = Desk::new().run(&["openapi"]);
    let document: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/invoke/{model}"]["post"].is_object());
}

#[test]
fn the_pages_of_the_documentation_are_printed() {
    for page in ["config", "metrics"] {
        let path = format!("{}/../../docs/{page}.md", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(Desk::new().run(&["docs", page]).out, std::fs::read_to_string(path).unwrap());
    }
}
