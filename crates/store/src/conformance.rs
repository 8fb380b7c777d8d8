//! What every [`TaskStore`] promises, as tests that run word for word on each of them.
//!
//! A new store is done when [`crate::task_store_conformance`] passes; a new promise is added here,
//! never to the tests of one store.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "these are tests, kept in the library so that other crates can run them"
)]

pub mod attempts;
pub mod calls;
pub mod clock;
pub mod dead;
pub mod documents;
pub mod lists;
pub mod moves;
pub mod notices;
pub mod restarts;
pub mod runs;
pub mod submissions;

use std::{sync::Arc, time::Duration};

use api::task::TaskState;
use async_trait::async_trait;
use bytes::Bytes;
use policy::{backoff::Backoff, task::TaskPolicy};
use types::{ErrorCode, ModelName, Priority, TaskId, Tenant, Timestamp};
use uuid::Uuid;

use crate::{
    Fence, Idempotency, NewTask, Outcome, StoredAnswer, StoredRequest, Submitted, TaskError,
    TaskRecord, TaskStore,
};

/// One database for one test.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// Opens it as a server does at its start; the store that was opened before is closed.
    async fn open(&self) -> Arc<dyn TaskStore>;
}

/// Any moment will do: no store reads a clock.
pub const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// So many milliseconds after [`START`].
pub fn at(ms: u64) -> Timestamp {
    START.after(Duration::from_millis(ms))
}

/// The model that most tests call.
pub fn model() -> ModelName {
    "echo".parse().unwrap()
}

/// A task of [`model`], submitted at [`START`].
pub fn new_task() -> NewTask {
    NewTask {
        id: TaskId::new(Uuid::now_v7()),
        model: model(),
        tenant: Tenant::default(),
        priority: Priority::Normal,
        request: StoredRequest {
            content_type: Some("application/json".into()),
            body: Bytes::from_static(br#"{"text":"hello"}"#),
            ..StoredRequest::default()
        },
        idempotency: None,
        webhook: None,
        retry: retries(3),
        not_before: None,
        deadline: None,
        keep_for: Duration::from_secs(3600),
        queued_max: 1_000_000,
        created: START,
    }
}

/// So many attempts, without a wait between them.
pub fn retries(attempts_max: u32) -> TaskPolicy {
    TaskPolicy { attempts_max, backoff: Backoff { base: Duration::ZERO, max: Duration::ZERO } }
}

/// Gives `task` a key.
pub fn keyed(mut task: NewTask, key: &str) -> NewTask {
    task.idempotency = Some(Idempotency::new(key, &task.request));
    task
}

/// Submits `task`, which must be new.
pub async fn submit(store: &dyn TaskStore, task: NewTask) -> TaskId {
    let id = task.id;
    assert_eq!(store.submit(task).await.unwrap(), Submitted::New);
    id
}

/// Claims the next task of [`model`] with a lease of one second.
pub async fn claim(store: &dyn TaskStore, now: Timestamp) -> Option<TaskRecord> {
    store.claim(&model(), 1, now.after(Duration::from_secs(1)), now).await.unwrap().pop()
}

/// Claims the next task of [`model`], which must exist, and gives its fence.
pub async fn begin(store: &dyn TaskStore, now: Timestamp) -> Fence {
    claim(store, now).await.expect("a task to claim").fence().expect("a running task")
}

/// The state of a task that must exist.
pub async fn state(store: &dyn TaskStore, id: TaskId) -> TaskState {
    store.get(id).await.unwrap().expect("the task").state()
}

/// An answer in JSON.
pub fn answered(json: &'static str) -> Outcome {
    Outcome::Completed(StoredAnswer {
        content_type: Some("application/json".into()),
        body: Bytes::from_static(json.as_bytes()),
    })
}

/// The error of a handler.
pub fn raised() -> TaskError {
    TaskError::new(ErrorCode::HandlerFailed, "boom")
}

/// Runs every promise on one store. `$fixture` is a function beside the call that
/// makes a fresh [`Fixture`] for each.
#[macro_export]
macro_rules! task_store_conformance {
    ($store:ident, $fixture:ident) => {
        $crate::task_store_conformance!(@modules $store, $fixture,
            submissions {
                a_task_reads_back_as_it_was_sent,
                an_unknown_task_is_none,
                the_same_key_and_request_give_the_same_task,
                the_same_key_with_another_request_is_a_conflict,
                keys_belong_to_a_tenant_and_a_model,
                a_full_queue_refuses_until_there_is_room,
                many_at_once_are_all_kept,
            }
            runs {
                urgent_classes_go_first_and_then_the_oldest,
                a_task_is_claimed_once,
                a_peek_tells_whose_turn_it_is,
                a_claim_takes_only_its_model,
                several_are_claimed_together,
                an_answer_is_kept_byte_for_byte,
                a_failed_task_is_not_tried_again,
                a_task_is_tried_again_until_it_is_dead,
                an_attempt_that_was_not_begun_does_not_count,
                a_finished_task_never_runs_again,
                a_retry_waits_for_its_moment,
                progress_is_kept_for_the_attempt_that_made_it,
            }
            calls {
                a_cancelled_task_is_never_claimed,
                cancelling_takes_the_lease_from_what_runs,
                what_has_ended_cannot_be_cancelled,
                a_dead_task_can_be_replayed_with_all_its_attempts,
                only_tasks_without_an_answer_can_be_replayed,
                a_call_that_ended_is_kept_and_never_claimed,
            }
            attempts {
                every_attempt_that_failed_is_remembered_with_its_error,
                an_answer_leaves_the_failures_before_it_readable,
                a_lost_lease_and_a_lost_server_stand_in_the_history,
                a_cancelled_attempt_is_remembered_and_a_task_that_never_ran_has_none,
                of_very_many_failures_the_first_and_the_latest_are_kept,
                the_time_that_ran_out_does_not_hide_the_error_before_it,
            }
            dead {
                a_discarded_task_is_forgotten_and_its_key_is_free,
                only_dead_tasks_can_be_discarded,
                dead_tasks_are_found_by_the_code_of_their_error,
            }
            notices {
                the_end_of_a_task_with_a_webhook_is_noted_until_it_is_forgotten,
                each_end_of_a_task_is_a_notice_of_its_own,
                a_task_that_is_removed_takes_its_notice_along,
            }
            clock {
                a_delayed_task_is_ready_at_its_moment,
                a_task_whose_deadline_passed_fails_instead_of_running,
                a_retry_that_comes_after_the_deadline_fails_at_once,
                a_lease_that_ends_gives_the_task_to_the_next,
                a_lease_that_ends_counts_as_an_attempt,
                a_renewed_lease_lasts_longer,
                a_record_is_removed_after_its_time,
                a_sweep_does_no_more_than_asked,
            }
            restarts {
                nothing_is_forgotten,
                what_ran_is_queued_at_once,
                restarts_are_not_held_against_a_task,
                a_server_leaves_its_own_tasks_alone,
                an_answer_for_an_earlier_server_is_not_taken,
            }
            moves {
                a_moved_task_is_what_it_was,
                what_ran_elsewhere_waits_here,
                the_order_of_submission_is_kept_behind_what_is_there,
                a_task_that_is_there_is_left_alone,
                a_moved_key_is_known_and_a_taken_one_is_refused,
                whole_pages_go_from_the_oldest_to_the_newest_and_miss_none,
            }
            lists {
                pages_go_from_the_newest_to_the_oldest_and_miss_none,
                filters_narrow_a_list,
                a_page_goes_on_where_the_last_one_ended,
                tasks_are_counted_by_model_and_state,
            }
        );
    };
    (@modules $store:ident, $fixture:ident,
        $($part:ident { $($promise:ident),* $(,)? })*
    ) => {
        mod $store {
            $(mod $part {
                $(#[tokio::test]
                async fn $promise() {
                    $crate::conformance::$part::$promise(&super::super::$fixture()).await;
                })*
            })*
        }
    };
}
