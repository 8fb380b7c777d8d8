//! `POST /invoke/{model}`: the default route, its JSON answer wrapped in `{"task_id", "result"}`.

use api::{Body, broken_off, headers};
use axum::{
    extract::{Path, Request, State},
    response::Response,
};
use bytes::{BufMut, Bytes, BytesMut};
use dispatch::{Call, Prefix, Route};
use http::{HeaderValue, header, response::Parts};
use http_body_util::{BodyExt, Collected};
use serde::de::IgnoredAny;
use types::{CallId, ErrorCode, Fault, ModelName, TaskId};
use uuid::Uuid;

use crate::{
    Gateway,
    context::CallContext,
    failure::Failure,
    intake::{check_json, is_json, read},
    passage::{model_named, outgoing, send_on},
};

/// Calls the default route of the model that the path names.
pub(crate) async fn invoke(
    State(gateway): State<Gateway>,
    Path(model): Path<String>,
    request: Request,
) -> Result<Response, Failure> {
    call(&gateway, model_named(&gateway, &model)?, request).await
}

/// Calls the default route of a model and waits for its answer.
pub(crate) async fn call(
    gateway: &Gateway,
    model: ModelName,
    request: Request,
) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let context = CallContext::of(&parts.headers)?;
    let payload = read(body, gateway.settings.body_bytes_max).await?;
    if is_json(&parts.headers) {
        check_json(&payload)?;
    }
    let task_id = TaskId::new(Uuid::now_v7());
    let record = gateway.tasks.recent().begin(task_id, &model, &payload);
    let mut request = outgoing(parts, Body::full(payload));
    let id = task_id_header(task_id);
    request.headers_mut().insert(headers::TASK_ID, id.clone());
    let call = Call {
        call_id: CallId::new(task_id.uuid()),
        model,
        route: Route::Default,
        tenant: context.tenant,
        priority: context.priority,
        deadline: context.deadline,
        prefix: Prefix::default(),
        request,
    };
    let answer = match gateway.dispatcher.call(call).await {
        Ok(answer) => answer,
        Err(fault) => {
            record.failed(&fault);
            return Err(fault.into());
        }
    };
    let (mut parts, body) = answer.into_parts();
    parts.headers.insert(headers::TASK_ID, id);
    if !is_json_answer(&parts) {
        record.completed(None);
        return Ok(send_on(parts, body));
    }
    let result = collect(body).await.inspect_err(|fault| record.failed(fault))?;
    if !parts.status.is_success() {
        record.refused(parts.status, &result);
        return Ok(send_on(parts, Body::full(result)));
    }
    check_answer(&result).inspect_err(|fault| record.failed(fault))?;
    let wrapped = wrap(task_id, &result);
    record.completed(Some(result));
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(send_on(parts, Body::full(wrapped)))
}

fn task_id_header(id: TaskId) -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    let text = id.uuid().hyphenated().encode_lower(&mut buffer);
    // A UUID is visible ASCII.
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn is_json_answer(parts: &Parts) -> bool {
    parts.headers.contains_key(header::CONTENT_TYPE) && is_json(&parts.headers)
}

async fn collect(body: Body) -> Result<Bytes, Fault> {
    body.collect().await.map(Collected::to_bytes).map_err(broken_off)
}

/// Checks that an answer can stand in the envelope: what is no JSON would spoil all of it.
fn check_answer(result: &[u8]) -> Result<(), Fault> {
    serde_json::from_slice::<IgnoredAny>(result).map(drop).map_err(|error| {
        let detail = "the worker answered with a body that is not the JSON it announces";
        Fault::new(ErrorCode::WorkerFailed, detail).caused_by(error)
    })
}

/// Puts the answer, verbatim, into its envelope.
fn wrap(task_id: TaskId, result: &[u8]) -> Bytes {
    const HEAD: &[u8] = b"{\"task_id\":\"";
    const MIDDLE: &[u8] = b"\",\"result\":";
    let mut buffer = Uuid::encode_buffer();
    let id = task_id.uuid().hyphenated().encode_lower(&mut buffer);
    let length = HEAD.len() + id.len() + MIDDLE.len() + result.len() + 1;
    let mut wrapped = BytesMut::with_capacity(length);
    wrapped.put_slice(HEAD);
    wrapped.put_slice(id.as_bytes());
    wrapped.put_slice(MIDDLE);
    wrapped.put_slice(result);
    wrapped.put_u8(b'}');
    wrapped.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_stands_verbatim_in_its_envelope() {
        let wrapped = wrap(TaskId::new(Uuid::from_u128(7)), br#"{"b":1.50,"a":[]}"#);
        let expected =
            r#"{"task_id":"00000000-0000-0000-0000-000000000007","result":{"b":1.50,"a":[]}}"#;
        assert_eq!(wrapped, expected);
    }
}
