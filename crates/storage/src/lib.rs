//! `gmifs://`: a user's files on NFS, on WebDAV, or in a local folder.
//!
//! A [`FileSystem`] is one user's folder on one server. Below it stands a narrow [`Backend`] per
//! protocol; above it, Python's `open()`. Paths cannot leave the folder, whatever they are made
//! of: text is normalised, and links are followed here, not by the server.

pub mod backend;
pub mod error;
pub mod file;
pub mod filesystem;
pub mod local;
pub mod nfs;
pub mod place;
pub mod webdav;

mod cache;

pub use backend::{Access, Backend, Chunks, Create, Entry, EntryKind, LockRequest, Meta};
pub use error::{Error, Kind, Result};
pub use file::File;
pub use filesystem::{FileSystem, OpenMode, Settings, Target};
pub use nfs::NfsSettings;
pub use place::{Home, PROTOCOL, Place};
pub use webdav::WebDavSettings;
