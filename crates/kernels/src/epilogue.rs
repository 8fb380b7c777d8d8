//! What becomes of a linear layer's result while it is still in the cache.

#[cfg(target_arch = "x86_64")]
mod avx512;

use crate::{
    Cpu,
    activations::{Activations, SharedActivations},
    isa::{Isa, multiversion},
    lanes,
    rows::{Rows, SharedRows},
    tile::{COLUMNS, STRIP},
};

/// Where the result of a linear layer goes.
#[derive(Debug)]
pub enum Output<'a> {
    /// It overwrites `to`, whose rows become as many as the layer was given.
    Store {
        /// As wide as the layer's outputs.
        to: &'a mut Rows,
        /// One value per output.
        bias: Option<&'a [f32]>,
    },
    /// It is added to `to`, which has as many rows as the layer was given.
    Add {
        /// As wide as the layer's outputs.
        to: &'a mut Rows,
        /// One value per output.
        bias: Option<&'a [f32]>,
    },
    /// `silu(gate) * up`, for a layer that was packed with `pack_gated`.
    SwiGlu {
        /// As wide as one half of the layer.
        to: &'a mut Activations,
    },
    /// `gelu(result)`.
    Gelu {
        /// As wide as the layer's outputs.
        to: &'a mut Activations,
        /// One value per output.
        bias: Option<&'a [f32]>,
    },
}

/// The same, for all threads at once.
pub(crate) enum Sink<'a> {
    Store(SharedRows<'a>, Option<&'a [f32]>),
    Add(SharedRows<'a>, Option<&'a [f32]>),
    SwiGlu(SharedActivations<'a>),
    Gelu(SharedActivations<'a>, Option<&'a [f32]>),
}

impl Output<'_> {
    /// Checks the shapes and makes room for `rows`.
    pub(crate) fn prepare(&mut self, rows: usize, outputs: usize) {
        let columns = match self {
            Self::Store { to, .. } => {
                to.resize(rows);
                to.columns()
            }
            Self::Add { to, .. } => {
                assert_eq!(to.len(), rows, "rows to add to that are not there");
                to.columns()
            }
            Self::SwiGlu { to } => {
                to.resize(rows);
                to.columns().div_ceil(COLUMNS) * STRIP
            }
            Self::Gelu { to, .. } => {
                to.resize(rows);
                to.columns()
            }
        };
        assert_eq!(columns, outputs, "a layer of {outputs} outputs into {columns} columns");
        if let Self::Store { bias, .. } | Self::Add { bias, .. } | Self::Gelu { bias, .. } = self {
            assert!(bias.is_none_or(|bias| bias.len() == outputs), "a bias of another length");
        }
    }

    pub(crate) fn sink(&mut self) -> Sink<'_> {
        match self {
            Self::Store { to, bias } => Sink::Store(to.shared(), *bias),
            Self::Add { to, bias } => Sink::Add(to.shared(), *bias),
            Self::SwiGlu { to } => Sink::SwiGlu(to.shared()),
            Self::Gelu { to, bias } => Sink::Gelu(to.shared(), *bias),
        }
    }

    pub(crate) fn settle(self, cpu: &Cpu) {
        if let Self::SwiGlu { to } | Self::Gelu { to, .. } = self {
            to.settle(cpu);
        }
    }
}

/// Gives a panel, `[rows][32]` of `strip` from `row` on, to its sink.
///
/// # Safety
/// Meanwhile nobody else uses these rows of these columns of the sink.
pub(crate) unsafe fn apply(
    cpu: &Cpu,
    sink: &Sink<'_>,
    strip: usize,
    row: usize,
    panel: &mut [f32],
) {
    let rows = panel.len() / STRIP;
    match sink {
        Sink::Store(to, bias) => {
            // SAFETY: the caller's promise.
            let to = unsafe { to.panel(strip, row, rows) };
            store(cpu.isa, to, panel, &bias_of(*bias, strip));
        }
        Sink::Add(to, bias) => {
            // SAFETY: the caller's promise.
            let to = unsafe { to.panel(strip, row, rows) };
            add(cpu.isa, to, panel, &bias_of(*bias, strip));
        }
        Sink::SwiGlu(to) => match cpu.isa {
            // SAFETY: a `Cpu` has these instruction sets only where the machine does; and the caller's promise.
            #[cfg(target_arch = "x86_64")]
            Isa::Amx | Isa::Avx512 if (strip + 1) * COLUMNS <= to.columns => unsafe {
                avx512::swiglu(panel, *to, strip * COLUMNS, row);
            },
            // SAFETY: the caller's promise.
            isa => unsafe { swiglu(isa, panel, *to, strip, row) },
        },
        // SAFETY: the caller's promise.
        Sink::Gelu(to, bias) => unsafe {
            gelu(cpu.isa, panel, &bias_of(*bias, strip), *to, strip, row);
        },
    }
}

/// The bias of a strip; zeros where there is none.
fn bias_of(bias: Option<&[f32]>, strip: usize) -> [f32; STRIP] {
    let mut of_strip = [0.0; STRIP];
    if let Some(bias) = bias {
        let from = &bias[strip * STRIP..bias.len().min((strip + 1) * STRIP)];
        of_strip[..from.len()].copy_from_slice(from);
    }
    of_strip
}

multiversion! {
    fn store(to: &mut [f32], panel: &[f32], bias: &[f32; STRIP]) {
        for (to, from) in to.chunks_exact_mut(STRIP).zip(panel.chunks_exact(STRIP)) {
            for column in 0..STRIP {
                to[column] = from[column] + bias[column];
            }
        }
    }
}

multiversion! {
    fn add(to: &mut [f32], panel: &[f32], bias: &[f32; STRIP]) {
        for (to, from) in to.chunks_exact_mut(STRIP).zip(panel.chunks_exact(STRIP)) {
            for column in 0..STRIP {
                to[column] += from[column] + bias[column];
            }
        }
    }
}

multiversion! {
    /// # Safety
    /// Meanwhile nobody else uses these rows of the strip's 16 columns of `to`.
    unsafe fn swiglu(panel: &[f32], to: SharedActivations<'_>, strip: usize, row: usize) {
        let from = strip * COLUMNS;
        let width = COLUMNS.min(to.columns - from);
        for (index, values) in panel.chunks_exact(STRIP).enumerate() {
            let (gate, up) = values.split_at(COLUMNS);
            let mut result = [0.0; COLUMNS];
            for ((result, &gate), &up) in result.iter_mut().zip(gate).zip(up) {
                *result = lanes::silu(gate) * up;
            }
            // SAFETY: the caller's promise. A whole row is the usual case, and has a length that the
            // compiler knows.
            unsafe {
                if width == COLUMNS {
                    to.put(row + index, from, &result);
                } else {
                    to.put(row + index, from, &result[..width]);
                }
            }
        }
    }
}

multiversion! {
    /// # Safety
    /// Meanwhile nobody else uses these rows of the strip's columns of `to`.
    unsafe fn gelu(
        panel: &[f32],
        bias: &[f32; STRIP],
        to: SharedActivations<'_>,
        strip: usize,
        row: usize,
    ) {
        let from = strip * STRIP;
        let width = STRIP.min(to.columns - from);
        for (index, values) in panel.chunks_exact(STRIP).enumerate() {
            let mut result = [0.0; STRIP];
            for ((result, &value), bias) in result.iter_mut().zip(values).zip(bias) {
                *result = lanes::gelu(value + bias);
            }
            // SAFETY: the caller's promise.
            unsafe { to.put(row + index, from, &result[..width]) };
        }
    }
}
