//! `/v1/*` calls go, untouched, to the worker or upstream server of the model that they name.

use api::Body;
use axum::{
    extract::{Request, State},
    response::Response,
};
use http::uri::PathAndQuery;
use serde::Deserialize;
use types::ErrorCode;

use crate::{
    Gateway,
    failure::Failure,
    intake::{check_json, read},
    passage::{model_named, pass_to},
};

/// All that we read of such a body.
#[derive(Deserialize)]
struct Named {
    model: Option<String>,
}

/// Finds the model in the body and passes the call on.
pub(crate) async fn pass(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let bytes = read(body, gateway.body_bytes_max).await?;
    check_json(&bytes)?;
    let named = serde_json::from_slice::<Named>(&bytes).ok().and_then(|named| named.model);
    let Some(name) = named else {
        let detail = "field `model` is missing; name one of GET /v1/models";
        return Err(Failure::new(ErrorCode::InvalidInput, detail));
    };
    let model = model_named(&gateway, &name)?;
    let route = parts.uri.path_and_query().cloned();
    let route = route.unwrap_or_else(|| PathAndQuery::from_static("/"));
    let body = axum::body::Body::new(Body::full(bytes));
    pass_to(&gateway, model, route, Request::from_parts(parts, body)).await
}
