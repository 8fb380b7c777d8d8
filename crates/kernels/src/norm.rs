//! From the residual stream to what a layer reads: embeddings and norms.

use crate::{
    Cpu,
    activations::{Activations, SharedActivations},
    isa::multiversion,
    lanes,
    linear::Linear,
    rows::{Rows, RowsView, SharedRows},
};

/// The part of a norm that is learnt.
#[derive(Debug, Clone, Copy)]
pub struct LayerNorm<'a> {
    /// One factor per column.
    pub weight: &'a [f32],
    /// One summand per column.
    pub bias: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

/// As [`LayerNorm`], without mean and bias.
#[derive(Debug, Clone, Copy)]
pub struct RmsNorm<'a> {
    /// One factor per column.
    pub weight: &'a [f32],
    /// Added to the mean square.
    pub epsilon: f32,
}

impl Cpu {
    /// Row `i` of `to` becomes row `tokens[i]` of `table`.
    ///
    /// # Panics
    /// When a token is beyond the table, or shapes do not match.
    pub fn embed(&self, table: &Linear, tokens: &[u32], to: &mut Rows) {
        assert!(tokens.iter().all(|&token| (token as usize) < table.outputs()), "unknown token");
        assert_eq!(table.inputs(), to.columns(), "a table of other rows");
        to.resize(tokens.len());
        let columns = to.columns();
        let to = to.shared();
        self.pool.run(tokens.len(), |worker| {
            while let Some(row) = worker.next() {
                let values = worker.scratch.row(columns);
                table.row(tokens[row] as usize, values);
                // SAFETY: each row is one unit.
                unsafe { to.write(row, values) };
            }
        });
    }

    /// `to = x / rms(x) * weight`, for all rows.
    ///
    /// # Panics
    /// When shapes do not match.
    pub fn rms_norm(&self, from: &Rows, norm: RmsNorm<'_>, to: &mut Activations) {
        self.rms_norm_of(from, from.len(), |row| row, norm, to);
    }

    /// As `rms_norm`, for the chosen rows only, in their order.
    ///
    /// # Panics
    /// When shapes do not match or a row is not there.
    pub fn rms_norm_rows(
        &self,
        from: &Rows,
        rows: &[usize],
        norm: RmsNorm<'_>,
        to: &mut Activations,
    ) {
        assert!(rows.iter().all(|&row| row < from.len()), "a row that is not there");
        self.rms_norm_of(from, rows.len(), |row| rows[row], norm, to);
    }

    fn rms_norm_of(
        &self,
        from: &Rows,
        rows: usize,
        row_of: impl Fn(usize) -> usize + Sync,
        norm: RmsNorm<'_>,
        to: &mut Activations,
    ) {
        let columns = from.columns();
        assert!(norm.weight.len() == columns && to.columns() == columns, "rows of another length");
        to.resize(rows);
        let (from, to) = (from.view(), to.shared());
        self.pool.run(rows, |worker| {
            while let Some(row) = worker.next() {
                let values = worker.scratch.row(columns);
                // SAFETY: each row is one unit.
                unsafe { rms_norm_row(self.isa, (from, row_of(row)), norm, values, to, row) };
            }
        });
    }

    /// `rows = (x - mean) / deviation * weight + bias`, for all rows, in place and as activations.
    ///
    /// # Panics
    /// When shapes do not match.
    pub fn layer_norm(&self, rows: &mut Rows, norm: LayerNorm<'_>, to: &mut Activations) {
        let columns = rows.columns();
        assert!(norm.weight.len() == columns && norm.bias.len() == columns, "another length");
        assert_eq!(to.columns(), columns, "activations of another length");
        let count = rows.len();
        to.resize(count);
        let (rows, to) = (rows.shared(), to.shared());
        self.pool.run(count, |worker| {
            while let Some(row) = worker.next() {
                let values = worker.scratch.row(columns);
                // SAFETY: each row is one unit.
                unsafe { layer_norm_row(self.isa, rows, row, norm, values, to) };
            }
        });
    }
}

multiversion! {
    /// # Safety
    /// Meanwhile nobody else uses row `row` of `to`.
    unsafe fn rms_norm_row(
        from: (RowsView<'_>, usize),
        norm: RmsNorm<'_>,
        values: &mut [f32],
        to: SharedActivations<'_>,
        row: usize,
    ) {
        let (rows, source) = from;
        rows.read(source, 0, values);
        normalise(values, norm);
        // SAFETY: the caller's promise.
        unsafe { to.pack(row, values) };
    }
}

multiversion! {
    /// # Safety
    /// Meanwhile nobody else uses the row of either.
    unsafe fn layer_norm_row(
        rows: SharedRows<'_>,
        row: usize,
        norm: LayerNorm<'_>,
        values: &mut [f32],
        to: SharedActivations<'_>,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            rows.read(row, values);
            standardise(values, norm);
            rows.write(row, values);
            to.pack(row, values);
        }
    }
}

/// Divides values by the root of their mean square and multiplies them with the norm's weights.
#[inline(always)]
pub(crate) fn normalise(values: &mut [f32], norm: RmsNorm<'_>) {
    let mean_square = lanes::sum_of_squares(values) / values.len() as f32;
    let factor = 1.0 / (mean_square + norm.epsilon).sqrt();
    for (value, weight) in values.iter_mut().zip(norm.weight) {
        *value = *value * factor * weight;
    }
}

/// Shifts values to mean 0, scales them to deviation 1, and applies the norm's weights and biases.
#[inline(always)]
fn standardise(values: &mut [f32], norm: LayerNorm<'_>) {
    let count = values.len() as f32;
    let mean = lanes::sum(values) / count;
    for value in values.iter_mut() {
        *value -= mean;
    }
    let variance = lanes::sum_of_squares(values) / count;
    let factor = 1.0 / (variance + norm.epsilon).sqrt();
    for ((value, weight), bias) in values.iter_mut().zip(norm.weight).zip(norm.bias) {
        *value = *value * factor * weight + bias;
    }
}
