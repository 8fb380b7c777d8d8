//! What a place to store files must be able to do. Narrow on purpose: how files are opened,
//! buffered and copied is the same for all and stands above.

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    error::{Error, Kind, Result},
    place::Place,
};

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file with bytes.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, socket or pipe.
    Other,
}

/// What is known of an entry. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Meta {
    /// What it is.
    pub kind: EntryKind,
    /// Length in bytes.
    pub size: u64,
    /// Permission bits, without the bits of the kind.
    pub permissions: u32,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The file's number on the server; 0 where it has none.
    pub inode: u64,
    /// The file system's number; 0 where it has none.
    pub device: u64,
    /// How many names it has.
    pub links: u32,
    /// Bytes that it takes on the disk.
    pub used: u64,
    /// Last read.
    pub accessed: f64,
    /// Last written.
    pub modified: f64,
    /// Last changed, names and permissions included.
    pub changed: f64,
}

impl Meta {
    /// The mode as `stat` has it: kind and permissions.
    pub const fn mode(&self) -> u32 {
        let kind = match self.kind {
            EntryKind::File => 0o100_000,
            EntryKind::Directory => 0o040_000,
            EntryKind::Link => 0o120_000,
            EntryKind::Other => 0o020_000,
        };
        kind | self.permissions
    }
}

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its name, without the folder's.
    pub name: String,
    /// What is known of it; a link is not followed.
    pub meta: Meta,
}

/// What an open file may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Its bytes may be read.
    pub read: bool,
    /// Its bytes may be written.
    pub write: bool,
}

/// What to do about a file that is absent, or is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// It must be there.
    Never,
    /// Make it if it is absent.
    IfAbsent,
    /// Make it if it is absent, otherwise empty it.
    Emptied,
    /// It must be absent.
    Exclusive,
}

/// How much a server takes or gives in one request, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    /// Read at once.
    pub read: usize,
    /// Written at once.
    pub write: usize,
}

/// How a lock is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockRequest {
    /// Nobody else may hold any lock; otherwise nobody else may hold an exclusive one.
    pub exclusive: bool,
    /// First byte.
    pub start: u64,
    /// Number of bytes; 0 is up to the end, however far it moves.
    pub length: u64,
    /// For how long the server may keep it if we vanish; servers with leases ignore it.
    pub lease: Duration,
}

/// A place to store files. Everything it is asked for is beneath the user's folder, and it
/// must follow no link that leads out of it.
///
/// # Cancel safety
/// Dropping a future ends the waiting. A change that had been sent may still happen.
#[async_trait]
pub trait Backend: Debug + Send + Sync {
    /// `nfs`, `webdav` or `local`.
    fn name(&self) -> &'static str;

    /// What is spoken, for people: `NFS 4.1`.
    async fn protocol(&self) -> String;

    /// How much goes into one request, once connected.
    fn chunks(&self) -> Chunks;

    /// Opens a file.
    async fn open(&self, place: &Place, access: Access, create: Create) -> Result<Arc<dyn Opened>>;

    /// What is known of an entry; a link is followed if `follow`.
    async fn stat(&self, place: &Place, follow: bool) -> Result<Meta>;

    /// The entries of a folder, in the server's order.
    async fn list(&self, place: &Place) -> Result<Vec<Entry>>;

    /// Makes a folder in one that exists.
    async fn make_directory(&self, place: &Place) -> Result<()>;

    /// Removes an empty folder.
    async fn remove_directory(&self, place: &Place) -> Result<()>;

    /// Removes a file, or a link but not what it points to.
    async fn remove_file(&self, place: &Place) -> Result<()>;

    /// Renames; a file of the new name is replaced.
    async fn rename(&self, from: &Place, to: &Place) -> Result<()>;

    /// Sets the permission bits.
    async fn set_permissions(&self, place: &Place, permissions: u32) -> Result<()>;

    /// Copies a file where the server can do it itself; `false` if it cannot.
    ///
    /// # Cancel safety
    /// Once sent it may still happen.
    async fn copy_on_server(&self, _from: &Place, _to: &Place) -> Result<bool> {
        Ok(false)
    }

    /// Makes the user's folder and those around it, if they are absent.
    async fn make_home(&self) -> Result<()>;

    /// Leaves the server.
    async fn close(&self);
}

/// An open file. Reads and writes of different ranges may run at the same time.
#[async_trait]
pub trait Opened: Debug + Send + Sync {
    /// Up to `length` bytes from `offset`; fewer before the end of the file are possible, none
    /// are the end. At most [`Chunks::read`].
    async fn read_at(&self, offset: u64, length: usize) -> Result<Bytes>;

    /// Writes all of `data`, at most [`Chunks::write`]. It is safe once committed.
    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()>;

    /// Makes everything written so far last, also through a crash of the server.
    async fn commit(&self) -> Result<()>;

    /// Whether opening it changed something that is yet to be committed.
    fn is_dirty(&self) -> bool {
        false
    }

    /// Bytes after which a commit is due, where uncommitted data is kept in memory.
    fn uncommitted_max(&self) -> usize {
        usize::MAX
    }

    /// What is known of it now.
    async fn stat(&self) -> Result<Meta>;

    /// Cuts it, or makes it longer with zeros.
    async fn set_size(&self, size: u64) -> Result<()>;

    /// Takes a lock if it is free, otherwise fails with [`Kind::Locked`].
    ///
    /// # Cancel safety
    /// A lock that was given just then is held until the file is closed.
    async fn try_lock(&self, _request: LockRequest) -> Result<()> {
        Err(Error::new(Kind::Unsupported, "this storage has no locks"))
    }

    /// Gives all locks back that were taken through this file.
    ///
    /// # Cancel safety
    /// Dropping the future may leave locks held until the file is closed.
    async fn unlock(&self) -> Result<()> {
        Ok(())
    }

    /// Gives it back to the server, locks included. What was not committed may be lost.
    async fn close(&self) -> Result<()>;
}
