//! Queries as attention reads them.

use crate::{
    activations::{INT16_MAX, digits},
    bf16,
    format::KvFormat,
    isa::Isa,
    kv::HeadShape,
    lanes,
    memory::{Buffer, MemoryError, Shared},
    tile,
};

/// Queries as tiles, `[tile of 16 rows][kv head][head_dim / 32]`, or as integers `[tile of 16 rows][kv head][2 planes]
/// [head_dim / 64]`, each row with a scale. A row is a token and one of the query heads that share keys.
#[derive(Debug)]
pub struct Queries {
    tiles: Buffer<u8>,
    scales: Buffer<f32>,
    shape: HeadShape,
    capacity: usize,
}

/// How queries are stored. It follows from the keys that they meet, and from who multiplies them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueryFormat {
    Bf16,
    /// Two planes of int8, `256 * high + low`, which tiles multiply with keys of 8 bits as they are.
    Int16,
}

impl QueryFormat {
    pub(crate) fn of(isa: Isa, keys: KvFormat) -> Self {
        match (isa, keys) {
            (Isa::Amx, KvFormat::Int8) => Self::Int16,
            _ => Self::Bf16,
        }
    }
}

impl Queries {
    /// Room for a batch of up to `rows` rows, in any number of spans.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn new(shape: HeadShape, rows: usize) -> Result<Self, MemoryError> {
        let count = tile_count(shape, rows);
        Ok(Self {
            tiles: Buffer::zeroed(count * tile_bytes(shape))?,
            scales: Buffer::zeroed(count * tile::ROWS)?,
            shape,
            capacity: rows,
        })
    }

    /// Bytes that `new` asks for. Only a batch of one-token spans touches all of them.
    pub fn bytes(shape: HeadShape, rows: usize) -> usize {
        tile_count(shape, rows) * (tile_bytes(shape) + tile::ROWS * size_of::<f32>())
    }

    /// Sixteen queries of one head as bf16, `[head_dim / 32]` tiles.
    pub(crate) fn tiles(&self, index: usize, head: usize) -> &[u8] {
        let bytes = self.shape.head_dim / tile::DEPTH_BF16 * tile::BYTES;
        &self.tiles[(index * self.shape.kv_heads + head) * tile_bytes(self.shape)..][..bytes]
    }

    /// Sixteen queries of one head as integers, both planes of `[head_dim / 64]` tiles, and their scales.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn planes(&self, index: usize, head: usize) -> (&[u8], &[f32]) {
        let (bytes, index) = (tile_bytes(self.shape), index * self.shape.kv_heads + head);
        (&self.tiles[index * bytes..][..bytes], &self.scales[index * tile::ROWS..][..tile::ROWS])
    }
}

/// Tiles of all heads, if every span had one token.
fn tile_count(shape: HeadShape, rows: usize) -> usize {
    ((rows * shape.group()).div_ceil(tile::ROWS) + rows) * shape.kv_heads
}

/// Bytes of 16 queries in the larger of both formats.
const fn tile_bytes(shape: HeadShape) -> usize {
    2 * plane_bytes(shape)
}

/// Bytes of a plane of 16 queries.
const fn plane_bytes(shape: HeadShape) -> usize {
    shape.head_dim.div_ceil(tile::DEPTH_INT8) * tile::BYTES
}

/// Queries that the threads of one operation write to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SharedQueries<'a> {
    tiles: Shared<'a, u8>,
    scales: Shared<'a, f32>,
    shape: HeadShape,
    format: QueryFormat,
}

impl Queries {
    pub(crate) fn check(&self, shape: HeadShape, rows: usize) {
        assert_eq!(shape, self.shape, "queries of other heads");
        assert!(rows <= self.capacity, "{rows} rows do not fit in {}", self.capacity);
    }

    pub(crate) fn shared(&mut self, format: QueryFormat) -> SharedQueries<'_> {
        let (tiles, scales) = (self.tiles.shared(), self.scales.shared());
        SharedQueries { tiles, scales, shape: self.shape, format }
    }
}

impl SharedQueries<'_> {
    /// Stores a query of one head: row `row` of those whose first tile is `first_tile`.
    ///
    /// # Safety
    /// Meanwhile nobody else uses the row.
    #[inline(always)]
    pub(crate) unsafe fn put(self, first_tile: usize, row: usize, kv_head: usize, values: &[f32]) {
        let tile = (first_tile + row / tile::ROWS) * self.shape.kv_heads + kv_head;
        let start = tile * tile_bytes(self.shape) + row % tile::ROWS * tile::ROW_BYTES;
        // SAFETY: the caller's promise.
        unsafe {
            match self.format {
                QueryFormat::Bf16 => self.put_bf16(start, values),
                QueryFormat::Int16 => {
                    self.put_int16(start, tile * tile::ROWS + row % tile::ROWS, values);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn put_bf16(self, start: usize, values: &[f32]) {
        for (step, values) in values.chunks_exact(tile::DEPTH_BF16).enumerate() {
            // SAFETY: the caller's promise.
            let line = unsafe { self.tiles.part(start + step * tile::BYTES, tile::ROW_BYTES) };
            for (to, &value) in line.chunks_exact_mut(2).zip(values) {
                to.copy_from_slice(&bf16::from_f32(value).to_le_bytes());
            }
        }
    }

    #[inline(always)]
    unsafe fn put_int16(self, start: usize, scale: usize, values: &[f32]) {
        let max = lanes::abs_max(values);
        let inverse = if max > 0.0 { INT16_MAX / max } else { 0.0 };
        // SAFETY: the caller's promise.
        unsafe { self.scales.part(scale, 1)[0] = max / INT16_MAX };
        for (step, values) in values.chunks(tile::DEPTH_INT8).enumerate() {
            let at = start + step * tile::BYTES;
            // SAFETY: as above; the planes do not overlap.
            let (high, low) = unsafe {
                (
                    self.tiles.part(at, tile::ROW_BYTES),
                    self.tiles.part(at + plane_bytes(self.shape), tile::ROW_BYTES),
                )
            };
            // Where a head ends within a tile, what follows meets bytes that are no keys.
            high[values.len()..].fill(0);
            low[values.len()..].fill(0);
            for ((high, low), &value) in high.iter_mut().zip(low).zip(values) {
                [*high, *low] = digits(value * inverse);
            }
        }
    }
}
