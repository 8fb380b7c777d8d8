//! Threads that serve connections, each with a runtime of its own.
//!
//! A connection stays on its thread, and so do the calls that it brings and the connections to
//! workers that those use. The usual runtime moves work between threads, and wakes one to look for
//! work at nearly every event; at a few thousand requests per second that costs more processor
//! time than the requests.

use std::{
    io,
    os::unix,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    net::{TcpStream, UnixStream},
    runtime::{Builder, Runtime},
    sync::mpsc,
};
use tokio_util::{either::Either, sync::CancellationToken};

use crate::{connection::Connections, door::Door, tls::Tls};

/// Accepted connections that may wait for their thread.
const ARRIVALS_MAX: usize = 256;

/// A timer that is always set. Each call sets timers of its own, usually for many seconds; where
/// none is set that ends earlier, tokio's timer writes to its wake-up descriptor for each of them,
/// which cost three system calls and two empty polls per request.
const PULSE: Duration = Duration::from_millis(500);

/// An accepted connection on its way to its thread.
#[derive(Debug)]
pub(crate) enum Arrival {
    Tcp(std::net::TcpStream),
    Unix(unix::net::UnixStream),
}

impl Arrival {
    /// Makes it known to the runtime of this thread.
    fn settle(self) -> io::Result<Either<TcpStream, UnixStream>> {
        match self {
            Self::Tcp(stream) => TcpStream::from_std(stream).map(Either::Left),
            Self::Unix(stream) => UnixStream::from_std(stream).map(Either::Right),
        }
    }
}

/// All threads of one door.
pub(crate) struct Crew {
    hands: Arc<[mpsc::Sender<Arrival>]>,
    threads: Vec<JoinHandle<()>>,
}

impl Crew {
    /// Starts the threads. After `stop` each gives its requests `grace` to end, and ends.
    pub(crate) fn start(
        door: &Door,
        tls: Option<&Tls>,
        count: usize,
        stop: &CancellationToken,
        grace: Duration,
    ) -> io::Result<Self> {
        let (mut hands, mut threads) = (Vec::new(), Vec::new());
        for _ in 0..count.max(1) {
            let (hand, arrivals) = mpsc::channel(ARRIVALS_MAX);
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let connections = Connections::new(door.clone(), tls.cloned(), grace);
            let stop = stop.clone();
            let serve = move || serve(&runtime, connections, arrivals, &stop);
            threads.push(thread::Builder::new().name("door".into()).spawn(serve)?);
            hands.push(hand);
        }
        Ok(Self { hands: hands.into(), threads })
    }

    /// Where to bring connections, a hand for each thread.
    pub(crate) fn hands(&self) -> Arc<[mpsc::Sender<Arrival>]> {
        self.hands.clone()
    }

    /// Waits until every thread has ended.
    pub(crate) async fn dismissed(self) {
        drop(self.hands);
        let join = move || {
            for thread in self.threads {
                if thread.join().is_err() {
                    tracing::error!("a thread that served connections ended by a panic");
                }
            }
        };
        // Fails only when the runtime is ending, and then nobody waits.
        let _ = tokio::task::spawn_blocking(join).await;
    }
}

fn serve(
    runtime: &Runtime,
    mut connections: Connections,
    mut arrivals: mpsc::Receiver<Arrival>,
    stop: &CancellationToken,
) {
    runtime.block_on(async move {
        let mut pulse = tokio::time::interval(PULSE);
        loop {
            let arrival = tokio::select! {
                () = stop.cancelled() => break,
                arrival = arrivals.recv() => arrival,
                _ = pulse.tick() => continue,
            };
            match arrival.map(Arrival::settle) {
                Some(Ok(stream)) => connections.serve(stream),
                Some(Err(error)) => tracing::warn!(%error, "a connection was lost"),
                None => break,
            }
        }
        // One that was accepted just now would otherwise hang until the last request has ended.
        drop(arrivals);
        connections.drain().await;
    });
}
