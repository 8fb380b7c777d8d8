//! Whether and when a call to an external API is sent again. Decides only; waits for nothing.

use std::time::Duration;

use http::StatusCode;
use types::{HttpMethod, ModelSpec, RetrySpec};

/// What sending a call twice would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It may run twice: only what was never sent is sent again.
    OnlyUnsent,
    /// No harm is done, or the operator asked for it.
    Allowed,
}

impl Repeat {
    /// Methods that change nothing the second time may be repeated; others only if the model's
    /// `retry` differs from the default, which is how an operator asks for it.
    pub(crate) fn of(spec: &ModelSpec) -> Self {
        let idempotent = matches!(spec.method, HttpMethod::Get | HttpMethod::Put);
        // Which errors a durable task is tried again after says nothing about calls.
        let (on, not_on) = (Vec::new(), Vec::new());
        let asked = RetrySpec { on, not_on, ..spec.retry.clone() } != RetrySpec::default();
        if idempotent || asked { Self::Allowed } else { Self::OnlyUnsent }
    }
}

/// How one attempt ended, as far as repeating it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// No connection came about, so nothing was sent.
    NotConnected,
    /// The exchange broke off, or its time ran out.
    Broken,
    /// An answer came, and perhaps it says when to come back.
    Answered(StatusCode, Option<Duration>),
}

/// How long to wait before attempt `attempt + 1`; `None` if there is none.
pub(crate) fn wait(
    spec: &RetrySpec,
    repeat: Repeat,
    ending: Ending,
    attempt: u32,
) -> Option<Duration> {
    if attempt >= spec.attempts_max {
        return None;
    }
    let backoff = Duration::from_millis(
        spec.backoff_ms.saturating_mul(2_u64.saturating_pow(attempt - 1)).min(spec.backoff_ms_max),
    );
    match ending {
        Ending::NotConnected => Some(backoff),
        Ending::Broken => (repeat == Repeat::Allowed).then_some(backoff),
        Ending::Answered(status, asked) => {
            let passing = matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS
                    | StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT
            );
            (passing && repeat == Repeat::Allowed).then_some(asked.unwrap_or(backoff))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: RetrySpec = RetrySpec {
        attempts_max: 4,
        backoff_ms: 100,
        backoff_ms_max: 300,
        on: Vec::new(),
        not_on: Vec::new(),
    };
    const BUSY: Ending = Ending::Answered(StatusCode::SERVICE_UNAVAILABLE, None);

    fn ms(millis: u64) -> Option<Duration> {
        Some(Duration::from_millis(millis))
    }

    #[test]
    fn the_wait_doubles_up_to_its_limit_and_attempts_end() {
        let waits: Vec<_> =
            (1..=4).map(|n| wait(&SPEC, Repeat::Allowed, Ending::Broken, n)).collect();
        assert_eq!(waits, [ms(100), ms(200), ms(300), None]);
    }

    #[test]
    fn what_was_sent_is_repeated_only_where_that_is_allowed() {
        for (repeat, ending, expected) in [
            (Repeat::OnlyUnsent, Ending::NotConnected, ms(100)),
            (Repeat::OnlyUnsent, Ending::Broken, None),
            (Repeat::OnlyUnsent, BUSY, None),
            (Repeat::Allowed, BUSY, ms(100)),
            (Repeat::Allowed, Ending::Answered(StatusCode::TOO_MANY_REQUESTS, ms(7)), ms(7)),
            (Repeat::Allowed, Ending::Answered(StatusCode::BAD_REQUEST, None), None),
            (Repeat::Allowed, Ending::Answered(StatusCode::INTERNAL_SERVER_ERROR, None), None),
        ] {
            assert_eq!(wait(&SPEC, repeat, ending, 1), expected, "{repeat:?} {ending:?}");
        }
    }

    #[test]
    fn posts_are_repeated_only_if_the_operator_says_so() {
        let repeat =
            |method, retry| Repeat::of(&ModelSpec { method, retry, ..ModelSpec::default() });
        assert_eq!(repeat(HttpMethod::Get, RetrySpec::default()), Repeat::Allowed);
        assert_eq!(repeat(HttpMethod::Post, RetrySpec::default()), Repeat::OnlyUnsent);
        assert_eq!(repeat(HttpMethod::Post, SPEC), Repeat::Allowed);
    }
}
