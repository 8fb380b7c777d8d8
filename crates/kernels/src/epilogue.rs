//! What becomes of a linear layer's result while it is still in the cache.

use crate::{
    Cpu,
    activations::{Activations, SharedActivations},
    format::ActivationFormat,
    isa::multiversion,
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
        Sink::SwiGlu(to) => {
            let from = strip * COLUMNS;
            let width = COLUMNS.min(to.columns - from);
            swiglu(cpu.isa, panel);
            // SAFETY: the caller's promise.
            unsafe { put(cpu, *to, row, from, width, panel) };
        }
        Sink::Gelu(to, bias) => {
            let from = strip * STRIP;
            let width = STRIP.min(to.columns - from);
            gelu(cpu.isa, panel, &bias_of(*bias, strip));
            // SAFETY: the caller's promise.
            unsafe { put(cpu, *to, row, from, width, panel) };
        }
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

/// Writes the first `width` columns of each row of a panel as activations.
unsafe fn put(
    cpu: &Cpu,
    to: SharedActivations<'_>,
    row: usize,
    from: usize,
    width: usize,
    panel: &[f32],
) {
    for (index, values) in panel.chunks_exact(STRIP).enumerate() {
        let values = &values[..width];
        match to.format {
            // SAFETY: the caller of `apply` has promised it.
            ActivationFormat::Bf16 => unsafe { to.put_bf16(cpu, row + index, from, values) },
            // SAFETY: as above.
            _ => unsafe { to.staged(row + index, from, width) }.copy_from_slice(values),
        }
    }
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
    /// Leaves the result in the first half of each row.
    fn swiglu(panel: &mut [f32]) {
        for row in panel.chunks_exact_mut(STRIP) {
            let (gate, up) = row.split_at_mut(COLUMNS);
            for (gate, &up) in gate.iter_mut().zip(&*up) {
                *gate = lanes::silu(*gate) * up;
            }
        }
    }
}

multiversion! {
    fn gelu(panel: &mut [f32], bias: &[f32; STRIP]) {
        for row in panel.chunks_exact_mut(STRIP) {
            for (value, bias) in row.iter_mut().zip(bias) {
                *value = lanes::gelu(*value + bias);
            }
        }
    }
}
