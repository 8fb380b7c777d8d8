//! Attention of queries to the cached keys and values of their sequence.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
mod softmax;
mod workspace;

pub(crate) use workspace::WORKSPACE;

use std::ops::Range;

use crate::{
    Cpu,
    activations::{Activations, SharedActivations},
    format::KvFormat,
    isa::{Isa, multiversion},
    kv::{BLOCK_TOKENS, KvCache, part_bytes},
    queries::{Queries, QueryFormat},
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
        queries.check(shape, spans.rows());
        assert_eq!(to.columns(), shape.heads * shape.head_dim, "activations of other heads");
        to.resize(spans.rows());
        let output = to.shared();
        let task = |unit: usize| {
            let (block, head) = spans.unit(unit)?;
            Some(Task { isa: self.isa, queries, cache, layer, spans, mask, block, head })
        };
        self.pool.run(spans.units(), |worker| {
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

/// Up to eight blocks, whose scores are weighed together.
struct Group {
    /// Position of its first token.
    start: usize,
    blocks: usize,
}

impl<'a> Task<'a> {
    /// Leaves the result in `work.sums`.
    fn run(&self, work: &mut Workspace<'_>, next: Option<&Self>) {
        #[cfg(target_arch = "x86_64")]
        if QueryFormat::of(self.isa, self.cache.format()) == QueryFormat::Int16 {
            // SAFETY: a `Cpu` has this instruction set only where the machine does, and `attend` has configured tiles.
            return unsafe { self.run_integers(work, next) };
        }
        let mut rows = softmax::Rows::new(self.block.rows);
        let queries = self.query_tiles();
        work.clear_sums(self.block.rows);
        for group in self.groups() {
            let blocks = self.blocks_of(&group);
            work.read_scales(self.isa, self.cache, &blocks[..group.blocks]);
            let values =
                |block: &'a [u8]| self.is_bound_by_memory().then(|| &block[self.part_bytes()..]);
            for (index, &block) in blocks.iter().enumerate().take(group.blocks) {
                let ahead = values(block).unwrap_or_default();
                let (keys, scores) = work.keys(self.isa, self.cache, index, (block, ahead));
                self.scores(queries, keys, scores);
            }
            let shape = (group.blocks, is_scaled(self.cache.format()));
            rows.weigh(self.isa, work, shape, |row| self.visible(row, &group));
            let ahead = self.keys_after(&group, next);
            let blocks = &blocks[..group.blocks];
            let (values, weights, sums) = work.values(self.isa, self.cache, blocks, &ahead);
            self.add_values(weights, &values[..group.blocks], sums);
        }
        rows.divide(self.isa, work);
    }

    /// The groups that any of the rows sees something of.
    fn groups(&self) -> impl Iterator<Item = Group> + use<> {
        let (start, end) = (self.range(0).0, self.range(self.block.rows - 1).1);
        (start / GROUP_TOKENS * GROUP_TOKENS..end).step_by(GROUP_TOKENS).map(move |start| Group {
            start,
            blocks: (end - start).min(GROUP_TOKENS).div_ceil(BLOCK_TOKENS),
        })
    }

    /// The blocks of a group; those that it does not have are empty.
    fn blocks_of(&self, group: &Group) -> [&'a [u8]; GROUP_BLOCKS] {
        let blocks = &self.spans.blocks_of(self.block.span)[group.start / BLOCK_TOKENS..];
        let mut found: [&[u8]; GROUP_BLOCKS] = [&[]; GROUP_BLOCKS];
        for (found, &block) in found.iter_mut().zip(&blocks[..group.blocks]) {
            *found = self.cache.block(self.layer, block, self.head);
        }
        found
    }

    /// With few rows, attention is as fast as memory. So while keys are in use, the values of the same
    /// blocks are fetched, and while values are in use, the keys that come next.
    fn is_bound_by_memory(&self) -> bool {
        self.block.rows <= tile::ROWS
    }

    fn part_bytes(&self) -> usize {
        part_bytes(self.cache.format(), self.cache.shape().head_dim)
    }

    /// The blocks that are needed after those of `group`, if memory is the limit: of the next group, or the next unit.
    fn blocks_after(&self, group: &Group, next: Option<&Self>) -> [&'a [u8]; GROUP_BLOCKS] {
        let own = self.groups().find(|later| later.start > group.start).map(|group| (self, group));
        let other = || next.and_then(|next| next.groups().next().map(|group| (next, group)));
        match own.or_else(other) {
            Some((task, group)) if task.is_bound_by_memory() => task.blocks_of(&group),
            _ => [&[]; GROUP_BLOCKS],
        }
    }

    /// The keys of these.
    fn keys_after(&self, group: &Group, next: Option<&Self>) -> [&'a [u8]; GROUP_BLOCKS] {
        self.blocks_after(group, next)
            .map(|block| block.get(..self.part_bytes()).unwrap_or_default())
    }

    /// The product of queries and the keys of a block, into 32 columns of scores.
    fn scores(&self, queries: [&[u8]; 2], keys: &[u8], scores: &mut [f32]) {
        match self.isa {
            // SAFETY: a `Cpu` has this instruction set only where the machine does, and `attend` has
            // configured tiles for these rows.
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => unsafe { amx::scores(queries, keys, self.block.rows, scores) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { avx512::scores(queries, keys, self.block.rows, scores) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { avx2::scores(queries, keys, self.block.rows, scores) },
            _ => portable::scores(queries, keys, self.block.rows, scores),
        }
    }

    /// Adds the product of a group's weights and values.
    fn add_values(&self, weights: &[u8], values: &[&[u8]], sums: &mut [f32]) {
        let shape = (self.block.rows, self.cache.shape().head_dim);
        match self.isa {
            // SAFETY: as in `scores`.
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => unsafe { amx::add_values(weights, values, shape, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { avx512::add_values(weights, values, shape, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { avx2::add_values(weights, values, shape, sums) },
            _ => portable::add_values(weights, values, shape, sums),
        }
    }

    /// Both tiles of queries.
    fn query_tiles(&self) -> [&'a [u8]; 2] {
        self.query_places().map(|index| self.queries.tiles(index, self.head))
    }

    /// Where both tiles of queries are; the second is the first again unless there are more than 16 rows.
    fn query_places(&self) -> [usize; 2] {
        let place = &self.spans.places[self.block.span];
        let index = place.tile + self.block.first / tile::ROWS;
        [index, if self.block.rows > tile::ROWS { index + 1 } else { index }]
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

    /// What a row sees of a group, counted from its start.
    fn visible(&self, row: usize, group: &Group) -> Range<usize> {
        let (from, to) = self.range(row);
        let last = group.blocks * BLOCK_TOKENS;
        let within = |position: usize| position.saturating_sub(group.start).min(last);
        within(from)..within(to)
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
