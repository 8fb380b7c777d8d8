//! A circuit breaker around an endpoint that we only call: nobody else tells us that it is down.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use api::{Body, Endpoint, EndpointError, endpoint::Answer};
use http::Request;
use parking_lot::Mutex;
use policy::breaker::{Breaker, BreakerLimits, CallEnd, Pass};
use telemetry::metrics::{Breaker as BreakerState, ModelMetrics};
use types::{ErrorCode, Fault};

/// Half of the last 32 counted calls: a provider that fails now and then stays open, one that is
/// down is noticed within 16 calls; a probe every 5 s is cheap for both sides.
const LIMITS: BreakerLimits =
    BreakerLimits { window: 32, failures_max: 16, open_for: Duration::from_secs(5) };

/// An endpoint behind a breaker.
pub struct Guarded {
    endpoint: Arc<dyn Endpoint>,
    breaker: Mutex<Breaker>,
    metrics: Arc<ModelMetrics>,
}

impl Guarded {
    /// Puts a closed breaker in front of `endpoint`.
    pub fn new(endpoint: Arc<dyn Endpoint>, metrics: Arc<ModelMetrics>) -> Self {
        Self { endpoint, breaker: Mutex::new(Breaker::new(LIMITS)), metrics }
    }

    fn enter(&self) -> Result<Probe<'_>, EndpointError> {
        let entered = self.breaker.lock().enter(Instant::now());
        match entered {
            Ok(pass) => Ok(Probe { guarded: self, pass: Some(pass), end: CallEnd::Abandoned }),
            Err(open) => {
                let wait = open.retry_after.max(Duration::from_secs(1));
                let detail = "the last calls of this model failed; it is given a moment of rest";
                let fault = Fault::new(ErrorCode::ModelUnavailable, detail).retry_after(wait);
                Err(EndpointError::not_begun(fault))
            }
        }
    }

    fn show(&self, breaker: &Breaker) {
        let state = if breaker.is_closed() { BreakerState::Closed } else { BreakerState::Open };
        self.metrics.breaker(state);
    }
}

impl Endpoint for Guarded {
    fn call(&self, request: Request<Body>) -> Answer<'_> {
        Box::pin(async move {
            let mut probe = self.enter()?;
            let answer = self.endpoint.call(request).await;
            probe.end = match &answer {
                Ok(response) => CallEnd::of_status(response.status().as_u16()),
                Err(error) => end_of(error.fault.code),
            };
            answer
        })
    }
}

/// What a failure says about the other side; one that the caller caused says nothing.
const fn end_of(code: ErrorCode) -> CallEnd {
    match code {
        ErrorCode::ProviderFailed | ErrorCode::WorkerFailed | ErrorCode::DeadlineExceeded => {
            CallEnd::Failed
        }
        ErrorCode::QueueFull | ErrorCode::ModelUnavailable => CallEnd::Busy,
        _ => CallEnd::CallerError,
    }
}

/// A call that was let through; dropped early, its caller has left.
struct Probe<'a> {
    guarded: &'a Guarded,
    pass: Option<Pass>,
    end: CallEnd,
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            let mut breaker = self.guarded.breaker.lock();
            breaker.ended(pass, self.end, Instant::now());
            self.guarded.show(&breaker);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use http::Response;
    use telemetry::metrics::Metrics;

    use super::*;

    #[derive(Default)]
    struct Flaky {
        broken: AtomicBool,
        calls: AtomicUsize,
    }

    impl Endpoint for Flaky {
        fn call(&self, _: Request<Body>) -> Answer<'_> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            let broken = self.broken.load(Ordering::Relaxed);
            Box::pin(async move {
                if broken {
                    let fault = Fault::new(ErrorCode::ProviderFailed, "503 -> no");
                    return Err(EndpointError::maybe_begun(fault));
                }
                Ok(Response::new(Body::empty()))
            })
        }
    }

    #[tokio::test]
    async fn an_endpoint_that_keeps_failing_is_left_alone_for_a_while() {
        let flaky = Arc::new(Flaky::default());
        flaky.broken.store(true, Ordering::Relaxed);
        let metrics = Metrics::new("test").model(&"m".parse().unwrap());
        let guarded = Guarded::new(flaky.clone(), metrics);
        for _ in 0..100 {
            guarded.call(Request::new(Body::empty())).await.err().unwrap();
        }
        assert_eq!(flaky.calls.load(Ordering::Relaxed), LIMITS.failures_max as usize);
        let refused = guarded.call(Request::new(Body::empty())).await.err().unwrap();
        assert_eq!(refused.fault.code, ErrorCode::ModelUnavailable);
        assert!(refused.fault.retry_after.is_some());
    }
}
