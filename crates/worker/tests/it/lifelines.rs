//! A worker that was started by a gateway does not outlive it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use api::worker::LIFELINE_ENV;

use crate::support::{PATIENCE, soon};

const ALIVE: &str = "the child is alive";

/// A process that is killed with its test.
struct Relative {
    process: Child,
    /// Kept open, or the child could not say that it has ended well.
    _out: BufReader<ChildStdout>,
}

/// Starts this same test program with only the test below.
fn child(lifeline: Option<&str>) -> Relative {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "lifelines::the_life_of_a_child", "--ignored", "--nocapture"])
        .env_remove(LIFELINE_ENV)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    if let Some(value) = lifeline {
        command.env(LIFELINE_ENV, value);
    }
    let mut process = command.spawn().unwrap();
    let mut out = BufReader::new(process.stdout.take().unwrap());
    let said = out.by_ref().lines().map_while(Result::ok).find(|line| line.contains(ALIVE));
    assert!(said.is_some());
    Relative { process, _out: out }
}

impl Drop for Relative {
    fn drop(&mut self) {
        // It has ended already, or must now.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
#[ignore = "this is no test but the child of the two others"]
async fn the_life_of_a_child() {
    println!("{ALIVE}");
    // Ends by itself, should its parent be unable to end it.
    let _ = tokio::time::timeout(PATIENCE, worker::lifeline()).await.ok();
}

#[tokio::test]
async fn a_child_on_a_lifeline_ends_when_its_parent_closes_it() {
    let mut child = child(Some("stdin"));
    // What is written is not a cut.
    child.process.stdin.as_mut().unwrap().write_all(b"still here\n").unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(child.process.try_wait().unwrap().is_none());
    drop(child.process.stdin.take());
    let waiting = tokio::task::spawn_blocking(move || child.process.wait().unwrap());
    assert!(soon(waiting).await.unwrap().success());
}

#[tokio::test]
async fn a_worker_that_somebody_started_by_hand_does_not_look_at_its_input() {
    let mut child = child(None);
    drop(child.process.stdin.take());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(child.process.try_wait().unwrap().is_none());
}
