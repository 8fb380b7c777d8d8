//! A small client for the gateway's internal door: one connection, made anew when it breaks.

use std::{io, net::IpAddr, time::Duration};

use api::worker::Address;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_util::task::AbortOnDropHandle;

/// Longest answer that is read, in bytes; the gateway's are a few hundred.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Longest time for one request. The gateway answers these without waiting for anything.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(5);

/// Why the gateway could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatewayError {
    #[error("the gateway cannot be reached")]
    Connect(#[from] io::Error),
    #[error("the gateway did not answer as HTTP")]
    Http(#[from] hyper::Error),
    #[error("the gateway's answer is too long or broke off")]
    Answer(#[source] api::BoxError),
    #[error("the gateway did not answer in {} s", REQUEST_TIME_MAX.as_secs())]
    Late,
    #[error("the request cannot be written")]
    Request(#[from] http::Error),
    #[error("the body cannot be written")]
    Body(#[from] serde_json::Error),
}

/// What the gateway said.
#[derive(Debug)]
pub(crate) struct GatewayAnswer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// A connection to the gateway.
pub(crate) struct GatewayClient {
    address: Address,
    authorization: HeaderValue,
    link: Option<Link>,
}

struct Link {
    requests: SendRequest<Full<Bytes>>,
    /// The address that the gateway sees, on TCP.
    local_ip: Option<IpAddr>,
    _driver: AbortOnDropHandle<()>,
}

impl GatewayClient {
    /// A client that proves itself with `join_token`. Connects when first needed.
    pub(crate) fn new(address: Address, join_token: &str) -> Self {
        let mut authorization = HeaderValue::try_from(format!("Bearer {join_token}"))
            .unwrap_or(HeaderValue::from_static("Bearer"));
        authorization.set_sensitive(true);
        Self { address, authorization, link: None }
    }

    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }

    /// Our own address on the network to the gateway, if that is a network.
    pub(crate) async fn local_ip(&mut self) -> Result<Option<IpAddr>, GatewayError> {
        Ok(self.link().await?.local_ip)
    }

    /// Sends one request. Dropping the future ends the connection with it.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<GatewayAnswer, GatewayError> {
        let body = Full::new(Bytes::from(serde_json::to_vec(body)?));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "gateway")
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)?;
        let sent = tokio::time::timeout(REQUEST_TIME_MAX, self.exchange(request)).await;
        let answer = sent.unwrap_or(Err(GatewayError::Late));
        if answer.is_err() {
            self.link = None;
        }
        answer
    }

    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<GatewayAnswer, GatewayError> {
        let link = self.link().await?;
        link.requests.ready().await?;
        let response = link.requests.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(GatewayError::Answer)?.to_bytes();
        Ok(GatewayAnswer { status: head.status, body })
    }

    /// The connection, made anew if it has ended.
    async fn link(&mut self) -> Result<&mut Link, GatewayError> {
        let living = match self.link.take() {
            Some(link) if !link.requests.is_closed() => link,
            _ => Link::open(&self.address).await?,
        };
        Ok(self.link.insert(living))
    }
}

impl Link {
    async fn open(address: &Address) -> Result<Self, GatewayError> {
        match address {
            Address::Unix(path) => Self::over(UnixStream::connect(path).await?, None).await,
            Address::Tcp(host) => {
                let stream = TcpStream::connect(host).await?;
                stream.set_nodelay(true)?;
                let local_ip = stream.local_addr()?.ip();
                Self::over(stream, Some(local_ip)).await
            }
        }
    }

    async fn over<S>(stream: S, local_ip: Option<IpAddr>) -> Result<Self, GatewayError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (requests, driver) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(async move {
            // The request that fails tells why.
            let _ = driver.await;
        });
        Ok(Self { requests, local_ip, _driver: AbortOnDropHandle::new(driver) })
    }
}
