//! A gateway as workers see it: takes registrations, heartbeats and reports, and remembers them.

use std::{convert::Infallible, sync::Arc, time::Duration};

use api::worker::{
    Address, Heartbeat, Membership, Registration, Report, Reports, RunningCall, WorkerLaunch,
};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::{
    net::UnixListener,
    task::{JoinHandle, JoinSet},
};
use types::WorkerId;
use uuid::Uuid;

use super::eventually;

pub(crate) const JOIN_TOKEN: &str = "let-me-in";
pub(crate) const WORKER_ID: u128 = 42;

/// What a gateway was told.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) registrations: Vec<Registration>,
    pub(crate) heartbeats: Vec<Heartbeat>,
    pub(crate) reports: Vec<Report>,
    pub(crate) departures: usize,
    /// Requests without the right token, or to a path that is none.
    pub(crate) strange: Vec<String>,
}

/// How a gateway answers.
#[derive(Clone, Copy, Default)]
pub(crate) struct Manners {
    /// Answers registrations with this status.
    pub(crate) refuses: Option<StatusCode>,
    /// Answers the next heartbeat with this status.
    pub(crate) forgets: Option<StatusCode>,
    /// Answers reports with this status.
    pub(crate) refuses_reports: Option<StatusCode>,
}

#[derive(Clone, Default)]
struct State {
    told: Arc<Mutex<Told>>,
    manners: Arc<Mutex<Manners>>,
}

/// A gateway that listens on a unix socket.
pub(crate) struct Gateway {
    dir: TempDir,
    state: State,
    serving: Option<JoinHandle<()>>,
}

impl Gateway {
    /// A gateway that listens.
    pub(crate) fn start() -> Self {
        let mut gateway = Self::absent();
        gateway.appear();
        gateway
    }

    /// A gateway that does not listen yet.
    pub(crate) fn absent() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), state: State::default(), serving: None }
    }

    pub(crate) fn appear(&mut self) {
        let listener = UnixListener::bind(self.dir.path().join("gateway.sock")).unwrap();
        self.serving = Some(tokio::spawn(serve(listener, self.state.clone())));
    }

    /// Changes a launch so that the worker joins here.
    pub(crate) fn admits(&self, launch: &mut WorkerLaunch) {
        launch.gateway = Some(Address::Unix(self.dir.path().join("gateway.sock")));
        launch.join_token = JOIN_TOKEN.into();
        launch.launch_id = "launch-1".into();
        launch.heartbeat_ms = 20;
    }

    pub(crate) fn set_manners(&self, manners: Manners) {
        *self.state.manners.lock() = manners;
    }

    pub(crate) fn look<R>(&self, look: impl FnOnce(&Told) -> R) -> R {
        look(&self.state.told.lock())
    }

    /// Waits until what it was told fits.
    pub(crate) async fn is_told(&self, what: impl Fn(&Told) -> bool) {
        eventually(|| self.look(&what)).await;
    }

    pub(crate) async fn is_joined(&self) {
        self.is_told(|told| !told.registrations.is_empty()).await;
    }

    /// The calls of the next heartbeat.
    pub(crate) async fn next_heartbeat(&self) -> Vec<RunningCall> {
        let before = self.look(|told| told.heartbeats.len());
        // The one after the next was surely begun after now.
        self.is_told(|told| told.heartbeats.len() >= before + 2).await;
        self.look(|told| told.heartbeats.last().unwrap().running.clone())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

async fn serve(listener: UnixListener, state: State) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = state.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| answer(state.clone(), request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    state: State,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let what = format!("{} {}", head.method, head.uri.path());
    let authorized = head.headers.get(header::AUTHORIZATION);
    if authorized.is_none_or(|value| value != &format!("Bearer {JOIN_TOKEN}")) {
        state.told.lock().strange.push(what);
        return Ok(reply(StatusCode::UNAUTHORIZED, "{}".into()));
    }
    let (status, body) = state.hear(&what, &head.method, &body);
    Ok(reply(status, body))
}

fn reply(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::new(body.into())).unwrap()
}

impl State {
    fn hear(&self, what: &str, method: &Method, body: &[u8]) -> (StatusCode, String) {
        let worker_id = WorkerId::new(Uuid::from_u128(WORKER_ID));
        let own = format!("/internal/v1/workers/{worker_id}");
        let (mut told, mut manners) = (self.told.lock(), self.manners.lock());
        let path = what.split(' ').nth(1).unwrap();
        if path == "/internal/v1/workers" && method == Method::POST {
            if let Some(status) = manners.refuses {
                return (status, r#"{"detail":"no"}"#.into());
            }
            told.registrations.push(serde_json::from_slice(body).unwrap());
            let epoch = told.registrations.len() as u64;
            let membership = Membership { worker_id, epoch, lease_ms: 1_000 };
            return (StatusCode::CREATED, serde_json::to_string(&membership).unwrap());
        }
        if path == format!("{own}/heartbeat") && method == Method::PUT {
            if let Some(status) = manners.forgets.take() {
                return (status, "{}".into());
            }
            told.heartbeats.push(serde_json::from_slice(body).unwrap());
            return (StatusCode::OK, r#"{"lease_ms":1000}"#.into());
        }
        if path == format!("{own}/reports") && method == Method::POST {
            if let Some(status) = manners.refuses_reports {
                return (status, "{}".into());
            }
            let reports: Reports = serde_json::from_slice(body).unwrap();
            told.reports.extend(reports.reports);
            return (StatusCode::NO_CONTENT, String::new());
        }
        if path == own && method == Method::DELETE {
            told.departures += 1;
            return (StatusCode::NO_CONTENT, String::new());
        }
        told.strange.push(what.to_owned());
        (StatusCode::NOT_FOUND, "{}".into())
    }
}

/// Long enough for several heartbeats of [`Gateway::admits`].
pub(crate) const SEVERAL_HEARTBEATS: Duration = Duration::from_millis(100);
