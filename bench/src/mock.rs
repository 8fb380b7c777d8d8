//! An upstream that answers every request at once with the same JSON, so that what is in front of
//! it can be measured.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, UnixListener},
};

use crate::framing;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
    content-length: 37\r\n\r\n{\"echo\":{\"payload\":{\"text\":\"hello\"}}}";

/// Enough for the requests of the benchmarks in one read.
const READ_BYTES: usize = 16 * 1024;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `host:port`.
    Tcp(SocketAddr),
    /// `unix:/path`.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp),
        }
    }
}

/// Answers until it is dropped.
///
/// # Errors
/// When nothing can listen there.
///
/// # Cancel safety
/// Dropping it closes the listener; connections end with the runtime.
pub async fn serve(address: &Address) -> io::Result<()> {
    match address {
        Address::Tcp(host) => serve_tcp(TcpListener::bind(host).await?).await,
        Address::Unix(path) => serve_unix(path).await,
    }
}

/// Answers whoever connects to `listener`.
///
/// # Errors
/// When no further connection can be accepted.
///
/// # Cancel safety
/// As [`serve`].
pub async fn serve_tcp(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(converse(stream));
    }
}

async fn serve_unix(path: &Path) -> io::Result<()> {
    let listener = UnixListener::bind(path)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(converse(stream));
    }
}

/// One connection, until the other side ends it or sends what is no request.
async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(READ_BYTES);
    loop {
        match framing::request(&buffer).map_err(io::Error::other)? {
            Some(bytes) => {
                buffer.drain(..bytes);
                stream.write_all(ANSWER).await?;
            }
            None if stream.read_buf(&mut buffer).await? == 0 => return Ok(()),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let answer = framing::answer(ANSWER).unwrap().unwrap();
        assert_eq!((answer.bytes, answer.status), (ANSWER.len(), 200));
    }

    #[test]
    fn an_address_is_a_port_or_a_path() {
        assert_eq!("unix:/run/a".parse(), Ok(Address::Unix("/run/a".into())));
        assert_eq!("127.0.0.1:80".parse(), Ok(Address::Tcp(([127, 0, 0, 1], 80).into())));
        assert!("localhost".parse::<Address>().is_err());
    }
}
