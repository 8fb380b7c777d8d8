//! What a task's call is like, and what its answer leads to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use api::{Body, EndpointError, task::TaskState};
use dispatch::{Call, Prefix, Route};
use fleet::Availability;
use http::{Request, Response};
use tasks::{Submission, TaskSettings};
use tokio::sync::Semaphore;
use types::{CallId, ErrorCode, Fault, ModelSpec, Priority, Tenant};
use uuid::Uuid;

use crate::house::{House, json, result, spec, until};

#[tokio::test]
async fn a_task_is_called_and_its_answer_kept_as_it_is() {
    let house = House::new();
    let endpoint = house.declare_echo();
    let submission = Submission {
        payload: "{\"b\":1.50,  \"a\":[]}".into(),
        traceparent: Some("00-abc".into()),
        request_id: "r1".into(),
        ..house.submission()
    };
    let id = house.submit_as(submission).await;
    let view = house.end(id).await;
    assert_eq!((view.state, view.status.as_str()), (TaskState::Completed, "completed"));
    assert_eq!(result(&view), "{\"b\":1.50,  \"a\":[]}");
    assert_eq!(view.payload.unwrap().get(), "{\"b\":1.50,  \"a\":[]}");
    assert_eq!((view.attempt, view.error_code), (1, None));

    let seen = &endpoint.seen()[0];
    assert_eq!(seen.path, "/");
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-task-id", &id.to_string()),
        ("x-attempt", "1"),
        ("idempotency-key", &id.to_string()),
        ("traceparent", "00-abc"),
        ("x-request-id", "r1"),
        ("x-tenant", "default"),
        ("x-priority", "normal"),
    ] {
        assert_eq!(seen.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn a_route_and_a_key_are_passed_on() {
    let house = House::new();
    let endpoint = house.declare_echo();
    let id = house
        .submit_as(Submission {
            route: Some("/explain?depth=2".into()),
            idempotency_key: Some("mine".into()),
            ..house.submission()
        })
        .await;
    house.end(id).await;
    assert_eq!(endpoint.seen()[0].path, "/explain?depth=2");
    assert_eq!(endpoint.seen()[0].header("idempotency-key"), "mine");
}

#[tokio::test]
async fn an_answer_of_another_type_is_kept_with_its_type() {
    let house = House::new();
    house.declare(1, |_| async {
        let mut answer = Response::new(Body::full("\u{89}PNG"));
        answer.headers_mut().insert("content-type", "image/png".parse().unwrap());
        Ok(answer)
    });
    let id = house.submit().await;
    let view = house.end(id).await;
    assert_eq!(result(&view), r#"{"content_type":"image/png","bytes":5,"base64":"wolQTkc="}"#);
}

#[tokio::test]
async fn a_handler_that_fails_is_tried_again_with_the_same_key() {
    let house = House::new();
    let calls = Arc::new(AtomicUsize::new(0));
    let endpoint = house.declare(1, move |_| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        async move {
            match call {
                0 => Ok(json(500, r#"{"detail":"boom"}"#)),
                1 => {
                    let fault = Fault::new(ErrorCode::WorkerFailed, "the worker died");
                    Err(EndpointError::maybe_begun(fault))
                }
                _ => Ok(json(200, "7")),
            }
        }
    });
    let id = house.submit().await;
    let view = house.end(id).await;
    assert_eq!((view.state, result(&view), view.attempt), (TaskState::Completed, "7", 3));
    let seen = endpoint.seen();
    let attempts: Vec<_> = seen.iter().map(|seen| seen.header("x-attempt")).collect();
    assert_eq!(attempts, ["1", "2", "3"]);
    assert!(seen.iter().all(|seen| seen.header("idempotency-key") == id.to_string()));
}

#[tokio::test]
async fn a_task_whose_attempts_are_used_up_is_dead_and_can_be_tried_anew() {
    let house = House::new();
    let endpoint = house.declare(1, |seen| async move {
        match seen.header("x-attempt") {
            "4" => Ok(json(200, "1")),
            _ => Ok(json(500, r#"{"detail":"boom","code":"handler_failed"}"#)),
        }
    });
    let id = house.submit().await;
    let view = house.end(id).await;
    assert_eq!((view.state, view.status.as_str()), (TaskState::Dead, "failed"));
    assert_eq!(result(&view), r#"{"error":"boom"}"#);
    assert_eq!(view.error_code.as_deref(), Some("handler_failed"));
    assert_eq!(endpoint.calls(), 3);

    house.tasks.retry(id).await.unwrap();
    let view = house.end(id).await;
    assert_eq!((view.state, result(&view)), (TaskState::Completed, "1"));
    assert_eq!(house.tasks.retry(id).await.unwrap_err().code, ErrorCode::TaskFinished);
}

#[tokio::test]
async fn input_that_the_model_refuses_is_not_tried_again() {
    let house = House::new();
    let endpoint = house.declare(1, |_| async {
        let mut answer = json(422, r#"{"detail":"payload.prompt is required"}"#);
        answer.headers_mut().insert("x-error-code", "invalid_input".parse().unwrap());
        Ok(answer)
    });
    let id = house.submit().await;
    let view = house.end(id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Failed, 1));
    assert_eq!(result(&view), r#"{"error":"payload.prompt is required"}"#);
    assert_eq!(view.error_code.as_deref(), Some("invalid_input"));
    assert_eq!(endpoint.calls(), 1);
}

#[tokio::test]
async fn an_answer_that_is_too_large_ends_the_task() {
    let settings = TaskSettings { answer_bytes_max: 10, ..TaskSettings::default() };
    let house = House::with(spec(), settings);
    let endpoint = house.declare(1, |_| async { Ok(json(200, "[1,2,3,4,5,6,7]")) });
    let id = house.submit().await;
    let view = house.end(id).await;
    assert_eq!(
        (view.state, view.error_code.as_deref()),
        (TaskState::Failed, Some("body_too_large"))
    );
    assert_eq!(endpoint.calls(), 1);
}

#[tokio::test]
async fn a_model_that_takes_no_calls_costs_a_task_no_attempt() {
    let house = House::new();
    let reason = "no interpreter".to_owned();
    house.fleet.set_availability(&house.model, Availability::Failing { reason });
    let id = house.submit().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let view = house.tasks.get(id).await.unwrap();
    assert_eq!((view.state, view.attempt), (TaskState::Queued, 0));

    house.fleet.set_availability(&house.model, Availability::Ready);
    house.declare_echo();
    let view = house.end(id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Completed, 1));
}

#[tokio::test]
async fn tasks_and_calls_share_the_cap_of_their_model() {
    let house =
        House::with(ModelSpec { max_concurrency: Some(2), ..spec() }, TaskSettings::default());
    let endpoint = house.declare(8, |_| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(json(200, "1"))
    });
    let mut ids = Vec::new();
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let call = Call {
                call_id: CallId::new(Uuid::now_v7()),
                model: house.model.clone(),
                route: Route::Default,
                tenant: Tenant::default(),
                priority: Priority::Normal,
                deadline: None,
                prefix: Prefix::default(),
                request: Request::post("/").body(Body::full("{}")).unwrap(),
            };
            let dispatcher = house.dispatcher.clone();
            tokio::spawn(async move { dispatcher.call(call).await.map(drop) })
        })
        .collect();
    for _ in 0..6 {
        ids.push(house.submit().await);
    }
    for id in ids {
        assert_eq!(house.end(id).await.state, TaskState::Completed);
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!((endpoint.calls(), endpoint.running_most()), (12, 2));
}

#[tokio::test]
async fn urgent_tasks_overtake_those_that_wait() {
    let house = House::new();
    let gate = Arc::new(Semaphore::new(0));
    let opened = gate.clone();
    let endpoint = house.declare(1, move |_| {
        let gate = opened.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(json(200, "1"))
        }
    });
    let mut ids = Vec::new();
    for (number, priority) in
        [Priority::Normal, Priority::Low, Priority::Normal, Priority::High].into_iter().enumerate()
    {
        let payload = number.to_string().into();
        ids.push(house.submit_as(Submission { priority, payload, ..house.submission() }).await);
        if number == 0 {
            until("the first runs", || endpoint.calls() == 1).await;
        }
    }
    gate.add_permits(4);
    for id in ids {
        house.end(id).await;
    }
    let order: Vec<_> = endpoint.seen().iter().map(|seen| seen.body.clone()).collect();
    assert_eq!(order, ["0", "3", "2", "1"]);
}

#[tokio::test]
async fn a_task_may_be_told_to_start_later() {
    let house = House::new();
    let endpoint = house.declare_echo();
    let wait = Duration::from_millis(150);
    let begun = Instant::now();
    let id = house.submit_as(Submission { start_after: Some(wait), ..house.submission() }).await;
    let soon = house.submit().await;
    house.end(soon).await;
    assert_eq!(endpoint.calls(), 1);
    house.end(id).await;
    assert!(begun.elapsed() >= wait);
}

#[tokio::test]
async fn a_task_that_is_worthless_by_now_fails() {
    let house = House::new();
    let deadline = Some(Duration::from_millis(50));
    let id = house.submit_as(Submission { deadline, ..house.submission() }).await;
    let view = house.end(id).await;
    let code = view.error_code.as_deref();
    assert_eq!((view.state, code), (TaskState::Failed, Some("deadline_exceeded")));
}

#[tokio::test]
async fn a_call_that_runs_into_the_deadline_of_its_task_is_not_tried_again() {
    let house = House::new();
    let endpoint = house.declare(1, |seen| async move {
        let left: u64 = seen.header("x-deadline-ms").parse().unwrap();
        assert!(left <= 100, "{left}");
        std::future::pending().await
    });
    let deadline = Some(Duration::from_millis(100));
    let id = house.submit_as(Submission { deadline, ..house.submission() }).await;
    let view = house.end(id).await;
    let code = view.error_code.as_deref();
    assert_eq!((view.state, code), (TaskState::Failed, Some("deadline_exceeded")));
    assert_eq!((endpoint.calls(), endpoint.dropped()), (1, 1));
}
