//! A WebDAV server over a folder, with locks.

use std::{convert::Infallible, io, path::Path};

use dav_server::{DavHandler, localfs::LocalFs, memls::MemLs};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinHandle};

/// A running server; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) port: u16,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves `folder` at `/` on a free port of this machine.
    pub(crate) async fn start(folder: &Path) -> io::Result<Self> {
        let handler = DavHandler::builder()
            .filesystem(LocalFs::new(folder, false, false, false))
            .locksystem(MemLs::new())
            .build_handler();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let handler = handler.clone();
                let answer = service_fn(move |request| {
                    let handler = handler.clone();
                    async move { Ok::<_, Infallible>(handler.handle(request).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        Ok(Self { port, task })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
