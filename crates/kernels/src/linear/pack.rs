//! From 32 rows of f32 to the tiles of a strip.

use crate::{
    bf16,
    format::WeightFormat,
    isa::{Isa, multiversion},
    lanes,
    linear::{INT4_GROUP, INT4_TILES, INT8_TRAILER},
    tile,
};

/// Packs `values`, `[32 outputs][inputs, padded to whole tiles]`.
pub(super) fn strip(isa: Isa, format: WeightFormat, values: &[f32], to: &mut [u8]) {
    match format {
        WeightFormat::Bf16 => pack_bf16(isa, values, to),
        WeightFormat::Int8 | WeightFormat::W8a8 => pack_int8(isa, values, to),
        WeightFormat::Int4 => pack_int4(isa, values, to),
    }
}

multiversion! {
    fn pack_bf16(values: &[f32], to: &mut [u8]) {
        let depth = values.len() / tile::STRIP;
        for (line, to) in to.chunks_exact_mut(tile::ROW_BYTES).enumerate() {
            let (pair, half) = (line / (2 * tile::ROWS) * tile::ROWS + line % tile::ROWS, line / tile::ROWS % 2);
            for (column, to) in to.chunks_exact_mut(4).enumerate() {
                let from = &values[(half * tile::COLUMNS + column) * depth + 2 * pair..][..2];
                let (even, odd) = (bf16::from_f32(from[0]), bf16::from_f32(from[1]));
                to.copy_from_slice(&(u32::from(even) | u32::from(odd) << 16).to_le_bytes());
            }
        }
    }
}

multiversion! {
    fn pack_int8(values: &[f32], to: &mut [u8]) {
        let depth = values.len() / tile::STRIP;
        let tiles = to.len() - INT8_TRAILER;
        for (column, values) in values.chunks_exact(depth).enumerate() {
            let max = lanes::abs_max(values);
            let inverse = if max > 0.0 { 127.0 / max } else { 0.0 };
            let (half, lane) = (column / tile::COLUMNS, column % tile::COLUMNS);
            let mut sum = 0i32;
            for (quad, values) in values.chunks_exact(4).enumerate() {
                let row = (quad / tile::ROWS * 2 + half) * tile::ROWS + quad % tile::ROWS;
                for (to, &value) in to[row * tile::ROW_BYTES + lane * 4..][..4].iter_mut().zip(values) {
                    let weight = lanes::round(value * inverse);
                    sum += weight;
                    *to = weight as u8;
                }
            }
            to[tiles + 4 * column..][..4].copy_from_slice(&(max / 127.0).to_le_bytes());
            to[tiles + INT8_TRAILER / 2 + 4 * column..][..4].copy_from_slice(&sum.to_le_bytes());
        }
    }
}

/// Scales that are tried for a group of 4-bit weights, relative to the one that spans its values.
const SHRINKS: [f32; 6] = [1.0, 0.95, 0.9, 0.85, 0.8, 0.75];

/// The scale, exact in bf16, that loses least of a group's energy.
#[inline(always)]
fn int4_scale(values: &[f32]) -> f32 {
    // -8 has no counterpart, so the value that is largest in size takes it.
    let (low, high) = (-lanes::max_of(values, |x| -x), lanes::max_of(values, |x| x));
    let extreme = if -low >= high { low } else { high };
    let mut best = (f32::INFINITY, 0.0);
    for shrink in SHRINKS {
        let scale = bf16::to_f32(bf16::from_f32(extreme * shrink / -8.0));
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        let mut errors = [0.0f32; lanes::LANES];
        for chunk in values.chunks_exact(lanes::LANES) {
            for (error, &value) in errors.iter_mut().zip(chunk) {
                let lost = value - quantised_int4(value * inverse) as f32 * scale;
                *error += lost * lost;
            }
        }
        let error = lanes::sum(&errors);
        if error < best.0 {
            best = (error, scale);
        }
    }
    best.1
}

#[inline(always)]
fn quantised_int4(value: f32) -> i32 {
    lanes::round(value.clamp(-8.0, 7.0))
}

multiversion! {
    fn pack_int4(values: &[f32], to: &mut [u8]) {
        let depth = values.len() / tile::STRIP;
        to.fill(0);
        for (column, values) in values.chunks_exact(depth).enumerate() {
            let groups = values.chunks_exact(tile::DEPTH_INT8).zip(to.chunks_exact_mut(INT4_GROUP));
            for (values, to) in groups {
                let scale = int4_scale(values);
                let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
                let half = column / tile::COLUMNS * (tile::BYTES / 2);
                for (inner, &value) in values.iter().enumerate() {
                    let at = tile::b_index_int8(inner, column % tile::COLUMNS);
                    let (row, within) = (at / tile::ROW_BYTES, at % tile::ROW_BYTES);
                    let nibble = (quantised_int4(value * inverse) + 8) as u8;
                    to[half + row / 2 * tile::ROW_BYTES + within] |= nibble << (row % 2 * 4);
                }
                let scale = bf16::from_f32(scale).to_le_bytes();
                to[INT4_TILES + 2 * column..][..2].copy_from_slice(&scale);
            }
        }
    }
}
