//! From 32 rows of f32 to the tiles of a strip.

use crate::{
    activations::SCALED_TILES,
    bf16,
    format::WeightFormat,
    isa::{Isa, multiversion},
    lanes,
    linear::{INT4_GROUP, INT4_TILES, W8A8_SCALES, int8},
    tile,
};

/// Packs `values`, `[32 outputs][inputs, padded to whole tiles]`.
pub(super) fn strip(isa: Isa, format: WeightFormat, values: &[f32], to: &mut [u8]) {
    match format {
        WeightFormat::Bf16 => pack_bf16(isa, values, to),
        WeightFormat::Int8 => pack_int8(isa, values, to),
        WeightFormat::W8a8 => pack_w8a8(isa, values, to),
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

/// What a scale makes of a value that was quantised with it.
trait Grid {
    /// Scales that are tried for values of which the first is the largest in size.
    fn scales(largest: f32) -> impl Iterator<Item = f32>;
    /// The integer that stands for a value; `inverse` is that of the scale.
    fn quantised(value: f32, inverse: f32) -> i32;
    /// The value that it stands for.
    fn restored(integer: i32, scale: f32) -> f32;
}

/// Integers of 8 bits whose scale is a small integer, restored as bf16.
struct Int8;
/// Integers of 8 bits with an f32 scale.
struct W8a8;
/// Integers of 4 bits with a bf16 scale.
struct Int4;

impl Grid for Int8 {
    #[inline(always)]
    fn scales(largest: f32) -> impl Iterator<Item = f32> {
        // From the least multiplier with which the largest value is not cut off, one after another. What is rounded
        // well with one is rounded badly with the next: of half a dozen, the best loses a quarter less.
        let first = (largest.abs() / 127.5).ceil().max(1.0);
        (0..6).map(move |step| (first + step as f32).min(int8::MULTIPLIER_MAX))
    }

    #[inline(always)]
    fn quantised(value: f32, inverse: f32) -> i32 {
        lanes::round((value * inverse).clamp(-128.0, 127.0))
    }

    #[inline(always)]
    fn restored(integer: i32, scale: f32) -> f32 {
        int8::rounded(integer as f32 * scale)
    }
}

impl Grid for W8a8 {
    #[inline(always)]
    fn scales(largest: f32) -> impl Iterator<Item = f32> {
        (0..8).map(move |step| largest.abs() / 127.5 * (1.0 + step as f32 / 256.0))
    }

    #[inline(always)]
    fn quantised(value: f32, inverse: f32) -> i32 {
        lanes::round((value * inverse).clamp(-127.0, 127.0))
    }

    #[inline(always)]
    fn restored(integer: i32, scale: f32) -> f32 {
        integer as f32 * scale
    }
}

impl Grid for Int4 {
    #[inline(always)]
    fn scales(largest: f32) -> impl Iterator<Item = f32> {
        // -8 has no counterpart, so the value that is largest in size takes it.
        [1.0, 0.95, 0.9, 0.85, 0.8, 0.75]
            .into_iter()
            .map(move |shrink: f32| bf16::rounded(largest * shrink / -8.0))
    }

    #[inline(always)]
    fn quantised(value: f32, inverse: f32) -> i32 {
        lanes::round((value * inverse).clamp(-8.0, 7.0))
    }

    #[inline(always)]
    fn restored(integer: i32, scale: f32) -> f32 {
        integer as f32 * scale
    }
}

/// The scale that loses least of the energy of `values`, and its inverse. No number where a value is none, so
/// that damaged weights are found out; zero where all are next to nothing.
#[inline(always)]
fn best_scale<G: Grid>(values: &[f32]) -> (f32, f32) {
    let (low, high) = (-lanes::max_of(values, |x| -x), lanes::max_of(values, |x| x));
    let largest = if -low >= high { low } else { high };
    let mut best = (f32::INFINITY, f32::NAN);
    for scale in G::scales(largest) {
        // What is less has no inverse, and processors that multiply tiles take it for zero.
        let scale = if scale.abs() < f32::MIN_POSITIVE { 0.0 } else { scale };
        let inverse = inverse_of(scale);
        let mut errors = [0.0f32; lanes::LANES];
        for chunk in values.chunks_exact(lanes::LANES) {
            for (error, &value) in errors.iter_mut().zip(chunk) {
                let lost = value - G::restored(G::quantised(value, inverse), scale);
                *error += lost * lost;
            }
        }
        let error = lanes::sum(&errors);
        if error < best.0 {
            best = (error, scale);
        }
    }
    (best.1, inverse_of(best.1))
}

#[inline(always)]
fn inverse_of(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

/// Of the group of an output whose values are largest: there is room above it for multipliers to be tried.
const LARGEST_MULTIPLIER: f32 = 116.0;

multiversion! {
    fn pack_int8(values: &[f32], to: &mut [u8]) {
        let depth = values.len() / tile::STRIP;
        let (to, scales) = to.split_at_mut(to.len() - int8::TRAILER);
        for (column, values) in values.chunks_exact(depth).enumerate() {
            let unit = lanes::abs_max(values) / (127.5 * LARGEST_MULTIPLIER);
            let unit = if unit < f32::MIN_POSITIVE { 0.0 } else { unit };
            let mut scale = unit / int8::UNIT;
            let groups = values.chunks_exact(tile::DEPTH_BF16).zip(to.chunks_exact_mut(int8::GROUP));
            for (values, to) in groups {
                for (part, values) in values.chunks_exact(int8::SHARED).enumerate() {
                    let mut in_units = [0.0; int8::SHARED];
                    for (to, value) in in_units.iter_mut().zip(values) {
                        *to = value * inverse_of(unit);
                    }
                    let (multiplier, inverse) = best_scale::<Int8>(&in_units);
                    // No number where a value is none.
                    scale += 0.0 * multiplier;
                    let first = part * int8::SHARED;
                    to[int8::multiplier_at(first, column)] = multiplier as u8;
                    for (inner, value) in (first..).zip(in_units) {
                        let byte = Int8::quantised(value, inverse).wrapping_add(int8::ZERO) as u8;
                        to[int8::byte_at(inner, column)] = byte;
                    }
                }
            }
            scales[4 * column..][..4].copy_from_slice(&scale.to_le_bytes());
        }
    }
}

multiversion! {
    fn pack_w8a8(values: &[f32], to: &mut [u8]) {
        let depth = values.len() / tile::STRIP;
        let (to, scales) = to.split_at_mut(tile::STRIP * depth);
        for (column, values) in values.chunks_exact(depth).enumerate() {
            let (half, lane) = (column / tile::COLUMNS, column % tile::COLUMNS);
            for (part, values) in values.chunks(SCALED_TILES * tile::DEPTH_INT8).enumerate() {
                let (scale, inverse) = best_scale::<W8a8>(values);
                for (quad, values) in (part * SCALED_TILES * tile::ROWS..).zip(values.chunks_exact(4)) {
                    let row = (quad / tile::ROWS * 2 + half) * tile::ROWS + quad % tile::ROWS;
                    let to = &mut to[row * tile::ROW_BYTES + lane * 4..][..4];
                    for (to, &value) in to.iter_mut().zip(values) {
                        *to = W8a8::quantised(value, inverse) as u8;
                    }
                }
                let at = part * W8A8_SCALES + 4 * column;
                scales[at..at + 4].copy_from_slice(&scale.to_le_bytes());
            }
        }
    }
}

multiversion! {
    fn pack_int4(values: &[f32], to: &mut [u8]) {
        let depth = values.len() / tile::STRIP;
        to.fill(0);
        for (column, values) in values.chunks_exact(depth).enumerate() {
            let groups = values.chunks_exact(tile::DEPTH_INT8).zip(to.chunks_exact_mut(INT4_GROUP));
            for (values, to) in groups {
                let (scale, inverse) = best_scale::<Int4>(values);
                let half = column / tile::COLUMNS * (tile::BYTES / 2);
                for (inner, &value) in values.iter().enumerate() {
                    let at = tile::b_index_int8(inner, column % tile::COLUMNS);
                    let (row, within) = (at / tile::ROW_BYTES, at % tile::ROW_BYTES);
                    let nibble = (Int4::quantised(value, inverse) + 8) as u8;
                    to[half + row / 2 * tile::ROW_BYTES + within] |= nibble << (row % 2 * 4);
                }
                let scale = bf16::from_f32(scale).to_le_bytes();
                to[INT4_TILES + 2 * column..][..2].copy_from_slice(&scale);
            }
        }
    }
}
