//! What the program says of its configuration.

use crate::desk::Desk;

#[test]
fn everything_wrong_is_told_in_one_go() {
    let file = "\
[server]
listn = \"0.0.0.0:8000\"
body_mb_max = \"64 MB\"

[store]
sync_calls = \"disk\"

[models.summary]
kind = \"opnai\"
endpoint = \"api.example.com\"
max_concurency = 4

[models.\"my model\"]
implementation = \"app.py\"
";
    for command in ["serve", "check-config"] {
        let desk = Desk::new().file("modelyard.toml", file).variable("SERVICE_PORT", "http");
        let outcome = desk.run(&[command]);
        assert_eq!((outcome.status, outcome.out.as_str()), (Some(64), ""), "{command}");
        insta::assert_snapshot!("bad-config", outcome.err);
    }
}

#[test]
fn a_syntax_error_is_drawn() {
    let desk = Desk::new().file("my.toml", "[server]\nlisten = 127.0.0.1:8000\n");
    let outcome = desk.run(&["check-config", "--config", "my.toml"]);
    assert_eq!(outcome.status, Some(64));
    insta::assert_snapshot!("bad-toml", outcome.err);
}

#[test]
fn every_value_is_shown_with_its_source() {
    let desk = Desk::new()
        .file(
            "modelyard.toml",
            "[store]\npath = \"tasks.db\"\n\n[models.local-echo]\nmax_concurrency = 8\n",
        )
        .file("app.py", "")
        .file(".env", "LOG_LEVEL=debug\nHEARTBEAT_TTL_SECONDS=40\n")
        .variable("LOG_LEVEL", "warning")
        .variable("REDIS_URL", "redis://me:secret@localhost:6379/0")
        .variable("MODELYARD_SERVER__DRAIN_SECONDS", "5");
    let outcome = desk.run(&["check-config", "app.py:Narrator", "--port", "9000"]);
    assert_eq!((outcome.status, outcome.err.as_str()), (Some(0), ""));
    let directory = desk.path().display().to_string();
    // How far the sources are pushed out depends on the directory.
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = outcome.out.lines().map(squeezed).collect();
    insta::assert_snapshot!("check-config", lines.join("\n").replace(&directory, "HERE"));
}

#[test]
fn an_env_file_that_cannot_be_read_is_told() {
    let outcome = Desk::new().file(".env", "A B C\n").run(&["check-config"]);
    assert_eq!(outcome.status, Some(64));
    assert!(outcome.err.starts_with("error: could not read .env: "), "{}", outcome.err);
}
