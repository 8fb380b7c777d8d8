//! A peer whose every byte the test decides.

use std::{sync::Arc, time::Duration};

use api::worker::Address;
use dial::Pool;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

pub(crate) struct Peer {
    listener: UnixListener,
    folder: TempDir,
}

impl Peer {
    pub(crate) fn listen() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("peer")).unwrap();
        Self { listener, folder }
    }

    pub(crate) fn pool(&self) -> Arc<Pool> {
        Pool::new(Address::Unix(self.folder.path().join("peer")))
    }

    pub(crate) async fn accept(&mut self) -> Socket {
        Socket(self.listener.accept().await.unwrap().0)
    }
}

pub(crate) struct Socket(UnixStream);

impl Socket {
    /// Reads one request whose body, if any, is two bytes long.
    pub(crate) async fn read_request(&mut self) {
        let mut read = Vec::new();
        loop {
            let head_ends = read.windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(at) = head_ends {
                let has_body = !read.starts_with(b"GET");
                if !has_body || read.len() >= at + 6 {
                    return;
                }
            }
            read.push(self.0.read_u8().await.unwrap());
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn read_exact(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    /// Whether the other side closes in this time.
    pub(crate) async fn closed_within(&mut self, time: Duration) -> bool {
        let mut byte = [0];
        matches!(tokio::time::timeout(time, self.0.read(&mut byte)).await, Ok(Ok(0) | Err(_)))
    }
}
