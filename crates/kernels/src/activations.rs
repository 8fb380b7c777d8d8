//! What linear layers read: rows in tiles, in the precision of the weights that they meet.

use crate::{
    Cpu, bf16,
    format::{ActivationFormat, WeightFormat},
    isa::multiversion,
    lanes,
    memory::{Buffer, MemoryError, Shared},
    tile,
};

/// The largest value of a 16-bit activation: `256 * 127 + 127`, so that both digits fit in int8.
const INT16_MAX: f32 = 32_639.0;

/// Rows of activations as tiles, `[rows / 16][inner tiles][16 rows][64 B]`; integers have one scale per row.
#[derive(Debug)]
pub struct Activations {
    format: ActivationFormat,
    tiles: Buffer<u8>,
    scales: Buffer<f32>,
    /// f32 rows that are complete only when every thread has written its columns, and are quantised then.
    staging: Buffer<f32>,
    capacity: usize,
    len: usize,
    columns: usize,
}

impl Activations {
    /// Room for `capacity` rows of `columns` values that meet weights of `format`.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn new(format: WeightFormat, capacity: usize, columns: usize) -> Result<Self, MemoryError> {
        let format = format.activations();
        let capacity = capacity.next_multiple_of(2 * tile::ROWS);
        let depth_tiles = columns.div_ceil(format.depth());
        let tiles = capacity / tile::ROWS * depth_tiles * format.planes();
        // Untouched memory costs nothing, so a format that needs no staging pays for none.
        Ok(Self {
            format,
            tiles: Buffer::zeroed(tiles * tile::BYTES)?,
            scales: Buffer::zeroed(capacity)?,
            staging: Buffer::zeroed(capacity * Self::staging_stride(columns))?,
            capacity,
            len: 0,
            columns,
        })
    }

    /// Bytes that `new` asks for and operations touch.
    pub fn bytes(format: WeightFormat, capacity: usize, columns: usize) -> usize {
        let capacity = capacity.next_multiple_of(2 * tile::ROWS);
        let format = format.activations();
        let tiles = capacity / tile::ROWS * columns.div_ceil(format.depth()) * format.planes();
        let staging = match format {
            ActivationFormat::Bf16 => 0,
            _ => capacity * Self::staging_stride(columns) * size_of::<f32>(),
        };
        tiles * tile::BYTES + capacity * size_of::<f32>() + staging
    }

    /// An odd number of cache lines, so that a column of rows does not share cache sets.
    fn staging_stride(columns: usize) -> usize {
        (columns.div_ceil(lanes::LANES) | 1) * lanes::LANES
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

    /// Sets how many rows are in use.
    ///
    /// # Panics
    /// Above the capacity.
    pub(crate) fn resize(&mut self, rows: usize) {
        assert!(rows <= self.capacity, "{rows} rows do not fit in {}", self.capacity);
        self.len = rows;
    }

    pub(crate) fn format(&self) -> ActivationFormat {
        self.format
    }

    pub(crate) fn view(&self) -> TilesView<'_> {
        let depth_tiles = self.columns.div_ceil(self.format.depth());
        let plane = self.capacity / tile::ROWS * depth_tiles * tile::BYTES;
        let (high, low) = self.tiles.split_at(plane);
        TilesView { high, low, scales: &self.scales, depth_tiles }
    }

    pub(crate) fn shared(&mut self) -> SharedActivations<'_> {
        let depth_tiles = self.columns.div_ceil(self.format.depth());
        SharedActivations {
            format: self.format,
            plane: self.capacity / tile::ROWS * depth_tiles * tile::BYTES,
            depth_tiles,
            columns: self.columns,
            stride: Self::staging_stride(self.columns),
            tiles: self.tiles.shared(),
            scales: self.scales.shared(),
            staging: self.staging.shared(),
        }
    }

    /// Turns staged rows into tiles.
    pub(crate) fn settle(&mut self, cpu: &Cpu) {
        if self.format == ActivationFormat::Bf16 {
            return;
        }
        let rows = self.len;
        let shared = self.shared();
        cpu.pool.run(rows, |worker| {
            while let Some(row) = worker.next() {
                // SAFETY: each row is one unit, and what was staged is complete.
                unsafe { shared.pack(cpu, row, shared.staged(row, 0, shared.columns)) };
            }
        });
    }
}

/// Tiles to read. `low` is empty unless there are two planes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TilesView<'a> {
    pub(crate) high: &'a [u8],
    pub(crate) low: &'a [u8],
    pub(crate) scales: &'a [f32],
    pub(crate) depth_tiles: usize,
}

/// Activations that the threads of one operation write to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SharedActivations<'a> {
    pub(crate) format: ActivationFormat,
    tiles: Shared<'a, u8>,
    plane: usize,
    depth_tiles: usize,
    scales: Shared<'a, f32>,
    staging: Shared<'a, f32>,
    stride: usize,
    pub(crate) columns: usize,
}

impl<'a> SharedActivations<'a> {
    /// Writes a whole row.
    ///
    /// # Safety
    /// Meanwhile nobody else uses the row.
    #[inline]
    pub(crate) unsafe fn pack(self, cpu: &Cpu, row: usize, values: &[f32]) {
        match self.format {
            // SAFETY: the caller's promise.
            ActivationFormat::Bf16 => unsafe { self.put_bf16(cpu, row, 0, values) },
            ActivationFormat::Int8 => pack_int8(cpu.isa, self, row, values),
            ActivationFormat::Int16 => pack_int16(cpu.isa, self, row, values),
        }
    }

    /// Writes some columns of a bf16 row; `from` is a multiple of 16.
    ///
    /// # Safety
    /// Meanwhile nobody else uses these columns of the row.
    #[inline]
    pub(crate) unsafe fn put_bf16(self, cpu: &Cpu, row: usize, from: usize, values: &[f32]) {
        pack_bf16(cpu.isa, self, row, from, values);
    }

    /// Staged columns `from..from + length` of a row.
    ///
    /// # Safety
    /// Meanwhile nobody else uses these columns of the row.
    #[inline(always)]
    pub(crate) unsafe fn staged(self, row: usize, from: usize, length: usize) -> &'a mut [f32] {
        // SAFETY: the caller's promise.
        unsafe { self.staging.part(row * self.stride + from, length) }
    }

    /// The tile row that holds a value. `inner` counts bytes.
    ///
    /// # Safety
    /// As `staged`, for `length` bytes.
    #[inline(always)]
    unsafe fn line(self, row: usize, inner: usize, plane: usize, length: usize) -> &'a mut [u8] {
        let offset = tile::a_offset(row, inner, self.depth_tiles);
        // SAFETY: the caller's promise.
        unsafe { self.tiles.part(plane * self.plane + offset, length) }
    }

    #[inline(always)]
    fn set_scale(self, row: usize, scale: f32) {
        // SAFETY: only the thread that packs a row sets its scale.
        let place = unsafe { self.scales.part(row, 1) };
        place[0] = scale;
    }
}

multiversion! {
    fn pack_bf16(to: SharedActivations<'_>, row: usize, from: usize, values: &[f32]) {
        for (chunk, values) in values.chunks(lanes::LANES).enumerate() {
            let inner = (from + chunk * lanes::LANES) * 2;
            // SAFETY: these columns of the row are the caller's.
            let line = unsafe { to.line(row, inner, 0, values.len() * 2) };
            for (to, &value) in line.chunks_exact_mut(2).zip(values) {
                to.copy_from_slice(&bf16::from_f32(value).to_le_bytes());
            }
        }
    }
}

multiversion! {
    fn pack_int8(to: SharedActivations<'_>, row: usize, values: &[f32]) {
        let max = lanes::abs_max(values);
        let inverse = if max > 0.0 { 127.0 / max } else { 0.0 };
        to.set_scale(row, max / 127.0);
        for (chunk, values) in values.chunks(lanes::LANES).enumerate() {
            // SAFETY: the row is the caller's.
            let line = unsafe { to.line(row, chunk * lanes::LANES, 0, values.len()) };
            for (to, &value) in line.iter_mut().zip(values) {
                *to = lanes::round(value * inverse) as u8;
            }
        }
    }
}

multiversion! {
    fn pack_int16(to: SharedActivations<'_>, row: usize, values: &[f32]) {
        let max = lanes::abs_max(values);
        let inverse = if max > 0.0 { INT16_MAX / max } else { 0.0 };
        to.set_scale(row, max / INT16_MAX);
        for (chunk, values) in values.chunks(lanes::LANES).enumerate() {
            let inner = chunk * lanes::LANES;
            // SAFETY: the row is the caller's; the planes do not overlap.
            let high = unsafe { to.line(row, inner, 0, values.len()) };
            // SAFETY: as above.
            let low = unsafe { to.line(row, inner, 1, values.len()) };
            for ((high, low), &value) in high.iter_mut().zip(low).zip(values) {
                let whole = lanes::round(value * inverse);
                // The low digit is signed, so the high one is rounded, not cut.
                *high = ((whole + 128) >> 8) as u8;
                *low = whole as u8;
            }
        }
    }
}
