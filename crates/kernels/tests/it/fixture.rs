//! Random numbers, and matrices that the tests understand: rows of f32.

use kernels::{Activations, Arena, Cpu, Isa, Linear, Output, RmsNorm, Rows, WeightFormat};

pub(crate) const FORMATS: [WeightFormat; 4] =
    [WeightFormat::Bf16, WeightFormat::Int8, WeightFormat::W8a8, WeightFormat::Int4];

/// What this machine can run.
pub(crate) fn isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}

pub(crate) fn cpu(isa: Isa, threads: usize) -> Cpu {
    Cpu::new(isa, threads).unwrap()
}

/// Numbers that look random, the same ones for the same seed.
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// About normally distributed.
    pub(crate) fn normal(&mut self) -> f32 {
        let uniform = |bits: u64| bits as f32 / (1u64 << 31) as f32 - 0.5;
        (0..6).map(|_| uniform(self.bits())).sum::<f32>() * std::f32::consts::SQRT_2
    }

    pub(crate) fn row(&mut self, length: usize) -> Vec<f32> {
        (0..length).map(|_| self.normal()).collect()
    }

    pub(crate) fn matrix(&mut self, rows: usize, columns: usize) -> Vec<Vec<f32>> {
        (0..rows).map(|_| self.row(columns)).collect()
    }
}

pub(crate) fn pack(cpu: &Cpu, format: WeightFormat, weights: &[Vec<f32>]) -> Linear {
    let shape = (weights.len(), weights[0].len());
    let bytes = Linear::packed_bytes(format, shape.0, shape.1);
    let slab = Arena::anonymous(bytes).unwrap().take(bytes).unwrap();
    Linear::pack(cpu, format, shape, slab, |row, to| to.copy_from_slice(&weights[row])).unwrap()
}

pub(crate) fn rows(values: &[Vec<f32>]) -> Rows {
    let mut rows = Rows::new(values.len(), values[0].len()).unwrap();
    rows.resize(values.len());
    for (index, row) in values.iter().enumerate() {
        rows.write(index, row);
    }
    rows
}

pub(crate) fn values(rows: &Rows) -> Vec<Vec<f32>> {
    let read = |row| {
        let mut to = vec![0.0; rows.columns()];
        rows.read(row, &mut to);
        to
    };
    (0..rows.len()).map(read).collect()
}

/// The rows, each divided by its root mean square, as activations.
pub(crate) fn activations(cpu: &Cpu, format: WeightFormat, values: &[Vec<f32>]) -> Activations {
    let columns = values[0].len();
    let mut to = Activations::new(format, values.len(), columns).unwrap();
    let weight = vec![1.0; columns];
    cpu.rms_norm(&rows(values), RmsNorm { weight: &weight, epsilon: 1e-6 }, &mut to);
    to
}

/// The rows that activations hold.
pub(crate) fn held(x: &Activations) -> Vec<Vec<f32>> {
    let read = |row| {
        let mut to = vec![0.0; x.columns()];
        x.read(row, &mut to);
        to
    };
    (0..x.len()).map(read).collect()
}

/// The product of activations and weights.
pub(crate) fn product(
    cpu: &Cpu,
    x: &Activations,
    weights: &Linear,
    bias: Option<&[f32]>,
) -> Vec<Vec<f32>> {
    let mut to = Rows::new(x.len(), weights.outputs()).unwrap();
    cpu.linear(x, weights, Output::Store { to: &mut to, bias });
    values(&to)
}

/// What `activations` should hold.
pub(crate) fn normalised(row: &[f32]) -> Vec<f32> {
    let mean: f64 = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / row.len() as f64;
    row.iter().map(|&x| (f64::from(x) / (mean + 1e-6).sqrt()) as f32).collect()
}

pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

pub(crate) fn norm(row: &[f32]) -> f64 {
    dot(row, row).sqrt()
}

/// The length of the difference, relative to that of `expected`.
pub(crate) fn distance(actual: &[f32], expected: &[f32]) -> f64 {
    let difference: Vec<f32> = actual.iter().zip(expected).map(|(a, b)| a - b).collect();
    norm(&difference) / norm(expected).max(1e-30)
}

pub(crate) fn bits(rows: &[Vec<f32>]) -> Vec<Vec<u32>> {
    rows.iter().map(|row| row.iter().map(|x| x.to_bits()).collect()).collect()
}
