//! Listeners: accepting until told to stop, and handing each connection to a thread.

use std::{io, time::Duration};

use tokio::net::{TcpListener, UnixListener};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Gateway,
    crew::{Arrival, Crew},
    door::{Door, Visitors},
    ieops, internal,
    routes::Routes,
    tls::Tls,
};

/// Pause after the system refused a connection, for example because descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where connections come in.
#[derive(Debug)]
pub enum Listener {
    /// From the network.
    Tcp(TcpListener),
    /// From this machine.
    Unix(UnixListener),
}

impl Listener {
    async fn accept(&self) -> io::Result<Arrival> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Arrival::Tcp(stream.into_std()?))
            }
            Self::Unix(listener) => Ok(Arrival::Unix(listener.accept().await?.0.into_std()?)),
        }
    }
}

/// Serves one of the two doors on any number of listeners.
pub struct Server {
    crew: Crew,
    acceptors: TaskTracker,
    stop: CancellationToken,
}

impl Server {
    /// The door for clients, with one thread per processor, and with TLS on its ports if there is a certificate. Serves until `stop`, then gives open
    /// requests `grace` to end.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn public(
        gateway: Gateway,
        tls: Option<&Tls>,
        stop: CancellationToken,
        grace: Duration,
    ) -> io::Result<Self> {
        let routes = Routes::public(gateway.clone());
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(&Door::new(gateway, routes, Visitors::Clients), tls, threads, stop, grace)
    }

    /// The door for workers. It must stay open longer than the public one, because workers
    /// report while they drain.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn internal(gateway: Gateway, stop: CancellationToken) -> io::Result<Self> {
        let routes = Routes::of(internal::router(gateway.clone()));
        let door = Door::new(gateway, routes, Visitors::Workers);
        Self::new(&door, None, 1, stop, Duration::ZERO)
    }

    /// The door at which workers of the IEOPS SDK register.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn ieops(gateway: Gateway, stop: CancellationToken) -> io::Result<Self> {
        let routes = Routes::of(ieops::router(gateway.clone()));
        let door = Door::new(gateway, routes, Visitors::Workers);
        Self::new(&door, None, 1, stop, Duration::ZERO)
    }

    fn new(
        door: &Door,
        tls: Option<&Tls>,
        threads: usize,
        stop: CancellationToken,
        grace: Duration,
    ) -> io::Result<Self> {
        let crew = Crew::start(door, tls, threads, &stop, grace)?;
        Ok(Self { crew, acceptors: TaskTracker::new(), stop })
    }

    /// Serves on this listener, too.
    pub fn listen(&self, listener: Listener) {
        let (hands, stop) = (self.crew.hands(), self.stop.clone());
        self.acceptors.spawn(async move {
            for next in (0..hands.len()).cycle() {
                let accepted = tokio::select! {
                    () = stop.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                match accepted {
                    // Each thread in turn. One that is far behind holds accepting back.
                    Ok(arrival) => drop(hands[next].send(arrival).await),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection; trying again");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        });
    }

    /// Waits until every listener has stopped and every open request has ended, or its grace has.
    ///
    /// # Cancel safety
    /// Dropping it does not keep the server from draining.
    pub async fn drained(self) {
        self.acceptors.close();
        self.acceptors.wait().await;
        self.crew.dismissed().await;
    }
}
