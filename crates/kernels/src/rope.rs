//! From the rows of a layer to queries in tiles and to keys and values in the cache.

use crate::{
    Cpu, bf16,
    isa::multiversion,
    kv::{BlockMut, HEAD_DIM_MAX, HeadShape, KvCache},
    memory::{Buffer, MemoryError, Shared},
    norm::{self, RmsNorm},
    rows::{Rows, RowsView},
    spans::{Piece, Spans},
    tile,
};

/// Rotary position embedding: sines and cosines of every position.
///
/// Dimension `i` is paired with `i + head_dim / 2`.
#[derive(Debug)]
pub struct Rope {
    /// `[position][cosines, sines][head_dim / 2]`.
    table: Vec<f32>,
    half: usize,
}

impl Rope {
    /// A table of `positions`, with one frequency (radians per token) per pair of dimensions. Sines and
    /// cosines are multiplied with `scale`, which is 1 unless the model says otherwise.
    pub fn new(positions: usize, frequencies: &[f32], scale: f32) -> Self {
        let mut table = Vec::with_capacity(positions * 2 * frequencies.len());
        for position in 0..positions {
            // The product is rounded to f32 first, as the models were trained with.
            let angle = |frequency: &f32| f64::from(position as f32 * frequency);
            table.extend(frequencies.iter().map(|f| angle(f).cos() as f32 * scale));
            table.extend(frequencies.iter().map(|f| angle(f).sin() as f32 * scale));
        }
        Self { table, half: frequencies.len() }
    }

    /// How many positions it knows.
    pub fn positions(&self) -> usize {
        self.table.len() / (2 * self.half)
    }

    fn at(&self, position: usize) -> &[f32] {
        &self.table[position * 2 * self.half..][..2 * self.half]
    }
}

/// What a layer does to queries and keys before they meet.
#[derive(Debug, Clone, Copy, Default)]
pub struct QkPreparation<'a> {
    /// A norm over each head of the queries.
    pub query_norm: Option<RmsNorm<'a>>,
    /// A norm over each head of the keys.
    pub key_norm: Option<RmsNorm<'a>>,
    /// The rotation; encoders have none.
    pub rope: Option<&'a Rope>,
    /// What scores are multiplied with; `None` is `1 / sqrt(head_dim)`.
    pub score_scale: Option<f32>,
}

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

impl Cpu {
    /// Reads `qkv`, whose columns are all query heads, all key heads and all value heads; prepares queries and
    /// keys; leaves queries in `queries`, and keys and values in `layer` of `cache`.
    ///
    /// # Panics
    /// When shapes do not match or a position is beyond the rope's table.
    pub fn store_qkv(
        &self,
        qkv: &Rows,
        spans: &Spans,
        preparation: &QkPreparation<'_>,
        queries: &mut Queries,
        (cache, layer): (&mut KvCache, usize),
    ) {
        let shape = cache.shape();
        assert_eq!(shape, spans.shape, "spans of another cache");
        assert_eq!(shape, queries.shape, "queries of other heads");
        assert_eq!(
            qkv.columns(),
            shape.qkv_columns(),
            "rows that are not queries, keys and values"
        );
        assert_eq!(qkv.len(), spans.rows(), "rows of another batch");
        assert!(qkv.len() <= queries.capacity, "more rows than there is room for");
        let scale = preparation.score_scale.unwrap_or(1.0 / (shape.head_dim as f32).sqrt());
        let job = Job {
            qkv: qkv.view(),
            spans,
            preparation,
            // Attention takes powers of two instead of e.
            query_scale: scale * std::f32::consts::LOG2_E,
            queries: queries.tiles.shared(),
            shape,
        };
        let cache = cache.shared(layer);
        self.pool.run(spans.pieces.len() * shape.kv_heads, |worker| {
            while let Some(unit) = worker.next() {
                let (piece, head) = (&spans.pieces[unit / shape.kv_heads], unit % shape.kv_heads);
                // SAFETY: no other piece lies in this block, as `Spans` has checked.
                let block = unsafe { cache.block(piece.block, head) };
                store_piece(self.isa, &job, piece, head, block);
            }
        });
    }
}

/// What all units of `store_qkv` share.
struct Job<'a> {
    qkv: RowsView<'a>,
    spans: &'a Spans,
    preparation: &'a QkPreparation<'a>,
    query_scale: f32,
    queries: Shared<'a, u8>,
    shape: HeadShape,
}

multiversion! {
    fn store_piece(job: &Job<'_>, piece: &Piece, head: usize, block: BlockMut<'_>) {
        let HeadShape { heads, kv_heads, head_dim } = job.shape;
        let group = job.shape.group();
        let place = &job.spans.places[piece.span];
        let mut block = block;
        let mut buffer = [0.0f32; HEAD_DIM_MAX];
        let values = &mut buffer[..head_dim];
        for index in 0..piece.length {
            let token = piece.token + index;
            let (row, position) = (place.row + token, place.position + token);
            for member in 0..group {
                job.qkv.read(row, (head * group + member) * head_dim, values);
                prepare(job, job.preparation.query_norm, position, values);
                for value in values.iter_mut() {
                    *value *= job.query_scale;
                }
                put_query(job, place.tile, token * group + member, head, values);
            }
            job.qkv.read(row, (heads + head) * head_dim, values);
            prepare(job, job.preparation.key_norm, position, values);
            block.put_key(piece.slot + index, values);
            job.qkv.read(row, (heads + kv_heads + head) * head_dim, values);
            block.put_value(piece.slot + index, values);
        }
    }
}

/// Norm and rotation of one head.
#[inline(always)]
fn prepare(job: &Job<'_>, norm: Option<RmsNorm<'_>>, position: usize, values: &mut [f32]) {
    if let Some(norm) = norm {
        norm::normalise(values, norm);
    }
    if let Some(rope) = job.preparation.rope {
        let (cosines, sines) = rope.at(position).split_at(rope.half);
        let (first, second) = values.split_at_mut(rope.half);
        for (((a, b), cosine), sine) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
            (*a, *b) = (*a * cosine - *b * sine, *b * cosine + *a * sine);
        }
    }
}

#[inline(always)]
fn put_query(job: &Job<'_>, first_tile: usize, row: usize, head: usize, values: &[f32]) {
    let tile = (first_tile + row / tile::ROWS) * job.shape.kv_heads + head;
    let start = tile * tile_bytes(job.shape);
    for (step, values) in values.chunks_exact(tile::DEPTH_BF16).enumerate() {
        let at = start + step * tile::BYTES + row % tile::ROWS * tile::ROW_BYTES;
        // SAFETY: a row of queries belongs to one token, and this to one unit.
        let line = unsafe { job.queries.part(at, tile::ROW_BYTES) };
        for (to, &value) in line.chunks_exact_mut(2).zip(values) {
            to.copy_from_slice(&bf16::from_f32(value).to_le_bytes());
        }
    }
}
