//! Webhooks: letters to servers that clients name, signed so that their receivers can trust them.
//!
//! The scheme is that of Standard Webhooks: the headers `webhook-id`, `webhook-timestamp` and
//! `webhook-signature`. One call is one try; whoever calls tries again. Redirects are not followed,
//! because they would lead around the guard.

mod guard;
mod signature;

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use api::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::timeout;

use self::guard::Resolver;
use crate::client;

pub use guard::{Origin, Refused};
pub use signature::{BadSecret, Secret};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// What is read of an answer, to be shown where a letter was not taken.
const ANSWER_BYTES_MAX: usize = 4 << 10;

/// Connections to a receiver are kept for so long: a burst of ends needs one, not one each.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Who may be written to, and how letters are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Keys of the signature. Each letter is signed with all of them, so that a receiver can change
    /// from one to the next.
    pub secrets: Vec<Secret>,
    /// The only origins that may be written to. Empty: every `https` server on a public address.
    pub allow: Vec<Origin>,
    /// Longest time for one try.
    pub timeout: Duration,
}

impl WebhookSettings {
    /// Whether letters may be sent to `url`. A name may still turn out to stand for an address that
    /// may not be written to.
    ///
    /// # Errors
    /// [`Refused`], with the reason.
    pub fn check(&self, url: &str) -> Result<Uri, Refused> {
        guard::check(url, &self.allow)
    }
}

/// Why a letter was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// The receiver wants no more of these (410 Gone).
    #[error("the receiver answered with status 410: it wants no more webhooks")]
    Gone,
    /// Another try may go better.
    #[error("{0}")]
    NotNow(String),
}

/// The way to receivers of webhooks. Clones share its connections.
#[derive(Debug, Clone)]
pub struct WebhookSender {
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Body>,
    settings: Arc<WebhookSettings>,
}

impl WebhookSender {
    /// A sender without connections.
    ///
    /// # Errors
    /// The TLS library refused its own defaults.
    pub fn new(settings: WebhookSettings) -> io::Result<Self> {
        let resolver = Resolver { public_only: settings.allow.is_empty() };
        let connector = client::connector(resolver)?;
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Ok(Self { client, settings: Arc::new(settings) })
    }

    /// See [`WebhookSettings::check`].
    ///
    /// # Errors
    /// [`Refused`], with the reason.
    pub fn check(&self, url: &str) -> Result<Uri, Refused> {
        self.settings.check(url)
    }

    /// Sends one letter once; any status of 2xx means that it was taken. `id` is the same each time
    /// that a letter is sent, so that a receiver can tell a second from another.
    ///
    /// # Errors
    /// [`Undelivered`], with the reason.
    ///
    /// # Cancel safety
    /// Dropping the future closes the exchange; the receiver may have taken the letter.
    pub async fn send(&self, url: &str, id: &str, body: Bytes) -> Result<StatusCode, Undelivered> {
        let request = self.request(url, id, body)?;
        match timeout(self.settings.timeout, self.exchange(request)).await {
            Ok(answered) => answered,
            Err(_) => {
                let seconds = self.settings.timeout.as_secs_f64();
                Err(Undelivered::NotNow(format!("the receiver did not answer within {seconds} s")))
            }
        }
    }

    fn request(&self, url: &str, id: &str, body: Bytes) -> Result<Request<Body>, Undelivered> {
        let not_now = |error: String| Undelivered::NotNow(error);
        let uri = self.check(url).map_err(|refused| not_now(refused.to_string()))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let signature = signature::all(&self.settings.secrets, id, now, &body);
        let value = |text: &str| HeaderValue::from_str(text).map_err(|e| not_now(e.to_string()));
        let mut request = Request::new(Body::full(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("modelyard-webhooks"));
        headers.insert(ID, value(id)?);
        headers.insert(TIMESTAMP, HeaderValue::from(now));
        headers.insert(SIGNATURE, value(&signature)?);
        Ok(request)
    }

    async fn exchange(&self, request: Request<Body>) -> Result<StatusCode, Undelivered> {
        let answer = self.client.request(request).await.map_err(|error| {
            Undelivered::NotNow(format!("the receiver cannot be reached: {}", innermost(&error)))
        })?;
        let status = answer.status();
        // Read in part, so that the connection can be used again and the words can be shown.
        let words = match Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await {
            Ok(body) => String::from_utf8_lossy(&body.to_bytes()).trim().to_owned(),
            Err(_) => String::new(),
        };
        match status {
            _ if status.is_success() => Ok(status),
            StatusCode::GONE => Err(Undelivered::Gone),
            _ => {
                let said = if words.is_empty() { String::new() } else { format!(": {words}") };
                let status = status.as_u16();
                Err(Undelivered::NotNow(format!(
                    "the receiver answered with status {status}{said}"
                )))
            }
        }
    }
}

/// What lies at the root of an error, which says most.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    innermost.to_string()
}
