//! Which rows of a batch belong to which sequence, and where their keys and values lie.

use crate::{
    kv::{BLOCK_TOKENS, HeadShape, KvCache},
    tile,
};

/// Consecutive tokens of one sequence, which are run now.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// Of the first of these tokens in its sequence.
    pub position: usize,
    /// How many tokens are run; at least one.
    pub length: usize,
    /// The sequence's blocks from its start on, at least up to the last of these tokens.
    pub blocks: &'a [u32],
}

/// Spans that cannot be run together on this cache.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// Nothing to run.
    #[error("span {span} has no tokens")]
    Empty {
        /// Its number.
        span: usize,
    },
    /// Not enough blocks.
    #[error("span {span} needs {needed} blocks and has {given}")]
    Blocks {
        /// Its number.
        span: usize,
        /// For all its tokens.
        needed: usize,
        /// That it came with.
        given: usize,
    },
    /// A block beyond the end of the cache.
    #[error("block {block} is not in a cache of {blocks} blocks")]
    UnknownBlock {
        /// The block.
        block: u32,
        /// Of the cache.
        blocks: usize,
    },
    /// Two spans would write to the same block.
    #[error("block {block} is written by two spans")]
    SharedBlock {
        /// The block.
        block: u32,
    },
}

/// A checked batch: the rows of all spans, one after another.
#[derive(Debug)]
pub struct Spans {
    pub(crate) shape: HeadShape,
    pub(crate) places: Vec<Place>,
    pub(crate) blocks: Vec<u32>,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) query_blocks: Vec<QueryBlock>,
    rows: usize,
}

/// A span's place in the batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) row: usize,
    pub(crate) length: usize,
    pub(crate) position: usize,
    /// Where its blocks start in `Spans::blocks`.
    pub(crate) blocks: usize,
    /// Its first tile of queries, per head of keys and values.
    pub(crate) tile: usize,
    /// Its first block of queries.
    pub(crate) query_block: usize,
}

/// Tokens of a span that fall into one block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) span: usize,
    /// In the batch.
    pub(crate) row: usize,
    pub(crate) length: usize,
    pub(crate) block: u32,
    /// Of the first token in the block.
    pub(crate) slot: usize,
}

/// Rows of queries that attend together: two tiles.
pub(crate) const QUERY_ROWS: usize = 2 * tile::ROWS;

/// Up to 32 rows of queries of one span: its tokens times the query heads that share keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueryBlock {
    pub(crate) span: usize,
    /// First row, counted in tokens times heads from the start of the span.
    pub(crate) first: usize,
    pub(crate) rows: usize,
}

impl Spans {
    /// Checks the spans of a batch.
    ///
    /// # Errors
    /// [`SpanError`].
    pub fn new<'a>(
        cache: &KvCache,
        spans: impl IntoIterator<Item = Span<'a>>,
    ) -> Result<Self, SpanError> {
        let mut all = Self {
            shape: cache.shape(),
            places: Vec::new(),
            blocks: Vec::new(),
            pieces: Vec::new(),
            query_blocks: Vec::new(),
            rows: 0,
        };
        let mut tile = 0;
        for (index, span) in spans.into_iter().enumerate() {
            all.check(index, span, cache.blocks())?;
            let place = Place {
                row: all.rows,
                length: span.length,
                position: span.position,
                blocks: all.blocks.len(),
                tile,
                query_block: all.query_blocks.len(),
            };
            all.cut(index, span);
            let rows = span.length * all.shape.group();
            // The last rows see most: they come first, so that no thread ends with a long unit of attention.
            for first in (0..rows).step_by(QUERY_ROWS).rev() {
                let rows = (rows - first).min(QUERY_ROWS);
                all.query_blocks.push(QueryBlock { span: index, first, rows });
            }
            tile += rows.div_ceil(tile::ROWS);
            all.rows += span.length;
            all.blocks.extend(span.blocks);
            all.places.push(place);
        }
        all.no_block_twice()?;
        Ok(all)
    }

    fn check(&self, index: usize, span: Span<'_>, blocks: usize) -> Result<(), SpanError> {
        let needed = (span.position + span.length).div_ceil(BLOCK_TOKENS);
        if span.length == 0 {
            return Err(SpanError::Empty { span: index });
        }
        if needed > span.blocks.len() {
            return Err(SpanError::Blocks { span: index, needed, given: span.blocks.len() });
        }
        match span.blocks.iter().find(|&&block| block as usize >= blocks) {
            Some(&block) => Err(SpanError::UnknownBlock { block, blocks }),
            None => Ok(()),
        }
    }

    /// Cuts a span where its blocks end.
    fn cut(&mut self, index: usize, span: Span<'_>) {
        let mut token = 0;
        while token < span.length {
            let position = span.position + token;
            let slot = position % BLOCK_TOKENS;
            let length = (span.length - token).min(BLOCK_TOKENS - slot);
            let block = span.blocks[position / BLOCK_TOKENS];
            self.pieces.push(Piece { span: index, row: self.rows + token, length, block, slot });
            token += length;
        }
    }

    /// Threads write pieces at the same time, so each must have its block for itself.
    fn no_block_twice(&self) -> Result<(), SpanError> {
        let mut written: Vec<u32> = self.pieces.iter().map(|piece| piece.block).collect();
        written.sort_unstable();
        match written.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(SpanError::SharedBlock { block: pair[0] }),
            None => Ok(()),
        }
    }

    /// Rows of the batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The last row of each span.
    pub fn last_rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.places.iter().map(|place| place.row + place.length - 1)
    }

    /// Units of attention.
    pub(crate) fn units(&self) -> usize {
        self.query_blocks.len() * self.shape.kv_heads
    }

    /// A unit of attention: a block of queries and a head of keys and values. A span's units of one head
    /// follow one another, so that its keys and values stay in the second-level cache.
    pub(crate) fn unit(&self, unit: usize) -> Option<(QueryBlock, usize)> {
        let heads = self.shape.kv_heads;
        let span = self.query_blocks.get(unit / heads)?.span;
        let place = &self.places[span];
        let blocks = (place.length * self.shape.group()).div_ceil(QUERY_ROWS);
        let within = unit - place.query_block * heads;
        Some((self.query_blocks[place.query_block + within % blocks], within / blocks))
    }

    pub(crate) fn blocks_of(&self, span: usize) -> &[u32] {
        let place = &self.places[span];
        let needed = (place.position + place.length).div_ceil(BLOCK_TOKENS);
        &self.blocks[place.blocks..place.blocks + needed]
    }
}
