//! Requests to a WebDAV server: addresses, authentication, time, and asking again.

use std::time::Duration;

use adapters::HttpClient;
use api::Body;
use bytes::{Bytes, BytesMut};
use data_encoding::BASE64;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header,
    uri::{Authority, Scheme},
};
use http_body_util::BodyExt as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::{Instant, sleep, timeout};

use super::WebDavSettings;
use crate::error::{Error, Kind, Result};

/// What stands in a path as it is.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// A listing of some hundred thousand entries; what is longer is not kept in memory.
const ANSWER_MAX: usize = 64 * 1024 * 1024;

/// A request.
pub(super) struct Ask<'a> {
    method: Method,
    path: &'a str,
    headers: HeaderMap,
    body: Box<dyn Fn() -> Body + Send + Sync + 'a>,
    again: bool,
    patient: bool,
}

impl<'a> Ask<'a> {
    pub(super) fn new(method: Method, path: &'a str) -> Self {
        Self {
            method,
            path,
            headers: HeaderMap::new(),
            body: Box::new(Body::empty),
            again: true,
            patient: true,
        }
    }

    /// A server that is not there is no reason to wait.
    pub(super) fn impatient(mut self) -> Self {
        self.patient = false;
        self
    }

    /// It must not be sent twice.
    pub(super) fn once(mut self) -> Self {
        self.again = false;
        self
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(super) fn body(self, text: &'static str) -> Self {
        self.stream(text.len() as u64, move || Body::full(text))
    }

    /// A body of this length, made anew for each try.
    pub(super) fn stream(
        mut self,
        length: u64,
        body: impl Fn() -> Body + Send + Sync + 'a,
    ) -> Self {
        self.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        self.body = Box::new(body);
        self
    }
}

/// The way to one server.
#[derive(Debug)]
pub(super) struct Client {
    http: HttpClient,
    scheme: Scheme,
    authority: Authority,
    root: String,
    authorization: Option<HeaderValue>,
    timeout: Duration,
}

impl Client {
    pub(super) fn new(settings: &WebDavSettings) -> Result<Self> {
        let wrong = |why: &str| {
            let detail = format!("IEOPS_WEBDAV_URL is no address of a server: {why}");
            Error::new(Kind::Invalid, detail)
        };
        let url: Uri = settings
            .url
            .parse()
            .map_err(|error: http::uri::InvalidUri| wrong(&error.to_string()))?;
        let scheme = url.scheme().cloned().ok_or_else(|| wrong("it lacks http:// or https://"))?;
        let authority = url.authority().cloned().ok_or_else(|| wrong("it names no host"))?;
        let authorization = (!settings.user.is_empty()).then(|| {
            let secret =
                BASE64.encode(format!("{}:{}", settings.user, settings.password).as_bytes());
            let mut value = HeaderValue::try_from(format!("Basic {secret}"));
            if let Ok(value) = &mut value {
                value.set_sensitive(true);
            }
            value
        });
        Ok(Self {
            http: HttpClient::new()?,
            scheme,
            authority,
            root: url.path().trim_end_matches('/').to_owned(),
            authorization: authorization.transpose().map_err(|error| wrong(&error.to_string()))?,
            timeout: settings.timeout,
        })
    }

    /// The path on the server as its listings show it, decoded.
    pub(super) fn path(&self, path: &str) -> String {
        let root = percent_encoding::percent_decode_str(&self.root).decode_utf8_lossy();
        format!("{root}{path}")
    }

    /// The whole address, encoded.
    pub(super) fn address(&self, path: &str) -> String {
        let Self { scheme, authority, root, .. } = self;
        format!("{scheme}://{authority}{root}{}", utf8_percent_encode(path, PLAIN))
    }

    /// Sends a request; again if the connection broke and that does no harm.
    pub(super) async fn send(&self, ask: Ask<'_>) -> Result<Response<Body>> {
        let deadline = Instant::now() + self.timeout;
        let mut wait = FIRST_WAIT;
        loop {
            let mut request = Request::builder()
                .method(ask.method.clone())
                .uri(self.address(ask.path))
                .body((ask.body)())
                .map_err(|error| Error::new(Kind::Invalid, error.to_string()))?;
            request.headers_mut().extend(ask.headers.clone());
            if let Some(secret) = &self.authorization {
                request.headers_mut().insert(header::AUTHORIZATION, secret.clone());
            }
            let error = match timeout(self.timeout, self.http.send(request)).await {
                Err(_) => return Err(self.too_late()),
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
            };
            let harmless = ask.again || error.begun() == api::Begun::No;
            if !harmless || !ask.patient || Instant::now() + wait >= deadline {
                return Err(Error::new(Kind::Unavailable, error.with_cause()));
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// The next piece of an answer's body; `None` at its end.
    pub(super) async fn piece(&self, answer: &mut Response<Body>) -> Result<Option<Bytes>> {
        loop {
            let Ok(frame) = timeout(self.timeout, answer.body_mut().frame()).await else {
                return Err(self.too_late());
            };
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| {
                let detail = format!("{}: the answer broke off: {error}", self.authority);
                Error::new(Kind::Unavailable, detail)
            })?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }

    /// The whole body of an answer.
    pub(super) async fn collect(&self, mut answer: Response<Body>) -> Result<Bytes> {
        let mut whole = BytesMut::new();
        while let Some(piece) = self.piece(&mut answer).await? {
            if whole.len() + piece.len() > ANSWER_MAX {
                let detail = format!("{}: an answer exceeds {ANSWER_MAX} bytes", self.authority);
                return Err(Error::new(Kind::Io, detail));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    fn too_late(&self) -> Error {
        let seconds = self.timeout.as_secs_f64();
        let detail =
            format!("{} did not answer within {seconds} s (IEOPS_WEBDAV_TIMEOUT)", self.authority);
        Error::new(Kind::TimedOut, detail)
    }
}
