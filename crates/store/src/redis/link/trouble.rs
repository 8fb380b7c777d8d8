//! Why a question has no answer, and what the operator can do.

use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::StoreError;

/// Why a question has no answer.
pub(super) enum Trouble {
    /// Worth asking again.
    Passing(RedisError),
    /// Asking again gives the same.
    Final(StoreError),
}

/// Whether another connection, or a little time, may mend it.
pub(super) fn is_passing(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io
        // While Sentinel makes a replica the primary.
        | ErrorKind::MasterNameNotFoundBySentinel => true,
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::TryAgain
        ),
        _ => error.is_unrecoverable_error(),
    }
}

pub(super) fn unreachable(
    server: &Arc<str>,
    remedy: &'static str,
    error: Option<RedisError>,
) -> StoreError {
    let source = error.map(|error| Arc::new(error) as crate::error::Cause);
    StoreError::Unreachable { server: Arc::clone(server), remedy, source }
}

/// Redis has said no, or something that we do not understand.
pub(super) fn refused(server: &Arc<str>, error: RedisError) -> StoreError {
    let remedy = match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) => "the user or the password is wrong",
        (ErrorKind::Server(ServerErrorKind::NoPerm), _) => {
            "its user may not do all that is needed; see ACL in its log"
        }
        (_, Some("OOM")) => "its memory is full; raise `maxmemory`",
        (_, Some("MISCONF" | "NOREPLICAS")) => {
            "it takes no changes because of its own settings; look at its log"
        }
        _ => "it answered with an error; look at its log",
    };
    unreachable(server, remedy, Some(error))
}
