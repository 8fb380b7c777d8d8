//! TLS at the doors for clients. One port takes both: whoever does not begin with a handshake speaks
//! plain HTTP, and is served, or sent to https.

use std::{io, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::{body::Body, response::Response};
use http::{HeaderValue, Request, StatusCode, header, uri::Authority};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The first byte of a handshake; no method of HTTP begins with it.
const HANDSHAKE: u8 = 0x16;
/// Time for a client to begin, and as much to finish the handshake.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// The port that `https://` means.
const HTTPS_PORT: u16 = 443;

/// Who may speak plain HTTP where there is a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    /// Clients of this machine; others are sent to https.
    Local,
    /// Nobody: all are sent to https.
    Redirect,
    /// Everybody.
    Allow,
}

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the key does not belong to the certificate, or is of a kind that is not known")]
pub struct BadCertificate(#[source] rustls::Error);

/// The certificate that is shown now. Clones share it.
#[derive(Debug, Clone)]
pub struct Certificate(Arc<ArcSwap<CertifiedKey>>);

impl Certificate {
    /// A chain, the server's own certificate first, and its key.
    ///
    /// # Errors
    /// [`BadCertificate`] if they do not belong together.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, BadCertificate> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(certified(chain, key)?))))
    }

    /// Shows another one from now on; connections that are open keep theirs.
    ///
    /// # Errors
    /// [`BadCertificate`]; nothing has changed then.
    pub fn replace(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<(), BadCertificate> {
        self.0.store(Arc::new(certified(chain, key)?));
        Ok(())
    }
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, BadCertificate> {
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(BadCertificate)
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// TLS 1.2 and 1.3, with HTTP/2 for clients that speak it.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    plain: Plain,
    /// Where `https://host` is answered, if it is.
    has_https_port: bool,
}

/// How a connection goes on.
pub(crate) enum Spoken {
    Secured(Box<TlsStream<TcpStream>>),
    Plain(TcpStream),
    /// To be sent to https at this port.
    Redirected(TcpStream, u16),
}

impl Tls {
    /// - `ports`: those that are listened on.
    ///
    /// # Errors
    /// What the TLS library says about its own defaults.
    pub fn new(
        certificate: Certificate,
        plain: Plain,
        ports: &[u16],
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(certificate));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let has_https_port = ports.contains(&HTTPS_PORT);
        Ok(Self { acceptor: Arc::new(config).into(), plain, has_https_port })
    }

    /// Hears how the client begins, and makes the handshake if it wants one.
    pub(crate) async fn hear(&self, stream: TcpStream) -> io::Result<Spoken> {
        let mut first = [0];
        let heard = timeout(HANDSHAKE_TIME_MAX, stream.peek(&mut first)).await?;
        if heard? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first[0] == HANDSHAKE {
            let accepted = timeout(HANDSHAKE_TIME_MAX, self.acceptor.accept(stream)).await?;
            return Ok(Spoken::Secured(Box::new(accepted?)));
        }
        let is_allowed = match self.plain {
            Plain::Allow => true,
            Plain::Local => stream.peer_addr()?.ip().to_canonical().is_loopback(),
            Plain::Redirect => false,
        };
        if is_allowed {
            return Ok(Spoken::Plain(stream));
        }
        let port = if self.has_https_port { HTTPS_PORT } else { stream.local_addr()?.port() };
        Ok(Spoken::Redirected(stream, port))
    }
}

/// Whether the client chose HTTP/2 in its handshake.
pub(crate) fn speaks_http_2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

/// Sends a request to https; one that names no host is told that.
pub(crate) fn redirect<B>(request: &Request<B>, port: u16) -> Response {
    let mut response = Response::new(Body::empty());
    // Method and body stay what they are.
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    if let Some(target) = target(request, port) {
        response.headers_mut().insert(header::LOCATION, target);
    } else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        *response.body_mut() =
            Body::from("this port speaks https, and the request names no host\n");
    }
    response
}

fn target<B>(request: &Request<B>, port: u16) -> Option<HeaderValue> {
    let named = request.headers().get(header::HOST)?.to_str().ok()?;
    let authority: Authority = named.parse().ok()?;
    let port = if port == HTTPS_PORT { String::new() } else { format!(":{port}") };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    // `OPTIONS *` means the server.
    let path = if path.starts_with('/') { path } else { "/" };
    HeaderValue::try_from(format!("https://{}{port}{path}", authority.host())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(host: &str, uri: &str, port: u16) -> Option<String> {
        let request = Request::get(uri).header(header::HOST, host).body(()).unwrap();
        let response = redirect(&request, port);
        let location = response.headers().get(header::LOCATION);
        assert_eq!(response.status(), if location.is_some() { 308 } else { 400 });
        Some(location?.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_plain_request_is_sent_to_the_same_place_on_https() {
        let told = location("yard.example:80", "/v1/models?a=b", HTTPS_PORT);
        assert_eq!(told.as_deref(), Some("https://yard.example/v1/models?a=b"));
        let told = location("[::1]:8000", "/", 8000);
        assert_eq!(told.as_deref(), Some("https://[::1]:8000/"));
        assert_eq!(location("a b", "/", 8000), None);
    }
}
