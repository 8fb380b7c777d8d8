//! Weights of a linear layer, packed once into tiles.

pub(crate) mod int8;
mod pack;

use crate::{
    Cpu,
    activations::SCALED_TILES,
    bf16,
    format::WeightFormat,
    memory::{Shared, Slab},
    tile,
};

/// The weights of `y = x Wᵀ`, strip by strip: everything that 32 outputs need is one sequential stream.
///
/// | format | a strip |
/// |---|---|
/// | bf16 | `[inputs / 32][2 tiles]` |
/// | int8 | `[inputs / 32]` groups of `[2 half tiles][64 multipliers]`, 32 f32 scales |
/// | w8a8 | `[inputs / 64][2 tiles]`, for every 512 inputs 32 f32 scales |
/// | int4 | `[inputs / 64]` groups of `[2 half tiles][32 bf16 scales]` |
///
/// Outputs and inputs are padded with zeros to whole tiles.
#[derive(Debug)]
pub struct Linear {
    format: WeightFormat,
    outputs: usize,
    inputs: usize,
    data: Slab,
}

/// Packed bytes do not have the length that their shape needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{outputs} x {inputs} weights as {format} take {expected} bytes, not {actual}")]
pub struct PackedLengthError {
    format: WeightFormat,
    outputs: usize,
    inputs: usize,
    expected: usize,
    actual: usize,
}

/// Bytes of the scales of 512 inputs of a w8a8 strip.
pub(crate) const W8A8_SCALES: usize = tile::STRIP * 4;
/// Bytes of the two half tiles of an int4 group.
pub(crate) const INT4_TILES: usize = tile::BYTES;
/// Bytes of an int4 group: 64 inputs of 32 outputs, and their scales.
pub(crate) const INT4_GROUP: usize = INT4_TILES + tile::STRIP * 2;

pub(crate) const fn strip_bytes(format: WeightFormat, inputs: usize) -> usize {
    let depth_tiles = inputs.div_ceil(format.depth());
    match format {
        WeightFormat::Bf16 => depth_tiles * 2 * tile::BYTES,
        WeightFormat::Int8 => depth_tiles * int8::GROUP + int8::TRAILER,
        WeightFormat::W8a8 => {
            depth_tiles * 2 * tile::BYTES + depth_tiles.div_ceil(SCALED_TILES) * W8A8_SCALES
        }
        WeightFormat::Int4 => depth_tiles * INT4_GROUP,
    }
}

impl Linear {
    /// Bytes of packed weights.
    pub const fn packed_bytes(format: WeightFormat, outputs: usize, inputs: usize) -> usize {
        outputs.div_ceil(tile::STRIP) * strip_bytes(format, inputs)
    }

    /// Packs weights into `slab`. `row(output, values)` writes the `inputs` weights of one output; it is
    /// called from all threads, once per output. It must not use the same `Cpu`, whose threads are at this work: it
    /// would wait for itself.
    ///
    /// # Errors
    /// [`PackedLengthError`] unless `slab` has `packed_bytes`.
    pub fn pack(
        cpu: &Cpu,
        format: WeightFormat,
        (outputs, inputs): (usize, usize),
        slab: Slab,
        row: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Result<Self, PackedLengthError> {
        let mut packed = Self::load(format, (outputs, inputs), slab)?;
        let bytes = strip_bytes(format, inputs);
        let strips = Shared::new(&mut packed.data[..]);
        cpu.pool.run(outputs.div_ceil(tile::STRIP), |worker| {
            let depth = inputs.next_multiple_of(format.depth());
            let mut values = vec![0.0; tile::STRIP * depth];
            while let Some(strip) = worker.next() {
                for (column, values) in values.chunks_exact_mut(depth).enumerate() {
                    let output = strip * tile::STRIP + column;
                    if output < outputs {
                        row(output, &mut values[..inputs]);
                    } else {
                        values.fill(0.0);
                    }
                }
                // SAFETY: each strip is one unit.
                let to = unsafe { strips.part(strip * bytes, bytes) };
                pack::strip(cpu.isa, format, &values, to);
            }
        });
        Ok(packed)
    }

    /// Packs the two halves of a gated layer so that each strip holds 16 outputs of both, as
    /// [`Output::SwiGlu`](crate::Output::SwiGlu) wants them. The result has twice `outputs`, rounded up to
    /// whole strips: reserve `packed_bytes` of [`gated_outputs`](Self::gated_outputs).
    ///
    /// # Errors
    /// As `pack`.
    pub fn pack_gated(
        cpu: &Cpu,
        format: WeightFormat,
        (outputs, inputs): (usize, usize),
        slab: Slab,
        gate: impl Fn(usize, &mut [f32]) + Sync,
        up: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Result<Self, PackedLengthError> {
        let both = Self::gated_outputs(outputs);
        Self::pack(cpu, format, (both, inputs), slab, |row, values| {
            let (strip, column) = (row / tile::STRIP, row % tile::STRIP);
            let output = strip * tile::COLUMNS + column % tile::COLUMNS;
            if output >= outputs {
                values.fill(0.0);
            } else if column < tile::COLUMNS {
                gate(output, values);
            } else {
                up(output, values);
            }
        })
    }

    /// Outputs of a gated layer whose halves have `outputs` each.
    pub const fn gated_outputs(outputs: usize) -> usize {
        outputs.div_ceil(tile::COLUMNS) * tile::STRIP
    }

    /// Takes weights that were packed before; the bytes are those of [`bytes`](Self::bytes).
    ///
    /// # Errors
    /// [`PackedLengthError`].
    pub fn load(
        format: WeightFormat,
        (outputs, inputs): (usize, usize),
        slab: Slab,
    ) -> Result<Self, PackedLengthError> {
        let expected = Self::packed_bytes(format, outputs, inputs);
        if slab.len() == expected {
            return Ok(Self { format, outputs, inputs, data: slab });
        }
        Err(PackedLengthError { format, outputs, inputs, expected, actual: slab.len() })
    }

    /// The packed bytes, to be kept in a file.
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// How the weights are stored.
    pub fn format(&self) -> WeightFormat {
        self.format
    }

    /// Values that it gives.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Values that it takes.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    pub(crate) fn strips(&self) -> usize {
        self.outputs.div_ceil(tile::STRIP)
    }

    pub(crate) fn strip(&self, index: usize) -> &[u8] {
        let bytes = strip_bytes(self.format, self.inputs);
        &self.data[index * bytes..(index + 1) * bytes]
    }

    /// The weights of one output, as far as the format kept them: an embedding, if the layer is a table.
    ///
    /// # Panics
    /// Beyond the outputs, or if `to` is not as long as the inputs.
    pub fn row(&self, output: usize, to: &mut [f32]) {
        assert!(output < self.outputs && to.len() == self.inputs, "no such row, or another length");
        let strip = self.strip(output / tile::STRIP);
        let column = output % tile::STRIP;
        let (half, lane) = (column / tile::COLUMNS, column % tile::COLUMNS);
        match self.format {
            WeightFormat::Bf16 => {
                for (inner, to) in to.iter_mut().enumerate() {
                    let tile = (inner / tile::DEPTH_BF16 * 2 + half) * tile::BYTES;
                    let at = tile + 2 * tile::b_index_bf16(inner % tile::DEPTH_BF16, lane);
                    *to = bf16::to_f32(u16::from_le_bytes([strip[at], strip[at + 1]]));
                }
            }
            WeightFormat::Int8 => {
                let (groups, scales) = strip.split_at(strip.len() - int8::TRAILER);
                for (inner, to) in to.iter_mut().enumerate() {
                    let group = &groups[inner / tile::DEPTH_BF16 * int8::GROUP..][..int8::GROUP];
                    *to = int8::weight(group, inner % tile::DEPTH_BF16, column, scales);
                }
            }
            WeightFormat::W8a8 => {
                let tiles = self.inputs.div_ceil(tile::DEPTH_INT8);
                let scales = &strip[tiles * 2 * tile::BYTES..];
                for (inner, to) in to.iter_mut().enumerate() {
                    let step = inner / tile::DEPTH_INT8;
                    let tile = (step * 2 + half) * tile::BYTES;
                    let at = tile + tile::b_index_int8(inner % tile::DEPTH_INT8, lane);
                    let scale = f32_at(scales, step / SCALED_TILES * W8A8_SCALES + 4 * column);
                    *to = f32::from(strip[at] as i8) * scale;
                }
            }
            WeightFormat::Int4 => {
                for (inner, to) in to.iter_mut().enumerate() {
                    let group = &strip[inner / tile::DEPTH_INT8 * INT4_GROUP..][..INT4_GROUP];
                    let scale = bf16_at(group, INT4_TILES + 2 * column);
                    *to = f32::from(int4(group, inner % tile::DEPTH_INT8, column)) * scale;
                }
            }
        }
    }
}

/// A 4-bit weight of a group. A byte holds two rows of an int8 tile: the even one in its low bits, as
/// `weight + 8`.
#[inline(always)]
pub(crate) fn int4(group: &[u8], inner: usize, column: usize) -> i8 {
    let at = tile::b_index_int8(inner, column % tile::COLUMNS);
    let (row, within) = (at / tile::ROW_BYTES, at % tile::ROW_BYTES);
    let half = column / tile::COLUMNS * (tile::BYTES / 2);
    let byte = group[half + row / 2 * tile::ROW_BYTES + within];
    (byte >> (row % 2 * 4) & 15) as i8 - 8
}

#[inline(always)]
pub(crate) fn f32_at(bytes: &[u8], at: usize) -> f32 {
    f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[inline(always)]
pub(crate) fn bf16_at(bytes: &[u8], at: usize) -> f32 {
    bf16::to_f32(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}
