//! Opens the doors, and says who stands in them if that fails.

mod owner;
mod unix;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use api::worker::Address;
use gateway::Listener;
use tokio::net::{TcpSocket, lookup_host};

use crate::{config::ListenAddress, run_dir::RunDir};

pub use self::{owner::Owner, unix::SocketFile};

/// Connections that may wait to be accepted. The system cuts it to its own limit, 4096 on Linux.
const BACKLOG: u32 = 4096;
/// The workers' socket within the run directory.
const INTERNAL_SOCKET: &str = "gateway.sock";

/// One open door.
#[derive(Debug)]
pub struct Door {
    /// Where connections come in.
    pub listener: Listener,
    /// Where that is, with the port that the system chose.
    pub address: ListenAddress,
    /// The file of a unix socket; it goes when this is dropped, so keep it while you listen.
    pub file: Option<SocketFile>,
}

/// A door could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else listens there.
    #[error("{address} is in use{}", .owner.as_ref().map(|owner| format!(" by {owner}")).unwrap_or_default())]
    InUse {
        /// The address as the person wrote it.
        address: ListenAddress,
        /// Who it is, where the system tells.
        owner: Option<Owner>,
        /// A port nearby that is free.
        free_port: Option<u16>,
    },
    /// The host has no address.
    #[error("the host of {address} cannot be found")]
    Host {
        /// The address as the person wrote it.
        address: ListenAddress,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address as the person wrote it.
        address: ListenAddress,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl ListenError {
    /// What the person can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::InUse { address: ListenAddress::Tcp { .. }, free_port: Some(port), .. } => {
                format!("stop it, or use another port, for example `--port {port}`")
            }
            Self::InUse { .. } => "stop it, or give another address with `--listen`".into(),
            Self::Host { .. } => "give an address of this machine, for example 127.0.0.1".into(),
            Self::Bind { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    "choose a port of 1024 or above, or a folder that you may write".into()
                }
                io::ErrorKind::AddrNotAvailable => {
                    "give an address of this machine, or 0.0.0.0 for all of them".into()
                }
                _ => "give another address with `--listen`".into(),
            },
        }
    }
}

/// Opens every door. None stays open if one fails.
///
/// # Errors
/// [`ListenError`] of the first that failed.
///
/// # Cancel safety
/// Dropping it closes what was opened.
pub async fn open(addresses: &[ListenAddress]) -> Result<Vec<Door>, ListenError> {
    let mut doors = Vec::new();
    for address in addresses {
        match address {
            ListenAddress::Tcp { host, port } => {
                doors.extend(tcp(address, host, *port).await?);
            }
            // 0660: a proxy in the user's group may connect.
            ListenAddress::Unix(path) => doors.push(unix::open(path, 0o660)?),
        }
    }
    Ok(doors)
}

/// Opens the door for workers: where the configuration says, else a socket in the run directory.
///
/// # Errors
/// [`ListenError`].
///
/// # Cancel safety
/// Dropping it closes what was opened.
pub async fn open_internal(
    configured: Option<&Address>,
    run_dir: &RunDir,
) -> Result<(Door, Address), ListenError> {
    let door = match configured {
        None => unix::open(&run_dir.path().join(INTERNAL_SOCKET), 0o600)?,
        Some(Address::Unix(path)) => unix::open(path, 0o600)?,
        Some(Address::Tcp(text)) => {
            let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let port = port.parse().unwrap_or_default();
            let address = ListenAddress::Tcp { host: host.clone(), port };
            let mut doors = tcp(&address, &host, port).await?;
            doors.swap_remove(0)
        }
    };
    let address = match &door.address {
        ListenAddress::Unix(path) => Address::Unix(path.clone()),
        tcp => Address::Tcp(tcp.to_string()),
    };
    if configured.is_some() {
        tracing::info!(%address, "listening for workers");
    }
    Ok((door, address))
}

/// Opens the door at which workers of the IEOPS SDK register: 0660, so that those of the user's
/// group may.
///
/// # Errors
/// [`ListenError`].
pub fn open_ieops(path: &Path) -> Result<Door, ListenError> {
    unix::open(path, 0o660)
}

/// Listens on every address of a host: `localhost` is often two. One is enough.
async fn tcp(address: &ListenAddress, host: &str, port: u16) -> Result<Vec<Door>, ListenError> {
    let found = lookup_host((host, port))
        .await
        .map_err(|source| ListenError::Host { address: address.clone(), source })?;
    let mut doors = Vec::new();
    let mut failed = None;
    for socket in found {
        match bind(socket) {
            Ok(door) => doors.push(door),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(in_use(address, socket));
            }
            Err(error) => failed = Some(error),
        }
    }
    match (doors.is_empty(), failed) {
        (false, _) => Ok(doors),
        (true, failed) => {
            let source = failed.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into());
            Err(ListenError::Bind { address: address.clone(), source })
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<Door> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Otherwise a restart has to wait until the system has forgotten the old connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let bound = listener.local_addr()?;
    let address = ListenAddress::Tcp { host: bound.ip().to_string(), port: bound.port() };
    Ok(Door { listener: Listener::Tcp(listener), address, file: None })
}

fn in_use(address: &ListenAddress, socket: SocketAddr) -> ListenError {
    ListenError::InUse {
        address: address.clone(),
        owner: Owner::of_tcp(socket),
        free_port: free_port(socket.ip(), socket.port()),
    }
}

/// The next port that is free; some other program may still take it first.
fn free_port(ip: IpAddr, port: u16) -> Option<u16> {
    let next = (port.checked_add(1)?..=port.saturating_add(100)).filter(|port| *port >= 1024);
    next.into_iter().find(|port| std::net::TcpListener::bind((ip, *port)).is_ok())
}
