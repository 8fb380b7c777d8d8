//! The one layout: everything is a tile of 16 rows of 64 bytes.
//!
//! A tile row is one cache line, one AVX-512 register and one row of an AMX tile, so each instruction
//! set reads the same bytes. Matrices of activations ("A") hold one matrix row per tile row; weights,
//! keys and values ("B") hold in each tile row a few steps of the inner dimension for 16 columns, side by
//! side as dot-product instructions take them: two bf16 or four int8 per column.

/// Rows of a tile.
pub(crate) const ROWS: usize = 16;
/// Bytes of a tile row.
pub(crate) const ROW_BYTES: usize = 64;
/// Bytes of a tile.
pub(crate) const BYTES: usize = ROWS * ROW_BYTES;
/// Columns of a tile that holds weights, keys or values.
pub(crate) const COLUMNS: usize = 16;
/// Inner steps of a bf16 tile.
pub(crate) const DEPTH_BF16: usize = 32;
/// Inner steps of an int8 tile.
pub(crate) const DEPTH_INT8: usize = 64;

/// Output columns of a strip, the unit of work of a linear layer: two tiles side by side.
pub(crate) const STRIP: usize = 2 * COLUMNS;

/// Where element (`row`, `inner`) of an A matrix lies, in bytes: `[rows / 16][depth tiles][16][64 B]`.
#[inline(always)]
pub(crate) const fn a_offset(row: usize, inner_byte: usize, depth_tiles: usize) -> usize {
    (row / ROWS * depth_tiles + inner_byte / ROW_BYTES) * BYTES
        + row % ROWS * ROW_BYTES
        + inner_byte % ROW_BYTES
}

/// Where element (`inner`, `column`) lies within a bf16 B tile, in elements.
#[inline(always)]
pub(crate) const fn b_index_bf16(inner: usize, column: usize) -> usize {
    inner / 2 * (ROW_BYTES / 2) + column * 2 + inner % 2
}

/// Where element (`inner`, `column`) lies within an int8 B tile, in bytes.
#[inline(always)]
pub(crate) const fn b_index_int8(inner: usize, column: usize) -> usize {
    inner / 4 * ROW_BYTES + column * 4 + inner % 4
}
