//! Loading a recorded decoder and running it as the engine would.

use std::{path::Path, sync::Arc};

use engine::{Batch, BlockId, Chunk, ModelRunner, Output, Row, SequenceId, blocks_for};
use kernels::{Isa, KvFormat, WeightFormat};
use models::{Decoder, Model, Options, Source};

/// Blocks of the KV cache in these tests.
pub(crate) const KV_BLOCKS: usize = 24;

/// Small limits, everything else as it comes.
pub(crate) fn options(format: WeightFormat, kv_format: KvFormat, isa: Isa) -> Options {
    Options {
        format,
        kv_format,
        kv_blocks: KV_BLOCKS,
        max_batch_tokens: 160,
        max_sequences: 8,
        threads: 2,
        isa: Some(isa),
        cache: None,
    }
}

pub(crate) fn decoder(directory: &Path, options: &Options) -> Decoder {
    let source = Source::open(directory).unwrap();
    match source.load(options, &mut |_| {}).unwrap() {
        Model::Decoder(decoder) => *decoder,
        Model::Encoder(_) => panic!("it is a decoder"),
    }
}

/// A sequence in the KV cache: its tokens, its blocks, and how much of it has been run.
#[derive(Debug, Clone)]
pub(crate) struct Sequence {
    id: u64,
    tokens: Vec<u32>,
    blocks: Arc<Vec<BlockId>>,
    pub(crate) run: usize,
}

impl Sequence {
    /// With the blocks `first_block`, `first_block + step`, … of the cache.
    pub(crate) fn new(id: u64, tokens: &[u32], first_block: u32, step: u32) -> Self {
        let count = blocks_for(tokens.len()) as u32;
        let blocks = (0..count).map(|i| (first_block + i * step) % KV_BLOCKS as u32);
        let blocks = Arc::new(blocks.map(BlockId::new).collect());
        Self { id, tokens: tokens.to_vec(), blocks, run: 0 }
    }

    /// Takes whole blocks of tokens that another sequence has run already, and its own behind.
    pub(crate) fn with_prefix_of(mut self, other: &Self, blocks: usize) -> Self {
        let shared = &other.blocks[..blocks];
        let own = &self.blocks[blocks..];
        self.run = blocks * engine::BLOCK_TOKENS;
        assert_eq!(self.tokens[..self.run], other.tokens[..self.run]);
        self.blocks = Arc::new([shared, own].concat());
        self
    }

    /// The next `count` tokens.
    pub(crate) fn chunk(&mut self, count: usize, output: Output) -> Chunk {
        let position = self.run;
        self.run += count;
        Chunk {
            sequence: SequenceId::new(self.id),
            tokens: self.tokens[position..self.run].to_vec(),
            position,
            blocks: Arc::clone(&self.blocks),
            output,
        }
    }

    /// All tokens that have not been run.
    pub(crate) fn rest(&mut self, output: Output) -> Chunk {
        self.chunk(self.tokens.len() - self.run, output)
    }
}

/// Runs one batch; the logits of the chunks that asked for them, in order.
pub(crate) fn logits(runner: &mut impl ModelRunner, chunks: Vec<Chunk>) -> Vec<Vec<f32>> {
    let output = runner.run(&Batch { chunks }).unwrap();
    let rows = output.rows.into_iter();
    rows.filter_map(|row| match row {
        Row::Logits(logits) => Some(logits.to_vec()),
        Row::Nothing | Row::Argmax(_) | Row::NotANumber => None,
    })
    .collect()
}

/// The instruction sets that this machine can run.
pub(crate) fn isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}
