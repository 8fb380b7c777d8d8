//! What one thread works with, allocated once.

use crate::{
    kv::HEAD_DIM_MAX,
    memory::{Buffer, MemoryError},
    tile::STRIP,
};

/// Rows that a thread takes through a strip at once: their results stay in its second-level cache.
pub(crate) const PANEL_ROWS: usize = 512;
/// f32 from one strip of a head to the next. Not a power of two, so that the strips of a row do not share
/// cache sets.
pub(crate) const HEAD_STRIDE: usize = PANEL_ROWS * STRIP + 64;
/// The strips of the widest head, and behind the last what a kernel needs.
const PANEL: usize = HEAD_DIM_MAX / STRIP * HEAD_STRIDE + crate::gemm::WORK;

#[derive(Debug)]
pub(crate) struct Scratch {
    /// `PANEL_ROWS` x 32 results of each strip of a head, and what kernels need to get there.
    pub(crate) panel: Buffer<f32>,
    /// One row of values on its way.
    pub(crate) row: Vec<f32>,
    /// What a unit of attention keeps.
    pub(crate) attention: Buffer<f32>,
}

impl Scratch {
    /// What a thread takes, but for a row of values.
    pub(crate) const BYTES: usize = (PANEL + crate::attention::WORKSPACE) * size_of::<f32>();

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
