//! Kind `openai`: a server that speaks the OpenAI API. Everything passes through but the model's
//! name and the credentials.

mod model_field;

use std::time::Duration;

use api::{Body, Endpoint, EndpointError, endpoint::Answer};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header::CONTENT_TYPE};
use types::{ErrorCode, ModelName, ModelSpec};

use crate::{
    Env, HttpClient, Unavailable,
    deadline::Deadline,
    headers,
    interpolate::{interpolate, variable},
    read,
    refusal::refuse,
    retry::Repeat,
    target::{self, Base},
    upstream::Upstream,
};

/// Presented where the model has no `api_key`, if it is set; local servers need none.
const KEY_VARIABLE: &str = "OPENAI_API_KEY";
/// What callers may reach with the operator's key: inference, not files, jobs or accounts.
const ROUTES: [&str; 4] = ["/chat/completions", "/completions", "/embeddings", "/models"];

/// A server that speaks the OpenAI API.
///
/// Its status and its error bodies pass through too, because OpenAI clients understand them.
/// Nothing is sent twice but what was never sent.
pub(crate) struct OpenAi {
    base: Base,
    headers: HeaderMap,
    model: String,
    timeout: Duration,
    upstream: Upstream,
}

impl OpenAi {
    /// # Errors
    /// [`Unavailable`] if the address or a variable is missing.
    pub(crate) fn new(
        name: &ModelName,
        spec: &ModelSpec,
        env: Env<'_>,
        client: HttpClient,
    ) -> Result<Self, Unavailable> {
        let Some(endpoint) = &spec.endpoint else {
            return Err(Unavailable::because(
                "endpoint is not set; give the address of the server",
            ));
        };
        let mut headers = target::headers(spec, env)?;
        let key = match &spec.api_key {
            Some(key) => Some(interpolate("api_key", key, env)?),
            None => variable(KEY_VARIABLE, env),
        };
        target::authorize(&mut headers, key.as_deref())?;
        Ok(Self {
            base: Base::parse("endpoint", endpoint, env)?,
            headers,
            model: spec.upstream_model.clone().unwrap_or_else(|| name.to_string()),
            timeout: spec.timeout(),
            upstream: Upstream::new(client, spec.retry.clone()),
        })
    }

    async fn run(&self, call: Request<Body>) -> Result<Response<Body>, EndpointError> {
        let (parts, body) = call.into_parts();
        let deadline = Deadline::of(&parts.headers, self.timeout);
        let mut request = Request::new(self.named(&parts.method, body).await?);
        *request.uri_mut() = self.address(&parts.uri)?;
        *request.method_mut() = parts.method;
        *request.headers_mut() = self.request_headers(parts.headers);
        let mut answer = self.upstream.send(request, Repeat::OnlyUnsent, deadline).await?;
        headers::inbound(answer.headers_mut());
        Ok(answer)
    }

    /// The body with the model's name as the server knows it.
    async fn named(&self, method: &Method, body: Body) -> Result<Body, EndpointError> {
        let bytes = read::request(body).await?;
        if bytes.is_empty() && method == Method::GET {
            return Ok(Body::empty());
        }
        Ok(Body::full(Bytes::from(model_field::replace(&bytes, &self.model)?)))
    }

    fn address(&self, call: &Uri) -> Result<Uri, EndpointError> {
        let asked = call.path().trim_end_matches('/');
        let route = match asked.strip_prefix("/v1").unwrap_or(asked) {
            "" => ROUTES[0],
            route => route,
        };
        let known = ROUTES.contains(&route).then(|| {
            // An address that names a version is complete, as in OpenAI's own clients
            // (`https://host/v1beta/openai`); any other is the server's root.
            let path = if names_version(self.base.path()) {
                format!("{}{route}", self.base.path())
            } else {
                format!("{}/v1{route}", self.base.path())
            };
            self.base.at(&path, call.query().unwrap_or_default())
        });
        known.flatten().ok_or_else(|| {
            refuse(
                ErrorCode::RouteNotFound,
                format!("this model has no route `{asked}`; it has /v1{}", ROUTES.join(", /v1")),
            )
        })
    }

    fn request_headers(&self, caller: HeaderMap) -> HeaderMap {
        let mut headers = headers::outbound(caller);
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        headers
    }
}

/// Whether a segment of the path reads like `v1`, `v1beta` or `v4`.
fn names_version(path: &str) -> bool {
    path.split('/').any(|segment| {
        segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

impl Endpoint for OpenAi {
    fn call(&self, request: Request<Body>) -> Answer<'_> {
        Box::pin(self.run(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_complete_once_it_names_a_version() {
        for path in ["/v1", "/api/v3", "/v1beta/openai", "/api/paas/v4"] {
            assert!(names_version(path), "{path}");
        }
        for path in ["", "/openai", "/video", "/v"] {
            assert!(!names_version(path), "{path}");
        }
    }
}
