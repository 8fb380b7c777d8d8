//! What one thread works with, allocated once.

use crate::memory::{Buffer, MemoryError};

/// Rows that a thread takes through a strip at once: their results stay in its second-level cache.
pub(crate) const PANEL_ROWS: usize = 512;
#[cfg(target_arch = "x86_64")]
const PANEL: usize = crate::gemm::amx::WORK;
#[cfg(not(target_arch = "x86_64"))]
const PANEL: usize = PANEL_ROWS * crate::tile::STRIP;

#[derive(Debug)]
pub(crate) struct Scratch {
    /// `PANEL_ROWS` x 32 results of a strip, and what kernels need to get there.
    pub(crate) panel: Buffer<f32>,
    /// One row of values on its way.
    pub(crate) row: Vec<f32>,
    /// What a unit of attention keeps.
    pub(crate) attention: Buffer<f32>,
}

impl Scratch {
    pub(crate) fn new() -> Result<Self, MemoryError> {
        Ok(Self {
            panel: Buffer::zeroed(PANEL)?,
            row: Vec::new(),
            attention: Buffer::zeroed(crate::attention::WORKSPACE)?,
        })
    }

    /// A row of `length` values, whatever was in it.
    pub(crate) fn row(&mut self, length: usize) -> &mut [f32] {
        if self.row.len() < length {
            self.row.resize(length, 0.0);
        }
        &mut self.row[..length]
    }
}
