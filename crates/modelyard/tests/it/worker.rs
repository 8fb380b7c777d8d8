//! The workers that are part of the program.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::desk::Desk;

#[test]
fn the_built_in_echo_is_a_worker_of_its_own() {
    let desk = Desk::new();
    let socket = desk.path().join("w.sock");
    let desk = desk.variable("MODELYARD_WORKER", launch(&socket, "echo"));
    let mut running = desk.start(&["worker", "builtin"]);

    let described =
        ask(&socket, "GET /-/describe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let (_, body) = described.split_once("\r\n\r\n").unwrap();
    let description: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(description["name"], "local-echo");
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn an_unknown_worker_and_a_missing_launch_are_told() {
    let desk = Desk::new();
    let socket = desk.path().join("w.sock");
    let outcome =
        desk.variable("MODELYARD_WORKER", launch(&socket, "ekko")).run(&["worker", "builtin"]);
    assert_eq!(outcome.status, Some(64));
    assert!(outcome.err.contains("choose one of: echo"), "{}", outcome.err);

    let outcome = Desk::new().run(&["worker", "builtin"]);
    assert_eq!(outcome.status, Some(64));
    assert!(outcome.err.contains("run `modelyard serve`"), "{}", outcome.err);
}

fn launch(socket: &Path, implementation: &str) -> String {
    serde_json::json!({
        "model": "local-echo", "version": "1", "implementation": implementation,
        "listen": format!("unix:{}", socket.display()), "gateway": null, "heartbeat_ms": 1000,
    })
    .to_string()
}

/// Sends a request once somebody listens, and reads the answer.
fn ask(socket: &Path, request: &str) -> String {
    let begun = Instant::now();
    let mut stream = loop {
        match UnixStream::connect(socket) {
            Ok(stream) => break stream,
            Err(error) if begun.elapsed() > Duration::from_secs(20) => panic!("{error}"),
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    };
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
