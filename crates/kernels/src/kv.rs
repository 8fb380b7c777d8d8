//! The paged cache of keys and values, in the tiles that attention multiplies with.

use crate::{
    bf16,
    format::KvFormat,
    lanes,
    memory::{Buffer, MemoryError, Shared},
    tile,
};

/// Tokens of a block.
pub const BLOCK_TOKENS: usize = 32;

/// How many heads of which width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadShape {
    /// Heads of queries, a multiple of `kv_heads`.
    pub heads: usize,
    /// Heads of keys and values.
    pub kv_heads: usize,
    /// Values of a head: a multiple of 32, up to 256.
    pub head_dim: usize,
}

/// The widest head.
pub(crate) const HEAD_DIM_MAX: usize = 256;

/// These heads cannot be computed with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadShapeError {
    /// The width.
    #[error("head_dim is {0}, and must be a multiple of 32 between 32 and 256")]
    Dim(usize),
    /// The number.
    #[error("{heads} attention heads do not share {kv_heads} key-value heads evenly")]
    Groups {
        /// Of queries.
        heads: usize,
        /// Of keys and values.
        kv_heads: usize,
    },
}

impl HeadShape {
    /// Itself, if the kernels can compute with it.
    ///
    /// # Errors
    /// [`HeadShapeError`].
    pub fn check(self) -> Result<Self, HeadShapeError> {
        if self.head_dim == 0 || !self.head_dim.is_multiple_of(32) || self.head_dim > HEAD_DIM_MAX {
            return Err(HeadShapeError::Dim(self.head_dim));
        }
        if self.kv_heads == 0 || self.heads == 0 || !self.heads.is_multiple_of(self.kv_heads) {
            return Err(HeadShapeError::Groups { heads: self.heads, kv_heads: self.kv_heads });
        }
        Ok(self)
    }

    /// Query heads per head of keys and values.
    pub fn group(self) -> usize {
        self.heads / self.kv_heads
    }

    /// Columns of queries, keys and values side by side.
    pub fn qkv_columns(self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_dim
    }
}

/// Keys and values of all layers, in blocks of 32 tokens: `[layer][block][kv head]`, and there
///
/// - keys as B tiles of 16 tokens by 32 dimensions, `[2][head_dim / 32]`,
/// - values as B tiles of 32 tokens by 16 dimensions, `[head_dim / 16]`,
/// - with int8, whose tiles are half as large: 32 scales of keys and 32 of values, f32.
#[derive(Debug)]
pub struct KvCache {
    format: KvFormat,
    shape: HeadShape,
    layers: usize,
    blocks: usize,
    data: Buffer<u8>,
}

/// A cache could not be made.
#[derive(Debug, thiserror::Error)]
pub enum KvCacheError {
    /// Its heads.
    #[error(transparent)]
    Shape(#[from] HeadShapeError),
    /// Its memory.
    #[error("no memory for the cache of keys and values")]
    Memory(#[from] MemoryError),
}

impl KvCache {
    /// A cache of `blocks` blocks of 32 tokens for each of `layers`. All of it is touched here, so that
    /// no request waits for the system to hand out pages.
    ///
    /// # Errors
    /// [`KvCacheError`].
    pub fn new(
        format: KvFormat,
        shape: HeadShape,
        layers: usize,
        blocks: usize,
    ) -> Result<Self, KvCacheError> {
        let shape = shape.check()?;
        let mut data = Buffer::zeroed(Self::bytes(format, shape, layers, blocks))?;
        const PAGE: usize = 4096;
        for byte in data.iter_mut().step_by(PAGE) {
            // SAFETY: an ordinary write that the compiler may not leave out.
            unsafe { std::ptr::write_volatile(byte, 0) };
        }
        Ok(Self { format, shape, layers, blocks, data })
    }

    /// Bytes of such a cache.
    pub fn bytes(format: KvFormat, shape: HeadShape, layers: usize, blocks: usize) -> usize {
        layers * blocks * shape.kv_heads * block_bytes(format, shape.head_dim)
    }

    /// Blocks per layer.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Its heads.
    pub fn shape(&self) -> HeadShape {
        self.shape
    }

    /// How keys and values are stored.
    pub fn format(&self) -> KvFormat {
        self.format
    }

    fn index(&self, layer: usize, block: u32, head: usize) -> usize {
        (layer * self.blocks + block as usize) * self.shape.kv_heads + head
    }

    /// One block of one head.
    #[inline]
    pub(crate) fn block(&self, layer: usize, block: u32, head: usize) -> &[u8] {
        let bytes = block_bytes(self.format, self.shape.head_dim);
        &self.data[self.index(layer, block, head) * bytes..][..bytes]
    }

    pub(crate) fn shared(&mut self, layer: usize) -> SharedLayer<'_> {
        assert!(layer < self.layers, "layer {layer} of {}", self.layers);
        SharedLayer {
            format: self.format,
            head_dim: self.shape.head_dim,
            first: self.index(layer, 0, 0),
            kv_heads: self.shape.kv_heads,
            data: self.data.shared(),
        }
    }
}

const fn block_bytes(format: KvFormat, head_dim: usize) -> usize {
    match format {
        KvFormat::Bf16 => 2 * part_bytes(format, head_dim),
        KvFormat::Int8 => 2 * part_bytes(format, head_dim) + 2 * BLOCK_TOKENS * size_of::<f32>(),
    }
}

/// Bytes of the keys of a block, or of its values.
pub(crate) const fn part_bytes(format: KvFormat, head_dim: usize) -> usize {
    match format {
        KvFormat::Bf16 => BLOCK_TOKENS * head_dim * 2,
        KvFormat::Int8 => BLOCK_TOKENS * head_dim,
    }
}

/// One layer's cache, that the threads of one operation write to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SharedLayer<'a> {
    format: KvFormat,
    head_dim: usize,
    first: usize,
    kv_heads: usize,
    data: Shared<'a, u8>,
}

impl<'a> SharedLayer<'a> {
    /// One block of one head, to write.
    ///
    /// # Safety
    /// Meanwhile nobody else uses it.
    pub(crate) unsafe fn block(self, block: u32, head: usize) -> BlockMut<'a> {
        let bytes = block_bytes(self.format, self.head_dim);
        let index = self.first + block as usize * self.kv_heads + head;
        // SAFETY: the caller's promise.
        let data = unsafe { self.data.part(index * bytes, bytes) };
        BlockMut { format: self.format, head_dim: self.head_dim, data }
    }
}

/// A block of one head, to write.
pub(crate) struct BlockMut<'a> {
    format: KvFormat,
    head_dim: usize,
    data: &'a mut [u8],
}

impl BlockMut<'_> {
    /// Stores the key of the token in place `slot`.
    #[inline(always)]
    pub(crate) fn put_key(&mut self, slot: usize, key: &[f32]) {
        let (half, column) = (slot / tile::COLUMNS, slot % tile::COLUMNS);
        let tiles = half * (self.head_dim / tile::DEPTH_BF16);
        let place =
            |inner: usize| (tiles + inner / tile::DEPTH_BF16, inner % tile::DEPTH_BF16, column);
        self.put(slot, 0, key, place);
    }

    /// Stores the value of the token in place `slot`.
    #[inline(always)]
    pub(crate) fn put_value(&mut self, slot: usize, value: &[f32]) {
        let place = |dim: usize| (dim / tile::COLUMNS, slot, dim % tile::COLUMNS);
        self.put(slot, 1, value, place);
    }

    /// `place` gives for each element its tile, and its inner step and column there.
    #[inline(always)]
    fn put(
        &mut self,
        slot: usize,
        part: usize,
        values: &[f32],
        place: impl Fn(usize) -> (usize, usize, usize),
    ) {
        let bytes = part_bytes(self.format, self.head_dim);
        let (parts, scales) = self.data.split_at_mut(2 * bytes);
        let to = &mut parts[part * bytes..][..bytes];
        match self.format {
            KvFormat::Bf16 => {
                for (index, &value) in values.iter().enumerate() {
                    let (tile, inner, column) = place(index);
                    let at = tile * tile::BYTES + 2 * tile::b_index_bf16(inner, column);
                    to[at..at + 2].copy_from_slice(&bf16::from_f32(value).to_le_bytes());
                }
            }
            KvFormat::Int8 => {
                let max = lanes::abs_max(values);
                let inverse = if max > 0.0 { 127.0 / max } else { 0.0 };
                for (index, &value) in values.iter().enumerate() {
                    let (tile, inner, column) = place(index);
                    let at = tile * (tile::BYTES / 2) + tile::b_index_int8(inner, column);
                    to[at] = lanes::round(value * inverse) as u8;
                }
                let at = (part * BLOCK_TOKENS + slot) * size_of::<f32>();
                scales[at..at + 4].copy_from_slice(&(max / 127.0).to_le_bytes());
            }
        }
    }
}
