//! Stories about workers that come, work, hang and go.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use api::{
    Body, Endpoint,
    endpoint::Answer,
    worker::{Description, RunningCall},
};
use http::Request;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::*;
use crate::Manner;

const HEARTBEAT: Duration = Duration::from_secs(10);
const LEASE: Duration = Duration::from_secs(30);
const WORKER: WorkerId = WorkerId::new(Uuid::from_u128(1));
const CALL: CallId = CallId::new(Uuid::from_u128(2));

struct Nowhere;

impl Endpoint for Nowhere {
    fn call(&self, _: Request<Body>) -> Answer<'_> {
        Box::pin(std::future::pending())
    }
}

/// Sets a flag when dropped.
struct Flag(Arc<AtomicBool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Story {
    book: Book,
    start: Instant,
    released: Arc<AtomicBool>,
}

impl Story {
    fn with(spec: ModelSpec) -> Self {
        let start = Instant::now();
        let settings = FleetSettings {
            heartbeat: HEARTBEAT,
            lease: LEASE,
            join_token: String::new(),
            epoch: 1,
        };
        let mut book = Book::new(settings);
        book.add_model(&name(), Arc::new(spec));
        let replica = Replica {
            id: WORKER,
            model: name(),
            launch_id: "echo-1".into(),
            capacity: 4,
            weight: 1,
            busy: 0,
            manner: Manner::Registered,
            description: Description {
                name: "echo".into(),
                version: "1".into(),
                routes: Vec::new(),
                default_route: "/".into(),
                capacity: 4,
                capabilities: Vec::new(),
            },
            endpoint: Arc::new(Nowhere),
        };
        drop(book.join(Arc::new(replica), Some(start + LEASE)));
        Self { book, start, released: Arc::default() }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    fn cancel_call(&mut self, at: u64, timeout_at: u64) {
        let lingering = Lingering {
            held: Box::new(Flag(self.released.clone())),
            since: self.at(at),
            timeout_at: self.at(timeout_at),
        };
        drop(self.book.linger(WORKER, CALL, lingering));
    }

    /// A call is sent; the answer hears when it must be stopped.
    fn send_call(&mut self) -> oneshot::Receiver<Duration> {
        let (stop, told) = oneshot::channel();
        self.book.watch(WORKER, CALL, stop);
        told
    }

    /// As [`Fleet`](crate::Fleet) performs it, as far as calls are told to stop.
    fn beat(&mut self, at: u64, running: Vec<RunningCall>) -> Vec<FleetEvent> {
        let now = self.at(at);
        let heartbeat = Heartbeat { epoch: 1, running, engine: None };
        let effects = self.book.heartbeat(WORKER, &heartbeat, now).unwrap();
        for (stop, silence_max) in effects.stopped {
            stop.send(silence_max).unwrap();
        }
        effects.events
    }

    fn report_end(&mut self) {
        let (outcome, usage) = (api::worker::Outcome::Cancelled, BTreeMap::default());
        let ended = Report::Ended { call_id: CALL, outcome, usage };
        drop(self.book.reports(WORKER, &[ended]).unwrap());
    }

    fn phase(&self) -> Option<Phase> {
        self.book.view(&name())?.members.first().map(|member| member.phase)
    }

    fn released(&self) -> bool {
        self.released.load(Ordering::Relaxed)
    }
}

fn name() -> ModelName {
    "echo".parse().unwrap()
}

fn running(idle_seconds: u64) -> Vec<RunningCall> {
    let ms = idle_seconds * 1000;
    vec![RunningCall { call_id: CALL, age_ms: ms, idle_ms: ms }]
}

#[test]
fn a_worker_without_heartbeat_is_lost_when_its_lease_ends() {
    let mut story = Story::with(ModelSpec::default());
    assert!(story.book.sweep(story.at(29)).events.is_empty());
    let events = story.book.sweep(story.at(30)).events;
    assert!(matches!(&events[..], [FleetEvent::Gone { departure: Departure::Lost, .. }]));
    assert_eq!(story.phase(), None);
}

#[test]
fn a_heartbeat_renews_the_lease() {
    let mut story = Story::with(ModelSpec::default());
    story.beat(25, Vec::new());
    assert!(story.book.sweep(story.at(54)).events.is_empty());
}

#[test]
fn a_cancelled_call_keeps_its_place_until_the_worker_reports_its_end() {
    let mut story = Story::with(ModelSpec::default());
    story.cancel_call(1, 60);
    story.beat(10, running(9));
    assert!(!story.released());
    story.report_end();
    assert!(story.released());
}

#[test]
fn an_end_that_is_reported_before_the_cancelling_was_noted_counts() {
    let mut story = Story::with(ModelSpec::default());
    story.report_end();
    story.cancel_call(1, 60);
    assert!(story.released());
    story.released.store(false, Ordering::Relaxed);
    story.cancel_call(2, 60);
    assert!(!story.released(), "it counts once");
}

#[test]
fn a_call_whose_end_was_not_heard_of_is_no_proof_against_its_worker() {
    let mut story = Story::with(ModelSpec::default());
    story.beat(58, running(0));
    story.cancel_call(59, 59);
    story.beat(59, Vec::new());
    assert!(story.book.sweep(story.at(69)).events.is_empty(), "its worker does not list it");
    assert_eq!(story.phase(), Some(Phase::Ready));
    story.beat(70, Vec::new());
    assert!(story.released());
}

#[test]
fn a_cancelled_call_that_a_later_heartbeat_does_not_list_has_ended() {
    let mut story = Story::with(ModelSpec::default());
    story.cancel_call(10, 60);
    story.beat(10, Vec::new());
    assert!(!story.released(), "that heartbeat may have been written before the call began");
    story.beat(20, Vec::new());
    assert!(story.released());
}

#[test]
fn a_busy_worker_is_left_alone_inside_the_timeout_of_its_call() {
    let mut story = Story::with(ModelSpec::default());
    story.cancel_call(1, 60);
    for second in (10..=60).step_by(10) {
        assert!(story.beat(second, running(second)).is_empty());
        assert!(story.book.sweep(story.at(second)).events.is_empty());
    }
    assert_eq!(story.phase(), Some(Phase::Ready));
}

#[test]
fn a_call_that_neither_ends_nor_stops_makes_its_worker_stuck_once() {
    let mut story = Story::with(ModelSpec::default());
    story.cancel_call(1, 60);
    story.beat(60, running(60));
    let events = story.book.sweep(story.at(70)).events;
    assert!(matches!(&events[..], [FleetEvent::Stuck { call: CALL, .. }]));
    assert_eq!(story.phase(), Some(Phase::Stuck));
    assert!(story.book.sweep(story.at(71)).events.is_empty());
}

/// Calls of this model must show progress every five seconds.
fn demanding() -> Story {
    Story::with(ModelSpec { progress_timeout_seconds: Some(5.0), ..ModelSpec::default() })
}

#[test]
fn a_call_without_progress_is_stopped_once_where_the_model_demands_progress() {
    let mut story = demanding();
    let mut told = story.send_call();
    assert!(story.beat(10, running(4)).is_empty());
    assert!(told.try_recv().is_err(), "its time has not passed");
    assert!(story.beat(20, running(6)).is_empty(), "stopping it may help");
    assert_eq!(told.try_recv(), Ok(Duration::from_secs(5)));
    assert!(story.beat(30, running(7)).is_empty());
    assert_eq!(story.phase(), Some(Phase::Ready));

    let mut story = Story::with(ModelSpec::default());
    let mut told = story.send_call();
    assert!(story.beat(10, running(1000)).is_empty());
    assert!(told.try_recv().is_err(), "other models may be silent");
}

#[test]
fn a_silent_call_makes_its_worker_stuck_if_stopping_it_does_not_help() {
    let mut story = demanding();
    let _told = story.send_call();
    story.beat(10, running(6));
    story.cancel_call(10, 60);
    assert!(story.book.sweep(story.at(19)).events.is_empty());
    let events = story.beat(20, running(16));
    assert!(matches!(&events[..], [FleetEvent::Stuck { call: CALL, .. }]));
    assert_eq!(story.phase(), Some(Phase::Stuck));
}

#[test]
fn a_silent_call_that_ends_when_it_is_stopped_leaves_its_worker_well() {
    let mut story = demanding();
    let _told = story.send_call();
    story.beat(10, running(6));
    story.cancel_call(10, 60);
    assert!(story.beat(20, Vec::new()).is_empty());
    assert!(story.released());
    assert!(story.book.sweep(story.at(21)).events.is_empty());
    assert_eq!(story.phase(), Some(Phase::Ready));
}

#[test]
fn the_silence_of_a_call_whose_caller_left_counts_too_unless_it_is_broken() {
    let mut story = demanding();
    story.cancel_call(1, 1000);
    story.beat(10, running(6));
    assert!(story.beat(13, running(1)).is_empty());
    assert!(story.book.sweep(story.at(22)).events.is_empty(), "it went on");
    story.beat(23, running(11));
    assert!(story.book.sweep(story.at(26)).events.is_empty(), "12, and 5, and a heartbeat");
    assert_eq!(story.book.sweep(story.at(27)).events.len(), 1);
}

#[test]
fn a_call_that_nobody_watches_may_be_silent() {
    let mut story = demanding();
    let _told = story.send_call();
    story.book.unwatch(WORKER, CALL);
    assert!(story.beat(10, running(1000)).is_empty());
    assert!(story.beat(20, running(1010)).is_empty());
    assert_eq!(story.phase(), Some(Phase::Ready));
}

#[test]
fn what_lingers_on_a_worker_is_released_when_its_process_ends() {
    let mut story = Story::with(ModelSpec::default());
    story.cancel_call(1, 60);
    assert_eq!(story.book.workers_of_launch("echo-1"), [WORKER]);
    drop(story.book.leave(WORKER, Departure::ProcessEnded));
    assert!(story.released());
    story.released.store(false, Ordering::Relaxed);
    story.cancel_call(2, 60);
    assert!(story.released(), "nobody is left to report its end");
}

#[test]
fn a_worker_that_drains_takes_no_work_and_an_unknown_one_must_register() {
    let mut story = Story::with(ModelSpec::default());
    assert_eq!(story.book.drain(WORKER).touched, [name()]);
    assert_eq!(story.phase(), Some(Phase::Draining));
    let stranger = WorkerId::new(Uuid::from_u128(9));
    let beat = Heartbeat { epoch: 1, running: Vec::new(), engine: None };
    let fault = story.book.heartbeat(stranger, &beat, story.start).err().unwrap();
    assert_eq!(fault.code, ErrorCode::WorkerNotFound);
}
