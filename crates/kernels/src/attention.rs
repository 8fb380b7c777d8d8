//! Attention of queries to the cached keys and values of their sequence.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
mod softmax;
mod workspace;

pub(crate) use workspace::WORKSPACE;

use crate::{
    Cpu,
    activations::{Activations, SharedActivations},
    format::KvFormat,
    isa::{Isa, multiversion},
    kv::{BLOCK_TOKENS, KvCache, part_bytes},
    prefetch::{self, Level},
    queries::Queries,
    spans::{QueryBlock, Spans},
    tile,
};
use workspace::Workspace;

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
const GROUP_TOKENS: usize = 256;
const GROUP_BLOCKS: usize = GROUP_TOKENS / BLOCK_TOKENS;

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
        let task = |unit: usize| {
            let block = *spans.query_blocks.get(unit / shape.kv_heads)?;
            let head = unit % shape.kv_heads;
            Some(Task { isa: self.isa, queries, cache, layer, spans, mask, block, head })
        };
        self.pool.run(spans.query_blocks.len() * shape.kv_heads, |worker| {
            #[cfg(target_arch = "x86_64")]
            let mut tiles = None;
            while let Some(unit) = worker.next() {
                let Some(mine) = task(unit) else { continue };
                #[cfg(target_arch = "x86_64")]
                amx::configure(self.isa, &mut tiles, mine.block.rows);
                let mut work = Workspace::new(&mut worker.scratch.attention, shape.head_dim);
                mine.run(&mut work, task(unit + 1).as_ref());
                // SAFETY: these rows of this head belong to this unit.
                unsafe { mine.finish(&work, output) };
            }
        });
        to.settle(self);
    }
}

/// One unit: up to 32 rows of queries and their head of keys and values.
struct Task<'a> {
    isa: Isa,
    queries: &'a Queries,
    cache: &'a KvCache,
    layer: usize,
    spans: &'a Spans,
    mask: Mask,
    block: QueryBlock,
    head: usize,
}

impl<'a> Task<'a> {
    /// Leaves the result in `work.sums`. Towards its end it fetches the keys that `next` begins with.
    fn run(&self, work: &mut Workspace<'_>, next: Option<&Self>) {
        let mut rows = softmax::Rows::new(self.block.rows);
        let queries = self.query_tiles();
        let (start, end) = self.seen();
        work.clear_sums();
        for group in (start / GROUP_TOKENS * GROUP_TOKENS..end).step_by(GROUP_TOKENS) {
            let count = (end - group).min(GROUP_TOKENS).div_ceil(BLOCK_TOKENS);
            let first = group / BLOCK_TOKENS;
            for index in 0..count {
                let block = self.kv_block(first + index);
                self.fetch_ahead(first + index);
                let (keys, scores) = work.keys(self.isa, self.cache, index, block);
                self.scores(queries, keys, scores);
            }
            rows.weigh(self.isa, work, (count, is_scaled(self.cache.format())), |row| {
                let (from, to) = self.range(row);
                let last = count * BLOCK_TOKENS;
                from.saturating_sub(group).min(last)..to.saturating_sub(group).min(last)
            });
            if group + GROUP_TOKENS >= end {
                self.fetch_next(next);
            }
            let mut blocks: [&[u8]; GROUP_BLOCKS] = [&[]; GROUP_BLOCKS];
            for (index, block) in blocks.iter_mut().enumerate().take(count) {
                *block = self.kv_block(first + index);
            }
            let (values, weights, sums) = work.values(self.isa, self.cache, &blocks[..count]);
            self.add_values(weights, &values[..count], sums);
        }
        rows.divide(self.isa, work);
    }

    /// The product of queries and the keys of a block, into 32 columns of scores.
    fn scores(&self, queries: [&[u8]; 2], keys: &[u8], scores: &mut [f32]) {
        match self.isa {
            // SAFETY: a `Cpu` has this instruction set only where the machine does, and `attend` has
            // configured tiles for these rows.
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => unsafe { amx::scores(queries, keys, self.block.rows, scores) },
            _ => portable::scores(self.isa, queries, keys, self.block.rows, scores),
        }
    }

    /// Adds the product of a group's weights and values.
    fn add_values(&self, weights: &[u8], values: &[&[u8]], sums: &mut [f32]) {
        let head_dim = self.cache.shape().head_dim;
        match self.isa {
            // SAFETY: as in `scores`.
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => unsafe {
                amx::add_values(weights, values, (self.block.rows, head_dim), sums);
            },
            _ => portable::add_values(self.isa, weights, values, (self.block.rows, head_dim), sums),
        }
    }

    /// Both tiles of queries; the second is another sequence's, or old, unless there are more than 16 rows.
    fn query_tiles(&self) -> [&'a [u8]; 2] {
        let place = &self.spans.places[self.block.span];
        let index = place.tile + self.block.first / tile::ROWS;
        let second = if self.block.rows > tile::ROWS { index + 1 } else { index };
        [self.queries.tiles(index, self.head), self.queries.tiles(second, self.head)]
    }

    /// A block of this sequence and head.
    fn kv_block(&self, index: usize) -> &'a [u8] {
        let blocks = self.spans.blocks_of(self.block.span);
        self.cache.block(self.layer, blocks[index], self.head)
    }

    /// With few rows, attention is as fast as memory. So while the keys of a block are in use, those of
    /// the next are fetched, and its values, which are needed a little later.
    fn fetch_ahead(&self, index: usize) {
        if self.block.rows > tile::ROWS {
            return;
        }
        let bytes = part_bytes(self.cache.format(), self.cache.shape().head_dim);
        if index + 1 < self.spans.blocks_of(self.block.span).len() {
            prefetch::lines(&self.kv_block(index + 1)[..bytes], Level::First);
        }
        prefetch::lines(&self.kv_block(index)[bytes..], Level::Second);
    }

    /// And while values are in use, the first keys of the next unit.
    fn fetch_next(&self, next: Option<&Self>) {
        let Some(next) = next.filter(|next| next.block.rows <= tile::ROWS) else { return };
        let bytes = part_bytes(self.cache.format(), self.cache.shape().head_dim);
        let first = next.seen().0 / GROUP_TOKENS * GROUP_BLOCKS;
        prefetch::lines(&next.kv_block(first)[..bytes], Level::Second);
    }

    /// What a row sees: positions from the first up to the second.
    fn range(&self, row: usize) -> (usize, usize) {
        let place = &self.spans.places[self.block.span];
        let position = place.position + (self.block.first + row) / self.cache.shape().group();
        match self.mask {
            Mask::Causal => (0, position + 1),
            Mask::Window(window) => ((position + 1).saturating_sub(window), position + 1),
            Mask::Full => (0, place.position + place.length),
        }
    }

    /// What any of the rows sees.
    fn seen(&self) -> (usize, usize) {
        (self.range(0).0, self.range(self.block.rows - 1).1)
    }

    /// Hands the rows on.
    ///
    /// # Safety
    /// Meanwhile nobody else uses these rows of these heads of `to`.
    unsafe fn finish(&self, work: &Workspace<'_>, to: SharedActivations<'_>) {
        let shape = self.cache.shape();
        let (head_dim, group) = (shape.head_dim, shape.group());
        let place = &self.spans.places[self.block.span];
        for index in 0..self.block.rows {
            let (token, member) =
                ((self.block.first + index) / group, (self.block.first + index) % group);
            let (row, column) = (place.row + token, (self.head * group + member) * head_dim);
            let values = work.row_of_sums(index);
            // SAFETY: the caller's promise.
            unsafe { hand_on(self.isa, values, to, row, column) };
        }
    }
}

multiversion! {
    /// # Safety
    /// Meanwhile nobody else uses these columns of the row.
    unsafe fn hand_on(values: &[f32], to: SharedActivations<'_>, row: usize, column: usize) {
        // SAFETY: the caller's promise.
        unsafe { to.put(row, column, values) };
    }
}

/// Whether keys and values have scales.
const fn is_scaled(format: KvFormat) -> bool {
    matches!(format, KvFormat::Int8)
}
