//! A WebDAV server over a folder, with locks. It can be full, or keep lengths to itself.

use std::{
    convert::Infallible,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use dav_server::{DavHandler, body::Body, localfs::LocalFs, memls::MemLs};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Collected};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::{net::TcpListener, task::JoinHandle};

/// What a test can turn while the server runs, and see.
#[derive(Debug, Default)]
pub(crate) struct Knobs {
    /// So many uploads of something are answered with 507.
    pub(crate) full: AtomicUsize,
    /// How long files are is not said.
    pub(crate) silent: AtomicBool,
    /// The times for which locks were asked for.
    pub(crate) leases: Mutex<Vec<String>>,
}

impl Knobs {
    /// An answer before the request comes to the folder.
    fn refusal(&self, request: &Request<Incoming>) -> Option<StatusCode> {
        if let Some(lease) = request.headers().get("timeout") {
            self.leases.lock().push(lease.to_str().unwrap_or_default().to_owned());
        }
        let empty =
            request.headers().get(header::CONTENT_LENGTH).is_none_or(|length| length == "0");
        let refused = request.method() == Method::PUT
            && !empty
            && self
                .full
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                .is_ok();
        refused.then_some(StatusCode::INSUFFICIENT_STORAGE)
    }

    async fn answer(&self, handler: DavHandler, request: Request<Incoming>) -> Response<Body> {
        if let Some(status) = self.refusal(&request) {
            // What breaks off meanwhile needs no answer.
            let _ = request.into_body().collect().await;
            let mut answer = Response::new(Body::empty());
            *answer.status_mut() = status;
            return answer;
        }
        let method = request.method().clone();
        let mut answer = handler.handle(request).await;
        if !self.silent.load(Ordering::Relaxed) {
            return answer;
        }
        if method == Method::HEAD {
            answer.headers_mut().remove(header::CONTENT_LENGTH);
            let chunked = HeaderValue::from_static("chunked");
            answer.headers_mut().insert(header::TRANSFER_ENCODING, chunked);
        }
        if method.as_str() != "PROPFIND" {
            return answer;
        }
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
        let body = String::from_utf8_lossy(&body).replace("getcontentlength", "a-secret-property");
        let mut answer = Response::from_parts(head, Body::from(body));
        answer.headers_mut().remove(header::CONTENT_LENGTH);
        answer
    }
}

/// A running server; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) knobs: Arc<Knobs>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves `folder` at `/` on a free port of this machine.
    pub(crate) async fn start(folder: &Path) -> io::Result<Self> {
        let handler = DavHandler::builder()
            .filesystem(LocalFs::new(folder, false, false, false))
            .locksystem(MemLs::new())
            .build_handler();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let knobs = Arc::<Knobs>::default();
        let served = Arc::clone(&knobs);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (handler, knobs) = (handler.clone(), Arc::clone(&served));
                let answer = service_fn(move |request| {
                    let (handler, knobs) = (handler.clone(), Arc::clone(&knobs));
                    async move { Ok::<_, Infallible>(knobs.answer(handler, request).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        Ok(Self { port, knobs, task })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
