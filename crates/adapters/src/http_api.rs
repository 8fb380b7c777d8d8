//! Kind `http`: the body goes to one address, its answer comes back.

mod query;

use std::time::Duration;

use api::{Body, Endpoint, EndpointError, endpoint::Answer, headers::IDEMPOTENCY_KEY};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response,
    header::{ACCEPT, CONTENT_TYPE},
};
use types::{ErrorCode, Fault, HttpMethod, ModelSpec};

use crate::{
    Env, HttpClient, Unavailable,
    deadline::Deadline,
    headers,
    interpolate::interpolate,
    read,
    refusal::{only_default_route, refuse},
    retry::Repeat,
    target::{self, Base},
    upstream::Upstream,
};

/// What of the caller's headers the provider needs to understand the call.
const PASSED_ON: [http::HeaderName; 3] = [CONTENT_TYPE, ACCEPT, IDEMPOTENCY_KEY];

/// An external HTTP API.
///
/// Every status but 2xx is a failure of the model (`provider_failed`, 500), a 4xx too, as it
/// always was in `ray-service`.
pub(crate) struct HttpApi {
    endpoint: Base,
    method: HttpMethod,
    headers: HeaderMap,
    timeout: Duration,
    repeat: Repeat,
    upstream: Upstream,
}

impl HttpApi {
    /// # Errors
    /// [`Unavailable`] if the address or a variable is missing.
    pub(crate) fn new(
        spec: &ModelSpec,
        env: Env<'_>,
        client: HttpClient,
    ) -> Result<Self, Unavailable> {
        let Some(endpoint) = &spec.endpoint else {
            return Err(Unavailable::because("endpoint is not set; give the address of the API"));
        };
        let mut headers = target::headers(spec, env)?;
        let key =
            spec.api_key.as_deref().map(|key| interpolate("api_key", key, env)).transpose()?;
        target::authorize(&mut headers, key.as_deref())?;
        Ok(Self {
            endpoint: Base::parse("endpoint", endpoint, env)?,
            method: spec.method,
            headers,
            timeout: spec.timeout(),
            repeat: Repeat::of(spec),
            upstream: Upstream::new(client, spec.retry.clone()),
        })
    }

    async fn run(&self, call: Request<Body>) -> Result<Response<Body>, EndpointError> {
        only_default_route(call.uri())?;
        let deadline = Deadline::of(call.headers(), self.timeout);
        let request = self.translate(call).await?;
        let mut answer = self.upstream.send(request, self.repeat, deadline).await?;
        if !answer.status().is_success() {
            return Err(failed(answer).await);
        }
        headers::inbound(answer.headers_mut());
        Ok(answer)
    }

    /// The call as the provider wants to see it.
    async fn translate(&self, call: Request<Body>) -> Result<Request<Body>, EndpointError> {
        let (parts, body) = call.into_parts();
        let mut query = parts.uri.query().unwrap_or_default().to_owned();
        let (method, body) = match self.method {
            HttpMethod::Get => {
                query::append(&mut query, &read::request(body).await?)?;
                (Method::GET, Body::empty())
            }
            HttpMethod::Post => (Method::POST, body),
            HttpMethod::Put => (Method::PUT, body),
            HttpMethod::Patch => (Method::PATCH, body),
        };
        let uri = self.endpoint.with_query(&query).ok_or_else(|| {
            refuse(ErrorCode::InvalidInput, "the fields are too long for an address")
        })?;
        let mut request = Request::new(body);
        *request.headers_mut() = self.request_headers(&parts.headers, &method);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        Ok(request)
    }

    fn request_headers(&self, caller: &HeaderMap, method: &Method) -> HeaderMap {
        let has_body = method != Method::GET;
        let mut headers = self.headers.clone();
        for name in PASSED_ON {
            // The operator's word is the last, and without a body there is no type of it.
            if headers.contains_key(&name) || (name == CONTENT_TYPE && !has_body) {
                continue;
            }
            if let Some(value) = caller.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        if has_body && !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers
    }
}

impl Endpoint for HttpApi {
    fn call(&self, request: Request<Body>) -> Answer<'_> {
        Box::pin(self.run(request))
    }
}

async fn failed(answer: Response<Body>) -> EndpointError {
    let status = answer.status();
    let body = read::excerpt(answer.into_body()).await;
    let detail = if body.is_empty() {
        format!("the external service answered {status}")
    } else {
        format!("the external service answered {status}: {body}")
    };
    EndpointError::maybe_begun(Fault::new(ErrorCode::ProviderFailed, detail))
}
