//! Stories of workers that come, change and go.

use std::time::Duration;

use uuid::Uuid;

use super::*;

const AS_ONE: WorkerId = WorkerId::new(Uuid::from_u128(1));

fn worker(id: &str, socket: &str) -> Announced {
    let offer = Offer { capacity: 8, weight: 1, busy: 0, takes_calls: true };
    Announced {
        id: id.into(),
        address: Address::Unix(socket.into()),
        model: "chat".parse().unwrap(),
        offer,
        load: None,
        metrics: Vec::new(),
        usage: Vec::new(),
    }
}

fn resident(id: &str, socket: &str) -> Resident {
    Resident { id: id.into(), address: Address::Unix(socket.into()) }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A roll with one worker that serves, and when it spoke.
fn serving(id: &str, socket: &str) -> (Roll, Instant) {
    let (mut roll, now) = (Roll::default(), Instant::now());
    let steps = roll.beat(worker(id, socket), now).unwrap();
    assert!(matches!(steps[..], [Step::Visit { visit: 1, .. }]), "{steps:?}");
    assert!(roll.visited(id, 1).is_some());
    roll.serves(id, AS_ONE);
    (roll, now)
}

const LEFT: Step = Step::Dismiss { worker: AS_ONE, is_farewell: true };
const LOST: Step = Step::Dismiss { worker: AS_ONE, is_farewell: false };

#[test]
fn a_beat_of_a_worker_that_serves_renews_its_offer() {
    let (mut roll, now) = serving("a", "/run/a.sock");
    let mut busy = worker("a", "/run/a.sock");
    busy.offer.busy = 3;
    let steps = roll.beat(busy.clone(), now + seconds(10)).unwrap();
    assert_eq!(steps, [Step::Adjust { worker: AS_ONE, offer: busy.offer }]);
    assert_eq!(roll.silent_at("a"), Some(now + seconds(40)));
}

#[test]
fn silence_of_three_intervals_ends_a_worker_and_its_next_beat_brings_it_back() {
    let (mut roll, now) = serving("a", "/run/a.sock");
    roll.beat(worker("a", "/run/a.sock"), now + seconds(2)).unwrap();
    assert_eq!(roll.sweep(now + seconds(7)), (vec![], vec![]));
    assert_eq!(roll.sweep(now + seconds(8)), (vec!["a".to_owned()], vec![LOST]));
    assert_eq!(roll.workers().count(), 0);
    let steps = roll.beat(worker("a", "/run/a.sock"), now + seconds(9)).unwrap();
    assert!(matches!(steps[..], [Step::Visit { visit: 2, .. }]));
}

#[test]
fn one_that_does_not_answer_is_visited_again_and_keeps_its_time() {
    let (mut roll, now) = serving("a", "/run/a.sock");
    let steps = roll.unreachable("a", 1);
    assert!(matches!(&steps[..], [lost, Step::Visit { visit: 2, .. }] if *lost == LOST));
    assert_eq!(roll.unreachable("a", 1), [], "that is known already");
    assert_eq!(roll.silent_at("a"), Some(now + seconds(30)));
    assert!(roll.visited("a", 1).is_none() && roll.visited("a", 2).is_some());
}

#[test]
fn a_restart_under_the_same_name_is_another_replica() {
    let (mut roll, now) = serving("a", "/run/a.sock");
    let steps = roll.beat(worker("a", "/run/b.sock"), now + seconds(1)).unwrap();
    let address = Address::Unix("/run/b.sock".into());
    assert_eq!(steps, [LEFT, Step::Visit { id: "a".into(), visit: 2, address }]);
}

#[test]
fn the_residents_of_a_folder_lie_in_itself() {
    let (mut roll, now) = serving("a", "/run/one/a.sock");
    roll.beat(worker("b", "/run/one/deeper/b.sock"), now).unwrap();
    roll.beat(worker("c", "/run/one.sock"), now).unwrap();
    let found = roll.residents(Path::new("/run/one/"));
    assert_eq!(found, [resident("a", "/run/one/a.sock")]);
}

#[test]
fn the_dead_end_unless_they_moved_or_have_spoken_since() {
    let (mut roll, now) = serving("a", "/run/a.sock");
    roll.beat(worker("b", "/run/b.sock"), now + seconds(2)).unwrap();
    roll.beat(worker("c", "/run/elsewhere.sock"), now).unwrap();
    let dead = ["a", "b", "c", "d"].map(|id| resident(id, &format!("/run/{id}.sock")));
    assert_eq!(roll.clear(&dead, now + seconds(1)), (1, vec![LEFT]));
    assert_eq!(roll.workers().map(|worker| worker.id.as_str()).collect::<Vec<_>>(), ["b", "c"]);
}

#[test]
fn who_says_goodbye_is_gone_at_once() {
    let (mut roll, _) = serving("a", "/run/a.sock");
    assert_eq!(roll.farewell("b"), (0, vec![]));
    assert_eq!(roll.farewell("a"), (1, vec![LEFT]));
    assert!(roll.visited("a", 1).is_none(), "an answer that comes late changes nothing");
}

#[test]
fn there_is_a_bound_and_known_ones_are_not_held_to_it() {
    let (mut roll, now) = (Roll::default(), Instant::now());
    for number in 0..WORKERS_MAX {
        roll.beat(worker(&number.to_string(), "/run/a.sock"), now).unwrap();
    }
    assert_eq!(roll.beat(worker("more", "/run/a.sock"), now), Err(Full));
    assert_eq!(roll.beat(worker("7", "/run/a.sock"), now), Ok(vec![]));
}
