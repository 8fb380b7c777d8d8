//! Where each request goes.

use api::{headers, worker::LIVE_PATH};
use http::{Request, Response};
use types::{ErrorCode, Fault};

use crate::{
    answer_body::AnswerBody, call, connection::Connection, control, handler::Service,
    refusal::Refusal, routes::Found, upgrade,
};

/// Answers a request, whatever it is.
pub(crate) async fn answer(
    connection: &Connection,
    request: Request<hyper::body::Incoming>,
) -> Response<AnswerBody> {
    let request_id = request.headers().get(&headers::REQUEST_ID).cloned();
    match enter(connection, request).await {
        Ok(response) => response,
        Err(refusal) => {
            let request_id = request_id.as_ref().and_then(|id| id.to_str().ok());
            refusal.response(request_id.unwrap_or_default()).map(AnswerBody::whole)
        }
    }
}

async fn enter(
    connection: &Connection,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<AnswerBody>, Refusal> {
    let server = &*connection.server;
    let path = request.uri().path();
    if let Some(token) = &server.token
        && path != LIVE_PATH
        && !token.opens(request.headers())
    {
        return Err(unauthorized().into());
    }
    match server.routes.find(path, request.method()) {
        Found::Route(route) => match &route.service {
            Service::Http(handler) => {
                call::perform(server, &connection.last_word, route, &**handler, request).await
            }
            Service::Socket(handler) => upgrade::accept(connection, handler, request),
        },
        Found::OtherMethods(allow) => Err(Refusal::Method { allow: allow.clone() }),
        Found::Nothing => control::answer(server, &request).map(|r| r.map(AnswerBody::whole)),
    }
}

fn unauthorized() -> Fault {
    Fault::new(
        ErrorCode::Unauthorized,
        "send `authorization: Bearer` with the token that this worker gave when it registered",
    )
}
