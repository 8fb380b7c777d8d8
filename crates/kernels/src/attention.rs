//! Attention of queries to the cached keys and values of their sequence.

mod portable;
mod softmax;

use crate::{
    Cpu,
    activations::{Activations, SharedActivations},
    format::{ActivationFormat, KvFormat},
    isa::Isa,
    kv::{BLOCK_TOKENS, HEAD_DIM_MAX, HeadShape, KvCache, part_bytes},
    linear::f32_at,
    memory::bytes_of,
    rope::Queries,
    spans::{QueryTile, Spans},
    tile,
};

/// Which tokens of its sequence a token sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// Itself and all before it.
    Causal,
    /// Itself and those before it, `window` in all.
    Window(usize),
    /// All of the span that is run, and those before it.
    Full,
}

/// Tokens whose scores are weighed together. Groups start at absolute positions, so a row's
/// arithmetic does not depend on what is run beside it.
pub(crate) const GROUP_TOKENS: usize = 256;
pub(crate) const GROUP_BLOCKS: usize = GROUP_TOKENS / BLOCK_TOKENS;

/// What a thread works with; all of it lies in one buffer.
struct Workspace<'a> {
    /// `[16 rows][GROUP_TOKENS]`.
    scores: &'a mut [f32],
    /// What scores are multiplied with, and what weights are: per token of the group.
    key_scales: &'a mut [f32],
    value_scales: &'a mut [f32],
    /// bf16 A tiles `[GROUP_BLOCKS][16 rows][64 B]`.
    weights: &'a mut [u8],
    /// `[16 rows][head_dim]`.
    sums: &'a mut [f32],
    /// A bf16 copy of the keys or values of an int8 block.
    expanded: &'a mut [u8],
}

const SCORES: usize = tile::ROWS * GROUP_TOKENS;
const WEIGHTS: usize = GROUP_BLOCKS * tile::BYTES / 4;
const SUMS: usize = tile::ROWS * HEAD_DIM_MAX;
const EXPANDED: usize = part_bytes(KvFormat::Bf16, HEAD_DIM_MAX) / 4;
/// f32 words of a thread's buffer.
pub(crate) const WORKSPACE: usize = SCORES + 2 * GROUP_TOKENS + WEIGHTS + SUMS + EXPANDED;

impl<'a> Workspace<'a> {
    fn new(buffer: &'a mut [f32], head_dim: usize) -> Self {
        let (scores, rest) = buffer.split_at_mut(SCORES);
        let (key_scales, rest) = rest.split_at_mut(GROUP_TOKENS);
        let (value_scales, rest) = rest.split_at_mut(GROUP_TOKENS);
        let (weights, rest) = rest.split_at_mut(WEIGHTS);
        let (sums, rest) = rest.split_at_mut(SUMS);
        Self {
            scores,
            key_scales,
            value_scales,
            weights: bytes_of(weights),
            sums: &mut sums[..tile::ROWS * head_dim],
            expanded: bytes_of(&mut rest[..EXPANDED]),
        }
    }
}

impl Cpu {
    /// Each query's average of its sequence's values, weighed by its scores. Columns of `to` are the query
    /// heads, one after another.
    ///
    /// # Panics
    /// When shapes do not match.
    pub fn attend(
        &self,
        queries: &Queries,
        (cache, layer): (&KvCache, usize),
        spans: &Spans,
        mask: Mask,
        to: &mut Activations,
    ) {
        let shape = cache.shape();
        assert_eq!(shape, spans.shape, "spans of another cache");
        assert_eq!(to.columns(), shape.heads * shape.head_dim, "activations of other heads");
        to.resize(spans.rows());
        let output = to.shared();
        self.pool.run(spans.tiles.len() * shape.kv_heads, |worker| {
            while let Some(unit) = worker.next() {
                let (tile, head) = (spans.tiles[unit / shape.kv_heads], unit % shape.kv_heads);
                let task = Task { queries, cache, layer, spans, mask, tile, head };
                let mut work = Workspace::new(&mut worker.scratch.attention, shape.head_dim);
                task.run(self, &mut work);
                // SAFETY: these rows of this head belong to this unit.
                unsafe { task.finish(self, work.sums, output) };
            }
        });
        to.settle(self);
    }
}

/// One unit: sixteen rows of queries and their head of keys and values.
struct Task<'a> {
    queries: &'a Queries,
    cache: &'a KvCache,
    layer: usize,
    spans: &'a Spans,
    mask: Mask,
    tile: QueryTile,
    head: usize,
}

impl Task<'_> {
    /// Leaves the result in `work.sums`.
    fn run(&self, cpu: &Cpu, work: &mut Workspace<'_>) {
        let head_dim = self.cache.shape().head_dim;
        let place = &self.spans.places[self.tile.span];
        let queries = self.queries.tile(place.tile + self.tile.first / tile::ROWS, self.head);
        let blocks = self.spans.blocks_of(self.tile.span);
        let mut rows = softmax::Rows::new(self.tile.rows);
        let (start, end) = self.seen();
        work.sums.fill(0.0);
        for group in (start / GROUP_TOKENS * GROUP_TOKENS..end).step_by(GROUP_TOKENS) {
            let count = (end - group).min(GROUP_TOKENS).div_ceil(BLOCK_TOKENS);
            let blocks = &blocks[group / BLOCK_TOKENS..][..count];
            for (index, &block) in blocks.iter().enumerate() {
                let block = self.cache.block(self.layer, block, self.head);
                work.read_scales(self.cache.format(), index, block);
                let keys = bf16_part(cpu.isa, self.cache, block, 0, work.expanded);
                let scores = &mut work.scores[index * BLOCK_TOKENS..];
                portable::scores(cpu.isa, queries, keys, self.tile.rows, scores);
            }
            let scaled = self.cache.format() == KvFormat::Int8;
            rows.weigh(cpu.isa, work, (count * BLOCK_TOKENS, head_dim, scaled), |row| {
                let (from, to) = self.range(row);
                from.saturating_sub(group)..to.saturating_sub(group).min(count * BLOCK_TOKENS)
            });
            for (index, &block) in blocks.iter().enumerate() {
                let block = self.cache.block(self.layer, block, self.head);
                let values = bf16_part(cpu.isa, self.cache, block, 1, work.expanded);
                let weights = &work.weights[index * tile::BYTES..][..tile::BYTES];
                portable::add_values(cpu.isa, weights, values, self.tile.rows, work.sums);
            }
        }
        rows.divide(cpu.isa, work.sums, head_dim);
    }

    /// What a row sees: positions from the first up to the second.
    fn range(&self, row: usize) -> (usize, usize) {
        let place = &self.spans.places[self.tile.span];
        let position = place.position + (self.tile.first + row) / self.cache.shape().group();
        match self.mask {
            Mask::Causal => (0, position + 1),
            Mask::Window(window) => ((position + 1).saturating_sub(window), position + 1),
            Mask::Full => (0, place.position + place.length),
        }
    }

    /// What any row of the tile sees.
    fn seen(&self) -> (usize, usize) {
        (self.range(0).0, self.range(self.tile.rows - 1).1)
    }

    /// Hands the rows on.
    ///
    /// # Safety
    /// Meanwhile nobody else uses these rows of these heads of `to`.
    unsafe fn finish(&self, cpu: &Cpu, sums: &[f32], to: SharedActivations<'_>) {
        let HeadShape { head_dim, .. } = self.cache.shape();
        let group = self.cache.shape().group();
        let place = &self.spans.places[self.tile.span];
        let rows = sums.chunks_exact(head_dim).take(self.tile.rows);
        for (index, values) in rows.enumerate() {
            let (token, member) =
                ((self.tile.first + index) / group, (self.tile.first + index) % group);
            let (row, column) = (place.row + token, (self.head * group + member) * head_dim);
            match to.format {
                // SAFETY: the caller's promise.
                ActivationFormat::Bf16 => unsafe { to.put_bf16(cpu, row, column, values) },
                // SAFETY: as above.
                _ => unsafe { to.staged(row, column, head_dim) }.copy_from_slice(values),
            }
        }
    }
}

impl Workspace<'_> {
    /// Copies the scales of a block, if it has any, to its place in the group.
    fn read_scales(&mut self, format: KvFormat, index: usize, block: &[u8]) {
        if format == KvFormat::Bf16 {
            return;
        }
        let scales = &block[block.len() - 2 * BLOCK_TOKENS * size_of::<f32>()..];
        for token in 0..BLOCK_TOKENS {
            self.key_scales[index * BLOCK_TOKENS + token] = f32_at(scales, 4 * token);
            self.value_scales[index * BLOCK_TOKENS + token] =
                f32_at(scales, 4 * (BLOCK_TOKENS + token));
        }
    }
}

/// The keys (part 0) or values (part 1) of a block as bf16 tiles: as they are, or expanded.
fn bf16_part<'a>(
    isa: Isa,
    cache: &KvCache,
    block: &'a [u8],
    part: usize,
    expanded: &'a mut [u8],
) -> &'a [u8] {
    let bytes = part_bytes(cache.format(), cache.shape().head_dim);
    let from = &block[part * bytes..][..bytes];
    match cache.format() {
        KvFormat::Bf16 => from,
        KvFormat::Int8 => {
            let to = &mut expanded[..2 * bytes];
            portable::expand(isa, from, to);
            to
        }
    }
}
