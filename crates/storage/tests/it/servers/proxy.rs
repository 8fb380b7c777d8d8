//! A way to a server that can be cut, and led to another server.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinHandle},
};

/// A running proxy; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    target: Arc<AtomicU16>,
    open: Arc<Mutex<Vec<AbortHandle>>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Leads to `target` on this machine; 0 leads nowhere.
    pub(crate) async fn start(target: u16) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let target = Arc::new(AtomicU16::new(target));
        let open: Arc<Mutex<Vec<AbortHandle>>> = Arc::default();
        let (leads_to, connections) = (Arc::clone(&target), Arc::clone(&open));
        let task = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let port = leads_to.load(Ordering::Relaxed);
                let run = tokio::spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await {
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
                connections.lock().push(run.abort_handle());
            }
        });
        Ok(Self { port, target, open, task })
    }

    /// Breaks all connections; new ones lead to `target`.
    pub(crate) fn cut(&self, target: u16) {
        self.target.store(target, Ordering::Relaxed);
        for connection in self.open.lock().drain(..) {
            connection.abort();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut(0);
        self.task.abort();
    }
}
