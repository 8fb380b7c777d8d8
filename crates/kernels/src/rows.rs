//! Matrices of f32 between the layers: the residual stream, queries before their rotation.

use crate::{
    memory::{Buffer, MemoryError, Shared},
    tile::STRIP,
};

/// Rows of f32, stored strip by strip: 32 columns of all rows lie together, as linear layers write
/// them. `[columns / 32][capacity + padding][32]`.
#[derive(Debug)]
pub struct Rows {
    data: Buffer<f32>,
    /// Rows from one strip to the next. Odd multiples of eight keep strips from sharing cache sets.
    stride: usize,
    capacity: usize,
    len: usize,
    columns: usize,
}

impl Rows {
    /// Room for `capacity` rows; none are in use yet.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn new(capacity: usize, columns: usize) -> Result<Self, MemoryError> {
        let stride = capacity.next_multiple_of(16) + 8;
        let data = Buffer::zeroed(columns.div_ceil(STRIP) * stride * STRIP)?;
        Ok(Self { data, stride, capacity, len: 0, columns })
    }

    /// Bytes that `new` asks for.
    pub fn bytes(capacity: usize, columns: usize) -> usize {
        columns.div_ceil(STRIP) * (capacity.next_multiple_of(16) + 8) * STRIP * size_of::<f32>()
    }

    /// Rows in use.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks a matrix if it is empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Values of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Sets how many rows are in use. Their contents are what was there.
    ///
    /// # Panics
    /// Above the capacity.
    pub fn resize(&mut self, rows: usize) {
        assert!(rows <= self.capacity, "{rows} rows do not fit in {}", self.capacity);
        self.len = rows;
    }

    /// Copies a row out.
    ///
    /// # Panics
    /// If `row` is not in use or `to` is not as long as a row.
    pub fn read(&self, row: usize, to: &mut [f32]) {
        assert!(row < self.len && to.len() == self.columns, "no such row, or another length");
        for (strip, to) in to.chunks_mut(STRIP).enumerate() {
            let start = (strip * self.stride + row) * STRIP;
            to.copy_from_slice(&self.data[start..start + to.len()]);
        }
    }

    /// Overwrites a row.
    ///
    /// # Panics
    /// As `read`.
    pub fn write(&mut self, row: usize, from: &[f32]) {
        assert!(row < self.len && from.len() == self.columns, "no such row, or another length");
        for (strip, from) in from.chunks(STRIP).enumerate() {
            let start = (strip * self.stride + row) * STRIP;
            self.data[start..start + from.len()].copy_from_slice(from);
        }
    }

    pub(crate) fn view(&self) -> RowsView<'_> {
        RowsView { data: &self.data, stride: self.stride }
    }

    pub(crate) fn shared(&mut self) -> SharedRows<'_> {
        SharedRows { stride: self.stride, data: self.data.shared() }
    }
}

/// Rows to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowsView<'a> {
    data: &'a [f32],
    stride: usize,
}

impl RowsView<'_> {
    /// Columns `from..from + to.len()` of a row, with `from` a multiple of 32.
    #[inline(always)]
    pub(crate) fn read(self, row: usize, from: usize, to: &mut [f32]) {
        for (strip, to) in to.chunks_mut(STRIP).enumerate() {
            let start = ((from / STRIP + strip) * self.stride + row) * STRIP;
            to.copy_from_slice(&self.data[start..start + to.len()]);
        }
    }
}

/// Rows that the threads of one operation write to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SharedRows<'a> {
    data: Shared<'a, f32>,
    stride: usize,
}

impl<'a> SharedRows<'a> {
    /// 32 columns of `rows` rows: `[rows][32]`.
    ///
    /// # Safety
    /// While the panel is in use, nobody else uses any of it.
    #[inline(always)]
    pub(crate) unsafe fn panel(self, strip: usize, row: usize, rows: usize) -> &'a mut [f32] {
        // SAFETY: the caller's promise.
        unsafe { self.data.part((strip * self.stride + row) * STRIP, rows * STRIP) }
    }

    /// Copies a row out.
    ///
    /// # Safety
    /// Meanwhile nobody else writes the row.
    #[inline(always)]
    pub(crate) unsafe fn read(self, row: usize, to: &mut [f32]) {
        for (strip, to) in to.chunks_mut(STRIP).enumerate() {
            // SAFETY: the caller's promise; the panel lies in that row.
            let from = unsafe { self.panel(strip, row, 1) };
            to.copy_from_slice(&from[..to.len()]);
        }
    }

    /// Overwrites a row.
    ///
    /// # Safety
    /// Meanwhile nobody else uses the row.
    #[inline(always)]
    pub(crate) unsafe fn write(self, row: usize, from: &[f32]) {
        for (strip, from) in from.chunks(STRIP).enumerate() {
            // SAFETY: the caller's promise; the panel lies in that row.
            let to = unsafe { self.panel(strip, row, 1) };
            to[..from.len()].copy_from_slice(from);
        }
    }
}
