//! `ANY /invoke/{model}/{route}`: method, query, headers, body, upgrade and answer pass untouched.

use api::{Body, headers, worker::OWN_PATHS};
use axum::{
    extract::{Path, Request, State},
    response::Response,
};
use dispatch::{Call, Prefix, Route, Tunnel};
use http::{HeaderValue, StatusCode, header, request, response, uri::PathAndQuery};
use types::{CallId, ErrorCode, ModelName};
use uuid::Uuid;

use crate::{Gateway, context::CallContext, failure::Failure, intake::take, tunnel};

/// Calls a named route of a model.
pub(crate) async fn pass(
    State(gateway): State<Gateway>,
    Path((model, _)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Failure> {
    let route = route_of(request.uri())?;
    let model = model_named(&gateway, &model)?;
    let passage = Passage { model, route, prefix: Prefix::default() };
    pass_to(&gateway, passage, request).await
}

/// Where a request goes.
pub(crate) struct Passage {
    pub(crate) model: ModelName,
    pub(crate) route: PathAndQuery,
    /// What its prompt begins with, if it has one.
    pub(crate) prefix: Prefix,
}

/// Calls a route of a model with the request as it is.
pub(crate) async fn pass_to(
    gateway: &Gateway,
    passage: Passage,
    mut request: Request,
) -> Result<Response, Failure> {
    let context = CallContext::of(request.headers())?;
    let upgrade =
        request.headers().contains_key(header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let body = take(body, gateway.settings.body_bytes_max).await?;
    let id = Uuid::now_v7();
    let call = Call {
        call_id: CallId::new(id),
        model: passage.model,
        route: Route::Path(passage.route),
        tenant: context.tenant,
        priority: context.priority,
        deadline: context.deadline,
        prefix: passage.prefix,
        request: outgoing(parts, body),
    };
    let mut answer = gateway.dispatcher.call(call).await?;
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        let held = answer.extensions_mut().remove::<Tunnel>();
        let worker = hyper::upgrade::on(&mut answer);
        match upgrade {
            Some(client) => tunnel::join(gateway.tunnels(), client, worker, held),
            None => {
                let detail = "the worker switched protocols without being asked to";
                return Err(Failure::new(ErrorCode::WorkerFailed, detail));
            }
        }
    }
    let (mut parts, body) = answer.into_parts();
    if let Ok(id) = HeaderValue::try_from(id.hyphenated().to_string()) {
        parts.headers.insert(headers::TASK_ID, id);
    }
    Ok(send_on(parts, body))
}

/// The model of that name, or the error that names the nearest.
pub(crate) fn model_named(gateway: &Gateway, name: &str) -> Result<ModelName, Failure> {
    let Ok(model) = name.parse::<ModelName>() else {
        return Err(Failure::new(ErrorCode::ModelNotFound, format!("model {name} not found")));
    };
    gateway.dispatcher.check_model(&model)?;
    Ok(model)
}

/// The request that goes to the worker: method, headers and body of the client's.
pub(crate) fn outgoing(parts: request::Parts, body: Body) -> http::Request<Body> {
    let mut request = http::Request::new(body);
    *request.method_mut() = parts.method;
    *request.uri_mut() = parts.uri;
    *request.headers_mut() = parts.headers;
    request
}

/// The answer that goes to the client, without what belongs to the worker's connection.
pub(crate) fn send_on(mut parts: response::Parts, body: Body) -> Response {
    let switches = parts.status == StatusCode::SWITCHING_PROTOCOLS;
    headers::remove_where(&mut parts.headers, |name| match name.as_str() {
        "connection" | "upgrade" => !switches,
        "transfer-encoding" | "keep-alive" => true,
        _ => false,
    });
    Response::from_parts(parts, axum::body::Body::new(body))
}

/// What follows `/invoke/{model}`, still encoded as the client wrote it.
fn route_of(uri: &http::Uri) -> Result<PathAndQuery, Failure> {
    let path_and_query = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let rest = path_and_query.strip_prefix("/invoke/").and_then(|rest| rest.split_once('/'));
    let (_, route) = rest.unwrap_or(("", ""));
    let route = format!("/{route}");
    if route.starts_with(OWN_PATHS) {
        // Anybody could drain a worker there.
        let detail = "what is below /-/ is between the workers and this server";
        return Err(Failure::new(ErrorCode::RouteNotFound, detail));
    }
    route.parse().map_err(|_| {
        Failure::new(ErrorCode::RouteNotFound, "the route is not a path that can be sent on")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_route_stays_as_the_client_wrote_it() {
        for (uri, expected) in [
            ("/invoke/m/explain", "/explain"),
            ("/invoke/m/a%20b/c?q=%2F&r", "/a%20b/c?q=%2F&r"),
            ("/invoke/m/", "/"),
        ] {
            let route = route_of(&uri.parse().unwrap()).ok().unwrap();
            assert_eq!(route.as_str(), expected);
        }
    }
}
