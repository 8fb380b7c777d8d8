//! Paths and methods.

use std::sync::Arc;

use api::Body;
use http::{Method, Response};
use serde_json::json;
use worker::{Incoming, Route, RouteKind, Worker, WorkerError};

use crate::support::{client::request_to, handlers::ok, one_route, post, start};

#[tokio::test]
async fn a_path_that_is_none_is_told_where_the_routes_are_listed() {
    let worker = start(one_route(ok)).await;
    let answer = worker.client().await.get("/nowhere").await;
    answer.is_problem(404, "route_not_found", "GET /-/describe");
}

#[tokio::test]
async fn another_method_is_told_the_right_ones() {
    let worker = start(
        Worker::builder("test")
            .route(post("/call"), Arc::new(ok))
            .route(Route::new(RouteKind::Api, "PUT", "/call"), Arc::new(ok)),
    )
    .await;
    let answer = worker.client().await.get("/call").await;
    answer.is_problem(405, "method_not_allowed", "POST, PUT");
    assert_eq!(answer.header("allow"), "POST, PUT");
}

#[tokio::test]
async fn one_path_may_have_a_handler_for_each_method() {
    let said = |text: &'static str| {
        Arc::new(move |_: Incoming| async move { Ok(Response::new(Body::full(text))) })
    };
    let worker = start(
        Worker::builder("test")
            .route(Route::new(RouteKind::Api, "GET", "/thing"), said("get"))
            .route(Route::new(RouteKind::Api, "DELETE", "/thing"), said("delete")),
    )
    .await;
    let mut client = worker.client().await;
    assert_eq!(client.get("/thing").await.text(), "get");
    let delete = request_to(Method::DELETE, "/thing", 1, "");
    assert_eq!(client.send(delete).await.text(), "delete");
}

#[tokio::test]
async fn any_takes_every_method_even_one_that_we_never_heard_of() {
    let any = Route::new(RouteKind::Api, "ANY", "/any");
    let worker = start(Worker::builder("test").route(any, Arc::new(ok))).await;
    let mut client = worker.client().await;
    for method in ["GET", "POST", "PATCH", "BREW"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(client.send(request_to(method, "/any", 1, "")).await.status(), 200);
    }
}

#[tokio::test]
async fn the_description_tells_everything_that_can_be_called() {
    let worker = start(
        Worker::builder("digits")
            .version("7")
            .capacity(12)
            .capabilities(["chat"])
            .route(post("/predict"), Arc::new(ok))
            .route(
                Route {
                    summary: "Why.".into(),
                    timeout_s: Some(2.5),
                    input_schema: Some(json!({"type": "object"})),
                    ..Route::new(RouteKind::Sse, "POST", "/explain")
                },
                Arc::new(ok),
            ),
    )
    .await;
    let answer = worker.client().await.get("/-/describe").await;
    assert_eq!(
        answer.json(),
        json!({
            "name": "digits",
            "version": "7",
            "routes": [
                {"path": "/predict", "method": "POST", "kind": "api"},
                {"path": "/explain", "method": "POST", "kind": "sse", "summary": "Why.",
                 "timeout_s": 2.5, "input_schema": {"type": "object"}},
            ],
            "default_route": "/predict",
            "capacity": 12,
            "capabilities": ["chat"],
        })
    );
}

#[tokio::test]
async fn a_worker_that_serves_is_live_and_ready() {
    let worker = start(one_route(ok)).await;
    let mut client = worker.client().await;
    assert_eq!(client.get("/-/live").await.text(), r#"{"status":"live"}"#);
    assert_eq!(client.get("/-/ready").await.text(), r#"{"status":"ready"}"#);
    let wrong = client.send(request_to(Method::POST, "/-/live", 1, "")).await;
    wrong.is_problem(405, "method_not_allowed", "GET");
}

#[test]
fn a_route_that_cannot_be_served_is_told_how_to_mend_it() {
    let check = |route: Route, fix: &str| {
        let built = Worker::builder("test").route(route, Arc::new(ok)).build();
        let error = built.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(fix), "{error}");
    };
    check(post("call"), "begin the path with a slash");
    check(post("/-/call"), "belong to the contract");
    check(post("/call?x=1"), "leave query and fragment out");
    check(Route::new(RouteKind::Api, "post", "/call"), "write the method in capitals");
    check(Route::new(RouteKind::Api, "", "/call"), "write the method in capitals");
    check(Route::new(RouteKind::Ws, "GET", "/call"), "needs a socket handler");
    check(Route { timeout_s: Some(0.0), ..post("/call") }, "`timeout_s` must be above 0");
}

#[test]
fn a_worker_that_makes_no_sense_is_not_built() {
    let twice = one_route(ok).route(Route::new(RouteKind::Api, "ANY", "/call"), Arc::new(ok));
    let error = twice.build().err().unwrap().to_string();
    assert!(error.contains("declared twice"), "{error}");

    let elsewhere = one_route(ok).default_route("/elsewhere").build();
    let error = elsewhere.err().unwrap().to_string();
    assert!(error.contains("`/elsewhere` is none of the routes; name one of: /call"), "{error}");

    assert!(matches!(Worker::builder("test").build(), Err(WorkerError::DefaultRoute { .. })));
    let nameless = Worker::builder("no name").route(post("/call"), Arc::new(ok)).build();
    assert!(matches!(nameless, Err(WorkerError::Name(_))));
}
