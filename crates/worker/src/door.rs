//! Where each request goes.

use api::{headers, worker::LIVE_PATH};
use http::{HeaderMap, Request, Response};
use types::{ErrorCode, Fault};

use crate::{
    answer_body::AnswerBody, call, connection::Connection, control, handler::Service,
    refusal::Refusal, request_body::hear_out, routes::Found, upgrade,
};

type Received = Request<hyper::body::Incoming>;

/// Answers a request, whatever it is.
pub(crate) async fn answer(connection: &Connection, request: Received) -> Response<AnswerBody> {
    match &connection.server.surface {
        None => entered(connection, request).await,
        Some(surface) => {
            let overlay = surface.overlay(request.headers());
            let mut response = entered(connection, request).await;
            overlaid(response.headers_mut(), overlay);
            response
        }
    }
}

/// Adds what every answer has in its head, unless it says something else itself.
fn overlaid(head: &mut HeaderMap, overlay: HeaderMap) {
    for (name, value) in overlay {
        if let Some(name) = name {
            head.entry(name).or_insert(value);
        }
    }
}

async fn entered(connection: &Connection, request: Received) -> Response<AnswerBody> {
    let request_id = request.headers().get(&headers::REQUEST_ID).cloned();
    match enter(connection, request).await {
        Ok(response) => response,
        Err(refusal) => {
            let request_id = request_id.as_ref().and_then(|id| id.to_str().ok());
            let surface = connection.server.surface.as_ref();
            refusal.response(request_id.unwrap_or_default(), surface).map(AnswerBody::whole)
        }
    }
}

async fn enter(
    connection: &Connection,
    mut request: Received,
) -> Result<Response<AnswerBody>, Refusal> {
    let server = &*connection.server;
    let path = request.uri().path();
    if let Some(token) = &server.token
        && path != LIVE_PATH
        && !token.opens(request.headers())
    {
        return Err(unauthorized().into());
    }
    if let Some(surface) = &server.surface {
        let (head, body) = request.into_parts();
        if let Some(response) = surface.answer(&head) {
            return Ok(response.map(AnswerBody::whole));
        }
        request = Request::from_parts(head, body);
    }
    match server.routes.find(&request) {
        // To a client that wants a socket, nothing else is any use.
        found if server.surface.is_some() && upgrade::is_misled(&request, &found) => {
            Ok(upgrade::forbidden().map(AnswerBody::whole))
        }
        Found::Route(route, params) => {
            if let Some(params) = params {
                request.extensions_mut().insert(params);
            }
            match &route.service {
                Service::Http(handler) => {
                    call::perform(server, &connection.last_word, route, &**handler, request).await
                }
                Service::Socket(handler) => upgrade::accept(connection, handler, request).await,
            }
        }
        Found::OtherMethods(allow) => {
            let allow = allow.clone();
            hear_out(request.into_body()).await;
            Err(Refusal::Method { allow })
        }
        Found::Nothing => match &server.surface {
            None => control::answer(server, &request).map(|r| r.map(AnswerBody::whole)),
            Some(surface) => {
                let refusal = control::nothing_at(surface, request.uri().path());
                hear_out(request.into_body()).await;
                Err(refusal)
            }
        },
    }
}

fn unauthorized() -> Fault {
    Fault::new(
        ErrorCode::Unauthorized,
        "send `authorization: Bearer` with the token that this worker gave when it registered",
    )
}
