//! Why a worker could not be built, or could not go on.

use std::{io, path::PathBuf};

use api::worker::Address;
use types::{BadName, Fault};

/// Why a worker could not be built, or could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// What the gateway wants of this process cannot be understood.
    #[error("{} is not what a gateway writes", api::worker::LAUNCH_ENV)]
    Launch {
        /// Why not.
        #[source]
        source: api::BoxError,
    },
    /// The model's name breaks the rule for names.
    #[error("the worker cannot be called by its name")]
    Name(#[source] BadName),
    /// A route cannot be served as it is declared.
    #[error("route {method} {path}: {fix}")]
    Route {
        /// Its method.
        method: String,
        /// Its path.
        path: String,
        /// What to change.
        fix: &'static str,
    },
    /// The default route is not among the routes.
    #[error("the default route `{path}` is none of the routes; name one of: {known}")]
    DefaultRoute {
        /// What was named.
        path: String,
        /// The paths that would do.
        known: String,
    },
    /// There is no built-in worker by that name.
    #[error("there is no built-in worker `{name}`; choose one of: {known}")]
    UnknownBuiltin {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A free field of the model has a value that the built-in worker cannot use.
    #[error("metadata.{field}: {fix}")]
    Metadata {
        /// The field.
        field: &'static str,
        /// What to write instead.
        fix: &'static str,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: Address,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Somebody answers on the socket already.
    #[error("another process serves {}; stop it, or choose another path", path.display())]
    SocketInUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is not a socket lies where the socket should be.
    #[error("{} is not a socket; remove it, or choose another path", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The system gave no random bytes for the token.
    #[error("cannot make a token")]
    Token(#[source] getrandom::Error),
    /// The body given for warming up was not answered.
    #[error("the warm-up call failed: {fault}")]
    WarmUp {
        /// What the default route said.
        #[source]
        fault: Fault,
    },
    /// The gateway does not take this worker.
    #[error("the gateway at {gateway} refused this worker: {status} {detail}")]
    Refused {
        /// The gateway's address.
        gateway: Address,
        /// Its HTTP status.
        status: u16,
        /// What it said.
        detail: String,
    },
}
