//! A user's folder on a server of each kind, and what is needed around it.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use storage::{
    Chunks, File, FileSystem, Home, NfsSettings, OpenMode, Result, Settings, Target, WebDavSettings,
};
use tempfile::TempDir;

use crate::servers::{dav, v3};

/// Small, so that little files have many chunks.
pub(crate) const CHUNKS: Chunks = Chunks { read: 4096, write: 4096 };

/// What keeps the server alive.
#[derive(Debug)]
pub(crate) enum Server {
    V3(v3::Server),
    Dav(dav::Server),
    None,
}

/// A server over a folder, and a user who is connected.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) files: FileSystem,
    pub(crate) folder: TempDir,
    pub(crate) server: Server,
}

pub(crate) fn home() -> Home {
    Home::new(&["u-1", "jfs", "org", "me"]).expect("plain names")
}

impl World {
    /// The user's folder, seen from the server.
    pub(crate) fn inside(&self, path: &str) -> PathBuf {
        self.folder.path().join("u-1/jfs/org/me").join(path)
    }

    pub(crate) async fn local() -> Self {
        let folder = TempDir::new().expect("a folder");
        let target = Target::Local { root: folder.path().to_owned(), chunks: CHUNKS };
        let files = connect(target, 0).await.expect("connected");
        Self { files, folder, server: Server::None }
    }

    pub(crate) async fn v3() -> Self {
        Self::v3_with_cache(0).await
    }

    pub(crate) async fn v3_with_cache(cache_bytes: usize) -> Self {
        let folder = TempDir::new().expect("a folder");
        let server = v3::Server::start(folder.path()).await.expect("a server");
        let target = nfs(server.port, "/export", Duration::from_secs(20));
        let files = connect(target, cache_bytes).await.expect("connected");
        Self { files, folder, server: Server::V3(server) }
    }

    pub(crate) async fn dav() -> Self {
        let folder = TempDir::new().expect("a folder");
        let server = dav::Server::start(folder.path()).await.expect("a server");
        let files = connect(webdav(server.port), 0).await.expect("connected");
        Self { files, folder, server: Server::Dav(server) }
    }

    pub(crate) fn v3_server(&self) -> &v3::Server {
        match &self.server {
            Server::V3(server) => server,
            other => panic!("{other:?} is not NFS"),
        }
    }

    pub(crate) fn dav_server(&self) -> &dav::Server {
        match &self.server {
            Server::Dav(server) => server,
            other => panic!("{other:?} is not WebDAV"),
        }
    }

    pub(crate) async fn write(&self, path: &str, data: &[u8]) {
        write(&self.files, path, data).await.expect("written");
    }

    pub(crate) async fn read(&self, path: &str) -> Vec<u8> {
        read(&self.files, path).await.expect("read")
    }
}

pub(crate) fn nfs(port: u16, export: &str, timeout: Duration) -> Target {
    Target::Nfs(NfsSettings {
        host: "127.0.0.1".into(),
        port: Some(port),
        export: export.into(),
        versions: "4.1,3".into(),
        timeout,
        chunks: CHUNKS,
    })
}

pub(crate) fn webdav(port: u16) -> Target {
    Target::WebDav(WebDavSettings {
        url: format!("http://127.0.0.1:{port}"),
        user: String::new(),
        password: String::new(),
        timeout: Duration::from_secs(20),
        chunks: CHUNKS,
    })
}

pub(crate) async fn connect(target: Target, cache_bytes: usize) -> Result<FileSystem> {
    FileSystem::connect(Settings { target, home: home(), make_home: true, cache_bytes }).await
}

pub(crate) async fn open(files: &FileSystem, path: &str, mode: &str) -> Result<File> {
    files.open(path, OpenMode::parse(mode)?).await
}

pub(crate) async fn write(files: &FileSystem, path: &str, data: &[u8]) -> Result<()> {
    let file = open(files, path, "w").await?;
    let written = file.write_at(0, Bytes::copy_from_slice(data)).await;
    written.and(file.close().await)
}

pub(crate) async fn read(files: &FileSystem, path: &str) -> Result<Vec<u8>> {
    Ok(files.read(path, u64::MAX).await?.concat())
}

/// Bytes without a pattern that chunks could hide.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let step = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    });
    step.take(length).collect()
}
