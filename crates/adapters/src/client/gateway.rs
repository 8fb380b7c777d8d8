//! A client of our own HTTP surface, for the command line.

use api::{Body, BoxError, Problem, headers, openai::ErrorBody};
use bytes::Bytes;
use futures_util::Stream;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ACCEPT, CONTENT_TYPE},
};
use http_body_util::{BodyDataStream, BodyExt};
use serde::{Serialize, de::DeserializeOwned};
use types::{ErrorCode, Fault};

use crate::{HttpClient, client::SendError, read, target::Base};

/// Why the gateway did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The address, a path or a header cannot be used.
    #[error("{0}")]
    BadRequest(String),
    /// Nobody answers there.
    #[error("{}; is the server running? start it with `modelyard serve`", .0.with_cause())]
    Unreachable(SendError),
    /// It answered with an error.
    #[error("{} ({status})", problem.as_ref().map_or(text.as_str(), |problem| &problem.detail))]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The error body, if it is one of ours.
        problem: Option<Box<Problem>>,
        /// The beginning of the body as it came.
        text: String,
    },
    /// The answer broke off.
    #[error("the answer broke off")]
    BrokenOff(#[source] BoxError),
    /// The answer is not what this program understands; most likely another version serves there.
    #[error("the answer has an unexpected form")]
    Unexpected(#[source] serde_json::Error),
}

/// Calls one gateway.
#[derive(Debug, Clone)]
pub struct GatewayClient {
    base: Base,
    headers: HeaderMap,
    http: HttpClient,
}

impl GatewayClient {
    /// A client of the gateway at `address`, for example `http://127.0.0.1:8000`.
    ///
    /// # Errors
    /// [`GatewayError::BadRequest`] if that is no http address.
    pub fn new(address: &str) -> Result<Self, GatewayError> {
        let base = Base::parse("the address of the server", address, &|_| None)
            .map_err(|wrong| GatewayError::BadRequest(wrong.reason))?;
        let http =
            HttpClient::new().map_err(|error| GatewayError::BadRequest(error.to_string()))?;
        Ok(Self { base, headers: HeaderMap::new(), http })
    }

    /// Sends `value` as header `name` with every request.
    ///
    /// # Errors
    /// [`GatewayError::BadRequest`] if the value cannot be a header.
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Result<Self, GatewayError> {
        let value = HeaderValue::try_from(value).map_err(|_| {
            GatewayError::BadRequest(format!(
                "the value of {name} has characters no header may have"
            ))
        })?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Sends a request and hands on a successful answer, whose body comes piece by piece
    /// ([`pieces`](Self::pieces)). `path` may have a query; a body is sent as JSON.
    ///
    /// # Cancel safety
    /// Dropping the future, or the answer's body before its end, cancels the call at the gateway.
    ///
    /// # Errors
    /// [`GatewayError`], [`GatewayError::Refused`] for every status but 2xx.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Response<Body>, GatewayError> {
        let mut request = Request::new(body.map_or_else(Body::empty, |bytes| {
            if bytes.is_empty() { Body::empty() } else { Body::full(bytes) }
        }));
        *request.method_mut() = method;
        *request.uri_mut() = self.at(path)?;
        *request.headers_mut() = self.headers.clone();
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().entry(CONTENT_TYPE).or_insert(json);
        request.headers_mut().entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        let answer = self.http.send(request).await.map_err(GatewayError::Unreachable)?;
        if answer.status().is_success() { Ok(answer) } else { Err(refused(answer).await) }
    }

    /// Reads a JSON value.
    ///
    /// # Cancel safety
    /// Dropping the future ends the exchange.
    ///
    /// # Errors
    /// As [`send`](Self::send), and if the answer has another form.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, GatewayError> {
        json(self.send(Method::GET, path, None).await?).await
    }

    /// Sends a JSON value and reads the one that comes back.
    ///
    /// # Cancel safety
    /// Dropping the future ends the exchange; the gateway cancels what the call began.
    ///
    /// # Errors
    /// As [`send`](Self::send), and if the answer has another form.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + ?Sized + Sync),
    ) -> Result<T, GatewayError> {
        let body = serde_json::to_vec(body).map_err(GatewayError::Unexpected)?;
        json(self.send(Method::POST, path, Some(body.into())).await?).await
    }

    /// The body of an answer, each piece as soon as it comes.
    pub fn pieces(
        answer: Response<Body>,
    ) -> impl Stream<Item = Result<Bytes, BoxError>> + Send + Unpin {
        BodyDataStream::new(answer.into_body())
    }

    fn at(&self, path: &str) -> Result<Uri, GatewayError> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        self.base
            .join(path, query)
            .ok_or_else(|| GatewayError::BadRequest(format!("`{path}` is not a valid path")))
    }
}

async fn json<T: DeserializeOwned>(answer: Response<Body>) -> Result<T, GatewayError> {
    let all = answer.into_body().collect().await.map_err(GatewayError::BrokenOff)?;
    serde_json::from_slice(&all.to_bytes()).map_err(GatewayError::Unexpected)
}

async fn refused(answer: Response<Body>) -> GatewayError {
    let status = answer.status();
    let request_id = answer.headers().get(headers::REQUEST_ID).cloned();
    match read::answer(answer.into_body()).await {
        Ok(bytes) => GatewayError::Refused {
            status,
            problem: serde_json::from_slice(&bytes).ok().or_else(|| {
                let request_id = request_id.as_ref().and_then(|id| id.to_str().ok());
                openai(&bytes, request_id.unwrap_or_default()).map(Box::new)
            }),
            text: read::excerpt_of(&bytes),
        },
        Err(cause) => GatewayError::BrokenOff(cause),
    }
}

/// The same error in the shape that it has below `/v1/`.
fn openai(body: &[u8], request_id: &str) -> Option<Problem> {
    let ErrorBody { error } = serde_json::from_slice(body).ok()?;
    let code = ErrorCode::from_slug(error.code.as_deref()?)?;
    Some(Problem::new(&Fault::new(code, error.message), request_id))
}
