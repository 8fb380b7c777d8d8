//! Who may be written to. Clients name the receivers of webhooks, so they must not reach through us
//! what they cannot reach themselves: this machine, its network, the metadata of a cloud.

use std::{
    fmt,
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    str::FromStr,
    task::{Context, Poll},
    vec,
};

use http::Uri;
use hyper_util::client::legacy::connect::dns::Name;

/// Longest address that is taken, in bytes.
const URL_BYTES_MAX: usize = 2048;

/// Why nothing is sent to an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not well formed.
    #[error("it is not an address such as https://host/path")]
    Malformed,
    /// It is very long.
    #[error("it is longer than {URL_BYTES_MAX} bytes")]
    TooLong,
    /// It carries a name or a password.
    #[error("it must not carry a user name; a secret can stand in its path")]
    UserName,
    /// It is not encrypted.
    #[error("it does not begin with https://")]
    NotEncrypted,
    /// It leads into a private network.
    #[error("{0} is not a public address")]
    Private(String),
    /// The operator named others.
    #[error("its origin is not one of `webhooks.allow`")]
    NotAllowed,
}

/// Scheme, host and port that may be written to: `https://hooks.example`, `http://127.0.0.1:9000`,
/// or `https://*.example` for every name below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    /// Without the star and its dot.
    host: String,
    below: bool,
    port: u16,
}

/// The text is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an origin")]
pub struct BadOrigin(String);

impl FromStr for Origin {
    type Err = BadOrigin;
    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        let bad = || BadOrigin(text.to_owned());
        let (below, plain) = match text.split_once("://*.") {
            Some((scheme, rest)) => (true, format!("{scheme}://{rest}")),
            None => (false, text.to_owned()),
        };
        let (scheme, host, port) =
            plain.parse().ok().and_then(|uri| parts(&uri)).ok_or_else(bad)?;
        let nothing_more = plain.trim_end_matches('/').matches('/').count() == 2;
        if !nothing_more || host.contains('*') {
            return Err(bad());
        }
        Ok(Self { scheme, host, below, port })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.below { "*." } else { "" };
        write!(f, "{}://{star}{}:{}", self.scheme, self.host, self.port)
    }
}

impl Origin {
    fn covers(&self, scheme: &str, host: &str, port: u16) -> bool {
        let named = match host.strip_suffix(&self.host) {
            Some(rest) if self.below => rest.len() > 1 && rest.ends_with('.'),
            Some(rest) => rest.is_empty(),
            None => false,
        };
        named && self.scheme == scheme && self.port == port
    }
}

/// Whether letters may be sent to `url`, as far as can be said before its name is looked up.
pub(super) fn check(url: &str, allow: &[Origin]) -> Result<Uri, Refused> {
    if url.len() > URL_BYTES_MAX {
        return Err(Refused::TooLong);
    }
    let uri: Uri = url.parse().map_err(|_| Refused::Malformed)?;
    let (scheme, host, port) = parts(&uri).ok_or(Refused::Malformed)?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(Refused::UserName);
    }
    if !allow.is_empty() {
        let allowed = allow.iter().any(|origin| origin.covers(&scheme, &host, port));
        return if allowed { Ok(uri) } else { Err(Refused::NotAllowed) };
    }
    if scheme != "https" {
        return Err(Refused::NotEncrypted);
    }
    // An address is not looked up, so it has to be judged here.
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    match literal.parse::<IpAddr>() {
        Ok(address) if !is_public(address) => Err(Refused::Private(host)),
        _ => Ok(uri),
    }
}

/// Scheme, host in lower case and port.
fn parts(uri: &Uri) -> Option<(String, String, u16)> {
    let scheme = uri.scheme_str()?.to_owned();
    let port = match &*scheme {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let host = uri.host().filter(|host| !host.is_empty())?;
    Some((scheme, host.to_ascii_lowercase(), uri.port_u16().unwrap_or(port)))
}

/// Looks names up. What may not be written to is left out before a connection is made, so a name
/// that stands for another address a moment later gains nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolver {
    pub(super) public_only: bool,
}

impl tower::Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let public_only = self.public_only;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let may = |address: &SocketAddr| !public_only || is_public(address.ip());
            let addresses: Vec<_> = found.filter(may).collect();
            if addresses.is_empty() {
                let words = format!("{name} has no public address");
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, words));
            }
            Ok(addresses.into_iter())
        })
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let reserved = a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b)) // carriers
        || (a == 192 && b == 0 && c == 0) // protocols
        || (a == 198 && (18..20).contains(&b)); // benchmarks
    !(reserved
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, .., g, h] = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    // Several forms carry an address of version 4, which is where they lead.
    if address.to_ipv4_mapped().is_some() || (a, b, c, d) == (0x64, 0xff9b, 0, 0) {
        return v4(g, h);
    }
    if a == 0x2002 {
        return v4(b, c);
    }
    let documentation = a == 0x2001 && b == 0xdb8;
    let tunnels = a == 0x2001 && b < 0x200;
    // What is assigned to the public so far: 2000::/3.
    a & 0xe000 == 0x2000 && !documentation && !tunnels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(texts: &[&str]) -> Vec<Origin> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn without_a_list_every_encrypted_public_server_may_be_written_to() {
        for url in
            ["https://hooks.example/a?b=c", "https://8.8.8.8:8443/", "https://[2606:4700::1]/"]
        {
            assert!(check(url, &[]).is_ok(), "{url}");
        }
        let private = |host: &str| Refused::Private(host.to_owned());
        for (url, expected) in [
            ("http://hooks.example/", Refused::NotEncrypted),
            ("https://user:secret@hooks.example/", Refused::UserName),
            ("https://127.0.0.1/", private("127.0.0.1")),
            ("https://169.254.169.254/latest", private("169.254.169.254")),
            ("https://[::1]/", private("[::1]")),
            ("https://[::ffff:10.0.0.1]/", private("[::ffff:10.0.0.1]")),
            ("ftp://hooks.example/", Refused::Malformed),
            ("/path", Refused::Malformed),
            ("not an address", Refused::Malformed),
        ] {
            assert_eq!(check(url, &[]), Err(expected), "{url}");
        }
        let long = format!("https://hooks.example/{}", "a".repeat(URL_BYTES_MAX));
        assert_eq!(check(&long, &[]), Err(Refused::TooLong));
    }

    #[test]
    fn a_list_names_the_only_origins_that_may_be_written_to() {
        let allow =
            origins(&["http://127.0.0.1:9000", "https://*.corp.example", "https://a.example"]);
        for url in [
            "http://127.0.0.1:9000/hook",
            "https://ci.corp.example/x",
            "https://A.Example:443/y",
            "https://deep.ci.corp.example/",
        ] {
            assert!(check(url, &allow).is_ok(), "{url}");
        }
        for url in [
            "http://127.0.0.1:9001/hook",
            "https://127.0.0.1:9000/hook",
            "https://corp.example/",
            "https://evilcorp.example/",
            "http://ci.corp.example/",
            "https://b.a.example/",
            "https://hooks.example/",
        ] {
            assert_eq!(check(url, &allow), Err(Refused::NotAllowed), "{url}");
        }
        assert_eq!(check("https://u@a.example/", &allow), Err(Refused::UserName));
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in
            ["", "a.example", "ftp://a", "https://a.example/path", "https://*", "https://a.*.b"]
        {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
        for text in ["https://*.a.example:443", "http://[::1]:9000"] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn no_special_address_counts_as_public() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.9.9.9",
            "169.254.1.1",
            "172.16.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::808:808"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[tokio::test]
    async fn a_name_that_stands_for_this_machine_has_no_public_address() {
        use tower::ServiceExt;
        let name = || "localhost".parse::<Name>().unwrap();
        let error = Resolver { public_only: true }.oneshot(name()).await.unwrap_err();
        assert_eq!(error.to_string(), "localhost has no public address");
        assert!(Resolver { public_only: false }.oneshot(name()).await.unwrap().count() > 0);
    }
}
