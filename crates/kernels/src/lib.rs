//! The processor: tiles, packed weights, the paged KV cache, matrix and attention kernels, the thread pool.
//!
//! Everything is a tile of 16 rows of 64 bytes: weights, activations, keys and values. So one layout
//! serves every instruction set, and prefill, chunked prefill and decode are the same operations.
//!
//! All operations are methods of [`Cpu`]; a decoder layer reads
//!
//! ```text
//! rms_norm(hidden → x) · project(x → queries, cache) · attend(queries, cache → x) · linear(x → + hidden)
//! rms_norm(hidden → x) · linear(x → SwiGlu → y) · linear(y → + hidden)
//! ```
//!
//! A row's result is the same bits whatever rows are run beside it, wherever its sequence was cut into
//! chunks, and however many threads there are: every sum has one order, and what is masked adds zero, as
//! long as keys and values are finite.
//!
//! This is the only crate with `unsafe`; its interface is safe. Shapes that do not fit are bugs of the
//! caller and panic, since memory safety hangs on them.

/// Changes whenever packed weights of an older version can no longer be read.
pub const LAYOUT_VERSION: u32 = 3;

mod activations;
#[cfg(target_arch = "x86_64")]
mod amx;
mod attention;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod background;
pub mod bf16;
mod cpu;
mod epilogue;
mod format;
mod gemm;
mod isa;
mod kv;
mod lanes;
mod linear;
mod memory;
mod norm;
mod pool;
mod predictions;
mod prefetch;
mod project;
mod queries;
mod rope;
mod rows;
mod scratch;
mod spans;
mod tile;

pub use activations::Activations;
pub use attention::Mask;
pub use background::give_way;
pub use cpu::{Cpu, CpuError};
pub use epilogue::Output;
pub use format::{KvFormat, UnknownFormat, WeightFormat};
pub use isa::{Isa, IsaError};
pub use kv::{BLOCK_TOKENS, HeadShape, HeadShapeError, KvCache, KvCacheError};
pub use linear::{Linear, PackedLengthError};
pub use memory::{Arena, MemoryError, Slab};
pub use norm::{LayerNorm, RmsNorm};
pub use pool::PoolError;
pub use predictions::Predictions;
pub use project::QkPreparation;
pub use queries::Queries;
pub use rope::Rope;
pub use rows::Rows;
pub use spans::{Span, SpanError, Spans};
