//! Queries as attention reads them.

use crate::{
    bf16,
    kv::HeadShape,
    memory::{Buffer, MemoryError, Shared},
    tile,
};

/// Queries as tiles, `[tile of 16 rows][kv head][head_dim / 32]`. A row is a token and one of the
/// query heads that share keys.
#[derive(Debug)]
pub struct Queries {
    tiles: Buffer<u8>,
    shape: HeadShape,
    capacity: usize,
}

impl Queries {
    /// Room for a batch of up to `rows` rows, in any number of spans.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn new(shape: HeadShape, rows: usize) -> Result<Self, MemoryError> {
        let tiles = Buffer::zeroed(Self::bytes(shape, rows))?;
        Ok(Self { tiles, shape, capacity: rows })
    }

    /// Bytes that `new` asks for. Only a batch of one-token spans touches all of them.
    pub fn bytes(shape: HeadShape, rows: usize) -> usize {
        let tiles = (rows * shape.group()).div_ceil(tile::ROWS) + rows;
        tiles * tile_bytes(shape) * shape.kv_heads
    }

    /// Sixteen queries of one head, `[head_dim / 32]` tiles.
    pub(crate) fn tiles(&self, index: usize, head: usize) -> &[u8] {
        let bytes = tile_bytes(self.shape);
        &self.tiles[(index * self.shape.kv_heads + head) * bytes..][..bytes]
    }
}

/// Bytes of 16 queries.
const fn tile_bytes(shape: HeadShape) -> usize {
    shape.head_dim / tile::DEPTH_BF16 * tile::BYTES
}

/// Queries that the threads of one operation write to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SharedQueries<'a> {
    tiles: Shared<'a, u8>,
    shape: HeadShape,
}

impl Queries {
    pub(crate) fn check(&self, shape: HeadShape, rows: usize) {
        assert_eq!(shape, self.shape, "queries of other heads");
        assert!(rows <= self.capacity, "{rows} rows do not fit in {}", self.capacity);
    }

    pub(crate) fn shared(&mut self) -> SharedQueries<'_> {
        SharedQueries { tiles: self.tiles.shared(), shape: self.shape }
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
        for (step, values) in values.chunks_exact(tile::DEPTH_BF16).enumerate() {
            // SAFETY: the caller's promise.
            let line = unsafe { self.tiles.part(start + step * tile::BYTES, tile::ROW_BYTES) };
            for (to, &value) in line.chunks_exact_mut(2).zip(values) {
                to.copy_from_slice(&bf16::from_f32(value).to_le_bytes());
            }
        }
    }
}
