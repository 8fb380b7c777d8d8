//! A worker, or any program that serves HTTP/1.1, as an endpoint.

use std::{error::Error, sync::Arc};

use api::{Body, Endpoint, EndpointError, endpoint::Answer, worker::Address};
use dial::{DialError, Pool};
use http::{HeaderValue, Request, Response, header};
use types::{ErrorCode, Fault};

/// Calls one address over pooled connections.
pub struct HttpEndpoint {
    pool: Arc<Pool>,
    authorization: Option<HeaderValue>,
}

impl HttpEndpoint {
    /// An endpoint at `address`; `token` is sent as a bearer token.
    pub fn new(address: Address, token: Option<String>) -> Self {
        let authorization = token
            .and_then(|token| HeaderValue::try_from(format!("Bearer {token}")).ok())
            .map(|mut value| {
                value.set_sensitive(true);
                value
            });
        Self { pool: Pool::new(address), authorization }
    }

    async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, EndpointError> {
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(header::AUTHORIZATION, authorization.clone());
        }
        // HTTP/1.1 demands a host; a unix socket has none.
        request
            .headers_mut()
            .entry(header::HOST)
            .or_insert(const { HeaderValue::from_static("localhost") });
        self.pool
            .send(request)
            .await
            .map_err(|error| EndpointError { begun: error.begun(), fault: fault(error) })
    }
}

impl Endpoint for HttpEndpoint {
    fn call(&self, request: Request<Body>) -> Answer<'_> {
        Box::pin(self.send(request))
    }
}

fn fault(error: DialError) -> Fault {
    let detail = match &error {
        DialError::Unreachable { .. } => "the worker cannot be reached",
        DialError::Broken { source, .. } => {
            // The body of the request was refused while it was sent on; that is not the worker's
            // fault.
            if let Some(refusal) = source.source().and_then(|cause| cause.downcast_ref::<Fault>()) {
                return Fault::new(refusal.code, refusal.detail.clone());
            }
            if source.is_parse() {
                "the worker answered something that is not HTTP"
            } else {
                "the worker closed the connection before it answered"
            }
        }
    };
    Fault::new(ErrorCode::WorkerFailed, detail).caused_by(error)
}
