//! One kept connection with at most one request on its way.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Interest, Registry, Token, net::TcpStream};

use crate::framing::{self, Answer};

/// Answers of the benchmarks are far shorter; a longer one takes several reads.
const READ_BYTES: usize = 16 * 1024;

const CONNECT_MAX: Duration = Duration::from_secs(2);

/// A request on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    /// When it should have begun.
    pub(super) due: Instant,
    /// When it did begin.
    pub(super) at: Instant,
}

/// A connection.
pub(super) struct Line {
    stream: TcpStream,
    /// Bytes of the request that the system has taken.
    written: usize,
    buffer: Vec<u8>,
    filled: usize,
    pub(super) sent: Option<Sent>,
}

impl Line {
    /// Connects, and lets `token` be woken.
    pub(super) fn open(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<Self> {
        let stream = std::net::TcpStream::connect_timeout(&address, CONNECT_MAX)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, written: 0, buffer: vec![0; READ_BYTES], filled: 0, sent: None })
    }

    /// Begins a request.
    pub(super) fn send(&mut self, request: &[u8], sent: Sent) -> io::Result<()> {
        self.sent = Some(sent);
        self.written = 0;
        self.filled = 0;
        self.write_on(request)
    }

    /// Writes what the system takes of the rest of the request.
    pub(super) fn write_on(&mut self, request: &[u8]) -> io::Result<()> {
        while let Some(rest) = request.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what has come; gives the answer once it is whole.
    ///
    /// # Errors
    /// When the connection has ended, or what came is no answer.
    pub(super) fn read_on(&mut self) -> io::Result<Option<Answer>> {
        loop {
            if self.filled == self.buffer.len() {
                self.buffer.resize(2 * self.filled, 0);
            }
            match self.stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(bytes) => self.filled += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            let answer = framing::answer(&self.buffer[..self.filled]).map_err(io::Error::other)?;
            // Looking once more whether more has come would cost a system call for each answer.
            if answer.is_some() {
                return Ok(answer);
            }
        }
    }
}
