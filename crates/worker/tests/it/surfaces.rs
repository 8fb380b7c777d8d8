//! Workers that look like another kind of server, and paths with parameters.

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use api::{Body, worker::Address};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};
use types::Fault;
use worker::{
    Cors, Incoming, Page, ParamKind, Route, RouteKind, Socket, Surface, Worker, WorkerBuilder,
};

use crate::support::{
    client::request_to,
    handlers::{Gate, ok},
    one_route, post, soon, start,
};

fn plain_failure(fault: &Fault) -> Response<Body> {
    let mut response = Response::new(Body::full(format!("sorry: {}", fault.detail)));
    *response.status_mut() = StatusCode::from_u16(fault.code.status()).unwrap();
    response
}

fn page(text: &'static str, takes_head: bool) -> Page {
    let content_type = HeaderValue::from_static("text/plain");
    Page { content_type, body: Bytes::from_static(text.as_bytes()), takes_head }
}

fn surface() -> Surface {
    Surface::new(plain_failure).page("/health", page("fine", false)).page("/doc", page("d", true))
}

/// Says what the holes of its path took.
async fn params(incoming: Incoming) -> Result<Response<Body>, Fault> {
    let told = incoming.path_params().iter().map(|p| format!("{}={:?}", p.name, p.text));
    Ok(Response::new(Body::full(told.collect::<Vec<_>>().join(" "))))
}

fn get(path: &str) -> Route {
    Route::new(RouteKind::Api, "GET", path)
}

fn asked(method: Method, path: &str, head: &[(&str, &str)]) -> Request<Body> {
    let mut request = request_to(method, path, 1, "");
    for (name, value) in head {
        let name: HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn pages_are_there_also_while_the_worker_is_full() {
    let gate = Gate::closed();
    let builder = one_route(gate.clone()).capacity(1).surface(surface());
    let worker = start(builder).await;
    let waiting = worker.client().await.sending(request_to(Method::POST, "/call", 1, ""));
    gate.holds(1).await;
    let mut client = worker.client().await;
    assert_eq!(client.get("/health").await.text(), "fine");
    let refused = client.post("").await;
    refused.was_not_begun();
    assert!(refused.text().starts_with("sorry: this worker holds as many"), "{}", refused.text());
    gate.let_through(1);
    assert_eq!(waiting.await.unwrap().status(), 200);
}

#[tokio::test]
async fn faults_look_as_the_surface_says() {
    let worker = start(one_route(ok).surface(surface())).await;
    let mut client = worker.client().await;
    let nowhere = client.get("/nowhere").await;
    assert_eq!((nowhere.status().as_u16(), nowhere.text()), (404, "sorry: there is no such route"));
    let wrong = client.get("/call").await;
    assert_eq!((wrong.status().as_u16(), wrong.header("allow")), (405, "POST"));
    // A page has methods too.
    for (path, allow) in [("/health", "GET"), ("/doc", "GET, HEAD")] {
        let wrong = client.send(request_to(Method::POST, path, 1, "")).await;
        assert_eq!((wrong.status().as_u16(), wrong.header("allow")), (405, allow));
    }
    assert_eq!(client.send(request_to(Method::HEAD, "/health", 1, "")).await.status(), 405);
    assert_eq!(client.send(request_to(Method::HEAD, "/doc", 1, "")).await.status(), 200);
}

#[tokio::test]
async fn a_surface_has_no_control_routes() {
    let worker = start(one_route(ok).surface(surface())).await;
    let mut client = worker.client().await;
    assert_eq!(client.get("/-/describe").await.status(), 404);
    assert_eq!(client.send(request_to(Method::POST, "/-/drain", 1, "")).await.status(), 404);
    assert_eq!(client.post("").await.text(), "ok");
}

#[tokio::test]
async fn a_slash_at_the_end_makes_no_difference_on_a_surface() {
    let builder = |builder: WorkerBuilder| {
        builder.route(get("/a"), Arc::new(ok)).route(get("/b/"), Arc::new(ok))
    };
    let worker = start(builder(Worker::builder("test")).surface(surface())).await;
    let mut client = worker.client().await;
    for path in ["/a", "/a/", "/b", "/b/"] {
        assert_eq!(client.get(path).await.status(), 200, "{path}");
    }
    assert_eq!(client.get("/a//").await.status(), 404);
    let native = start(builder(Worker::builder("test"))).await;
    let mut client = native.client().await;
    assert_eq!(client.get("/a/").await.status(), 404);
    assert_eq!(client.get("/b").await.status(), 404);
}

#[tokio::test]
async fn a_path_with_parameters_tells_what_they_took() {
    let worker = start(
        Worker::builder("test")
            .route(get("/files/{name}"), Arc::new(params))
            .route(get("/all/{rest:path}"), Arc::new(params))
            .route(
                get("/n/{n:int}"),
                Arc::new(|incoming: Incoming| async move {
                    assert_eq!(incoming.path_params()[0].kind, ParamKind::Int);
                    params(incoming).await
                }),
            ),
    )
    .await;
    let mut client = worker.client().await;
    assert_eq!(client.get("/files/a%20b?x=1").await.text(), r#"name="a b""#);
    assert_eq!(client.get("/all/a/b%2Fc").await.text(), r#"rest="a/b/c""#);
    assert_eq!(client.get("/n/7").await.text(), r#"n="7""#);
    assert_eq!(client.get("/n/x").await.status(), 404);
    assert_eq!(client.get("/files/a/b").await.status(), 404);
    let wrong = client.send(request_to(Method::POST, "/files/a", 1, "")).await;
    assert_eq!((wrong.status().as_u16(), wrong.header("allow")), (405, "GET"));
}

#[tokio::test]
async fn of_several_routes_that_would_do_the_first_is_taken() {
    let said = |text: &'static str| {
        Arc::new(move |_: Incoming| async move { Ok(Response::new(Body::full(text))) })
    };
    let worker = start(
        Worker::builder("test")
            .route(get("/early"), said("early"))
            .route(get("/{any:path}"), said("any"))
            .route(get("/late"), said("late"))
            .route(post("/late"), said("posted")),
    )
    .await;
    let mut client = worker.client().await;
    for (path, text) in [("/early", "early"), ("/late", "any"), ("/other/x", "any")] {
        assert_eq!(client.get(path).await.text(), text, "{path}");
    }
    assert_eq!(client.send(request_to(Method::POST, "/late", 1, "")).await.text(), "posted");
}

#[tokio::test]
async fn a_socket_and_a_route_may_share_a_path() {
    let socket = |_: Incoming, _: Socket| async { Ok(()) };
    let worker = start(
        Worker::builder("test")
            .websocket(Route::new(RouteKind::Ws, "GET", "/both"), Arc::new(socket))
            .route(get("/both"), Arc::new(ok)),
    )
    .await;
    let mut client = worker.client().await;
    assert_eq!(client.get("/both").await.text(), "ok");
    let upgrade = asked(
        Method::GET,
        "/both",
        &[
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ],
    );
    assert_eq!(client.begin(upgrade).await.status(), 101);
}

#[tokio::test]
async fn a_browser_is_told_that_every_site_may_call() {
    let worker = start(one_route(ok).surface(surface().cors(Cors::new([star()])))).await;
    let mut client = worker.client().await;
    let origin = ("origin", "https://shop.example");
    let call = client.send(asked(Method::POST, "/call", &[origin])).await;
    assert_eq!(call.header("access-control-allow-origin"), "*");
    assert_eq!(call.header("access-control-allow-credentials"), "true");
    // A browser that sends cookies wants to hear its own name.
    let call = client.send(asked(Method::POST, "/call", &[origin, ("cookie", "a=b")])).await;
    assert_eq!(call.header("access-control-allow-origin"), "https://shop.example");
    assert_eq!(call.header("vary"), "Origin");
    let nowhere = client.send(asked(Method::GET, "/nowhere", &[origin])).await;
    assert_eq!(nowhere.header("access-control-allow-origin"), "*");
    let same_site = client.post("").await;
    assert_eq!(same_site.header("access-control-allow-origin"), "");

    let asks = [
        origin,
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "x-a, x-b"),
    ];
    let preflight = client.send(asked(Method::OPTIONS, "/call", &asks)).await;
    assert_eq!((preflight.status().as_u16(), preflight.text()), (200, "OK"));
    assert_eq!(preflight.header("access-control-allow-origin"), "https://shop.example");
    assert_eq!(preflight.header("access-control-allow-headers"), "x-a, x-b");
    assert_eq!(
        preflight.header("access-control-allow-methods"),
        "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    );
    // Without the question it is a request like any other.
    assert_eq!(client.send(asked(Method::OPTIONS, "/call", &[origin])).await.status(), 405);
}

#[tokio::test]
async fn a_site_that_was_not_named_may_not_call() {
    let cors = Cors::new([HeaderValue::from_static("https://shop.example")]);
    let worker = start(one_route(ok).surface(surface().cors(cors))).await;
    let mut client = worker.client().await;
    let call =
        client.send(asked(Method::POST, "/call", &[("origin", "https://evil.example")])).await;
    assert_eq!(call.header("access-control-allow-origin"), "");
    let named =
        client.send(asked(Method::POST, "/call", &[("origin", "https://shop.example")])).await;
    assert_eq!(named.header("access-control-allow-origin"), "https://shop.example");
    let asks = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
    let preflight = client.send(asked(Method::OPTIONS, "/call", &asks)).await;
    assert_eq!((preflight.status().as_u16(), preflight.text()), (400, "Disallowed CORS origin"));
    assert_eq!(preflight.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn a_socket_in_the_file_system_has_the_mode_that_was_asked_for() {
    let worker = start(one_route(ok).socket_mode(0o660)).await;
    let mode = fs::metadata(worker.dir.path().join("worker.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}

fn star() -> HeaderValue {
    HeaderValue::from_static("*")
}

#[tokio::test]
async fn a_client_that_is_refused_while_it_writes_hears_the_answer() {
    let worker = start(one_route(ok).surface(surface())).await;
    let Address::Unix(path) = &worker.address else { panic!("a worker of a test has a socket") };
    let mut stream = UnixStream::connect(path).await.unwrap();
    stream
        .write_all(b"POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n")
        .await
        .unwrap();
    // The worker has the head, and knows its answer, before the body comes.
    tokio::time::sleep(Duration::from_millis(20)).await;
    stream.write_all(b"late").await.unwrap();
    let mut head = [0; 12];
    soon(stream.read_exact(&mut head)).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 404");
    // The connection is good for another request.
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"fine") {
        text.push(soon(stream.read_u8()).await.unwrap());
    }
}
