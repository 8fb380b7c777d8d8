//! The one way to call a backend: a worker, an external API, a server that somebody else runs.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use http::{Request, Response};
use types::Fault;

use crate::Body;

/// Whether a failed call may have had an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// Nothing was begun; another replica may be tried.
    No,
    /// It may have run, wholly or in part.
    Maybe,
}

/// Why an endpoint gave no answer.
#[derive(Debug)]
pub struct EndpointError {
    /// Whether the call may have had an effect.
    pub begun: Begun,
    /// What the client is told.
    pub fault: Fault,
}

impl EndpointError {
    /// A call that certainly had no effect.
    pub const fn not_begun(fault: Fault) -> Self {
        Self { begun: Begun::No, fault }
    }

    /// A call that may have had an effect.
    pub const fn maybe_begun(fault: Fault) -> Self {
        Self { begun: Begun::Maybe, fault }
    }
}

/// Whether a call has left for its worker. It is among the extensions of the request to a worker,
/// so that a call that is given up before can be told from one whose code may run.
#[derive(Debug, Clone, Default)]
pub struct Sent(Arc<AtomicBool>);

impl Sent {
    /// The first byte goes out now.
    pub fn mark(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether a byte may have gone out.
    pub fn is_marked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// An answer in the making. Dropping it cancels the call.
pub type Answer<'a> =
    Pin<Box<dyn Future<Output = Result<Response<Body>, EndpointError>> + Send + 'a>>;

/// Something that can be called.
///
/// The request's URI is the path and query at the endpoint; `x-deadline-ms` tells the time left.
/// A switch of protocols is answered with 101 and hyper's upgrade handle among the answer's
/// extensions.
pub trait Endpoint: Send + Sync {
    /// Sends one call. Dropping the future, or the body of its answer before the end, cancels it.
    fn call(&self, request: Request<Body>) -> Answer<'_>;
}
