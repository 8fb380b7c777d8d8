//! One tensor of a checkpoint, read as f32 whatever it is stored as.

use std::{ops::Range, sync::Arc};

use kernels::bf16;

use super::WeightsFile;
use crate::LoadError;

/// The element types that we read. All are converted to f32 without loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dtype {
    Bf16,
    F16,
    F32,
}

impl Dtype {
    pub(super) fn read(dtype: safetensors::Dtype) -> Option<Self> {
        match dtype {
            safetensors::Dtype::BF16 => Some(Self::Bf16),
            safetensors::Dtype::F16 => Some(Self::F16),
            safetensors::Dtype::F32 => Some(Self::F32),
            _ => None,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Bf16 | Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

/// A tensor seen as rows of its last dimension.
#[derive(Debug, Clone)]
pub(crate) struct Tensor<'a> {
    pub(super) file: &'a Arc<WeightsFile>,
    pub(super) bytes: Range<u64>,
    pub(super) dtype: Dtype,
    pub(super) width: usize,
}

impl Tensor<'_> {
    fn values(&self) -> usize {
        (self.bytes.end - self.bytes.start) as usize / self.dtype.bytes()
    }

    /// Rows that it has.
    pub(crate) fn rows(&self) -> usize {
        self.values() / self.width
    }

    /// Fills `out` with whole rows, which must be there, from row `first` on.
    ///
    /// # Errors
    /// [`LoadError::Read`] when the file cannot be read any more.
    pub(crate) fn read_rows(&self, first: usize, out: &mut [f32]) -> Result<(), LoadError> {
        let size = self.dtype.bytes();
        let mut data = vec![0; out.len() * size];
        let offset = self.bytes.start + (first * self.width * size) as u64;
        self.file.read_tensor(offset, &mut data)?;
        match self.dtype {
            Dtype::Bf16 => fill(out, &data, |b: [u8; 2]| bf16::to_f32(u16::from_le_bytes(b))),
            Dtype::F16 => fill(out, &data, |b: [u8; 2]| from_f16(u16::from_le_bytes(b))),
            Dtype::F32 => fill(out, &data, f32::from_le_bytes),
        }
        Ok(())
    }

    /// The whole tensor.
    ///
    /// # Errors
    /// As `read_rows`.
    pub(crate) fn read(&self) -> Result<Vec<f32>, LoadError> {
        let mut out = vec![0.0; self.values()];
        self.read_rows(0, &mut out)?;
        Ok(out)
    }

    /// The same tensor for as long as somebody needs it.
    pub(crate) fn keep(&self) -> Table {
        let Self { file, bytes, dtype, width } = self.clone();
        Table { file: Arc::clone(file), bytes, dtype, width }
    }
}

/// A tensor of which single rows are read when they are needed; its file stays open.
#[derive(Debug)]
pub(crate) struct Table {
    file: Arc<WeightsFile>,
    bytes: Range<u64>,
    dtype: Dtype,
    width: usize,
}

impl Table {
    /// Fills `out` with a row, which must be there.
    ///
    /// # Errors
    /// As [`Tensor::read_rows`].
    pub(crate) fn read_row(&self, row: usize, out: &mut [f32]) -> Result<(), LoadError> {
        let Self { file, bytes, dtype, width } = self;
        let tensor = Tensor { file, bytes: bytes.clone(), dtype: *dtype, width: *width };
        tensor.read_rows(row, out)
    }
}

fn fill<const N: usize>(out: &mut [f32], data: &[u8], convert: impl Fn([u8; N]) -> f32) {
    let (elements, _) = data.as_chunks::<N>();
    for (value, bytes) in out.iter_mut().zip(elements) {
        *value = convert(*bytes);
    }
}

/// IEEE half precision to single, subnormal numbers included.
fn from_f16(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let exponent = u32::from(half >> 10 & 0x1f);
    let mantissa = u32::from(half & 0x3ff);
    let magnitude = match exponent {
        // mantissa · 2^-24, exact in f32.
        0 => (mantissa as f32 * f32::from_bits(0x3380_0000)).to_bits(),
        31 => 0x7f80_0000 | mantissa << 13,
        _ => (exponent + 112) << 23 | mantissa << 13,
    };
    f32::from_bits(sign | magnitude)
}

#[cfg(test)]
mod tests {
    use super::from_f16;

    #[test]
    fn halves_of_every_kind_become_the_same_number() {
        for (half, expected) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_95),
            (0x7bff, 65_504.0),
            (0x0001, 5.960_464_5e-8),
            (0x0400, 6.103_515_6e-5),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(from_f16(half), expected, "{half:#06x}");
        }
        assert!(from_f16(0x7e00).is_nan());
    }
}
