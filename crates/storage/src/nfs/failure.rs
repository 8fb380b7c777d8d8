//! What an NFS server or the way to it says, in this crate's words.

use nfs_rs::{Nfs3ErrorCode, Nfs3MountErrorCode, NfsError, OperationOutcome, RequestTransmission};

use crate::error::{Error, Kind};

/// Why a step failed: by the protocol, or by a rule of ours.
#[derive(Debug)]
pub(super) enum Failure {
    Nfs(NfsError),
    Ours(Error),
}

impl From<NfsError> for Failure {
    fn from(error: NfsError) -> Self {
        Self::Nfs(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

/// What may help against a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cure {
    /// Nothing: the server has answered.
    None,
    /// Waiting and asking again.
    Wait,
    /// A new mount: the server knows our handles no longer.
    Remount,
}

impl Failure {
    /// What may help.
    pub(super) fn cure(&self) -> Cure {
        let Self::Nfs(error) = self else { return Cure::None };
        match innermost(error) {
            NfsError::ClientClosed(_) | NfsError::LostOpenState(_) => Cure::Remount,
            inner => match status(inner) {
                // STALE, BADHANDLE, EXPIRED, STALE_CLIENTID, STALE_STATEID, BADSESSION,
                // DEADSESSION, and what is said of a slot whose request was given up:
                // SEQ_MISORDERED, RETRY_UNCACHED_REP, SEQ_FALSE_RETRY
                Some(
                    70 | 10001 | 10011 | 10022 | 10023 | 10052 | 10063 | 10068 | 10076 | 10078,
                ) => Cure::Remount,
                // JUKEBOX or DELAY, GRACE
                Some(10008 | 10013) => Cure::Wait,
                Some(_) => Cure::None,
                None if error.is_connection_lost() || error.is_server_busy() => Cure::Wait,
                None => Cure::None,
            },
        }
    }

    /// Whether the server may have acted on the request.
    pub(super) fn may_have_happened(&self) -> bool {
        let Self::Nfs(error) = self else { return false };
        if status(innermost(error)).is_some() && error.operation_outcome().is_none() {
            return false;
        }
        match error.operation_outcome() {
            Some(outcome) => outcome.outcome == OperationOutcome::Uncertain,
            None => error.request_transmission() != Some(RequestTransmission::NotSent),
        }
    }

    /// In this crate's words.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Ours(error) => error,
            Self::Nfs(error) => {
                let kind = kind(&error);
                let detail = match kind {
                    Kind::Unavailable => format!("the NFS server cannot be reached: {error}"),
                    Kind::TimedOut => format!("the NFS server did not answer in time: {error}"),
                    _ => innermost(&error).to_string(),
                };
                Error::new(kind, detail)
            }
        }
    }
}

/// Whether the server says that there is no such name.
pub(super) fn is_absent(error: &NfsError) -> bool {
    status(innermost(error)) == Some(2)
}

/// Whether the server cannot do this at all.
pub(super) fn is_unsupported(error: &NfsError) -> bool {
    match innermost(error) {
        NfsError::Unsupported(_) | NfsError::Rpc(_) => true,
        inner => status(inner) == Some(10004),
    }
}

/// Whether the server lost what was written but not committed.
pub(super) fn is_new_verifier(error: &NfsError) -> bool {
    error.operation_outcome().is_some_and(|outcome| outcome.context().operation == "write_verifier")
}

fn innermost(error: &NfsError) -> &NfsError {
    match error {
        NfsError::OperationOutcome(outcome) => innermost(&outcome.source),
        NfsError::ServerBusy(busy) => innermost(&busy.source),
        NfsError::FileClose(failures) => {
            failures.first().map_or(error, |failure| innermost(&failure.error))
        }
        other => other,
    }
}

/// The number of the server's status; versions 3 and 4 share those used here.
fn status(error: &NfsError) -> Option<u32> {
    match error {
        NfsError::Nfs3(code) => Some(number3(code)),
        NfsError::Nfs4(code) => Some(*code as u32),
        NfsError::Mount(code) => Some(mount_number3(code)),
        _ => None,
    }
}

/// The library's enumeration of version 3 cannot be cast.
fn number3(code: &Nfs3ErrorCode) -> u32 {
    use Nfs3ErrorCode as Code;
    match code {
        Code::NFS3ERR_PERM => 1,
        Code::NFS3ERR_NOENT => 2,
        Code::NFS3ERR_ACCES => 13,
        Code::NFS3ERR_EXIST => 17,
        Code::NFS3ERR_NOTDIR => 20,
        Code::NFS3ERR_ISDIR => 21,
        Code::NFS3ERR_INVAL => 22,
        Code::NFS3ERR_FBIG => 27,
        Code::NFS3ERR_NOSPC => 28,
        Code::NFS3ERR_ROFS => 30,
        Code::NFS3ERR_NAMETOOLONG => 63,
        Code::NFS3ERR_NOTEMPTY => 66,
        Code::NFS3ERR_DQUOT => 69,
        Code::NFS3ERR_STALE => 70,
        Code::NFS3ERR_BADHANDLE => 10001,
        Code::NFS3ERR_NOTSUPP => 10004,
        Code::NFS3ERR_JUKEBOX => 10008,
        _ => 5,
    }
}

fn mount_number3(code: &Nfs3MountErrorCode) -> u32 {
    use Nfs3MountErrorCode as Code;
    match code {
        Code::MNT3ERR_PERM => 1,
        Code::MNT3ERR_NOENT => 2,
        Code::MNT3ERR_ACCES => 13,
        Code::MNT3ERR_NOTDIR => 20,
        Code::MNT3ERR_INVAL => 22,
        Code::MNT3ERR_NAMETOOLONG => 63,
        Code::MNT3ERR_NOTSUPP => 10004,
        _ => 5,
    }
}

fn kind(error: &NfsError) -> Kind {
    let inner = innermost(error);
    match status(inner) {
        Some(2) => Kind::NotFound,
        Some(17) => Kind::AlreadyExists,
        Some(20) => Kind::NotADirectory,
        Some(21) => Kind::IsADirectory,
        Some(66) => Kind::NotEmpty,
        Some(1 | 13) => Kind::PermissionDenied,
        Some(28) => Kind::NoSpace,
        Some(69) => Kind::QuotaExceeded,
        Some(27) => Kind::FileTooLarge,
        Some(30) => Kind::ReadOnly,
        Some(63) => Kind::NameTooLong,
        Some(10029) => Kind::TooManyLinks,
        Some(70 | 10001) => Kind::Stale,
        Some(10010) => Kind::Locked,
        Some(10004) => Kind::Unsupported,
        Some(22) => Kind::Invalid,
        Some(10008 | 10013) => Kind::Unavailable,
        Some(_) => Kind::Io,
        None => match inner {
            NfsError::LockDenied { .. } => Kind::Locked,
            NfsError::Unsupported(_) => Kind::Unsupported,
            NfsError::InvalidInput(_) => Kind::Invalid,
            NfsError::ModeViolation(_) => Kind::PermissionDenied,
            NfsError::ClosedResource(_) => Kind::Closed,
            NfsError::LostOpenState(_) => Kind::Stale,
            _ if error.transport_error_kind() == Some(std::io::ErrorKind::TimedOut) => {
                Kind::TimedOut
            }
            NfsError::Io(_) | NfsError::ClientClosed(_) => Kind::Unavailable,
            _ => Kind::Io,
        },
    }
}
