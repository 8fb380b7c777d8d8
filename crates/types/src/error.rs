//! The one table of errors that a client can see, and the value that carries one.

use std::{borrow::Cow, error::Error, fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Whether the same request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same request fails again; change it first.
    No,
    /// Send it again after `Retry-After`; nothing was begun.
    Later,
    /// It may have been begun; send it again only if running it twice does no harm.
    IfIdempotent,
}

macro_rules! error_codes {
    ($($code:ident $slug:literal $status:literal $retry:ident $title:literal;)*) => {
        /// Why a request failed, in a word that clients may match on. Each has a page
        /// `docs/errors/<slug>.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorCode {$(
            #[doc = $title]
            $code
        ),*}

        impl ErrorCode {
            /// Every code, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$code),*];
            /// The stable name that clients match on, and the name of its page.
            pub const fn slug(self) -> &'static str { match self { $(Self::$code => $slug),* } }
            /// The HTTP status.
            pub const fn status(self) -> u16 { match self { $(Self::$code => $status),* } }
            /// One line for a person.
            pub const fn title(self) -> &'static str { match self { $(Self::$code => $title),* } }
            /// Whether to send the request again.
            pub const fn retry(self) -> Retry { match self { $(Self::$code => Retry::$retry),* } }
        }
    };
}

error_codes! {
    // code               slug                     status  retry         title
    InvalidHeader         "invalid_header"         400     No            "A header has a value that cannot be read";
    InvalidQuery          "invalid_query"          400     No            "A query parameter has a value that cannot be read";
    InvalidRequest        "invalid_request"        400     No            "The request is not well formed";
    ContextOverflow       "context_length_exceeded" 400    No            "The prompt and its answer do not fit the model's context";
    Unauthorized          "unauthorized"           401     No            "A valid token or API key is required";
    RouteNotFound         "route_not_found"        404     No            "Nothing answers at this path";
    ModelNotFound         "model_not_found"        404     No            "No model by that name is configured";
    TaskNotFound          "task_not_found"         404     No            "No task by that id is known";
    FileNotFound          "file_not_found"         404     No            "No file by that id is known";
    BatchNotFound         "batch_not_found"        404     No            "No batch by that id is known";
    WorkerNotFound        "worker_not_found"       404     No            "No worker by that id is registered";
    MethodNotAllowed      "method_not_allowed"     405     No            "This path does not take that method";
    TaskFinished          "task_finished"          409     No            "The task has already finished";
    TaskCancelled         "task_cancelled"         409     No            "The task was cancelled";
    FileInUse             "file_in_use"            409     No            "A batch that has not ended reads the file";
    BatchFinished         "batch_finished"         409     No            "The batch has already ended";
    IdempotencyConflict   "idempotency_conflict"   409     No            "The idempotency key was used with another body";
    LeaseLost             "lease_lost"             409     No            "The lease belongs to somebody else now";
    BodyTooLarge          "body_too_large"         413     No            "The body is larger than the limit";
    FileQuotaExceeded     "file_quota_exceeded"    413     No            "The files take as much room as they may";
    UnsupportedMediaType  "unsupported_media_type" 415     No            "The body is of a type that this path does not take";
    InvalidJson           "invalid_json"           422     No            "The body is not valid JSON";
    InvalidInput          "invalid_input"          422     No            "The body does not fit what the model takes";
    QueueFull             "queue_full"             429     Later         "The queue of this model is full";
    RateLimited           "rate_limited"           429     Later         "The key has made its calls of this second";
    HandlerFailed         "handler_failed"         500     IfIdempotent  "The model's code raised an error";
    ResultNotSerializable "result_not_serializable" 500    IfIdempotent  "The model returned something that cannot be sent";
    ProviderFailed        "provider_failed"        500     IfIdempotent  "The external service failed";
    InternalError         "internal_error"         500     IfIdempotent  "A bug of ours";
    WorkerFailed          "worker_failed"          502     IfIdempotent  "The worker died or answered garbage";
    ModelUnavailable      "model_unavailable"      503     Later         "No replica of this model can take work";
    ServerDraining        "server_draining"        503     Later         "The server is shutting down";
    StoreUnavailable      "store_unavailable"      503     Later         "The task store cannot be reached";
    DeadlineExceeded      "deadline_exceeded"      504     IfIdempotent  "No answer came in time";
}

impl ErrorCode {
    /// The code with that slug.
    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.slug() == slug)
    }
}

/// A failure that a client is told about: what happened, for whom, and whether to try again.
///
/// `detail` is for the caller and stands in the answer; `source` is for the operator and stands
/// only in the log.
#[derive(Debug)]
pub struct Fault {
    /// The row of the table.
    pub code: ErrorCode,
    /// What happened this time, in words that help the caller.
    pub detail: Cow<'static, str>,
    /// The field of the request that is at fault, where one is.
    pub param: Option<Cow<'static, str>>,
    /// When to come back, for codes with [`Retry::Later`].
    pub retry_after: Option<Duration>,
    /// What lies beneath; never shown to the caller.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    /// A failure with its words for the caller.
    pub fn new(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after = matches!(code.retry(), Retry::Later).then_some(Duration::from_secs(1));
        Self { code, detail: detail.into(), param: None, retry_after, source: None }
    }

    /// Names the field of the request that is at fault.
    #[must_use]
    pub fn about(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Adds the cause for the operator's log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

/// An error and its causes, in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        next = cause.source();
    }
    line
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.slug(), self.detail)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_an_error_with_a_slug_of_its_own() {
        let slugs: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.slug()).collect();
        assert_eq!(slugs.len(), ErrorCode::ALL.len());
        for &code in ErrorCode::ALL {
            assert!((400..600).contains(&code.status()), "{code:?}");
            assert_eq!(ErrorCode::from_slug(code.slug()), Some(code));
        }
    }

    #[test]
    fn a_chain_tells_every_cause_once() {
        let cause = Fault::new(ErrorCode::WorkerFailed, "it died").caused_by("out of memory");
        let fault = Fault::new(ErrorCode::ModelUnavailable, "nobody is left").caused_by(cause);
        let line = "model_unavailable: nobody is left: worker_failed: it died: out of memory";
        assert_eq!(chain(&fault), line);
    }

    #[test]
    fn every_code_has_a_page() {
        for code in ErrorCode::ALL {
            let page =
                format!("{}/../../docs/errors/{}.md", env!("CARGO_MANIFEST_DIR"), code.slug());
            assert!(std::path::Path::new(&page).exists(), "{page} is missing");
        }
    }
}
