//! The HTTP client for the world outside: pooled, HTTP/1.1 and HTTP/2, TLS with the system's roots.

mod gateway;

use std::{
    error::Error,
    fmt, io,
    sync::{Arc, LazyLock},
    time::Duration,
};

use api::{Begun, Body, BoxError, worker::Address};
use dial::Pool;
use http::{
    HeaderValue, Request, Response, header,
    uri::{Authority, PathAndQuery, Scheme},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::GaiResolver},
    },
    rt::{TokioExecutor, TokioTimer},
};
use parking_lot::Mutex;
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
        source: BoxError,
    },
    /// The connection failed before an answer began; the request may have had an effect.
    #[error("{host} broke off without an answer")]
    Broken {
        /// Host and port.
        host: String,
        /// What the connection said.
        source: BoxError,
    },
}

impl SendError {
    fn new(host: &Authority, begun: Begun, source: impl Into<BoxError>) -> Self {
        let (host, source) = (host.to_string(), source.into());
        match begun {
            Begun::No => Self::Connect { host, source },
            Begun::Maybe => Self::Broken { host, source },
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
        let mut innermost: &dyn Error = &**source;
        while let Some(next) = innermost.source() {
            innermost = next;
        }
        format!("{self}: {innermost}")
    }
}

/// A server that speaks plain HTTP.
#[derive(Clone)]
struct Server {
    authority: Authority,
    /// Its name in the head of a request.
    host: HeaderValue,
    pool: Arc<Pool>,
}

/// Pools of connections. Clones share them.
///
/// Plain HTTP goes through `dial`, which costs the least: such servers are near, and often called
/// thousands of times per second. TLS, and with it HTTP/2, goes through hyper's own client.
#[derive(Clone)]
pub struct HttpClient {
    tls: Client<HttpsConnector<HttpConnector>, Body>,
    /// A list, because a model has one or two.
    plain: Arc<Mutex<Vec<Server>>>,
}

impl HttpClient {
    /// Empty pools. The trusted roots are read once per process: the system's, or Mozilla's
    /// list where the system has none (a bare container).
    ///
    /// # Errors
    /// The TLS library refused its own defaults.
    pub fn new() -> io::Result<Self> {
        static CONNECTOR: LazyLock<Result<HttpsConnector<HttpConnector>, String>> =
            LazyLock::new(|| connector(GaiResolver::new()).map_err(|error| error.to_string()));
        let connector = CONNECTOR.clone().map_err(io::Error::other)?;
        let tls = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_MAX)
            .http2_keep_alive_interval(PING_INTERVAL)
            .build(connector);
        Ok(Self { tls, plain: Arc::default() })
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
        let Some(host) = request.uri().authority().cloned() else {
            let host = Authority::from_static("-");
            return Err(SendError::new(&host, Begun::No, "the address names no host"));
        };
        if request.uri().scheme() == Some(&Scheme::HTTP) {
            return self.send_plain(&host, request).await;
        }
        let answer = self.tls.request(request).await.map_err(|error| {
            let begun = if error.is_connect() { Begun::No } else { Begun::Maybe };
            SendError::new(&host, begun, error)
        })?;
        Ok(answer.map(Body::stream))
    }

    async fn send_plain(
        &self,
        host: &Authority,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, SendError> {
        let path = request.uri().path_and_query().cloned();
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        *request.uri_mut() = path.into();
        let server = self.server(host);
        request.headers_mut().entry(header::HOST).or_insert(server.host);
        let sent = server.pool.send(request).await;
        sent.map_err(|error| SendError::new(host, error.begun(), error))
    }

    fn server(&self, authority: &Authority) -> Server {
        let mut servers = self.plain.lock();
        if let Some(known) = servers.iter().find(|known| known.authority == *authority) {
            return known.clone();
        }
        let port = authority.port_u16().unwrap_or(80);
        let pool = Pool::new(Address::Tcp(format!("{}:{port}", authority.host())));
        // An authority is made of characters that a header may have.
        let host = HeaderValue::try_from(without_user(authority));
        let host = host.unwrap_or(const { HeaderValue::from_static("localhost") });
        let server = Server { authority: authority.clone(), host, pool };
        servers.push(server.clone());
        server
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

/// Host and port; a user name does not belong into the header.
fn without_user(host: &Authority) -> &str {
    host.as_str().rsplit_once('@').map_or(host.as_str(), |(_, host)| host)
}

pub(crate) fn connector<R>(resolver: R) -> io::Result<HttpsConnector<HttpConnector<R>>> {
    let mut http = HttpConnector::new_with_resolver(resolver);
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
