//! The load generator against servers whose behaviour is known.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking; clippy only exempts test functions"
)]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    sync::mpsc,
    thread,
    time::Duration,
};

use bench::{
    load::{self, Plan, Report, Target},
    mock,
};

#[test]
fn closed_load_on_a_server_that_answers_is_clean() {
    let report = run(&mock(), 4, None);
    assert!(report.is_clean(), "{report:?}");
    assert!(report.p50_ms <= report.p99_ms && report.p99_ms <= report.max_ms, "{report:?}");
}

#[test]
fn open_load_sends_exactly_what_is_due() {
    let report = run(&mock(), 2, Some(200.0));
    assert!(report.is_clean(), "{report:?}");
    // 300 ms at 200 a second.
    assert_eq!(report.requests, 60);
}

#[test]
fn a_stall_is_charged_to_all_requests_that_were_due_in_it() {
    let stall = Duration::from_millis(150);
    let address = server_that(move |answered| {
        if answered == 1 {
            thread::sleep(stall);
        }
        ANSWER
    });
    let report = run(&address, 1, Some(100.0));
    assert!(report.is_clean(), "{report:?}");
    // Of the 30 requests some 15 were due while the server slept. A client that waited for the
    // answer before it counted would have seen one slow request.
    assert_eq!(report.requests, 30);
    assert!(report.max_ms >= 149.0, "{report:?}");
    assert!(report.p90_ms >= 100.0, "{report:?}");
}

#[test]
fn refusals_and_broken_answers_are_counted_apart() {
    let refused = server_that(|_| "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n");
    let report = run(&refused, 1, Some(100.0));
    assert_eq!((report.requests, report.non2xx, report.errors), (30, 30, 0), "{report:?}");

    let broken = server_that(|_| "garbage\r\n\r\n");
    let report = run(&broken, 1, Some(100.0));
    assert!(report.requests == 0 && report.errors > 0 && !report.is_clean(), "{report:?}");
}

#[test]
fn a_connection_that_the_server_closes_is_made_again() {
    let closes =
        server_that(|_| "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    let report = run(&closes, 1, Some(100.0));
    assert!(report.is_clean(), "{report:?}");
    assert!(report.reopened >= 30, "{report:?}");
}

#[test]
fn nobody_there_is_an_error_and_not_a_report() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(load::run(&plan(&port.to_string(), 1, None)).is_err());
}

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn plan(address: &str, connections: usize, rate: Option<f64>) -> Plan {
    Plan {
        target: Target::post_json(&format!("http://{address}/"), "{}").unwrap(),
        connections: NonZeroUsize::new(connections).unwrap(),
        threads: NonZeroUsize::MIN,
        rate,
        warm_up: Duration::ZERO,
        measured: Duration::from_millis(300),
    }
}

fn run(address: &str, connections: usize, rate: Option<f64>) -> Report {
    load::run(&plan(address, connections, rate)).unwrap()
}

/// The mock upstream, for the rest of the test process.
fn mock() -> String {
    let (tell, told) = mpsc::sync_channel::<SocketAddr>(1);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            mock::serve_tcp(listener).await.unwrap();
        });
    });
    told.recv().unwrap().to_string()
}

/// A server with one connection at a time, whose answer may depend on how many it gave before.
fn server_that(answer: impl Fn(u32) -> &'static str + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut answered = 0;
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 1024];
            while stream.read(&mut request).is_ok_and(|bytes| bytes > 0) {
                let text = answer(answered);
                answered += 1;
                if stream.write_all(text.as_bytes()).is_err() || text.contains("close") {
                    break;
                }
            }
        }
    });
    address
}
