//! How the file is asked, and what a full disk does.

use std::path::Path;

use super::{NEXT_DUE, attempts, clock, task};
use crate::{
    SqliteOptions, StoreError, Submitted,
    conformance::new_task,
    sqlite::{
        Ledger, documents, list,
        lock::Lock,
        whole,
        writer::{Durability, Writer},
    },
};

#[test]
fn no_question_that_is_asked_often_walks_a_table_or_sorts() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&folder.path().join("tasks.db")).unwrap();
    for question in [
        task::NEXT_READY,
        task::BY_ID,
        clock::DUE,
        clock::OF_EARLIER,
        NEXT_DUE,
        list::PEEK,
        list::NEXT_MODEL,
        list::NEWEST,
        list::NEWEST_WITH_ERROR,
        attempts::OF_TASK,
        documents::BY_ID,
        whole::OLDEST,
    ]
    .into_iter()
    .chain(documents::PAGES)
    {
        let mut plan =
            ledger.connection.prepare(&format!("EXPLAIN QUERY PLAN {question}")).unwrap();
        let nothing = vec![rusqlite::types::Null; plan.parameter_count()];
        let values = rusqlite::params_from_iter(nothing);
        let steps = plan.query_map(values, |row| row.get::<_, String>(3)).unwrap();
        for step in steps.map(Result::unwrap) {
            assert!(step.starts_with("SEARCH "), "{question}: {step}");
        }
    }
}

/// A store whose file may grow to so many pages.
fn limited(path: &Path, pages: u32) -> Writer {
    let ledger = Ledger::open(path).unwrap();
    ledger.connection.pragma_update(None, "max_page_count", pages).unwrap();
    Writer::start(ledger, Lock::take(path).unwrap(), &SqliteOptions::new(path)).unwrap()
}

#[tokio::test]
async fn a_disk_that_is_full_refuses_with_its_remedy_and_takes_what_fits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let writer = limited(&path, 60);
    let submit = async |bytes: usize| {
        let mut task = new_task();
        task.request.body = vec![b'1'; bytes].into();
        writer.write(Durability::Synced, move |ledger| ledger.submit(&task)).await
    };
    // 60 pages hold 240 KiB: the large one does not fit, and does not take the small ones with it.
    let (first, large, last) = tokio::join!(submit(100), submit(1 << 20), submit(100));
    assert_eq!((first.unwrap(), last.unwrap()), (Submitted::New, Submitted::New));
    let error = large.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(error.to_string().ends_with("the disk is full; make room"), "{error}");
    let counted = writer.write(Durability::Relaxed, Ledger::stats).await.unwrap();
    assert_eq!(counted[0].counts.iter().sum::<u64>(), 2);
}
