//! The product in plain Rust: what every other path is checked against.

use crate::{
    activations::SCALED_TILES,
    bf16,
    format::WeightFormat,
    gemm::Panel,
    linear::{INT4_GROUP, INT4_TILES, W8A8_SCALES, bf16_at, f32_at, int4},
    tile::{self, COLUMNS, STRIP},
};

/// Adds the product of a panel's steps to `[rows][32]`.
pub(super) fn panel(panel: &Panel<'_>, results: &mut [f32]) {
    for (row, result) in results.chunks_exact_mut(STRIP).enumerate() {
        match panel.format {
            // Int8 comes expanded to bf16.
            WeightFormat::Bf16 | WeightFormat::Int8 => row_bf16(panel, panel.row + row, result),
            WeightFormat::W8a8 => row_w8a8(panel, panel.row + row, result),
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

fn row_bf16(panel: &Panel<'_>, row: usize, result: &mut [f32]) {
    if panel.step == 0 {
        result.fill(0.0);
    }
    for (step, tiles) in panel.weights.chunks_exact(2 * tile::BYTES).enumerate() {
        let line = line(panel.x.high, row, panel.step + step, panel.x.depth_tiles);
        for (tile, sums) in tiles.chunks_exact(tile::BYTES).zip(result.chunks_exact_mut(COLUMNS)) {
            dot_bf16(line, tile, sums);
        }
    }
}

fn row_w8a8(panel: &Panel<'_>, row: usize, result: &mut [f32]) {
    let (tiles, scales) = panel.w8a8();
    result.fill(0.0);
    for (part, tiles) in tiles.chunks(SCALED_TILES * 2 * tile::BYTES).enumerate() {
        let mut sums = [0i32; STRIP];
        for (step, tiles) in tiles.chunks_exact(2 * tile::BYTES).enumerate() {
            let line = line(panel.x.high, row, part * SCALED_TILES + step, panel.x.depth_tiles);
            for (tile, sums) in tiles.chunks_exact(tile::BYTES).zip(sums.chunks_exact_mut(COLUMNS))
            {
                dot_int8(line, tile, sums);
            }
        }
        let (of_row, of_columns) = (panel.x.scale(row, part), &scales[part * W8A8_SCALES..]);
        for (column, (result, sum)) in result.iter_mut().zip(sums).enumerate() {
            *result += sum as f32 * of_row * f32_at(of_columns, 4 * column);
        }
    }
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
    let scale = panel.x.scale(row, 0);
    for result in result {
        *result *= scale;
    }
}
