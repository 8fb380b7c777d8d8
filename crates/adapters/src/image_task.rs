//! Kind `image-task`: an image service that takes an order and is asked until it is done.

mod apimart;
mod nanobananaapi;
mod order;
mod trouble;
mod wire;

use std::time::{Duration, SystemTime};

use api::{Body, Endpoint, EndpointError, endpoint::Answer};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde_json::{Map, Value, json};
use tokio::time::sleep;
use types::{ErrorCode, ImageProfile, ModelSpec};

use self::{
    order::{Defaults, Order},
    trouble::Trouble,
    wire::{Progress, Wire},
};
use crate::{
    Env, HttpClient, Unavailable,
    deadline::Deadline,
    headers::retry_after,
    interpolate::{interpolate, variable},
    read,
    refusal::{only_default_route, refuse},
    retry::Repeat,
    target::{self, Base},
    upstream::{NoAnswer, Upstream},
};

/// Presented where the model has no `api_key`.
const KEY_VARIABLE: &str = "NANOBANANA_API_KEY";
/// How often the seed asks; `metadata.poll_interval_ms` changes it.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// A single question that takes longer is given up and asked again.
const POLL_TIMEOUT: Duration = Duration::from_secs(15);
/// Polling ends this much before the call's deadline, so that the caller is told which task timed
/// out instead of only that time is up.
const MARGIN: Duration = Duration::from_millis(250);

/// An external image service.
///
/// An order may cost money, so it is sent again only if it was never sent; asking how it goes is
/// harmless, and a passing failure of that does not give up an image that is already paid for.
/// Dropping the call stops the asking; neither provider offers a way to take an order back.
pub(crate) struct ImageTask {
    wire: &'static dyn Wire,
    base: Base,
    headers: HeaderMap,
    defaults: Defaults,
    poll_interval: Duration,
    timeout: Duration,
    upstream: Upstream,
}

impl ImageTask {
    /// The seed keeps `base_url`, `timeout` (seconds) and `api_key` in the metadata; they count
    /// where the model's own fields are not set.
    ///
    /// # Errors
    /// [`Unavailable`] without a key, or if the address or a variable is malformed or missing.
    pub(crate) fn new(
        spec: &ModelSpec,
        env: Env<'_>,
        client: HttpClient,
    ) -> Result<Self, Unavailable> {
        let wire: &'static dyn Wire = match spec.profile {
            ImageProfile::Apimart => &apimart::Apimart,
            ImageProfile::Nanobananaapi => &nanobananaapi::Nanobananaapi,
        };
        let metadata = &spec.metadata;
        let base = spec.endpoint.as_deref().or_else(|| text(metadata, "base_url"));
        let mut headers = target::headers(spec, env)?;
        if !headers.contains_key(AUTHORIZATION) {
            target::authorize(&mut headers, Some(&key(spec, env)?))?;
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let interval = metadata.get("poll_interval_ms").and_then(Value::as_u64);
        let seconds = metadata.get("timeout").and_then(Value::as_f64);
        Ok(Self {
            wire,
            base: Base::parse("endpoint", base.unwrap_or(wire.default_base()), env)?,
            headers,
            defaults: Defaults::of(spec),
            // Asking without a pause would only earn 429s.
            poll_interval: interval
                .map_or(POLL_INTERVAL, |millis| Duration::from_millis(millis.max(1))),
            timeout: seconds
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .map_or(spec.timeout(), |limit| limit.min(spec.timeout())),
            upstream: Upstream::new(client, spec.retry.clone()),
        })
    }

    async fn run(&self, call: Request<Body>) -> Result<Response<Body>, EndpointError> {
        only_default_route(call.uri())?;
        let deadline = self.deadline(call.headers());
        let payload = payload(&read::request(call.into_body()).await?)?;
        let order = Order::read(&payload, &self.defaults, self.wire.needs_images())
            .map_err(Trouble::Missing)?;
        let task_id = self.submit(&order, deadline).await?;
        let result = self.result(&task_id, deadline).await?;
        let answer = json!({ "task_id": task_id, "result": result }).to_string();
        let mut response = Response::new(Body::full(answer));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        Ok(response)
    }

    fn deadline(&self, headers: &HeaderMap) -> Deadline {
        let mut deadline = Deadline::within(headers, self.timeout);
        deadline.at -= MARGIN.min(deadline.total / 10);
        deadline
    }

    /// Places the order; returns the provider's id of it.
    async fn submit(&self, order: &Order, deadline: Deadline) -> Result<String, Trouble> {
        let body = self.wire.order(order).to_string();
        let request = self.request(Method::POST, self.wire.order_path(), "", Body::full(body))?;
        let answer = self.upstream.send(request, Repeat::OnlyUnsent, deadline).await?;
        let answer = Reply::read(answer).await?;
        if let Some(code) = answer.refused() {
            return Err(Trouble::Create { code, body: answer.excerpt() });
        }
        let task_id = answer.json.as_ref().and_then(|json| self.wire.task_id(json));
        task_id.ok_or_else(|| Trouble::Unexpected(answer.excerpt()))
    }

    /// Asks until the task has ended.
    async fn result(&self, task_id: &str, deadline: Deadline) -> Result<Value, Trouble> {
        let mut failures = 0;
        while !deadline.left().is_zero() {
            let wait = match self.ask(task_id, deadline).await {
                Ok(Asked::Done(result)) => return Ok(result),
                Ok(Asked::Later(wait)) => {
                    failures = 0;
                    wait.max(self.poll_interval)
                }
                Err(trouble) => {
                    failures += 1;
                    if !trouble.may_pass() || failures >= self.upstream.attempts_max() {
                        return Err(trouble);
                    }
                    self.poll_interval
                }
            };
            sleep(wait.min(deadline.left())).await;
        }
        Err(Trouble::TimedOut { task_id: task_id.to_owned(), after: deadline.total })
    }

    /// Asks once.
    async fn ask(&self, task_id: &str, deadline: Deadline) -> Result<Asked, Trouble> {
        let (path, query) = self.wire.poll(task_id);
        let request = self.request(Method::GET, &path, &query, Body::empty())?;
        let soon = Deadline::after(POLL_TIMEOUT.min(deadline.left()));
        let answer = match self.upstream.send_once(request, soon).await {
            // The whole time is up: the loop says so.
            Err(NoAnswer::Late(_)) if deadline.left().is_zero() => {
                return Ok(Asked::Later(Duration::ZERO));
            }
            other => Reply::read(other?).await?,
        };
        match answer.refused() {
            Some(429) => return Ok(Asked::Later(answer.retry_after)),
            Some(code) => return Err(Trouble::Ask { code, body: answer.excerpt() }),
            None => {}
        }
        let Some(json) = &answer.json else { return Err(Trouble::Unexpected(answer.excerpt())) };
        match self.wire.progress(json) {
            Some(Progress::Running) => Ok(Asked::Later(Duration::ZERO)),
            Some(Progress::Completed { image_url }) => Ok(Asked::Done(
                json!({ "status": "completed", "image_url": image_url, "raw": json }),
            )),
            Some(Progress::Ended { message }) => {
                Err(Trouble::Failed { task_id: task_id.to_owned(), message })
            }
            None => Err(Trouble::Unexpected(answer.excerpt())),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: &str,
        body: Body,
    ) -> Result<Request<Body>, Trouble> {
        let uri: Uri = self
            .base
            .join(path, query)
            .ok_or_else(|| Trouble::Unexpected(format!("a task id that is no address: {path}")))?;
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }
}

impl Endpoint for ImageTask {
    fn call(&self, request: Request<Body>) -> Answer<'_> {
        Box::pin(self.run(request))
    }
}

/// What one question brought.
enum Asked {
    Done(Value),
    /// Nothing yet; ask again, but not before this long.
    Later(Duration),
}

/// What the provider said, read to its end.
struct Reply {
    status: StatusCode,
    retry_after: Duration,
    bytes: bytes::Bytes,
    json: Option<Value>,
}

impl Reply {
    async fn read(answer: Response<Body>) -> Result<Self, Trouble> {
        let status = answer.status();
        let retry_after = retry_after(answer.headers(), SystemTime::now()).unwrap_or_default();
        let bytes = read::answer(answer.into_body()).await.map_err(Trouble::BrokenOff)?;
        let json = serde_json::from_slice(&bytes).ok();
        Ok(Self { status, retry_after, bytes, json })
    }

    /// The status or, since both providers also refuse inside a 200, the body's `code`, if it
    /// says no.
    fn refused(&self) -> Option<u64> {
        if !self.status.is_success() {
            return Some(self.status.as_u16().into());
        }
        let code = self.json.as_ref()?.get("code")?.as_u64()?;
        (code != 0 && code != 200).then_some(code)
    }

    fn excerpt(&self) -> String {
        read::excerpt_of(&self.bytes)
    }
}

fn key(spec: &ModelSpec, env: Env<'_>) -> Result<String, Unavailable> {
    match spec.api_key.as_deref().or_else(|| text(&spec.metadata, "api_key")) {
        Some(key) => interpolate("api_key", key, env),
        None => variable(KEY_VARIABLE, env)
            .ok_or_else(|| Unavailable::because(format!("{KEY_VARIABLE} is not set"))),
    }
}

fn text<'a>(metadata: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    metadata.get(field)?.as_str()
}

fn payload(body: &[u8]) -> Result<Map<String, Value>, EndpointError> {
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            refuse(ErrorCode::InvalidInput, "the body must be a JSON object")
        } else {
            refuse(ErrorCode::InvalidJson, format!("the body is not valid JSON: {error}"))
        }
    })
}
