//! One registered worker as an endpoint, which tells when it could not be called.

use api::{Body, Endpoint, endpoint::Answer, worker::Address};
use fleet::HttpEndpoint;
use http::Request;
use tokio::sync::mpsc;
use types::ErrorCode;

use crate::service::Command;

/// Calls a worker. A call that fails on the way makes the service look after the worker, so that a
/// dead one gets no more of them, long before its time runs out.
pub(crate) struct RegisteredEndpoint {
    endpoint: HttpEndpoint,
    id: String,
    visit: u64,
    service: mpsc::Sender<Command>,
}

impl RegisteredEndpoint {
    pub(crate) fn new(
        address: Address,
        (id, visit): (String, u64),
        service: mpsc::Sender<Command>,
    ) -> Self {
        Self { endpoint: HttpEndpoint::new(address, None), id, visit, service }
    }
}

impl Endpoint for RegisteredEndpoint {
    fn call(&self, request: Request<Body>) -> Answer<'_> {
        Box::pin(async move {
            let answer = self.endpoint.call(request).await;
            if let Err(error) = &answer
                && error.fault.code == ErrorCode::WorkerFailed
            {
                // Where many calls fail at once, one of them is enough.
                let doubt = Command::Doubt { id: self.id.clone(), visit: self.visit };
                let _ = self.service.try_send(doubt);
            }
            answer
        })
    }
}
