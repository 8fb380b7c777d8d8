//! A gateway as a worker sees it: takes it in, and remembers what it tells.

use std::{
    convert::Infallible,
    path::Path,
    sync::{Arc, Mutex},
};

use api::worker::{Address, EngineStats, Heartbeat, Outcome, Report, Reports};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;
use tokio_util::task::AbortOnDropHandle;

use crate::toy::eventually;

/// What it was told.
#[derive(Default)]
struct Told {
    joined: bool,
    ended: Vec<(Outcome, Vec<(String, u64)>)>,
    engine: Option<EngineStats>,
}

/// A gateway that listens until it is dropped.
pub(crate) struct Gateway {
    pub(crate) address: Address,
    told: Arc<Mutex<Told>>,
    _serving: AbortOnDropHandle<()>,
}

impl Gateway {
    pub(crate) fn start(dir: &Path) -> Self {
        let path = dir.join("gateway.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let told = Arc::default();
        let serving = tokio::spawn(serve(listener, Arc::clone(&told)));
        let serving = AbortOnDropHandle::new(serving);
        Self { address: Address::Unix(path), told, _serving: serving }
    }

    pub(crate) async fn is_joined(&self) {
        eventually(|| self.told.lock().unwrap().joined).await;
    }

    /// Waits for the end of one call, and says how it ended and what it used, unit by unit.
    pub(crate) async fn one_ended(&self) -> (Outcome, Vec<(String, u64)>) {
        eventually(|| self.told.lock().unwrap().ended.len() == 1).await;
        self.told.lock().unwrap().ended.remove(0)
    }

    /// Waits until a heartbeat tells something of the engine.
    pub(crate) async fn engine_is(&self, what: impl Fn(&EngineStats) -> bool) {
        eventually(|| self.told.lock().unwrap().engine.as_ref().is_some_and(&what)).await;
    }
}

async fn serve(listener: UnixListener, told: Arc<Mutex<Told>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let told = Arc::clone(&told);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&told), request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    told: Arc<Mutex<Told>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut told = told.lock().unwrap();
    let answer = match (&head.method, head.uri.path()) {
        (&Method::POST, "/internal/v1/workers") => {
            told.joined = true;
            r#"{"worker_id":"00000000-0000-0000-0000-00000000002a","epoch":1,"lease_ms":60000}"#
        }
        (&Method::PUT, _) => {
            told.engine = serde_json::from_slice::<Heartbeat>(&body).unwrap().engine.map(|it| *it);
            r#"{"lease_ms":60000}"#
        }
        (&Method::POST, _) => {
            for report in serde_json::from_slice::<Reports>(&body).unwrap().reports {
                if let Report::Ended { outcome, usage, .. } = report {
                    told.ended.push((outcome, usage.into_iter().collect()));
                }
            }
            "{}"
        }
        _ => "{}",
    };
    Ok(Response::new(Full::new(Bytes::from_static(answer.as_bytes()))))
}
