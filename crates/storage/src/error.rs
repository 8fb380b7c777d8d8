//! What can go wrong with a file that lies elsewhere, in the words of the local file system.

use std::io;

use nix::errno::Errno;

/// The kind of a failure. Each has one `errno`, so that callers can treat it as they treat a
/// local file's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No such file or folder.
    NotFound,
    /// Something of that name exists.
    AlreadyExists,
    /// A part of the path is a file.
    NotADirectory,
    /// A folder where a file was meant.
    IsADirectory,
    /// The folder still has entries.
    NotEmpty,
    /// The server refuses this user.
    PermissionDenied,
    /// The path leads out of the user's folder.
    Outside,
    /// The disk is full.
    NoSpace,
    /// The user's share of the disk is used up.
    QuotaExceeded,
    /// Larger than the server allows.
    FileTooLarge,
    /// The server's file system is read-only.
    ReadOnly,
    /// A name is too long for the server.
    NameTooLong,
    /// Links that lead to each other.
    TooManyLinks,
    /// The server did not answer in time.
    TimedOut,
    /// Somebody else holds the lock.
    Locked,
    /// The server cannot do this.
    Unsupported,
    /// An argument that makes no sense.
    Invalid,
    /// The file was replaced or removed while it was open.
    Stale,
    /// The server cannot be reached, or the connection broke.
    Unavailable,
    /// The file was closed.
    Closed,
    /// Anything else that the server reports.
    Io,
}

impl Kind {
    /// The error number that a local file would give.
    pub const fn errno(self) -> i32 {
        let errno = match self {
            Self::NotFound => Errno::ENOENT,
            Self::AlreadyExists => Errno::EEXIST,
            Self::NotADirectory => Errno::ENOTDIR,
            Self::IsADirectory => Errno::EISDIR,
            Self::NotEmpty => Errno::ENOTEMPTY,
            Self::PermissionDenied => Errno::EACCES,
            Self::Outside => Errno::EPERM,
            Self::NoSpace => Errno::ENOSPC,
            Self::QuotaExceeded => Errno::EDQUOT,
            Self::FileTooLarge => Errno::EFBIG,
            Self::ReadOnly => Errno::EROFS,
            Self::NameTooLong => Errno::ENAMETOOLONG,
            Self::TooManyLinks => Errno::ELOOP,
            Self::TimedOut => Errno::ETIMEDOUT,
            Self::Locked => Errno::EAGAIN,
            Self::Unsupported => Errno::EOPNOTSUPP,
            Self::Invalid => Errno::EINVAL,
            Self::Stale => Errno::ESTALE,
            Self::Unavailable => Errno::EHOSTUNREACH,
            Self::Closed => Errno::EBADF,
            Self::Io => Errno::EIO,
        };
        errno as i32
    }

    fn of_errno(number: i32) -> Self {
        match Errno::from_raw(number) {
            Errno::ENOENT => Self::NotFound,
            Errno::EEXIST => Self::AlreadyExists,
            Errno::ENOTDIR => Self::NotADirectory,
            Errno::EISDIR => Self::IsADirectory,
            Errno::ENOTEMPTY => Self::NotEmpty,
            Errno::EACCES | Errno::EPERM => Self::PermissionDenied,
            // What `openat2` says to a path that leaves the folder it was told to stay beneath.
            Errno::EXDEV => Self::Outside,
            Errno::ENOSPC => Self::NoSpace,
            Errno::EDQUOT => Self::QuotaExceeded,
            Errno::EFBIG => Self::FileTooLarge,
            Errno::EROFS => Self::ReadOnly,
            Errno::ENAMETOOLONG => Self::NameTooLong,
            Errno::ELOOP => Self::TooManyLinks,
            Errno::ETIMEDOUT => Self::TimedOut,
            Errno::EAGAIN => Self::Locked,
            Errno::EOPNOTSUPP | Errno::ENOSYS => Self::Unsupported,
            Errno::EINVAL => Self::Invalid,
            Errno::ESTALE => Self::Stale,
            _ => Self::Io,
        }
    }
}

/// A failure: its kind, and a sentence that names the path or the setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Error {
    kind: Kind,
    detail: String,
}

/// What everything here returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of this kind, in these words.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// The refusal of a path that leaves the user's folder.
    pub fn outside(path: &str) -> Self {
        Self::new(Kind::Outside, format!("Path not allowed (outside user directory): {path}"))
    }

    /// Its kind.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The same failure, said of this path.
    #[must_use]
    pub fn at(self, path: &str) -> Self {
        if self.detail.contains(path) {
            return self;
        }
        Self { detail: format!("{path}: {}", self.detail), kind: self.kind }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        let kind = match (error.raw_os_error(), error.kind()) {
            (Some(number), _) => Kind::of_errno(number),
            (None, io::ErrorKind::NotFound) => Kind::NotFound,
            (None, io::ErrorKind::TimedOut) => Kind::TimedOut,
            (None, io::ErrorKind::InvalidInput) => Kind::Invalid,
            (None, _) => Kind::Io,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::new(Kind::of_errno(errno as i32), errno.desc())
    }
}
