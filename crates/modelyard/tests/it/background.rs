//! A server in the background: started, looked at, and stopped by commands.

use std::net::TcpListener;

use serde_json::Value;

use crate::desk::{Desk, Outcome};

/// A place whose server is stopped at the end, whatever the test has found.
struct Place(Desk);

impl Place {
    fn new(config: &str) -> Self {
        Self(Desk::new().file("modelyard.toml", config))
    }

    fn run(&self, args: &[&str]) -> Outcome {
        self.0.run(args)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.run(&["down", "--now"]);
    }
}

const ECHO: &str = "[models.local-echo]\n[models.digits]\nenabled = false\n";

#[test]
fn a_server_is_started_looked_at_and_stopped() {
    let place = Place::new(ECHO);
    let none = place.run(&["status"]);
    assert_eq!(none.status, Some(3), "{}", none.err);

    let up = place.run(&["up", "--port", "0"]);
    assert_eq!(up.status, Some(0), "{}", up.err);
    assert!(up.out.starts_with("modelyard is ready at http://127.0.0.1:"), "{}", up.out);

    let again = place.run(&["up", "--port", "0"]);
    assert_eq!(again.status, Some(1));
    assert!(again.err.contains("runs already"), "{}", again.err);

    let status = place.run(&["status"]);
    assert_eq!(status.status, Some(0), "{}", status.err);
    assert!(status.out.contains("local-echo is ready"), "{}", status.out);
    let json: Value = serde_json::from_str(&place.run(&["status", "--json"]).out).unwrap();
    assert_eq!(json["running"], true);
    let url = format!("http://{}", json["addresses"][0].as_str().unwrap());
    let answer = place.run(&["invoke", "local-echo", r#"{"text":"hi"}"#, "--url", &url]);
    assert!(answer.out.contains("hi"), "{}", answer.err);

    let log = place.run(&["logs"]);
    assert!(log.out.contains("listening"), "{} {}", log.out, log.err);
    assert_eq!(place.run(&["logs", "-n", "1"]).out.lines().count(), 1);

    let down = place.run(&["down"]);
    assert_eq!(down.status, Some(0), "{}", down.err);
    assert!(down.out.contains("has stopped"), "{}", down.out);
    assert_eq!(place.run(&["status"]).status, Some(3));
    assert_eq!(place.run(&["down"]).out, "no server runs\n");
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let place = Place::new(ECHO);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let up = place.run(&["up", "--port", &port]);
    assert_eq!(up.status, Some(1));
    assert!(up.err.contains("did not start"), "{}", up.err);
    assert!(up.err.contains("is in use by"), "{}", up.err);
    let misread = place.run(&["up", "--config", "absent.toml"]);
    assert_eq!(misread.status, Some(64), "{}", misread.err);
}

#[test]
fn a_server_in_the_foreground_is_known_too() {
    let place = Place::new(ECHO);
    let mut running = place.0.start(&["serve", "--port", "0"]);
    running.until("listening");
    let mut status = place.run(&["status"]);
    for _ in 0..200 {
        if status.status == Some(0) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        status = place.run(&["status"]);
    }
    assert!(status.out.contains("local-echo is ready"), "{}{}", status.out, status.err);
    let logs = place.run(&["logs"]);
    assert_eq!(logs.status, Some(1));
    assert!(logs.err.contains("standard output"), "{}", logs.err);
    assert_eq!(running.terminate(), Some(0));
    assert_eq!(place.run(&["status"]).status, Some(3));
}

#[test]
fn the_doctor_names_what_is_missing_and_what_to_do() {
    let place = Place::new(ECHO);
    let well = place.run(&["doctor", "--port", "0"]);
    assert_eq!(well.status, Some(0), "{}{}", well.out, well.err);
    for subject in ["config", "address", "data", "store", "processor", "memory", "limits"] {
        assert!(well.out.contains(&format!("  {subject} ")), "{subject} in {}", well.out);
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let sick = Place(
        Desk::new()
            .file(
                "modelyard.toml",
                "[models.app]\nimplementation = \"app.py:App\"\n\
         python = \"/no/python\"\n",
            )
            .variable("REDIS_URL", "redis://127.0.0.1:1/0"),
    );
    let sick = sick.run(&["doctor", "--port", &port]);
    assert_eq!(sick.status, Some(1));
    for words in ["BAD   address", "BAD   store", "BAD   python", "/no/python"] {
        assert!(sick.out.contains(words), "{words} in {}", sick.out);
    }
}
