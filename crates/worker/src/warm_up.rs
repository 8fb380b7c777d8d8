//! The first call of a worker, made by itself.

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use types::{ErrorCode, Fault};

use crate::{WorkerError, call, handler::Service, last_word::LastWord, server::Server};

/// How much of a bad answer is shown, in characters.
const SHOWN_MAX: usize = 500;

/// Has the default route answer `body`, the whole answer included.
pub(crate) async fn warm_up(
    server: &Server,
    default_route: &str,
    body: &Value,
) -> Result<(), WorkerError> {
    try_body(server, default_route, body).await.map_err(|fault| WorkerError::WarmUp { fault })
}

async fn try_body(server: &Server, path: &str, body: &Value) -> Result<(), Fault> {
    let Some(route) = server.routes.first_at(path) else { return Ok(()) };
    let Service::Http(handler) = &route.service else {
        return Err(wrong("the default route is a WebSocket, which a body cannot warm up".into()));
    };
    let mut request = Request::new(Full::new(Bytes::from(body.to_string())));
    *request.method_mut() = route.method_for_body();
    *request.uri_mut() = path.parse().map_err(|_| wrong(format!("`{path}` is not a path")))?;
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::CONTENT_TYPE, json);

    let nobody = LastWord::default();
    let performed = call::perform(server, &nobody, route, &**handler, request).await;
    let (head, body) = performed.map_err(crate::refusal::Refusal::into_fault)?.into_parts();
    let body = body
        .collect()
        .await
        .map_err(|error| wrong("the answer broke off".into()).caused_by(error))?;
    if head.status.is_success() {
        return Ok(());
    }
    let text =
        String::from_utf8_lossy(&body.to_bytes()).chars().take(SHOWN_MAX).collect::<String>();
    Err(wrong(format!("the answer was {}: {text}", head.status)))
}

fn wrong(detail: String) -> Fault {
    Fault::new(ErrorCode::HandlerFailed, detail)
}
