//! From a layer's input to queries in tiles and to keys and values in the cache, head by head.

use std::ops::Range;

use crate::{
    Cpu,
    activations::Activations,
    gemm::{self, Panel},
    isa::multiversion,
    kv::{BLOCK_TOKENS, HEAD_DIM_MAX, HeadShape, KvCache, Part, SharedLayer},
    linear::Linear,
    norm::{self, RmsNorm},
    queries::{Queries, QueryFormat, SharedQueries},
    rope::Rope,
    scratch::{HEAD_STRIDE, PANEL_ROWS},
    spans::Spans,
    tile::STRIP,
};

/// What a layer does to queries and keys before they meet.
#[derive(Debug, Clone, Copy, Default)]
pub struct QkPreparation<'a> {
    /// Added to queries, keys and values, one value per output of the layer.
    pub bias: Option<&'a [f32]>,
    /// A norm over each head of the queries.
    pub query_norm: Option<RmsNorm<'a>>,
    /// A norm over each head of the keys.
    pub key_norm: Option<RmsNorm<'a>>,
    /// The rotation; encoders have none.
    pub rope: Option<&'a Rope>,
    /// What scores are multiplied with; `None` is `1 / sqrt(head_dim)`.
    pub score_scale: Option<f32>,
}

impl Cpu {
    /// `x` times `weights`, whose outputs are all query heads, all key heads and all value heads; prepares
    /// queries and keys; leaves queries in `queries`, and keys and values in `layer` of `cache`.
    ///
    /// # Panics
    /// When shapes do not match or a position is beyond the rope's table.
    pub fn project(
        &self,
        (x, weights): (&Activations, &Linear),
        spans: &Spans,
        preparation: &QkPreparation<'_>,
        queries: &mut Queries,
        (cache, layer): (&mut KvCache, usize),
    ) {
        let shape = cache.shape();
        assert_eq!(shape, spans.shape, "spans of another cache");
        assert_eq!(weights.outputs(), shape.qkv_columns(), "not queries, keys and values");
        assert_eq!(x.len(), spans.rows(), "rows of another batch");
        let bias = preparation.bias;
        assert!(
            bias.is_none_or(|bias| bias.len() == weights.outputs()),
            "a bias of another length"
        );
        queries.check(shape, x.len());
        gemm::check(x, weights);
        let scale = preparation.score_scale.unwrap_or(1.0 / (shape.head_dim as f32).sqrt());
        let job = Job {
            spans,
            preparation,
            // Attention takes powers of two instead of e.
            query_scale: scale * std::f32::consts::LOG2_E,
            queries: queries.shared(QueryFormat::of(self.isa, cache.format())),
            cache: cache.shared(layer),
            shape,
        };
        let strips = shape.head_dim / STRIP;
        // A block of the cache may lie in two panels: so these follow one another, and heads are the units.
        for row in (0..x.len()).step_by(PANEL_ROWS) {
            let rows = PANEL_ROWS.min(x.len() - row);
            self.pool.run(shape.heads + 2 * shape.kv_heads, |worker| {
                let _tiles = gemm::configure(self.isa, rows);
                while let Some(head) = worker.next() {
                    for strip in 0..strips {
                        // SAFETY: a head's keys or values belong to one unit.
                        unsafe { job.fetch(head, row..row + rows, (strip, strips)) };
                        let panel = Panel::new(x, weights, head * strips + strip, row..row + rows);
                        let sums = &mut worker.scratch.panel[strip * HEAD_STRIDE..];
                        gemm::compute(self.isa, &panel, sums, &mut |_, _| {});
                    }
                    // SAFETY: a head's queries, keys or values belong to one unit.
                    unsafe {
                        store_head(self.isa, &job, head, row..row + rows, &worker.scratch.panel);
                    }
                }
            });
        }
    }
}

/// What all units of `project` share.
struct Job<'a> {
    spans: &'a Spans,
    preparation: &'a QkPreparation<'a>,
    query_scale: f32,
    queries: SharedQueries<'a>,
    cache: SharedLayer<'a>,
    shape: HeadShape,
}

multiversion! {
    /// Takes the sums of one head, `[head_dim / 32][rows][32]`, to their place.
    ///
    /// # Safety
    /// Meanwhile nobody else uses what these rows of this head have in queries or cache.
    unsafe fn store_head(job: &Job<'_>, head: usize, rows: Range<usize>, sums: &[f32]) {
        let mut buffer = [0.0f32; HEAD_DIM_MAX];
        let values = &mut buffer[..job.shape.head_dim];
        let HeadShape { heads, kv_heads, .. } = job.shape;
        let first_piece = job.spans.pieces.partition_point(|piece| piece.row + piece.length <= rows.start);
        for piece in &job.spans.pieces[first_piece..] {
            if piece.row >= rows.end {
                break;
            }
            let place = &job.spans.places[piece.span];
            // SAFETY (of the parts): the caller's promise, and no two pieces share a block.
            let mut part = match head.checked_sub(heads) {
                None => None,
                Some(head) if head < kv_heads => {
                    // SAFETY: as said above.
                    Some(unsafe { job.cache.part(piece.block, head, Part::Keys) })
                }
                Some(head) => {
                    // SAFETY: as said above.
                    let mut part = unsafe { job.cache.part(piece.block, head - kv_heads, Part::Values) };
                    // Values behind the last token weigh nothing, but nothing times infinity is no number.
                    let is_begun = piece.slot > 0 || piece.row < rows.start;
                    if !is_begun && piece.length < BLOCK_TOKENS {
                        part.clear();
                    }
                    Some(part)
                }
            };
            for row in piece.row.max(rows.start)..(piece.row + piece.length).min(rows.end) {
                let token = row - place.row;
                read_head(job, head, sums, row - rows.start, values);
                match &mut part {
                    None => {
                        job.prepare(job.preparation.query_norm, place.position + token, values);
                        values.iter_mut().for_each(|value| *value *= job.query_scale);
                        let group = job.shape.group();
                        let row = token * group + head % group;
                        // SAFETY: the caller's promise.
                        unsafe { job.queries.put(place.tile, row, head / group, values) };
                    }
                    Some(part) => {
                        if head < heads + kv_heads {
                            job.prepare(job.preparation.key_norm, place.position + token, values);
                        }
                        part.put(piece.slot + row - piece.row, values);
                    }
                }
            }
        }
    }
}

/// One row of a head, with its bias.
#[inline(always)]
fn read_head(job: &Job<'_>, head: usize, sums: &[f32], row: usize, values: &mut [f32]) {
    for (strip, values) in values.chunks_exact_mut(STRIP).enumerate() {
        values.copy_from_slice(&sums[strip * HEAD_STRIDE + row * STRIP..][..STRIP]);
    }
    if let Some(bias) = job.preparation.bias {
        let bias = &bias[head * values.len()..][..values.len()];
        for (value, bias) in values.iter_mut().zip(bias) {
            *value += bias;
        }
    }
}

impl Job<'_> {
    /// Fetches what `store_head` will change of the cache, one of so many shares: single tokens of many sequences lie
    /// all over memory. Whole blocks come by themselves.
    ///
    /// # Safety
    /// Meanwhile nobody else uses what these rows of this head have in the cache.
    unsafe fn fetch(&self, head: usize, rows: Range<usize>, (share, shares): (usize, usize)) {
        let HeadShape { heads, kv_heads, .. } = self.shape;
        let Some(head) = head.checked_sub(heads) else { return };
        let part = if head < kv_heads { Part::Keys } else { Part::Values };
        for piece in self.spans.pieces.iter().skip(share).step_by(shares) {
            if piece.length < BLOCK_TOKENS / 2 && rows.contains(&piece.row) {
                // SAFETY: the caller's promise.
                let part = unsafe { self.cache.part(piece.block, head % kv_heads, part) };
                part.fetch(piece.slot, piece.length);
            }
        }
    }

    /// Norm and rotation of one head.
    #[inline(always)]
    fn prepare(&self, norm: Option<RmsNorm<'_>>, position: usize, values: &mut [f32]) {
        if let Some(norm) = norm {
            norm::normalise(values, norm);
        }
        if let Some(rope) = self.preparation.rope {
            rope.rotate(position, values);
        }
    }
}
