//! Where load goes, and the request that it is made of.

use std::net::{SocketAddr, ToSocketAddrs};

use http::Uri;

/// An address and the bytes of one request.
#[derive(Debug, Clone)]
pub struct Target {
    pub(super) address: SocketAddr,
    pub(super) request: Vec<u8>,
}

/// The URL cannot be called.
#[derive(Debug, thiserror::Error)]
#[error("`{url}` is no address to call; write http://host:port/path")]
pub struct BadUrl {
    url: String,
}

impl Target {
    /// `POST url` with a JSON body.
    ///
    /// # Errors
    /// [`BadUrl`] for what is not `http://host:port/path` of a known host.
    pub fn post_json(url: &str, body: &str) -> Result<Self, BadUrl> {
        let parts = |uri: Uri| {
            let authority = uri.authority()?.clone();
            let (host, port) = (authority.host(), authority.port_u16().unwrap_or(80));
            let address = (host.trim_matches(['[', ']']), port).to_socket_addrs().ok()?.next()?;
            let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
            (uri.scheme_str() == Some("http")).then_some((address, authority, path))
        };
        let (address, authority, path) =
            url.parse().ok().and_then(parts).ok_or_else(|| BadUrl { url: url.to_owned() })?;
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Ok(Self { address, request: request.into_bytes() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_made_once_with_path_and_length() {
        let target = Target::post_json("http://127.0.0.1:81/a/b?c=1", "{}").unwrap();
        assert_eq!(target.address, ([127, 0, 0, 1], 81).into());
        let text = String::from_utf8(target.request).unwrap();
        assert!(text.starts_with("POST /a/b?c=1 HTTP/1.1\r\nHost: 127.0.0.1:81\r\n"), "{text}");
        assert!(text.ends_with("Content-Length: 2\r\n\r\n{}"), "{text}");
    }

    #[test]
    fn what_cannot_be_called_is_refused() {
        for url in ["127.0.0.1:80", "https://127.0.0.1/", "http://", "/a"] {
            assert!(Target::post_json(url, "{}").is_err(), "{url}");
        }
    }
}
