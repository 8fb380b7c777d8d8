//! Workers that are part of the program.

mod echo;

use crate::{Worker, WorkerError, WorkerLaunch};

/// The name of every built-in worker.
pub const NAMES: &[&str] = &["echo"];

/// A built-in worker that was found by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builtin {
    /// Gives back what it gets, in every way in which a worker can answer.
    Echo,
}

/// Finds a built-in worker.
///
/// # Errors
/// [`WorkerError::UnknownBuiltin`] with the names that there are.
pub fn by_name(name: &str) -> Result<Builtin, WorkerError> {
    match name {
        "echo" => Ok(Builtin::Echo),
        _ => Err(WorkerError::UnknownBuiltin { name: name.into(), known: NAMES.join(", ") }),
    }
}

impl Builtin {
    /// The worker for a model: its name and free fields come from `launch`.
    ///
    /// # Errors
    /// [`WorkerError::Metadata`] if a free field has a value that it cannot use.
    pub fn worker(self, launch: &WorkerLaunch) -> Result<Worker, WorkerError> {
        match self {
            Self::Echo => echo::worker(launch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_an_unknown_one_is_told_them_all() {
        for name in NAMES {
            assert!(by_name(name).is_ok(), "{name}");
        }
        let error = by_name("ekko").unwrap_err().to_string();
        assert_eq!(error, "there is no built-in worker `ekko`; choose one of: echo");
    }
}
