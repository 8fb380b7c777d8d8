//! A worker that does what each call asks for, and writes what happens to it into the diary.
//!
//! It is this test program itself, started by the server as a model of kind `command`.

use std::{collections::BTreeMap, env, path::Path, sync::Arc, time::Duration};

use api::{Body, headers, worker::LAUNCH_ENV};
use http::{HeaderMap, Response};
use nix::sys::signal::Signal;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use types::{ErrorCode, Fault};
use worker::{
    Incoming, Message, Route, RouteKind, Running, Socket, Worker, WorkerLaunch, json, sse,
};

use super::{diary, process};

/// The configuration of a model of puppets; `more` are further lines of its table.
pub(crate) fn puppets(name: &str, more: &str) -> String {
    let program = env::current_exe().unwrap().display().to_string();
    let command = [&[program.as_str()][..], &serve_arguments()].concat();
    format!("[models.{name}]\nkind = 'command'\ncommand = {command:?}\n{more}\n")
}

/// With these arguments this program is nothing but a puppet.
pub(crate) fn serve_arguments() -> [&'static str; 3] {
    let serve = concat!(module_path!(), "::it_serves_what_it_is_launched_for");
    // The name of a test begins below the crate.
    let (_, serve) = serve.split_once("::").unwrap();
    [serve, "--exact", "--nocapture"]
}

/// With a launch in its environment this is the worker process; without, a test that the worker can
/// be put together.
#[tokio::test]
async fn it_serves_what_it_is_launched_for() {
    let Ok(launch) = env::var(LAUNCH_ENV) else {
        let described = puppet("puppet", "/act").description().clone();
        return assert_eq!((described.default_route.as_str(), described.routes.len()), ("/act", 5));
    };
    let launch: WorkerLaunch = serde_json::from_str(&launch).unwrap();
    let default_route = launch.metadata.get("default_route").and_then(Value::as_str);
    let worker = puppet(launch.model.as_str(), default_route.unwrap_or("/act"));
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let told = stop.clone();
    tokio::spawn(async move {
        terminate.recv().await;
        told.cancel();
    });
    tokio::select! {
        served = worker.serve(launch, stop) => served.unwrap(),
        () = worker::lifeline() => {}
    }
}

fn puppet(name: &str, default_route: &str) -> Worker {
    let route = |kind, method, path| Route::new(kind, method, path);
    Worker::builder(name)
        .route(route(RouteKind::Api, "POST", "/act"), Arc::new(act))
        .route(route(RouteKind::Sse, "POST", "/stream"), Arc::new(stream))
        .route(route(RouteKind::Api, "ANY", "/mirror"), Arc::new(mirror))
        .route(route(RouteKind::Api, "POST", "/picture"), Arc::new(picture))
        .websocket(route(RouteKind::Ws, "GET", "/socket"), Arc::new(socket))
        .default_route(default_route)
        .capacity(64)
        .build()
        .unwrap()
}

/// What a call asks for. The parts are done in this order.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Act {
    /// Names the call in the diary.
    note: String,
    /// Works on a thread that cannot be stopped, in milliseconds.
    deaf_ms: u64,
    /// Waits, in milliseconds.
    sleep_ms: u64,
    /// Reports progress all the while.
    progress: bool,
    /// Waits until there is a file of that name.
    until: Option<String>,
    /// Kills the process.
    die: bool,
    /// Fails with these words, in every attempt before `well_from`.
    fail: Option<String>,
    well_from: u64,
    /// Events of a stream; each but the first comes after the waits above.
    events: u64,
    /// Length of each event beyond its number, in bytes.
    padding: usize,
    /// Type of the content, if a stream is to pass for something else than events.
    kind: Option<String>,
}

impl Default for Act {
    fn default() -> Self {
        Self {
            note: "-".into(),
            deaf_ms: 0,
            sleep_ms: 0,
            progress: false,
            until: None,
            die: false,
            fail: None,
            well_from: u64::MAX,
            events: 3,
            padding: 0,
            kind: None,
        }
    }
}

impl Act {
    async fn wait(&self, running: &Running) {
        if self.deaf_ms > 0 {
            let (running, note) = (running.clone(), self.note.clone());
            let time = Duration::from_millis(self.deaf_ms);
            // The call holds its place for as long as the thread works.
            let work = tokio::task::spawn_blocking(move || {
                std::thread::sleep(time);
                diary::write("rested", &note);
                drop(running);
            });
            work.await.unwrap();
        }
        self.sleep(running).await;
        while self.until.as_ref().is_some_and(|name| !Path::new(name).exists()) {
            sleep(Duration::from_millis(2)).await;
        }
        if self.die {
            process::send(std::process::id().cast_signed(), Signal::SIGKILL);
        }
    }

    async fn sleep(&self, running: &Running) {
        let whole = Duration::from_millis(self.sleep_ms);
        if !self.progress {
            return sleep(whole).await;
        }
        let pieces: u32 = 20;
        for piece in 1..=pieces {
            sleep(whole / pieces).await;
            running.progress(Some(f64::from(piece) / f64::from(pieces)), None, None);
        }
    }

    fn result(&self, attempt: u64) -> Result<(), Fault> {
        match &self.fail {
            Some(words) if attempt < self.well_from => {
                Err(Fault::new(ErrorCode::HandlerFailed, words.clone()))
            }
            _ => Ok(()),
        }
    }
}

/// A call in the diary: `begun`, and then `ended` or `cancelled`.
struct Page {
    note: String,
    ended: bool,
}

impl Page {
    fn begin(note: &str) -> Self {
        diary::write("begun", note);
        Self { note: note.to_owned(), ended: false }
    }

    fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        diary::write(if self.ended { "ended" } else { "cancelled" }, &self.note);
    }
}

/// `/act`: does what the call asks for, and tells who did it and how it was asked.
async fn act(mut incoming: Incoming) -> Result<Response<Body>, Fault> {
    let told = fields(incoming.request.headers());
    let attempt = incoming.header(&headers::ATTEMPT).map_or(1, |text| text.parse().unwrap());
    let act: Act = json::read(&mut incoming).await?;
    let page = Page::begin(&act.note);
    act.wait(&incoming.running).await;
    page.end();
    act.result(attempt)?;
    json::answer(&json!({
        "note": act.note,
        "pid": std::process::id(),
        "headers": told,
        "environment": env::vars().collect::<BTreeMap<_, _>>(),
    }))
}

/// `/stream`: numbers as events.
async fn stream(mut incoming: Incoming) -> Result<Response<Body>, Fault> {
    let act: Act = json::read(&mut incoming).await?;
    let running = incoming.running.clone();
    let kind = act.kind.as_deref().map(|kind| kind.parse().unwrap());
    let mut answer = sse::respond(4, |events| async move {
        let page = Page::begin(&act.note);
        for number in 0..act.events {
            if number > 0 {
                act.wait(&running).await;
                act.result(1)?;
            }
            let data = format!("{number}{}", " ".repeat(act.padding));
            events.send(&sse::Event::data(data)).await?;
        }
        page.end();
        Ok(())
    });
    if let Some(kind) = kind {
        answer.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    }
    Ok(answer)
}

/// `/mirror`: shows the request as it came.
async fn mirror(mut incoming: Incoming) -> Result<Response<Body>, Fault> {
    let body = incoming.read_body().await?;
    json::answer(&json!({
        "method": incoming.request.method().as_str(),
        "target": incoming.request.uri().to_string(),
        "headers": fields(incoming.request.headers()),
        "body": String::from_utf8_lossy(&body),
    }))
}

/// `/picture`: the body back as a picture, whatever it was.
async fn picture(mut incoming: Incoming) -> Result<Response<Body>, Fault> {
    let kind = incoming.header(&http::header::CONTENT_TYPE).unwrap_or_default().to_owned();
    let body = incoming.read_body().await?;
    let answer = Response::builder().header("content-type", "image/png").header("x-was", kind);
    Ok(answer.body(Body::full(body)).unwrap())
}

/// `/socket`: gives every message back.
async fn socket(incoming: Incoming, mut socket: Socket) -> Result<(), Fault> {
    let page = Page::begin(incoming.request.uri().query().unwrap_or("-"));
    while let Some(message) = socket.recv().await {
        if matches!(&message, Message::Text(text) if *text == "fail") {
            page.end();
            return Err(Fault::new(ErrorCode::HandlerFailed, "as you wish"));
        }
        if socket.send(message).await.is_err() {
            break;
        }
    }
    page.end();
    Ok(())
}

fn fields(headers: &HeaderMap) -> Map<String, Value> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value).into())).collect()
}
