//! The HTTP client for the world outside: pooled, HTTP/1.1 and HTTP/2, TLS with the system's roots.

mod gateway;

use std::{error::Error, io, sync::LazyLock, time::Duration};

use api::{Begun, Body};
use http::{Request, Response, uri::Authority};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::crypto::ring;

pub use gateway::{GatewayClient, GatewayError};

/// A server that has not accepted by then is treated as absent. Long enough for three SYNs
/// (sent at 0, 1 and 3 seconds), short enough that another replica can still be tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Below the 60 seconds after which common proxies close idle connections, so that we close
/// first and never send into a closing one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);
/// Idle connections kept per server.
const IDLE_MAX: usize = 256;
/// HTTP/2 servers that went away silently are found by pings in this rhythm.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Makes ring the process-wide TLS provider; call it once, first thing in `main`. Later calls
/// change nothing.
pub fn install_tls_provider() {
    // The error means that a provider is already installed.
    drop(ring::default_provider().install_default());
}

/// Why a request brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection: nothing was sent.
    #[error("could not connect to {host}")]
    Connect {
        /// Host and port.
        host: String,
        /// What the system or TLS said.
        source: legacy::Error,
    },
    /// The connection failed before an answer began; the request may have had an effect.
    #[error("{host} broke off without an answer")]
    Broken {
        /// Host and port.
        host: String,
        /// What the connection said.
        source: legacy::Error,
    },
}

impl SendError {
    fn new(host: Option<Authority>, source: legacy::Error) -> Self {
        let host = host.map(|host| host.to_string()).unwrap_or_default();
        if source.is_connect() {
            Self::Connect { host, source }
        } else {
            Self::Broken { host, source }
        }
    }

    /// Whether the request may have had an effect.
    pub const fn begun(&self) -> Begun {
        match self {
            Self::Connect { .. } => Begun::No,
            Self::Broken { .. } => Begun::Maybe,
        }
    }

    /// One sentence for a person: what failed, and the innermost reason.
    pub fn with_cause(&self) -> String {
        let (Self::Connect { source, .. } | Self::Broken { source, .. }) = self;
        let mut innermost: &dyn Error = source;
        while let Some(next) = innermost.source() {
            innermost = next;
        }
        format!("{self}: {innermost}")
    }
}

/// A pool of connections. Clones share it.
#[derive(Debug, Clone)]
pub struct HttpClient {
    pool: Client<HttpsConnector<HttpConnector>, Body>,
}

impl HttpClient {
    /// An empty pool. The trusted roots are read once per process: the system's, or Mozilla's
    /// list where the system has none (a bare container).
    ///
    /// # Errors
    /// The TLS library refused its own defaults.
    pub fn new() -> io::Result<Self> {
        static CONNECTOR: LazyLock<Result<HttpsConnector<HttpConnector>, String>> =
            LazyLock::new(|| connector().map_err(|error| error.to_string()));
        let connector = CONNECTOR.clone().map_err(io::Error::other)?;
        let pool = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_MAX)
            .http2_keep_alive_interval(PING_INTERVAL)
            .build(connector);
        Ok(Self { pool })
    }

    /// Sends a request to the absolute address in its URI.
    ///
    /// # Cancel safety
    /// Dropping the future, or the answer's body before its end, closes the exchange; the server
    /// sees its client leave.
    ///
    /// # Errors
    /// [`SendError`] if no answer came.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Body>, SendError> {
        Ok(self.exchange(request).await?.map(Body::stream))
    }

    /// As [`send`](Self::send), with the body as it comes from the connection.
    pub(crate) async fn exchange(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, SendError> {
        let host = request.uri().authority().cloned();
        self.pool.request(request).await.map_err(|source| SendError::new(host, source))
    }
}

fn connector() -> io::Result<HttpsConnector<HttpConnector>> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_keepalive(Some(Duration::from_secs(60)));
    http.set_nodelay(true);
    let builder = HttpsConnectorBuilder::new();
    let builder = match builder.with_provider_and_native_roots(ring::default_provider()) {
        Ok(builder) => builder,
        Err(error) => {
            tracing::info!(%error, "no roots from the system, so Mozilla's list is trusted");
            HttpsConnectorBuilder::new()
                .with_provider_and_webpki_roots(ring::default_provider())
                .map_err(io::Error::other)?
        }
    };
    Ok(builder.https_or_http().enable_all_versions().wrap_connector(http))
}
