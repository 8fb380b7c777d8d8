//! Servers that the tests start themselves: NFS 3 and WebDAV in this process, each over a folder,
//! and a proxy that breaks connections.

pub(crate) mod dav;
pub(crate) mod proxy;
pub(crate) mod v3;
