//! From a request to a WebSocket.

use std::sync::Arc;

use api::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use types::{ErrorCode, Fault};

use crate::{
    Acceptance, Incoming, SocketHandler,
    answer_body::AnswerBody,
    call::{CallHead, admit},
    connection::Connection,
    handler::Service,
    refusal::Refusal,
    routes::Found,
    socket_call::{SocketCall, Verdict},
};

/// Whether a client wants a socket where there is none.
pub(crate) fn is_misled<B>(request: &Request<B>, found: &Found<'_>) -> bool {
    let is_socket =
        matches!(found, Found::Route(route, _) if matches!(route.service, Service::Socket(_)));
    !is_socket && names(request.headers(), &header::UPGRADE, "websocket")
}

/// The refusal of a socket.
pub(crate) fn forbidden() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}

/// Switches a connection to a WebSocket, if the handler wants it. The socket holds its place in the
/// worker as long as it lives. Its deadline is for the switch only, and is told to the handler: how
/// long a conversation lasts is no matter of how long an answer may take.
pub(crate) async fn accept(
    connection: &Connection,
    handler: &Arc<dyn SocketHandler>,
    mut request: Request<hyper::body::Incoming>,
) -> Result<Response<AnswerBody>, Refusal> {
    let key = handshake_key(request.headers())?;
    let CallHead { call_id, deadline } = CallHead::read(request.headers(), None)?;
    let attendance = admit(&connection.server, call_id)?.on(&connection.last_word);
    let running = attendance.running().clone();
    if !running.begin() {
        return Err(Refusal::draining());
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let request = request.map(|_| Body::empty());
    let incoming = Incoming { call_id, request, deadline, running };
    let limits = connection.server.sockets;
    match SocketCall::begin(handler, incoming, attendance, limits).await {
        Verdict::Accepted(acceptance, call) => {
            let response = switching(key, acceptance)?;
            connection.becomes(Box::pin(call.live(upgrade)));
            Ok(response)
        }
        Verdict::Refused(answer) => Ok(answer.map(AnswerBody::whole)),
        Verdict::Failed(fault) => Err(fault.into()),
    }
}

fn switching(key: HeaderValue, acceptance: Acceptance) -> Result<Response<AnswerBody>, Fault> {
    let mut response = Response::new(AnswerBody::whole(Body::empty()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let head = response.headers_mut();
    *head = acceptance.headers;
    head.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    head.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    head.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    if let Some(protocol) = acceptance.subprotocol {
        let protocol = HeaderValue::try_from(protocol).map_err(|_| bad_protocol())?;
        head.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok(response)
}

fn bad_protocol() -> Fault {
    Fault::new(ErrorCode::HandlerFailed, "the handler chose a subprotocol that cannot be sent")
}

/// The proof that we speak WebSocket, or what is wrong with the request (RFC 6455, section 4.2.1).
fn handshake_key(head: &HeaderMap) -> Result<HeaderValue, Fault> {
    if !names(head, &header::UPGRADE, "websocket") || !names(head, &header::CONNECTION, "upgrade") {
        return Err(wrong("this route is a WebSocket; ask for it with `upgrade: websocket`"));
    }
    if head.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(wrong("`sec-websocket-version` must be 13"));
    }
    let key = head.get(header::SEC_WEBSOCKET_KEY);
    let key = key.ok_or_else(|| wrong("`sec-websocket-key` is missing"))?;
    // Base64 is always a valid value.
    HeaderValue::try_from(derive_accept_key(key.as_bytes())).map_err(|_| wrong("bad key"))
}

/// Whether a header lists a word, in any case.
fn names(head: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = head.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
}

fn wrong(detail: &'static str) -> Fault {
    Fault::new(ErrorCode::InvalidRequest, detail)
}
