//! Stories of a batch.

use std::time::Duration;

use api::openai::{BatchStatus, RequestCounts};
use types::Timestamp;

use super::Cause;
use crate::record::{BatchRecord, Lease, Times};

const fn at(second: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + second * 1000)
}

fn batch() -> BatchRecord {
    BatchRecord {
        endpoint: "/v1/embeddings".into(),
        input_file_id: "file-1".into(),
        completion_window: "1h".into(),
        metadata: None,
        output_expires_after: None,
        tenant: "acme".parse().unwrap(),
        folder: "f".into(),
        status: BatchStatus::Validating,
        errors: Vec::new(),
        counts: RequestCounts::default(),
        sealed: None,
        times: Times { created: at(0), expires: at(3600), ..Times::default() },
        lease: None,
        generation: 0,
    }
}

#[test]
fn a_batch_whose_lines_are_all_done_completes() {
    let mut batch = batch();
    batch.checked(7, at(1));
    assert_eq!((batch.status, batch.counts.total), (BatchStatus::InProgress, 7));
    assert_eq!(batch.must_stop(at(3599)), None);
    batch.finalizing(at(9));
    assert_eq!(batch.status, BatchStatus::Finalizing);
    batch.ended(Cause::Done.status(), at(10));
    assert_eq!(batch.status, BatchStatus::Completed);
    assert!(!batch.cancel(at(11)), "there is nothing left to cancel");
}

#[test]
fn whoever_cancels_first_decides_how_it_ends() {
    let mut batch = batch();
    assert!(batch.cancel(at(1)));
    batch.checked(7, at(2));
    assert_eq!(batch.status, BatchStatus::Cancelling, "its check does not bring it back");
    assert_eq!(batch.must_stop(at(9999)), Some(Cause::Cancelled));
    assert!(batch.cancel(at(3)), "again changes nothing");
    assert_eq!(batch.times.cancelling, Some(at(1)));
    batch.finalizing(at(4));
    assert_eq!(batch.status, BatchStatus::Cancelling);
    assert_eq!(batch.final_cause(Cause::Done), Cause::Cancelled);
    let mut refused = batch.clone();
    refused.refused(Vec::new(), at(5));
    assert_eq!(refused.status, BatchStatus::Cancelled);
}

#[test]
fn what_is_being_written_is_not_cancelled_any_more() {
    let mut batch = batch();
    batch.checked(1, at(1));
    batch.finalizing(at(2));
    assert!(batch.cancel(at(3)));
    assert_eq!((batch.status, batch.must_stop(at(4))), (BatchStatus::Finalizing, None));
    assert_eq!(batch.final_cause(Cause::Done), Cause::Done);
}

#[test]
fn its_time_ends_at_its_moment() {
    let batch = batch();
    assert_eq!(batch.must_stop(at(3599)), None);
    assert_eq!(batch.must_stop(at(3600)), Some(Cause::Expired));
}

#[test]
fn a_lease_keeps_others_away_until_it_ends() {
    let mut batch = batch();
    assert!(batch.is_free(1, true, at(0)));
    batch.lease = Some(Lease { server: 1, until: at(10) });
    batch.generation = 4;
    assert!(!batch.is_free(2, true, at(9)));
    assert!(batch.is_free(2, true, at(10)));
    assert!(batch.is_free(2, false, at(9)), "the server before is gone");
    assert!(!batch.is_free(1, false, at(9)), "it was given up for a reason");
    assert!(batch.is_held_by(1, 4) && !batch.is_held_by(2, 4) && !batch.is_held_by(1, 3));
    batch.ended(BatchStatus::Completed, at(11));
    assert!(!batch.is_free(2, true, at(99)) && !batch.is_held_by(1, 4));
}

#[test]
fn a_batch_is_overdue_some_time_after_its_own_is_over_or_somebody_ended_it() {
    let (mut batch, grace) = (batch(), Duration::from_secs(100));
    assert!(!batch.is_overdue(grace, at(3699)) && batch.is_overdue(grace, at(3700)));
    batch.cancel(at(50));
    assert!(!batch.is_overdue(grace, at(149)) && batch.is_overdue(grace, at(150)));
}
