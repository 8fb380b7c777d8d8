//! Weights of 8 bits: a byte each, a multiplier for 16 of them, a scale for all of an output.
//!
//! A weight is `(byte - 128) * multiplier`, rounded to bf16, times the scale. Bytes and multipliers are small
//! integers, so that a processor gets from 64 bytes to the tiles that it multiplies in ten instructions; and a
//! multiplier of 8 bits for every 16 inputs takes no more room than a scale of 16 bits for every 32.

use crate::{bf16, linear::f32_at, tile};

/// Bytes of the two half tiles of a group. A line of them has the bytes of two rows of a bf16 tile in turns.
pub(crate) const TILES: usize = tile::BYTES;
/// Inputs that share a multiplier.
pub(crate) const SHARED: usize = 16;
/// Bytes of a group, 32 inputs of 32 outputs: `[2 half tiles][2 halves][2 times 16 inputs][16 multipliers]`.
pub(crate) const GROUP: usize = TILES + 2 * tile::STRIP;
/// Bytes of the scales after the groups of a strip.
pub(crate) const TRAILER: usize = tile::STRIP * 4;

/// What the byte of a weight is above it.
pub(crate) const ZERO: i32 = 128;
/// The largest multiplier: with it, half precision has room for what is needed on the way.
pub(crate) const MULTIPLIER_MAX: f32 = 127.0;
/// The unit of products: they come out of half precision with an exponent that is less by 16, and there four
/// units are one.
pub(crate) const UNIT: f32 = 1.0 / (1 << 18) as f32;
/// The bf16 for zero: so little that it adds nothing to any sum of others.
const NOTHING: u16 = 0x3000;

/// Where the byte of a weight lies in its group.
#[inline(always)]
pub(crate) const fn byte_at(inner: usize, column: usize) -> usize {
    let (row, lane) = (inner / 2, column % tile::COLUMNS);
    let half = column / tile::COLUMNS * (TILES / 2);
    half + row / 2 * tile::ROW_BYTES + (2 * lane + inner % 2) * 2 + row % 2
}

/// Where its multiplier lies.
#[inline(always)]
pub(crate) const fn multiplier_at(inner: usize, column: usize) -> usize {
    let half = column / tile::COLUMNS * tile::STRIP;
    TILES + half + inner / SHARED * tile::COLUMNS + column % tile::COLUMNS
}

/// A product as bf16, which is first rounded to the eleven bits of half precision (ties to even), and then to
/// the eight of bf16 (ties away from zero).
#[inline(always)]
pub(crate) fn rounded(product: f32) -> f32 {
    let bits = product.to_bits();
    f32::from_bits(bits.wrapping_add(0x8fff + (bits >> 13 & 1)) & 0xffff_0000)
}

/// The bits of a weight in a tile.
#[inline(always)]
pub(crate) fn bits(byte: u8, multiplier: u8) -> u16 {
    let product = (i32::from(byte) - ZERO) * i32::from(multiplier);
    let bits = (rounded(product as f32 * UNIT).to_bits() >> 16) as u16;
    if product == 0 { NOTHING } else { bits }
}

/// A weight of a strip, whose scales are `scales`.
pub(crate) fn weight(group: &[u8], inner: usize, column: usize, scales: &[u8]) -> f32 {
    let multiplier = group[multiplier_at(inner, column)];
    bf16::to_f32(bits(group[byte_at(inner, column)], multiplier)) * f32_at(scales, 4 * column)
}
