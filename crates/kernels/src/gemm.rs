//! Linear layers: activations times packed weights, and what becomes of the result.

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
mod expand;
pub(crate) mod portable;

use std::ops::Range;

use crate::{
    Cpu,
    activations::{Activations, TilesView},
    epilogue::{self, Output},
    format::WeightFormat,
    isa::{Isa, multiversion},
    linear::{Linear, f32_at, int8},
    memory::bytes_of,
    predictions::Predictions,
    scratch::PANEL_ROWS,
    tile::{self, STRIP},
};

/// f32 of a panel's sums.
const SUMS: usize = PANEL_ROWS * STRIP;
/// Steps of quantised weights that are expanded at a time: 16 KiB stay in the first-level cache.
const EXPANDED_STEPS: usize = 8;
const EXPANDED_BYTES: usize = EXPANDED_STEPS * 2 * tile::BYTES;
/// f32 that a panel works with: sums, integer sums on their way to them, and expanded weights.
pub(crate) const WORK: usize = 2 * SUMS + EXPANDED_BYTES / 4;

/// What a kernel computes at a time: some rows of one strip.
#[derive(Clone, Copy)]
pub(crate) struct Panel<'a> {
    pub(crate) format: WeightFormat,
    /// The strip, or some steps of it. The next one follows it in memory, and kernels prefetch it.
    pub(crate) weights: &'a [u8],
    /// Steps of the strip before them. With the first one sums start from zero, with others they go on.
    pub(crate) step: usize,
    pub(crate) x: TilesView<'a>,
    /// A multiple of 16.
    pub(crate) row: usize,
    pub(crate) rows: usize,
}

impl<'a> Panel<'a> {
    pub(crate) fn new(
        x: &'a Activations,
        weights: &'a Linear,
        strip: usize,
        rows: Range<usize>,
    ) -> Self {
        Self {
            format: weights.format(),
            weights: weights.strip(strip),
            step: 0,
            x: x.view(),
            row: rows.start,
            rows: rows.len(),
        }
    }
}

impl Panel<'_> {
    /// Tiles and scales of w8a8.
    fn w8a8(&self) -> (&[u8], &[u8]) {
        self.weights.split_at(self.x.depth_tiles * 2 * tile::BYTES)
    }
}

/// Activations fit weights.
pub(crate) fn check(x: &Activations, weights: &Linear) {
    assert_eq!(x.format(), weights.format().activations(), "these activations are for others");
    assert_eq!(x.columns(), weights.inputs(), "a layer of other inputs");
    // The loops over inner steps run at least once.
    assert!(weights.inputs() > 0, "a layer of no inputs");
}

/// Sets this thread up for panels of up to `rows` rows, for as long as the result lives.
#[cfg(target_arch = "x86_64")]
pub(crate) fn configure(isa: Isa, rows: usize) -> Option<crate::amx::Configured> {
    (isa == Isa::Amx).then(|| amx::configure(rows))
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn configure(_isa: Isa, _rows: usize) {}

impl Cpu {
    /// `y = x Wᵀ`, and then what `output` says. Each row's sums have one order, whatever the other rows.
    ///
    /// # Panics
    /// When shapes or formats do not match.
    pub fn linear(&self, x: &Activations, weights: &Linear, mut output: Output<'_>) {
        output.prepare(x.len(), weights.outputs());
        let sink = output.sink();
        self.panels(x, weights, |strip, row, panel| {
            // SAFETY: a panel's rows of its strip's columns belong to one unit of work.
            unsafe { epilogue::apply(self, &sink, strip, row, panel) };
        });
        output.settle(self);
    }

    /// The last layer: the likeliest token of each row of `x`, and all logits of the rows that want them.
    ///
    /// # Panics
    /// When shapes or formats do not match.
    pub fn predict(&self, x: &Activations, head: &Linear, predictions: &mut Predictions) {
        predictions.prepare(x.len(), head.outputs());
        let sink = predictions.sink();
        self.panels(x, head, |strip, row, panel| {
            // SAFETY: as in `linear`.
            unsafe { sink.take(self.isa, strip, row, panel) };
        });
    }

    /// Calls `done(strip, row, [rows][32])` with all rows of the product, some at a time.
    fn panels(
        &self,
        x: &Activations,
        weights: &Linear,
        done: impl Fn(usize, usize, &mut [f32]) + Sync,
    ) {
        check(x, weights);
        let strips = weights.strips();
        let largest = PANEL_ROWS.min(x.len());
        self.pool.run(strips * x.len().div_ceil(PANEL_ROWS), |worker| {
            let _tiles = configure(self.isa, largest);
            while let Some(unit) = worker.next() {
                let (strip, row) = (unit % strips, unit / strips * PANEL_ROWS);
                let rows = PANEL_ROWS.min(x.len() - row);
                let panel = Panel::new(x, weights, strip, row..row + rows);
                let mut done = |first: usize, rows: &mut [f32]| done(strip, row + first, rows);
                compute(self.isa, &panel, &mut worker.scratch.panel, &mut done);
            }
        });
    }
}

/// Takes rows of a panel, `[rows][32]`, from a row on that is counted in the panel.
pub(crate) type Done<'a> = dyn FnMut(usize, &mut [f32]) + 'a;

/// Computes a panel in the first `[rows][32]` of `work`, and hands its rows to `done` as they are ready.
pub(crate) fn compute(isa: Isa, panel: &Panel<'_>, work: &mut [f32], done: &mut Done<'_>) {
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Amx {
        // SAFETY: a `Cpu` has an instruction set only where the machine does; the caller has configured tiles.
        return unsafe { amx::panel(panel, work, done) };
    }
    let (rows, rest) = work.split_at_mut(SUMS);
    let rows = &mut rows[..panel.rows * STRIP];
    if panel.format == WeightFormat::Int8 {
        let expanded = bytes_of(&mut rest[..EXPANDED_BYTES / 4]);
        let (groups, scales) = panel.weights.split_at(panel.weights.len() - int8::TRAILER);
        for (index, groups) in groups.chunks(EXPANDED_STEPS * int8::GROUP).enumerate() {
            let step = index * EXPANDED_STEPS;
            let weights = expand::int8(isa, groups, expanded);
            add(isa, &Panel { format: WeightFormat::Bf16, weights, step, ..*panel }, rows);
        }
        scale_columns(isa, rows, scales);
    } else {
        add(isa, panel, rows);
    }
    done(0, rows);
}

multiversion! {
    /// Multiplies `[rows][32]` with 32 f32 scales.
    fn scale_columns(rows: &mut [f32], scales: &[u8]) {
        let scales: [f32; STRIP] = std::array::from_fn(|column| f32_at(scales, 4 * column));
        for row in rows.chunks_exact_mut(STRIP) {
            for (value, scale) in row.iter_mut().zip(scales) {
                *value *= scale;
            }
        }
    }
}

/// Adds the product of the panel's steps to `rows`; the first step overwrites them.
fn add(isa: Isa, panel: &Panel<'_>, rows: &mut [f32]) {
    match isa {
        // SAFETY: a `Cpu` has an instruction set only where the machine does.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512::panel(panel, rows) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2::panel(panel, rows) },
        _ => portable::panel(panel, rows),
    }
}
