//! A circuit breaker around an endpoint that we only call: nobody else tells us that it is down.

use std::{sync::Arc, time::Duration};

use api::{Body, Endpoint, EndpointError, endpoint::Answer, headers};
use http::{HeaderMap, Request};
use parking_lot::Mutex;
use policy::breaker::{Breaker, BreakerLimits, CallEnd, Circuit, Pass};
use telemetry::{Breaker as Shown, metrics::ModelMetrics};
use tokio::time::Instant;
use types::{ErrorCode, Fault};

/// Half of the last 32 counted calls: a provider that fails now and then stays closed, one that is
/// down is noticed within 16 calls; a probe every 5 s is cheap for both sides.
const LIMITS: BreakerLimits =
    BreakerLimits { window: 32, failures_max: 16, open_for: Duration::from_secs(5) };

/// Nobody is told to come back sooner, even if the probe is under way.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);

/// An endpoint behind a breaker.
pub(crate) struct Guarded {
    endpoint: Arc<dyn Endpoint>,
    breaker: Mutex<Breaker>,
    metrics: Arc<ModelMetrics>,
}

impl Guarded {
    /// Puts a closed breaker in front of `endpoint`.
    pub(crate) fn new(endpoint: Arc<dyn Endpoint>, metrics: Arc<ModelMetrics>) -> Self {
        metrics.breaker_changed(None, Some(Shown::Closed));
        Self { endpoint, breaker: Mutex::new(Breaker::new(LIMITS)), metrics }
    }

    fn enter(&self, headers: &HeaderMap) -> Result<Trial<'_>, EndpointError> {
        match self.step(Breaker::enter) {
            Ok(pass) => Ok(Trial {
                guarded: self,
                pass: Some(pass),
                end: None,
                late_at: time_left(headers).and_then(|left| Instant::now().checked_add(left)),
            }),
            Err(open) => {
                let wait = open.retry_after.max(RETRY_AFTER_MIN);
                let detail = "the last calls of this model failed; it is given a moment of rest";
                let fault = Fault::new(ErrorCode::ModelUnavailable, detail).retry_after(wait);
                Err(EndpointError::not_begun(fault))
            }
        }
    }

    /// One step of the breaker; shows where it stands if that has changed.
    fn step<T>(&self, step: impl FnOnce(&mut Breaker, std::time::Instant) -> T) -> T {
        let mut breaker = self.breaker.lock();
        let before = breaker.circuit();
        let outcome = step(&mut breaker, Instant::now().into_std());
        let after = breaker.circuit();
        if before != after {
            self.metrics.breaker_changed(Some(shown(before)), Some(shown(after)));
        }
        outcome
    }
}

impl Endpoint for Guarded {
    fn call(&self, request: Request<Body>) -> Answer<'_> {
        Box::pin(async move {
            let mut trial = self.enter(request.headers())?;
            let answer = self.endpoint.call(request).await;
            trial.end = Some(match &answer {
                Ok(response) => CallEnd::of_status(response.status().as_u16()),
                Err(error) => end_of(error.fault.code),
            });
            answer
        })
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let last = self.breaker.get_mut().circuit();
        self.metrics.breaker_changed(Some(shown(last)), None);
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

const fn shown(circuit: Circuit) -> Shown {
    match circuit {
        Circuit::Closed => Shown::Closed,
        Circuit::HalfOpen => Shown::HalfOpen,
        Circuit::Open => Shown::Open,
    }
}

fn time_left(headers: &HeaderMap) -> Option<Duration> {
    let left = headers.get(headers::DEADLINE_MS)?.to_str().ok()?;
    left.parse().ok().map(Duration::from_millis)
}

/// A call that was let through.
struct Trial<'a> {
    guarded: &'a Guarded,
    pass: Option<Pass>,
    /// `None`: dropped before it ended.
    end: Option<CallEnd>,
    /// When its time is up.
    late_at: Option<Instant>,
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        let Some(pass) = self.pass.take() else { return };
        // A call that is dropped when its time is up has failed; before that, its caller has left.
        let is_late = || self.late_at.is_some_and(|late_at| late_at <= Instant::now());
        let end = match self.end {
            Some(end) => end,
            None if is_late() => CallEnd::Failed,
            None => CallEnd::Abandoned,
        };
        self.guarded.step(|breaker, now| breaker.ended(pass, end, now));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::Response;
    use telemetry::Metrics;
    use tokio::time::{sleep, timeout};

    use super::*;

    /// What an endpoint does with a call.
    #[derive(Clone, Copy)]
    enum Mood {
        Well,
        Failing,
        Silent,
    }

    struct Moody {
        mood: Mutex<Mood>,
        calls: AtomicUsize,
    }

    impl Endpoint for Moody {
        fn call(&self, _: Request<Body>) -> Answer<'_> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            let mood = *self.mood.lock();
            Box::pin(async move {
                match mood {
                    Mood::Well => Ok(Response::new(Body::empty())),
                    Mood::Failing => {
                        let fault = Fault::new(ErrorCode::ProviderFailed, "503 -> no");
                        Err(EndpointError::maybe_begun(fault))
                    }
                    Mood::Silent => std::future::pending().await,
                }
            })
        }
    }

    struct Story {
        moody: Arc<Moody>,
        guarded: Guarded,
        metrics: Metrics,
    }

    impl Story {
        fn with(mood: Mood) -> Self {
            let moody = Arc::new(Moody { mood: Mutex::new(mood), calls: AtomicUsize::new(0) });
            let metrics = Metrics::new("test");
            let model = metrics.model(&"m".parse().unwrap());
            Self { guarded: Guarded::new(moody.clone(), model), moody, metrics }
        }

        /// Calls it with a second's time, and waits no longer than this.
        async fn call(&self, patience: Duration) -> Option<Result<(), Fault>> {
            let mut request = Request::new(Body::empty());
            request.headers_mut().insert(headers::DEADLINE_MS, "1000".parse().unwrap());
            let answer = timeout(patience, self.guarded.call(request)).await.ok()?;
            Some(answer.map(drop).map_err(|error| error.fault))
        }

        async fn calls(&self, times: usize, patience: Duration) {
            for _ in 0..times {
                self.call(patience).await;
            }
        }

        fn reached(&self) -> usize {
            self.moody.calls.load(Ordering::Relaxed)
        }

        #[track_caller]
        fn shows(&self, state: u8) {
            let text = self.metrics.encode();
            let expected = format!("modelyard_model_breaker_state{{model=\"m\"}} {state}\n");
            assert!(text.contains(&expected), "{expected} is not in {text}");
        }
    }

    const SECOND: Duration = Duration::from_secs(1);
    const ENOUGH: usize = LIMITS.failures_max as usize;

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_keeps_failing_is_left_alone_for_a_while() {
        let story = Story::with(Mood::Failing);
        story.shows(0);
        story.calls(100, SECOND).await;
        assert_eq!(story.reached(), ENOUGH);
        let refused = story.call(SECOND).await.unwrap().unwrap_err();
        assert_eq!(refused.code, ErrorCode::ModelUnavailable);
        assert!(refused.retry_after.is_some());
        story.shows(2);
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_brings_it_back() {
        let story = Story::with(Mood::Failing);
        story.calls(ENOUGH, SECOND).await;
        sleep(LIMITS.open_for).await;
        *story.moody.mood.lock() = Mood::Silent;
        let mut probe = Box::pin(story.call(SECOND));
        assert!(futures_util::poll!(&mut probe).is_pending());
        story.shows(1);
        assert!(story.call(SECOND).await.unwrap().is_err(), "others wait for the probe");
        drop(probe);

        *story.moody.mood.lock() = Mood::Well;
        story.call(SECOND).await.unwrap().unwrap();
        story.shows(0);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_whose_time_is_up_count_and_callers_that_leave_do_not() {
        let story = Story::with(Mood::Silent);
        story.calls(2 * ENOUGH, SECOND / 2).await;
        story.shows(0);
        story.calls(ENOUGH, SECOND).await;
        story.shows(2);
    }

    #[tokio::test]
    async fn one_that_is_withdrawn_is_not_shown_any_more() {
        let story = Story::with(Mood::Failing);
        story.calls(ENOUGH, SECOND).await;
        let metrics = story.metrics.clone();
        story.shows(2);
        drop(story.guarded);
        assert!(metrics.encode().contains("modelyard_model_breaker_state{model=\"m\"} 0\n"));
    }
}
