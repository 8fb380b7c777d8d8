//! The paged cache of keys and values, in the tiles that attention multiplies with.

use crate::{
    Cpu, bf16,
    format::KvFormat,
    lanes,
    memory::{self, Buffer, HUGE_PAGE_BYTES, MemoryError, Shared},
    prefetch, tile,
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
/// - with int8, whose tiles are half as large, behind either the 32 f32 scales of its tokens.
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
    /// A cache of `blocks` blocks of 32 tokens for each of `layers`. It takes memory as it is used.
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
        let data = Buffer::zeroed(Self::bytes(format, shape, layers, blocks))?;
        Ok(Self { format, shape, layers, blocks, data })
    }

    /// The cache, new and empty, with the memory of its first blocks taken from the system now: about
    /// `bytes` of it, the same part of every layer. So the first requests need not wait for it, and a
    /// large cache need not be touched whole before there is a first request.
    #[must_use]
    pub fn touched(mut self, cpu: &Cpu, bytes: usize) -> Self {
        let layer = self.data.len() / self.layers.max(1);
        let first = layer.min(bytes / self.layers.max(1));
        let pieces = first.div_ceil(HUGE_PAGE_BYTES);
        let data = self.data.shared();
        cpu.pool.run(self.layers * pieces, |worker| {
            while let Some(unit) = worker.next() {
                let start = unit % pieces * HUGE_PAGE_BYTES;
                let length = HUGE_PAGE_BYTES.min(first - start);
                // SAFETY: each piece of a layer is one unit.
                memory::touch(unsafe { data.part(unit / pieces * layer + start, length) });
            }
        });
        self
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
    2 * part_bytes(format, head_dim)
}

/// Bytes of the keys of a block, or of its values: tiles, and behind them the scales.
pub(crate) const fn part_bytes(format: KvFormat, head_dim: usize) -> usize {
    let of_scales = match format {
        KvFormat::Bf16 => 0,
        KvFormat::Int8 => BLOCK_TOKENS * size_of::<f32>(),
    };
    tiles_bytes(format, head_dim) + of_scales
}

/// Bytes of the tiles of a part.
pub(crate) const fn tiles_bytes(format: KvFormat, head_dim: usize) -> usize {
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

/// The keys of a block, or its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Keys,
    Values,
}

impl<'a> SharedLayer<'a> {
    /// The keys or the values of one block of one head, to write.
    ///
    /// # Safety
    /// Meanwhile nobody else uses them.
    #[inline(always)]
    pub(crate) unsafe fn part(self, block: u32, head: usize, part: Part) -> PartMut<'a> {
        let bytes = part_bytes(self.format, self.head_dim);
        let index = self.first + block as usize * self.kv_heads + head;
        // SAFETY: the caller's promise.
        let both = unsafe { self.data.part((2 * index + part as usize) * bytes, bytes) };
        let (tiles, scales) = both.split_at_mut(tiles_bytes(self.format, self.head_dim));
        PartMut { format: self.format, head_dim: self.head_dim, part, tiles, scales }
    }
}

/// The keys or the values of a block of one head, to write.
pub(crate) struct PartMut<'a> {
    format: KvFormat,
    head_dim: usize,
    part: Part,
    tiles: &'a mut [u8],
    scales: &'a mut [u8],
}

impl PartMut<'_> {
    /// Forgets what another sequence has left here.
    pub(crate) fn clear(&mut self) {
        self.tiles.fill(0);
        self.scales.fill(0);
    }

    /// Fetches what `put` changes, for some tokens from place `slot` on.
    pub(crate) fn fetch(&self, slot: usize, length: usize) {
        prefetch::lines(&self.scales[..self.scales.len().min((slot + length) * 4)]);
        let last = slot + length - 1;
        match self.part {
            Part::Keys => {
                let half = self.tiles.len() / 2;
                let halves = slot / tile::COLUMNS * half..(last / tile::COLUMNS + 1) * half;
                prefetch::lines(&self.tiles[halves]);
            }
            Part::Values => {
                let tile_bytes = self.tiles.len() / (self.head_dim / tile::COLUMNS);
                let per_line = BLOCK_TOKENS * tile::ROW_BYTES / tile_bytes;
                let lines =
                    slot / per_line * tile::ROW_BYTES..(last / per_line + 1) * tile::ROW_BYTES;
                for tile in self.tiles.chunks_exact(tile_bytes) {
                    prefetch::lines(&tile[lines.clone()]);
                }
            }
        }
    }

    /// Stores the key or value of the token in place `slot`.
    #[inline(always)]
    pub(crate) fn put(&mut self, slot: usize, values: &[f32]) {
        match self.part {
            Part::Keys => self.put_key(slot, values),
            Part::Values => self.put_value(slot, values),
        }
    }

    /// Stores the key of the token in place `slot`. Its values, two or four at a time, are a column of
    /// the tiles of its half of the block.
    #[inline(always)]
    fn put_key(&mut self, slot: usize, key: &[f32]) {
        let (half, column) = (slot / tile::COLUMNS, slot % tile::COLUMNS);
        let mut packed = [0; 2 * HEAD_DIM_MAX];
        let count = self.pack(slot, key, &mut packed);
        let bytes = self.tiles.len() / 2;
        let lines = self.tiles[half * bytes..][..bytes].chunks_exact_mut(tile::ROW_BYTES);
        for (line, word) in lines.zip(packed[..count].as_chunks::<4>().0) {
            line[4 * column..][..4].copy_from_slice(word);
        }
    }

    /// A token's values as they are stored, one after another. Gives the number of their bytes.
    #[inline(always)]
    fn pack(&mut self, slot: usize, values: &[f32], to: &mut [u8; 2 * HEAD_DIM_MAX]) -> usize {
        match self.format {
            KvFormat::Bf16 => {
                for (to, value) in to.as_chunks_mut::<2>().0.iter_mut().zip(values) {
                    *to = bf16::from_f32(*value).to_le_bytes();
                }
                2 * values.len()
            }
            KvFormat::Int8 => {
                let inverse = self.set_scale(slot, values);
                for (to, value) in to.iter_mut().zip(values) {
                    *to = lanes::round(value * inverse) as u8;
                }
                values.len()
            }
        }
    }

    /// Stores the scale of a token, and gives what to multiply its values with.
    #[inline(always)]
    fn set_scale(&mut self, slot: usize, values: &[f32]) -> f32 {
        let max = lanes::abs_max(values);
        let at = slot * size_of::<f32>();
        self.scales[at..at + 4].copy_from_slice(&(max / 127.0).to_le_bytes());
        if max > 0.0 { 127.0 / max } else { 0.0 }
    }

    /// Stores the value of the token in place `slot`: one line of each tile, where it shares the words
    /// of 16 columns with the tokens beside it.
    #[inline(always)]
    fn put_value(&mut self, slot: usize, value: &[f32]) {
        match self.format {
            KvFormat::Bf16 => {
                self.blend_values::<16>(slot, value, |x| u32::from(bf16::from_f32(x)));
            }
            KvFormat::Int8 => {
                let inverse = self.set_scale(slot, value);
                self.blend_values::<8>(slot, value, |x| u32::from(lanes::round(x * inverse) as u8));
            }
        }
    }

    /// Puts `BITS` bits of every value into its word.
    #[inline(always)]
    fn blend_values<const BITS: u32>(
        &mut self,
        slot: usize,
        value: &[f32],
        bits: impl Fn(f32) -> u32,
    ) {
        let shared = 32 / BITS as usize;
        let shift = (slot % shared) as u32 * BITS;
        let kept = !(((1u32 << BITS) - 1) << shift);
        let tile_bytes = self.tiles.len() / (self.head_dim / tile::COLUMNS);
        let tiles = self.tiles.chunks_exact_mut(tile_bytes);
        // Arrays, whose length the compiler knows, become vector instructions.
        for (tile, values) in tiles.zip(value.as_chunks::<{ tile::COLUMNS }>().0) {
            let line = &mut tile[slot / shared * tile::ROW_BYTES..][..tile::ROW_BYTES];
            let new = values.map(&bits);
            for (word, new) in line.as_chunks_mut::<4>().0.iter_mut().zip(new) {
                *word = (u32::from_le_bytes(*word) & kept | new << shift).to_le_bytes();
            }
        }
    }
}
