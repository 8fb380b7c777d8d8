//! What the headers of a call say, parsed once.

use std::{str::FromStr, time::Duration};

use api::headers;
use http::{HeaderMap, HeaderName};
use tokio::time::Instant;
use types::{ErrorCode, Priority, Tenant};

use crate::failure::Failure;

/// Longest deadline that is taken at its word: a week.
const DEADLINE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Who calls, how urgently, and until when.
pub(crate) struct CallContext {
    pub(crate) tenant: Tenant,
    pub(crate) priority: Priority,
    pub(crate) deadline: Option<Instant>,
}

impl CallContext {
    /// Reads the headers.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let deadline = parsed::<u64>(headers, &headers::DEADLINE_MS, "a number of milliseconds")?;
        let deadline =
            deadline.map(|ms| Instant::now() + Duration::from_millis(ms).min(DEADLINE_MAX));
        Ok(Self {
            tenant: parsed(headers, &headers::TENANT, "a name")?.unwrap_or_default(),
            priority: parsed(headers, &headers::PRIORITY, "low, normal or high")?
                .unwrap_or_default(),
            deadline,
        })
    }
}

/// A header's value, if it is there.
pub(crate) fn parsed<T>(
    headers: &HeaderMap,
    name: &HeaderName,
    expected: &str,
) -> Result<Option<T>, Failure>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    let Some(value) = headers.get(name) else { return Ok(None) };
    let bad = |why: String| {
        let detail = format!("header {name} must be {expected}: {why}");
        Failure::new(ErrorCode::InvalidHeader, detail)
    };
    let text = value.to_str().map_err(|_| bad("it is not visible ASCII".into()))?;
    text.trim().parse().map(Some).map_err(|error: T::Err| bad(error.to_string()))
}
