//! What a thread works with while it attends.

#[cfg(target_arch = "x86_64")]
use crate::{amx::attention::planes, attention::avx512};
use crate::{
    attention::{GROUP_BLOCKS, GROUP_TOKENS, is_scaled, portable},
    format::KvFormat,
    isa::Isa,
    kv::{BLOCK_TOKENS, HEAD_DIM_MAX, KvCache, part_bytes, tiles_bytes},
    memory::bytes_of,
    prefetch,
    spans::QUERY_ROWS,
    tile,
};

/// f32 from one row of scores to the next: an odd number of cache lines.
pub(super) const SCORE_STRIDE: usize = GROUP_TOKENS + tile::COLUMNS;
/// Bytes of a block's weights: two A tiles.
pub(super) const WEIGHT_BYTES: usize = 2 * tile::BYTES;

const SCORES: usize = QUERY_ROWS * SCORE_STRIDE;
const WEIGHTS: usize = GROUP_BLOCKS * WEIGHT_BYTES / 4;
const SUMS: usize = QUERY_ROWS * sum_stride(HEAD_DIM_MAX);
/// A block of keys, or as many of values as a group has.
const EXPANDED: usize = GROUP_BLOCKS * tiles_bytes(KvFormat::Bf16, HEAD_DIM_MAX) / 4;
/// Integer sums of tiles, which become scores or are added to sums.
#[cfg(target_arch = "x86_64")]
const PRODUCTS: usize = planes::SUMS;
#[cfg(not(target_arch = "x86_64"))]
const PRODUCTS: usize = 0;
/// f32 words of a thread's buffer.
pub(crate) const WORKSPACE: usize =
    SCORES + 2 * GROUP_TOKENS + WEIGHTS + SUMS + PRODUCTS + EXPANDED;

/// f32 from one row of sums to the next: an odd number of cache lines.
pub(super) const fn sum_stride(head_dim: usize) -> usize {
    head_dim + tile::COLUMNS
}

/// All of it lies in one buffer.
pub(super) struct Workspace<'a> {
    head_dim: usize,
    /// `[32 rows][SCORE_STRIDE]`.
    pub(super) scores: &'a mut [f32],
    /// What scores are multiplied with, and what weights are: per token of the group.
    key_scales: &'a mut [f32],
    value_scales: &'a mut [f32],
    /// bf16 A tiles `[GROUP_BLOCKS][2][16 rows][64 B]`.
    weights: &'a mut [u8],
    /// `[32 rows][sum_stride]`.
    sums: &'a mut [f32],
    products: &'a mut [f32],
    /// bf16 copies of int8 blocks.
    expanded: &'a mut [u8],
}

/// What attention with integers works with.
#[cfg(target_arch = "x86_64")]
pub(super) struct Integers<'w> {
    /// `[32 rows][SCORE_STRIDE]`.
    pub(super) scores: &'w mut [f32],
    pub(super) key_scales: &'w [f32],
    pub(super) value_scales: &'w [f32],
    /// `[2 tiles of rows][2 planes][16 rows][GROUP_TOKENS]`.
    pub(super) weights: &'w mut [u8],
    /// `[32 rows][sum_stride]`.
    pub(super) sums: &'w mut [f32],
    /// Integers, as [`PlaneSums`](planes::PlaneSums) gives them.
    pub(super) products: &'w mut [f32],
    /// Values of two blocks side by side: `[head_dim / 16][GROUP_BLOCKS / 2]` tiles.
    pub(super) values: &'w mut [u8],
}

/// What the softmax of one row reads and writes.
pub(super) struct RowOfScores<'w> {
    pub(super) scores: &'w mut [f32],
    /// Of keys and of values.
    pub(super) scales: Option<(&'w [f32], &'w [f32])>,
    /// From the row's line in the first tile of weights on; `WEIGHT_BYTES` further is the next block's.
    pub(super) lines: &'w mut [u8],
    pub(super) sums: &'w mut [f32],
}

impl<'a> Workspace<'a> {
    pub(super) fn new(buffer: &'a mut [f32], head_dim: usize) -> Self {
        let (scores, rest) = buffer.split_at_mut(SCORES);
        let (key_scales, rest) = rest.split_at_mut(GROUP_TOKENS);
        let (value_scales, rest) = rest.split_at_mut(GROUP_TOKENS);
        let (weights, rest) = rest.split_at_mut(WEIGHTS);
        let (sums, rest) = rest.split_at_mut(SUMS);
        let (products, rest) = rest.split_at_mut(PRODUCTS);
        let expanded = &mut rest[..EXPANDED];
        Self {
            head_dim,
            scores,
            key_scales,
            value_scales,
            weights: bytes_of(weights),
            sums: &mut sums[..QUERY_ROWS * sum_stride(head_dim)],
            products,
            expanded: bytes_of(expanded),
        }
    }

    pub(super) fn clear_sums(&mut self, rows: usize) {
        self.sums[..rows * sum_stride(self.head_dim)].fill(0.0);
    }

    #[cfg(target_arch = "x86_64")]
    pub(super) fn integers(&mut self) -> Integers<'_> {
        Integers {
            scores: self.scores,
            key_scales: self.key_scales,
            value_scales: self.value_scales,
            weights: self.weights,
            sums: self.sums,
            products: self.products,
            values: self.expanded,
        }
    }

    pub(super) fn row_of_sums(&self, row: usize) -> &[f32] {
        &self.sums[row * sum_stride(self.head_dim)..][..self.head_dim]
    }

    pub(super) fn row_of_sums_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.sums[row * sum_stride(self.head_dim)..][..self.head_dim]
    }

    /// Takes over the scales of the keys and values of a group's blocks, if they have any. All at once and
    /// before the first product, because loads between products wait for the tiles to be stored.
    pub(super) fn read_scales(&mut self, isa: Isa, cache: &KvCache, blocks: &[&[u8]]) {
        if !is_scaled(cache.format()) {
            return;
        }
        let tiles = tiles_bytes(cache.format(), self.head_dim);
        let part = part_bytes(cache.format(), self.head_dim);
        let keys = self.key_scales.chunks_exact_mut(BLOCK_TOKENS);
        let values = self.value_scales.chunks_exact_mut(BLOCK_TOKENS);
        for (block, (keys, values)) in blocks.iter().zip(keys.zip(values)) {
            read_scales(isa, &block[tiles..part], keys);
            read_scales(isa, &block[part + tiles..], values);
        }
    }

    /// A row's scores of `blocks` blocks.
    pub(super) fn row_of_scores(
        &mut self,
        row: usize,
        blocks: usize,
        scaled: bool,
    ) -> RowOfScores<'_> {
        RowOfScores {
            scores: &mut self.scores[row * SCORE_STRIDE..][..blocks * BLOCK_TOKENS],
            scales: scaled.then_some((&*self.key_scales, &*self.value_scales)),
            lines: &mut self.weights[row * tile::ROW_BYTES..],
            sums: &mut self.sums[row * sum_stride(self.head_dim)..][..self.head_dim],
        }
    }

    /// The keys of the group's block `index` as bf16 tiles: as they are, or expanded. Fetches
    /// `ahead` meanwhile.
    pub(super) fn keys<'k>(
        &'k mut self,
        isa: Isa,
        cache: &KvCache,
        index: usize,
        (block, ahead): (&'k [u8], &[u8]),
    ) -> (&'k [u8], &'k mut [f32]) {
        let scores = &mut self.scores[index * BLOCK_TOKENS..];
        let tiles = &block[..tiles_bytes(cache.format(), self.head_dim)];
        if !is_scaled(cache.format()) {
            prefetch::lines(ahead);
            return (tiles, scores);
        }
        let keys = &mut self.expanded[..2 * tiles.len()];
        expand(isa, tiles, keys, ahead);
        (keys, scores)
    }

    /// The values of a group's blocks as bf16 tiles, its weights, and the sums to add to. Fetches a slice of
    /// `ahead` with each block.
    pub(super) fn values<'k>(
        &'k mut self,
        isa: Isa,
        cache: &KvCache,
        blocks: &[&'k [u8]],
        ahead: &[&[u8]; GROUP_BLOCKS],
    ) -> ([&'k [u8]; GROUP_BLOCKS], &'k [u8], &'k mut [f32]) {
        let bytes = part_bytes(cache.format(), self.head_dim);
        let tiles = tiles_bytes(cache.format(), self.head_dim);
        let mut values: [&[u8]; GROUP_BLOCKS] = [&[]; GROUP_BLOCKS];
        let mut copies = self.expanded.chunks_exact_mut(tiles_bytes(KvFormat::Bf16, self.head_dim));
        for ((values, block), ahead) in values.iter_mut().zip(blocks).zip(ahead) {
            let stored = &block[bytes..][..tiles];
            *values = match copies.next() {
                Some(copy) if is_scaled(cache.format()) => {
                    expand(isa, stored, copy, ahead);
                    copy
                }
                _ => {
                    prefetch::lines(ahead);
                    stored
                }
            };
        }
        (values, self.weights, self.sums)
    }
}

/// Int8 tiles as bf16 tiles, without their scales.
fn expand(isa: Isa, from: &[u8], to: &mut [u8], ahead: &[u8]) {
    match isa {
        // SAFETY: a `Cpu` has this instruction set only where the machine does.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512::expand(from, to, ahead) },
        _ => portable::expand(isa, from, to),
    }
}

/// Copies the scales of a block, for integers as `expand` leaves them.
fn read_scales(isa: Isa, from: &[u8], to: &mut [f32]) {
    let unit = expanded_scale(isa);
    for (to, from) in to.iter_mut().zip(from.as_chunks::<4>().0) {
        *to = f32::from_le_bytes(*from) * unit;
    }
}

/// What an integer that was expanded stands for.
fn expanded_scale(isa: Isa) -> f32 {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => avx512::EXPANDED_SCALE,
        _ => 1.0,
    }
}
