//! What linear layers read: rows in tiles, in the precision of the weights that they meet.

#[cfg(target_arch = "x86_64")]
mod avx512;

use crate::{
    Cpu, bf16,
    format::{ActivationFormat, WeightFormat},
    isa::{Isa, multiversion},
    lanes,
    linear::bf16_at,
    memory::{Buffer, MemoryError, Shared},
    tile,
};

/// The largest value of an 8-bit activation.
const INT8_MAX: f32 = 127.0;
/// The largest value of a 16-bit activation: `256 * 127 + 127`, so that both digits fit in int8.
pub(crate) const INT16_MAX: f32 = 32_639.0;

/// Inputs of a row of int8 that share a scale: what a large value costs the others ends here.
const SCALED_INPUTS: usize = 512;
/// Inner tiles that they are.
pub(crate) const SCALED_TILES: usize = SCALED_INPUTS / tile::DEPTH_INT8;

/// Rows of activations as tiles, `[rows / 16][inner tiles][16 rows][64 B]`. Integers have scales, int8 one per
/// row and 512 columns, `[rows][columns / 512]`, int16 one per row.
#[derive(Debug)]
pub struct Activations {
    format: ActivationFormat,
    tiles: Buffer<u8>,
    scales: Buffer<f32>,
    /// Rows that are complete only when every thread has written its columns, and are quantised then: bf16 for
    /// those that become int8, which loses nothing that matters and halves the traffic, and f32 for int16.
    staging: Buffer<u8>,
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
            scales: Buffer::zeroed(capacity * format.scales(columns))?,
            staging: Buffer::zeroed(capacity * Self::staging_stride(format, columns))?,
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
            _ => capacity * Self::staging_stride(format, columns),
        };
        tiles * tile::BYTES + capacity * format.scales(columns) * size_of::<f32>() + staging
    }

    /// Bytes from one staged row to the next: an odd number of cache lines, so that a column of rows does
    /// not share cache sets.
    fn staging_stride(format: ActivationFormat, columns: usize) -> usize {
        let bytes = match format {
            ActivationFormat::Bf16 => 0,
            ActivationFormat::Int8 => 2 * columns,
            ActivationFormat::Int16 => 4 * columns,
        };
        (bytes.div_ceil(tile::ROW_BYTES) | 1) * tile::ROW_BYTES
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

    /// Copies a row out, as far as the format kept it.
    ///
    /// # Panics
    /// If `row` is not in use or `to` is not as long as a row.
    pub fn read(&self, row: usize, to: &mut [f32]) {
        assert!(row < self.len && to.len() == self.columns, "no such row, or another length");
        let view = self.view();
        let digit = |plane: &[u8], at: usize| f32::from(plane[at] as i8);
        for (inner, to) in to.iter_mut().enumerate() {
            let at = |bytes: usize| tile::a_offset(row, inner * bytes, view.depth_tiles);
            *to = match self.format {
                ActivationFormat::Bf16 => bf16_at(view.high, at(2)),
                ActivationFormat::Int8 => {
                    digit(view.high, at(1)) * view.scale(row, inner / SCALED_INPUTS)
                }
                ActivationFormat::Int16 => {
                    (256.0 * digit(view.high, at(1)) + digit(view.low, at(1))) * view.scale(row, 0)
                }
            };
        }
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
        let scales_per_row = self.format.scales(self.columns);
        TilesView { high, low, scales: &self.scales, scales_per_row, depth_tiles }
    }

    pub(crate) fn shared(&mut self) -> SharedActivations<'_> {
        let depth_tiles = self.columns.div_ceil(self.format.depth());
        SharedActivations {
            format: self.format,
            plane: self.capacity / tile::ROWS * depth_tiles * tile::BYTES,
            depth_tiles,
            columns: self.columns,
            stride: Self::staging_stride(self.format, self.columns),
            tiles: self.tiles.shared(),
            scales: self.scales.shared(),
            scales_per_row: self.format.scales(self.columns),
            staging: self.staging.shared(),
        }
    }

    /// Turns staged rows into tiles.
    pub(crate) fn settle(&mut self, cpu: &Cpu) {
        if self.format == ActivationFormat::Bf16 {
            return;
        }
        let (rows, columns) = (self.len, self.columns);
        let is_int8 = self.format == ActivationFormat::Int8;
        let shared = self.shared();
        cpu.pool.run(rows, |worker| {
            while let Some(row) = worker.next() {
                // SAFETY: each row is one unit, and what was staged is complete; a `Cpu` has an instruction set only
                // where the machine does.
                unsafe {
                    match cpu.isa {
                        #[cfg(target_arch = "x86_64")]
                        Isa::Amx | Isa::Avx512 if is_int8 && columns.is_multiple_of(32) => {
                            avx512::settle_int8(shared, row);
                        }
                        isa => settle(isa, shared, row, worker.scratch.row(columns)),
                    }
                }
            }
        });
    }
}

impl ActivationFormat {
    /// Scales of a row.
    const fn scales(self, columns: usize) -> usize {
        match self {
            Self::Bf16 => 0,
            Self::Int8 => columns.div_ceil(SCALED_INPUTS),
            Self::Int16 => 1,
        }
    }
}

/// Tiles to read. `low` is empty unless there are two planes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TilesView<'a> {
    pub(crate) high: &'a [u8],
    pub(crate) low: &'a [u8],
    scales: &'a [f32],
    scales_per_row: usize,
    pub(crate) depth_tiles: usize,
}

impl TilesView<'_> {
    /// What the integers of a row are multiplied with, in the `index`-th part of it that has a scale.
    #[inline(always)]
    pub(crate) fn scale(self, row: usize, index: usize) -> f32 {
        self.scales[row * self.scales_per_row + index]
    }
}

/// Activations that the threads of one operation write to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SharedActivations<'a> {
    pub(crate) format: ActivationFormat,
    tiles: Shared<'a, u8>,
    plane: usize,
    depth_tiles: usize,
    scales: Shared<'a, f32>,
    scales_per_row: usize,
    staging: Shared<'a, u8>,
    stride: usize,
    pub(crate) columns: usize,
}

impl<'a> SharedActivations<'a> {
    /// Writes a whole row. Part of what a `multiversion!` body does.
    ///
    /// # Safety
    /// Meanwhile nobody else uses the row.
    #[inline(always)]
    pub(crate) unsafe fn pack(self, row: usize, values: &[f32]) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.format {
                ActivationFormat::Bf16 => self.put(row, 0, values),
                ActivationFormat::Int8 => self.pack_int8(row, values),
                ActivationFormat::Int16 => self.pack_int16(row, values),
            }
        }
    }

    /// Writes some columns of a row, `from` being a multiple of 16; `settle` must follow when all are there.
    ///
    /// # Safety
    /// Meanwhile nobody else uses these columns of the row.
    #[inline(always)]
    pub(crate) unsafe fn put(self, row: usize, from: usize, values: &[f32]) {
        match self.format {
            ActivationFormat::Bf16 => {
                for (chunk, values) in values.chunks(tile::COLUMNS).enumerate() {
                    let inner = (from + chunk * tile::COLUMNS) * 2;
                    // SAFETY: the caller's promise.
                    let line = unsafe { self.line(row, inner, 0, values.len() * 2) };
                    write_bf16(line, values);
                }
            }
            ActivationFormat::Int8 => {
                // SAFETY: as above.
                let staged = unsafe { self.staged(row, 2 * from, 2 * values.len()) };
                write_bf16(staged, values);
            }
            ActivationFormat::Int16 => {
                // SAFETY: as above.
                let staged = unsafe { self.staged(row, 4 * from, 4 * values.len()) };
                for (to, value) in staged.chunks_exact_mut(4).zip(values) {
                    to.copy_from_slice(&value.to_le_bytes());
                }
            }
        }
    }

    /// Where sixteen columns of a row lie that `put` would write, as bf16 or, for int16, f32.
    ///
    /// # Safety
    /// Meanwhile nobody else uses these columns of the row.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) unsafe fn sixteen(self, row: usize, from: usize) -> &'a mut [u8] {
        // SAFETY: the caller's promise.
        unsafe {
            match self.format {
                ActivationFormat::Bf16 => self.line(row, 2 * from, 0, 32),
                ActivationFormat::Int8 => self.staged(row, 2 * from, 32),
                ActivationFormat::Int16 => self.staged(row, 4 * from, 64),
            }
        }
    }

    /// Reads a staged row.
    ///
    /// # Safety
    /// Meanwhile nobody else writes the row.
    #[inline(always)]
    unsafe fn read_staged(self, row: usize, values: &mut [f32]) {
        if self.format == ActivationFormat::Int8 {
            // SAFETY: the caller's promise.
            let staged = unsafe { self.staged(row, 0, 2 * values.len()) };
            for (value, from) in values.iter_mut().zip(staged.chunks_exact(2)) {
                *value = bf16::to_f32(u16::from_le_bytes([from[0], from[1]]));
            }
        } else {
            // SAFETY: the caller's promise.
            let staged = unsafe { self.staged(row, 0, 4 * values.len()) };
            for (value, from) in values.iter_mut().zip(staged.chunks_exact(4)) {
                *value = f32::from_le_bytes([from[0], from[1], from[2], from[3]]);
            }
        }
    }

    #[inline(always)]
    unsafe fn pack_int8(self, row: usize, values: &[f32]) {
        for (part, values) in values.chunks(SCALED_INPUTS).enumerate() {
            let max = lanes::abs_max(values);
            let inverse = if max > 0.0 { INT8_MAX / max } else { 0.0 };
            // SAFETY: the caller's promise.
            unsafe { self.set_scale(row, part, max / INT8_MAX) };
            for (chunk, values) in values.chunks(lanes::LANES).enumerate() {
                let inner = part * SCALED_INPUTS + chunk * lanes::LANES;
                // SAFETY: as above.
                let line = unsafe { self.line(row, inner, 0, values.len()) };
                for (to, &value) in line.iter_mut().zip(values) {
                    *to = lanes::round(value * inverse) as u8;
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn pack_int16(self, row: usize, values: &[f32]) {
        let max = lanes::abs_max(values);
        let inverse = if max > 0.0 { INT16_MAX / max } else { 0.0 };
        // SAFETY: the caller's promise.
        unsafe { self.set_scale(row, 0, max / INT16_MAX) };
        for (chunk, values) in values.chunks(lanes::LANES).enumerate() {
            let inner = chunk * lanes::LANES;
            // SAFETY: as above; the planes do not overlap.
            let (high, low) = unsafe {
                (self.line(row, inner, 0, values.len()), self.line(row, inner, 1, values.len()))
            };
            for ((high, low), &value) in high.iter_mut().zip(low).zip(values) {
                [*high, *low] = digits(value * inverse);
            }
        }
    }

    /// Staged bytes of a row.
    ///
    /// # Safety
    /// Meanwhile nobody else uses them.
    #[inline(always)]
    unsafe fn staged(self, row: usize, from: usize, length: usize) -> &'a mut [u8] {
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

    /// # Safety
    /// Meanwhile nobody else uses the row.
    #[inline(always)]
    unsafe fn set_scale(self, row: usize, index: usize, scale: f32) {
        // SAFETY: the caller's promise.
        let place = unsafe { self.scales.part(row * self.scales_per_row + index, 1) };
        place[0] = scale;
    }
}

/// The nearest integer as two digits of 8 bits. The low one is signed, so the high one is rounded, not cut.
#[inline(always)]
pub(crate) fn digits(value: f32) -> [u8; 2] {
    let whole = lanes::round(value);
    [((whole + 128) >> 8) as u8, whole as u8]
}

#[inline(always)]
fn write_bf16(to: &mut [u8], values: &[f32]) {
    for (to, &value) in to.chunks_exact_mut(2).zip(values) {
        to.copy_from_slice(&bf16::from_f32(value).to_le_bytes());
    }
}

multiversion! {
    /// # Safety
    /// Meanwhile nobody else uses the row.
    unsafe fn settle(to: SharedActivations<'_>, row: usize, values: &mut [f32]) {
        // SAFETY: the caller's promise.
        unsafe {
            to.read_staged(row, values);
            to.pack(row, values);
        }
    }
}
