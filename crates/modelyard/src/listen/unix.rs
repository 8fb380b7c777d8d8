//! Unix sockets: a stale file is removed, a living one is somebody's.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use gateway::Listener;
use tokio::net::UnixListener;

use super::{Door, ListenError, Owner};
use crate::config::ListenAddress;

/// The file of a socket that we listen on; removed when dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have removed it before, and nobody misses it.
        let _ = fs::remove_file(&self.0);
    }
}

/// Listens at a path; `mode` says who may connect.
pub(super) fn open(path: &Path, mode: u32) -> Result<Door, ListenError> {
    let address = ListenAddress::Unix(path.to_owned());
    let failed = |source| ListenError::Bind { address: address.clone(), source };
    if !make_room(path).map_err(failed)? {
        let owner = Owner::of_unix(path);
        return Err(ListenError::InUse { address, owner, free_port: None });
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    let file = SocketFile(path.to_owned());
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)?;
    Ok(Door { listener: Listener::Unix(listener), address, file: Some(file) })
}

/// Removes the socket of a server that is gone. `false` if its server still answers.
fn make_room(path: &Path) -> io::Result<bool> {
    let kind = match fs::symlink_metadata(path) {
        Ok(meta) => meta.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    if !kind.is_socket() {
        let text = "there is a file of that name, which is not a socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path)?;
            Ok(true)
        }
        // It answers, or is too busy to: somebody lives there.
        _ => Ok(false),
    }
}
