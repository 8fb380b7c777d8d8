//! Servers to try the storage on, without root: `storage_servers FOLDER` serves a folder by NFS 3
//! (exported as `/export`) and by WebDAV, says the two ports in one line, and runs until its
//! standard input ends.
#![allow(clippy::print_stdout, reason = "its output is the ports")]

#[path = "../tests/it/servers/dav.rs"]
#[expect(dead_code, reason = "only tests turn its knobs")]
mod dav;
#[path = "../tests/it/servers/v3.rs"]
#[expect(dead_code, reason = "only tests turn its knobs")]
mod v3;

use std::{env, io, path::PathBuf};

#[tokio::main]
async fn main() -> io::Result<()> {
    let missing = || io::Error::other("usage: storage_servers FOLDER");
    let folder: PathBuf = env::args_os().nth(1).ok_or_else(missing)?.into();
    let (nfs, dav) = (v3::Server::start(&folder).await?, dav::Server::start(&folder).await?);
    println!("{} {}", nfs.port, dav.port);
    let end = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink()));
    end.await.map_err(io::Error::other)?.map(drop)
}
