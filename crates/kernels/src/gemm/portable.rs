//! The product in plain Rust: what every other path is checked against.

use crate::{
    bf16,
    format::WeightFormat,
    gemm::Panel,
    linear::{INT4_GROUP, INT4_TILES, INT8_TRAILER, bf16_at, f32_at, int4},
    tile::{self, COLUMNS, STRIP},
};

/// Computes a panel, `[rows][32]`.
pub(super) fn panel(panel: &Panel<'_>, results: &mut [f32]) {
    for (row, result) in results.chunks_exact_mut(STRIP).enumerate() {
        match panel.format {
            WeightFormat::Bf16 => row_bf16(panel, panel.row + row, result),
            WeightFormat::Int8 | WeightFormat::W8a8 => row_int8(panel, panel.row + row, result),
            WeightFormat::Int4 => row_int4(panel, panel.row + row, result),
        }
    }
}

/// One row of a bf16 A tile times a B tile, added to 16 sums.
#[inline(always)]
pub(crate) fn dot_bf16(line: &[u8], tile: &[u8], sums: &mut [f32]) {
    for (pair, weights) in line.chunks_exact(4).zip(tile.chunks_exact(tile::ROW_BYTES)) {
        let even = bf16::to_f32(u16::from_le_bytes([pair[0], pair[1]]));
        let odd = bf16::to_f32(u16::from_le_bytes([pair[2], pair[3]]));
        for (sum, weight) in sums.iter_mut().zip(weights.chunks_exact(4)) {
            let first = bf16::to_f32(u16::from_le_bytes([weight[0], weight[1]]));
            let second = bf16::to_f32(u16::from_le_bytes([weight[2], weight[3]]));
            *sum += even * first + odd * second;
        }
    }
}

/// One row of an int8 A tile times a B tile, added to 16 sums.
#[inline(always)]
fn dot_int8(line: &[u8], tile: &[u8], sums: &mut [i32]) {
    for (quad, weights) in line.chunks_exact(4).zip(tile.chunks_exact(tile::ROW_BYTES)) {
        for (sum, weight) in sums.iter_mut().zip(weights.chunks_exact(4)) {
            for (&x, &weight) in quad.iter().zip(weight) {
                *sum += i32::from(x as i8) * i32::from(weight as i8);
            }
        }
    }
}

/// The line of a row at an inner step.
#[inline(always)]
pub(crate) fn line(plane: &[u8], row: usize, step: usize, depth_tiles: usize) -> &[u8] {
    &plane[tile::a_offset(row, step * tile::ROW_BYTES, depth_tiles)..][..tile::ROW_BYTES]
}

#[inline(always)]
fn row_bf16(panel: &Panel<'_>, row: usize, result: &mut [f32]) {
    result.fill(0.0);
    for (step, tiles) in panel.weights.chunks_exact(2 * tile::BYTES).enumerate() {
        let line = line(panel.x.high, row, step, panel.x.depth_tiles);
        for (tile, sums) in tiles.chunks_exact(tile::BYTES).zip(result.chunks_exact_mut(COLUMNS)) {
            dot_bf16(line, tile, sums);
        }
    }
}

#[inline(always)]
fn row_int8(panel: &Panel<'_>, row: usize, result: &mut [f32]) {
    let (tiles, trailer) = panel.weights.split_at(panel.weights.len() - INT8_TRAILER);
    let mut high = [0i32; STRIP];
    let mut low = [0i32; STRIP];
    for (step, tiles) in tiles.chunks_exact(2 * tile::BYTES).enumerate() {
        for (half, tile) in tiles.chunks_exact(tile::BYTES).enumerate() {
            let columns = half * COLUMNS..(half + 1) * COLUMNS;
            let x = line(panel.x.high, row, step, panel.x.depth_tiles);
            dot_int8(x, tile, &mut high[columns.clone()]);
            if panel.format == WeightFormat::Int8 {
                let x = line(panel.x.low, row, step, panel.x.depth_tiles);
                dot_int8(x, tile, &mut low[columns]);
            }
        }
    }
    let scale = panel.x.scales[row];
    for (column, result) in result.iter_mut().enumerate() {
        *result =
            joined(panel.format, high[column], low[column]) * (f32_at(trailer, 4 * column) * scale);
    }
}

/// The sum that two digits' sums stand for.
#[inline(always)]
pub(super) fn joined(format: WeightFormat, high: i32, low: i32) -> f32 {
    if format == WeightFormat::W8a8 { high as f32 } else { 256.0 * high as f32 + low as f32 }
}

#[inline(always)]
fn row_int4(panel: &Panel<'_>, row: usize, result: &mut [f32]) {
    result.fill(0.0);
    for (step, group) in panel.weights.chunks_exact(INT4_GROUP).enumerate() {
        let high = line(panel.x.high, row, step, panel.x.depth_tiles);
        let low = line(panel.x.low, row, step, panel.x.depth_tiles);
        for (column, result) in result.iter_mut().enumerate() {
            let mut sum = 0i32;
            for inner in 0..tile::DEPTH_INT8 {
                let x = i32::from(high[inner] as i8) * 256 + i32::from(low[inner] as i8);
                sum += x * i32::from(int4(group, inner, column));
            }
            *result += sum as f32 * bf16_at(group, INT4_TILES + 2 * column);
        }
    }
    let scale = panel.x.scales[row];
    for result in result {
        *result *= scale;
    }
}
