//! Tests of the read cache.

use super::*;
use crate::{backend::EntryKind, place::Home};

fn meta(size: u64, modified: f64) -> Meta {
    Meta {
        kind: EntryKind::File,
        size,
        permissions: 0o644,
        uid: 0,
        gid: 0,
        inode: 7,
        device: 1,
        links: 1,
        used: size,
        accessed: 0.0,
        modified,
        changed: modified,
    }
}

fn place() -> Place {
    Home::new(&["u"]).and_then(|home| home.place("a")).expect("a plain path")
}

#[test]
fn a_piece_is_found_until_the_file_changes() {
    let cache = Arc::new(ReadCache::new(1024));
    cache.of(&place(), &meta(4, 1.0)).put(0, &Bytes::from_static(b"abcd"));
    let again = cache.of(&place(), &meta(4, 1.0)).get(0, 4);
    assert_eq!(again, Some(Bytes::from_static(b"abcd")));
    assert_eq!(cache.of(&place(), &meta(4, 2.0)).get(0, 4), None, "written since");
    assert_eq!(cache.of(&place(), &meta(5, 1.0)).get(0, 4), None, "longer now");
}

#[test]
fn it_holds_no_more_than_its_bound_and_forgets_what_was_used_longest_ago() {
    let cache = Arc::new(ReadCache::new(30));
    let file = cache.of(&place(), &meta(1000, 1.0));
    for offset in [0, 10, 20] {
        file.put(offset, &Bytes::from(vec![0; 10]));
    }
    assert!(file.get(0, 10).is_some());
    file.put(30, &Bytes::from(vec![0; 10]));
    assert!(file.get(0, 10).is_some(), "used a moment ago");
    assert!(file.get(10, 10).is_none());
    assert!(cache.inner.lock().bytes <= 30);
}

#[test]
fn notes_of_uses_do_not_pile_up() {
    let cache = Arc::new(ReadCache::new(100));
    let file = cache.of(&place(), &meta(1000, 1.0));
    file.put(0, &Bytes::from(vec![0; 10]));
    for _ in 0..10_000 {
        file.get(0, 10);
    }
    assert!(cache.inner.lock().order.len() < 64);
}
