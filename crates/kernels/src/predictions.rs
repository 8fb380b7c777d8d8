//! What the last layer says about the next token of each sequence.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    isa::{Isa, multiversion},
    lanes,
    memory::{Buffer, MemoryError, Shared},
    tile::STRIP,
};

/// The likeliest token of each row, and the logits of the rows that were asked for.
#[derive(Debug)]
pub struct Predictions {
    vocabulary: usize,
    /// One row of f32 per wanted row, in their order.
    logits: Buffer<f32>,
    rows: usize,
    /// For each row, where its logits lie in `logits`.
    wanted: Vec<Option<usize>>,
    best: Vec<AtomicU64>,
}

/// The largest logit so far in the upper half, as an integer of the same order, and in the lower half the
/// complement of its token: of equal logits, the lowest token makes the larger number. Zero is none.
fn ranked(logit: f32, token: u32) -> u64 {
    let bits = logit.to_bits();
    let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    u64::from(ordered) << 32 | u64::from(!token)
}

impl Predictions {
    /// Room for `rows` rows of `vocabulary` logits.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn new(rows: usize, vocabulary: usize) -> Result<Self, MemoryError> {
        let logits = Buffer::zeroed(rows * vocabulary)?;
        Ok(Self { vocabulary, logits, rows, wanted: Vec::new(), best: Vec::new() })
    }

    /// Bytes that `new` asks for; they are touched only where logits are wanted.
    pub fn bytes(rows: usize, vocabulary: usize) -> usize {
        rows * vocabulary * size_of::<f32>()
    }

    /// Says for each row of the next call of `Cpu::predict` whether it wants all logits.
    ///
    /// # Panics
    /// If there are more rows than there is room for.
    pub fn request(&mut self, wants_logits: impl IntoIterator<Item = bool>) {
        self.wanted.clear();
        let mut next = 0;
        for wants in wants_logits {
            self.wanted.push(wants.then_some(next));
            next += usize::from(wants);
        }
        assert!(self.wanted.len() <= self.rows, "more rows than there is room for");
    }

    /// The likeliest token of a row; the lowest among equals, and `u32::MAX` where no logit is a number.
    pub fn argmax(&self, row: usize) -> u32 {
        !(self.best[row].load(Ordering::Relaxed) as u32)
    }

    /// All logits of a row, if it wanted them.
    pub fn logits_mut(&mut self, row: usize) -> Option<&mut [f32]> {
        let start = self.wanted[row]? * self.vocabulary;
        Some(&mut self.logits[start..start + self.vocabulary])
    }

    /// The logits of all rows that wanted them, in the order of the rows.
    pub fn all_logits_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        let count = self.wanted.iter().flatten().count();
        self.logits[..count * self.vocabulary].chunks_exact_mut(self.vocabulary)
    }

    pub(crate) fn prepare(&mut self, rows: usize, outputs: usize) {
        assert_eq!(self.wanted.len(), rows, "a request for another number of rows");
        assert_eq!(self.vocabulary, outputs, "a head of {outputs} outputs");
        self.best.clear();
        self.best.resize_with(rows, AtomicU64::default);
    }

    pub(crate) fn sink(&mut self) -> PredictionSink<'_> {
        PredictionSink {
            logits: self.logits.shared(),
            wanted: &self.wanted,
            best: &self.best,
            vocabulary: self.vocabulary,
        }
    }
}

/// What panels of the head are given to.
pub(crate) struct PredictionSink<'a> {
    logits: Shared<'a, f32>,
    wanted: &'a [Option<usize>],
    best: &'a [AtomicU64],
    vocabulary: usize,
}

impl PredictionSink<'_> {
    /// Copies logits where wanted, and keeps the largest of each row.
    ///
    /// # Safety
    /// Meanwhile nobody else uses the logits of this panel.
    pub(crate) unsafe fn take(&self, isa: Isa, strip: usize, row: usize, panel: &[f32]) {
        let from = strip * STRIP;
        let width = STRIP.min(self.vocabulary - from);
        for (index, values) in panel.chunks_exact(STRIP).enumerate() {
            if let Some(wanted) = self.wanted[row + index] {
                // SAFETY: the caller's promise.
                let to = unsafe { self.logits.part(wanted * self.vocabulary + from, width) };
                to.copy_from_slice(&values[..width]);
            }
        }
        keep_largest(isa, panel, from as u32, width, &self.best[row..]);
    }
}

multiversion! {
    fn keep_largest(panel: &[f32], from: u32, width: usize, best: &[AtomicU64]) {
        for (values, best) in panel.chunks_exact(STRIP).zip(best) {
            let values = &values[..width];
            let max = lanes::max(values);
            // Few strips have a new largest one, and where all are no numbers there is none.
            if max == f32::NEG_INFINITY || ranked(max, 0) < best.load(Ordering::Relaxed) {
                continue;
            }
            let at = values.iter().position(|&value| value == max).unwrap_or(0);
            best.fetch_max(ranked(max, from + at as u32), Ordering::Relaxed);
        }
    }
}
