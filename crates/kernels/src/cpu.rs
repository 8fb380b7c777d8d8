//! The processor that every operation is given: instructions and threads.

use crate::{
    isa::{Isa, IsaError},
    pool::{Pool, PoolError},
    scratch::Scratch,
};

/// An instruction set and a pool of threads.
///
/// It may be shared; operations of two callers take turns. Results do not depend on the number
/// of threads.
#[derive(Debug)]
pub struct Cpu {
    pub(crate) isa: Isa,
    pub(crate) pool: Pool,
}

/// A processor could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum CpuError {
    /// Its instructions.
    #[error(transparent)]
    Isa(#[from] IsaError),
    /// Its threads.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

impl Cpu {
    /// A pool of `threads`, the caller's included, that use the instructions `isa`.
    ///
    /// # Errors
    /// [`CpuError`] when the machine lacks `isa`, or refuses threads or memory.
    pub fn new(isa: Isa, threads: usize) -> Result<Self, CpuError> {
        Ok(Self { isa: isa.require()?, pool: Pool::new(threads)? })
    }

    /// As `new`, with what `MODELYARD_ISA` names or the best there is.
    ///
    /// # Errors
    /// As `new`.
    pub fn detect(threads: usize) -> Result<Self, CpuError> {
        Self::new(Isa::from_env()?, threads)
    }

    /// Keeps the calling thread on the first processor that this process may use; the others of the pool
    /// stay on the next ones. Called once by the thread that will run the operations.
    pub fn pin(&self) {
        crate::pool::pin_caller();
    }

    /// The instructions in use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Bytes that so many threads work in.
    pub const fn scratch_bytes(threads: usize) -> usize {
        threads * Scratch::BYTES
    }

    /// Threads, the caller's included.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }
}
