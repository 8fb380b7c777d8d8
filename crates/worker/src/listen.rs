//! The socket that a worker listens on.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use api::worker::Address;
use socket2::{Domain, SockAddr, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::WorkerError;

/// Connections that may wait to be accepted: a gateway that opens many at once must not fail.
const BACKLOG: i32 = 1_024;

/// Where connections come from.
pub(crate) enum Listener {
    Unix { listener: UnixListener, _file: SocketFile },
    Tcp(TcpListener),
}

/// One connection.
pub(crate) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Listener {
    /// Listens; returns where it can be reached, with the port that the system chose for port 0.
    pub(crate) async fn bind(
        address: &Address,
        socket_mode: u32,
    ) -> Result<(Self, Address), WorkerError> {
        match address {
            Address::Unix(path) => {
                clear_stale(path)?;
                let listener =
                    bind_unix(path, socket_mode).map_err(|source| listen_error(address, source))?;
                Ok((listener, address.clone()))
            }
            Address::Tcp(host_and_port) => {
                let bound = TcpListener::bind(host_and_port).await;
                let listener = bound.map_err(|source| listen_error(address, source))?;
                let port = listener.local_addr().map_err(|source| listen_error(address, source))?;
                let host = host_and_port.rsplit_once(':').map_or("", |(host, _)| host);
                let reached = Address::Tcp(format!("{host}:{}", port.port()));
                Ok((Self::Tcp(listener), reached))
            }
        }
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Unix { listener, .. } => Ok(Stream::Unix(listener.accept().await?.0)),
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Answers are written whole; waiting for more to send with them only delays them.
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }
}

/// A socket in the file system, removed with its listener.
pub(crate) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another worker may have taken the path over meanwhile.
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode));
        if is_ours {
            // Nobody is left to tell; the next worker clears a stale socket itself.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes a socket that nobody answers on.
fn clear_stale(path: &Path) -> Result<(), WorkerError> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(WorkerError::NotASocket { path: path.into() });
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|source| listen_error(&Address::Unix(path.into()), source)),
        // Any other answer, for example a full backlog, comes from someone who lives.
        _ => Err(WorkerError::SocketInUse { path: path.into() }),
    }
}

/// The mode is set between binding and listening: before, nobody can connect.
fn bind_unix(path: &Path, mode: u32) -> io::Result<Listener> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let made = fs::symlink_metadata(path)?;
    let file = SocketFile { path: path.into(), device: made.dev(), inode: made.ino() };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(Listener::Unix { listener: UnixListener::from_std(socket.into())?, _file: file })
}

fn listen_error(address: &Address, source: io::Error) -> WorkerError {
    WorkerError::Listen { address: address.clone(), source }
}
