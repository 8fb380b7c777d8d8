//! The product with AMX tiles.

use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_prefetch, _mm256_loadu_si256, _mm512_add_epi32, _mm512_add_ps,
    _mm512_castsi512_ps, _mm512_cvtepi32_ps, _mm512_cvtepu16_epi32, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_mul_ps, _mm512_permutexvar_epi8, _mm512_set1_ps, _mm512_slli_epi32,
    _mm512_srli_epi16, _mm512_storeu_ps, _mm512_storeu_si512,
};

use crate::{
    activations::SCALED_TILES,
    amx::{
        Configured,
        blocks::{self, Operands},
    },
    format::WeightFormat,
    gemm::{Done, EXPANDED_BYTES, EXPANDED_STEPS, Panel, SUMS, WORK, expand},
    linear::{INT4_GROUP, INT4_TILES, INT8_GROUP, W8A8_TRAILER},
    tile::{self, COLUMNS, STRIP},
};

/// Steps of the inner dimension that are taken at a time, so that a strip's weights of these steps stay
/// in the first-level cache while activations pass from the second.
const BLOCK_STEPS: usize = 8;
/// Rows of a wide block.
const BLOCK_ROWS: usize = 32;
/// Bytes between what is used and what is fetched from memory meanwhile.
const FAR: usize = 8 << 10;
/// Blocks of rows, up to which weights come no faster than memory gives them.
const STREAMING_BLOCKS: usize = 4;
/// Bytes of the next strip that a step of a wide block fetches.
const NEXT_STRIP_BYTES: usize = 128;

/// Sets this thread's tiles up for panels of `rows` rows.
pub(super) fn configure(rows: usize) -> Configured {
    // SAFETY: an `Isa::Amx` in use means that tiles are permitted.
    unsafe { Configured::new(rows) }
}

/// Computes a panel and hands its rows on, `done(first, [rows][32])`, while they are in the first-level
/// cache. Tiles are configured for it.
///
/// # Safety
/// The processor has AMX and AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
pub(super) unsafe fn panel(panel: &Panel<'_>, work: &mut [f32], done: &mut Done<'_>) {
    assert!(work.len() >= WORK, "working space for a panel");
    let (sums, rest) = work.split_at_mut(SUMS);
    // SAFETY: the caller's promise; all working space is there.
    unsafe {
        match panel.format {
            WeightFormat::Int4 => int4(panel, sums, rest, done),
            WeightFormat::Int8 => int8(panel, sums, rest, done),
            WeightFormat::Bf16 | WeightFormat::W8a8 if panel.rows <= tile::ROWS => {
                narrow(panel, sums, rest);
                done(0, &mut sums[..panel.rows * STRIP]);
            }
            WeightFormat::Bf16 => wide_bf16(panel, sums, done),
            WeightFormat::W8a8 => wide_w8a8(panel, sums, rest, done),
        }
    }
}

/// Activations of a panel from step `step` on.
fn activations(panel: &Panel<'_>, plane: &[u8], row: usize, step: usize) -> *const u8 {
    let tiles = row / tile::ROWS * panel.x.depth_tiles + step;
    plane[tiles * tile::BYTES..].as_ptr()
}

/// Up to 16 rows: weights pass through only once, as fast as memory gives them.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn narrow(panel: &Panel<'_>, sums: &mut [f32], partial: &mut [f32]) {
    let whole = Operands {
        a: activations(panel, panel.x.high, panel.row, 0),
        a_stride: 0,
        b: panel.weights.as_ptr(),
        steps: panel.x.depth_tiles,
        c: sums.as_mut_ptr().cast(),
        first: true,
    };
    if panel.format == WeightFormat::Bf16 {
        // SAFETY: activations and weights have these steps, sums 16 rows.
        return unsafe { blocks::narrow_bf16(whole) };
    }
    let rows = &mut sums[..panel.rows * STRIP];
    for part in Part::all(panel) {
        let operands = Operands {
            a: whole.a.wrapping_add(part.step * tile::BYTES),
            b: whole.b.wrapping_add(part.step * 2 * tile::BYTES),
            steps: part.taken,
            c: partial.as_mut_ptr().cast(),
            ..whole
        };
        // SAFETY: as above, from the part's first step on; partial sums have 16 rows.
        unsafe {
            blocks::narrow_int8(operands);
            add_part(panel, &part, 0, partial, rows);
        }
    }
}

/// More rows of bf16: some steps at a time, and within them 32 rows at a time.
unsafe fn wide_bf16(panel: &Panel<'_>, sums: &mut [f32], done: &mut Done<'_>) {
    let steps = panel.x.depth_tiles;
    let count = panel.rows.div_ceil(BLOCK_ROWS);
    // Where weights pass through only once or twice, it is not worth while.
    let most = if count <= 2 { steps } else { BLOCK_STEPS };
    for step in (0..steps).step_by(most) {
        let taken = most.min(steps - step);
        for block in 0..count {
            let sums = &mut sums[block * BLOCK_ROWS * STRIP..];
            // SAFETY: activations and weights have these steps, sums a row for every row of every block.
            unsafe { block_of(panel, (step, taken, block, count), step == 0, sums) };
            if step + taken == steps {
                let rows = BLOCK_ROWS.min(panel.rows - block * BLOCK_ROWS);
                done(block * BLOCK_ROWS, &mut sums[..rows * STRIP]);
            }
        }
    }
}

/// As `wide_bf16`, for int8: what has a scale of its own is summed up by itself.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn wide_w8a8(panel: &Panel<'_>, sums: &mut [f32], partial: &mut [f32], done: &mut Done<'_>) {
    let count = panel.rows.div_ceil(BLOCK_ROWS);
    for part in Part::all(panel) {
        for block in 0..count {
            let first = block * BLOCK_ROWS;
            let rows = first * STRIP..(first + BLOCK_ROWS).min(panel.rows) * STRIP;
            let rows = &mut sums[rows];
            // SAFETY: activations and weights have these steps, partial sums 32 rows.
            unsafe {
                block_of(panel, (part.step, part.taken, block, count), true, partial);
                add_part(panel, &part, first, partial, rows);
            }
            if part.is_last {
                done(first, rows);
            }
        }
    }
}

/// Steps of int8 activations that have one scale per row.
struct Part {
    index: usize,
    step: usize,
    taken: usize,
    is_last: bool,
}

impl Part {
    /// All parts of a panel.
    fn all(panel: &Panel<'_>) -> impl Iterator<Item = Self> + use<> {
        let steps = panel.x.depth_tiles;
        (0..steps).step_by(SCALED_TILES).enumerate().map(move |(index, step)| Self {
            index,
            step,
            taken: SCALED_TILES.min(steps - step),
            is_last: step + SCALED_TILES >= steps,
        })
    }
}

/// 32 rows times some steps of the strip.
unsafe fn block_of(
    panel: &Panel<'_>,
    (step, taken, block, count): (usize, usize, usize, usize),
    first: bool,
    sums: &mut [f32],
) {
    let b = panel.weights[step * 2 * tile::BYTES..].as_ptr();
    let operands = Operands {
        a: activations(panel, panel.x.high, panel.row + block * BLOCK_ROWS, step),
        a_stride: panel.x.depth_tiles * tile::BYTES,
        b,
        steps: taken,
        c: sums.as_mut_ptr().cast(),
        first,
    };
    // With few rows memory is the limit, and the first of them fetches for all. With many, the next strip,
    // which lies behind this one, comes to the cache bit by bit.
    let is_streaming = count <= STREAMING_BLOCKS && block == 0;
    let ahead = b.wrapping_add(2 * tile::BYTES);
    let next = b.wrapping_add(panel.weights.len() + block * taken * NEXT_STRIP_BYTES);
    // SAFETY: the caller's promise.
    unsafe {
        match (panel.format, is_streaming) {
            (WeightFormat::Bf16, true) => blocks::streaming_bf16(operands, ahead),
            (WeightFormat::Bf16, false) => blocks::wide_bf16(operands, next),
            (_, true) => blocks::streaming_int8(operands, ahead),
            (_, false) => blocks::wide_int8(operands, next),
        }
    }
}

/// Adds integer sums of a part, times the scales of their rows, to `sums`, and with the last part multiplies
/// these with the scales of their columns. `first` is the first row, counted in the panel.
#[target_feature(enable = "avx512f")]
unsafe fn add_part(
    panel: &Panel<'_>,
    part: &Part,
    first: usize,
    partial: &[f32],
    sums: &mut [f32],
) {
    let trailer = &panel.weights[panel.weights.len() - W8A8_TRAILER..];
    // SAFETY: a trailer is 32 scales.
    let of_columns = unsafe { [scales(trailer, 0), scales(trailer, 1)] };
    let rows = sums.chunks_exact_mut(STRIP).zip(partial.chunks_exact(STRIP));
    for (row, (sums, partial)) in rows.enumerate() {
        let of_row = _mm512_set1_ps(panel.x.scale(panel.row + first + row, part.index));
        let halves = sums.chunks_exact_mut(COLUMNS).zip(partial.chunks_exact(COLUMNS));
        for ((sums, partial), of_columns) in halves.zip(of_columns) {
            // SAFETY: sixteen values of four bytes each.
            unsafe {
                let sum = _mm512_cvtepi32_ps(_mm512_loadu_si512(partial.as_ptr().cast()));
                let mut value = _mm512_mul_ps(sum, of_row);
                if part.index > 0 {
                    value = _mm512_add_ps(_mm512_loadu_ps(sums.as_ptr()), value);
                }
                if part.is_last {
                    value = _mm512_mul_ps(value, of_columns);
                }
                _mm512_storeu_ps(sums.as_mut_ptr(), value);
            }
        }
    }
}

/// Reads sixteen scales.
#[target_feature(enable = "avx512f")]
unsafe fn scales(trailer: &[u8], half: usize) -> std::arch::x86_64::__m512 {
    let scales = &trailer[half * COLUMNS * 4..][..COLUMNS * 4];
    // SAFETY: sixteen f32.
    unsafe { _mm512_loadu_ps(scales.as_ptr().cast()) }
}

/// 8-bit weights: expanded to bf16 tiles in the cache, which then meet all rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn int8(panel: &Panel<'_>, sums: &mut [f32], work: &mut [f32], done: &mut Done<'_>) {
    let expanded = crate::memory::bytes_of(&mut work[..EXPANDED_BYTES / 4]);
    let count = panel.rows.div_ceil(BLOCK_ROWS);
    let parts = panel.weights.chunks(EXPANDED_STEPS * INT8_GROUP);
    let last = parts.len() - 1;
    for (index, groups) in parts.enumerate() {
        let (step, taken) = (index * EXPANDED_STEPS, groups.len() / INT8_GROUP);
        // SAFETY: two tiles for each group.
        unsafe { expand::avx512::int8(groups, &mut expanded[..taken * 2 * tile::BYTES]) };
        for block in 0..count {
            let (from, rows) =
                (block * BLOCK_ROWS, BLOCK_ROWS.min(panel.rows - block * BLOCK_ROWS));
            let sums = &mut sums[from * STRIP..];
            let operands = Operands {
                a: activations(panel, panel.x.high, panel.row + from, step),
                a_stride: panel.x.depth_tiles * tile::BYTES,
                b: expanded.as_ptr(),
                steps: taken,
                c: sums.as_mut_ptr().cast(),
                first: index == 0,
            };
            // With many rows, what is expanded next comes to the cache bit by bit.
            let next =
                groups.as_ptr().wrapping_add(groups.len() + block * taken * NEXT_STRIP_BYTES);
            // SAFETY: activations and expanded weights have these steps, sums a row for every row.
            unsafe {
                if panel.rows <= tile::ROWS {
                    blocks::narrow_expanded(operands);
                } else {
                    blocks::wide_bf16(operands, next);
                }
            }
            if index == last {
                done(from, &mut sums[..rows * STRIP]);
            }
        }
    }
}

/// 4-bit weights: expanded to int8 tiles in the cache, summed group by group.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn int4(panel: &Panel<'_>, results: &mut [f32], work: &mut [f32], done: &mut Done<'_>) {
    let (partial, expanded) = work.split_at_mut(SUMS);
    let expanded = crate::memory::bytes_of(&mut expanded[..EXPANDED_BYTES / 4]);
    results[..panel.rows * STRIP].fill(0.0);
    for step in (0..panel.x.depth_tiles).step_by(EXPANDED_STEPS) {
        let rest = panel.weights[step * INT4_GROUP..].chunks_exact(INT4_GROUP);
        let groups = rest.take(EXPANDED_STEPS);
        for (group, to) in groups.clone().zip(expanded.chunks_exact_mut(2 * tile::BYTES)) {
            // SAFETY: a group and its two tiles.
            unsafe { expand(group, to) };
        }
        let is_last = step + EXPANDED_STEPS >= panel.x.depth_tiles;
        for first in (0..panel.rows).step_by(BLOCK_ROWS) {
            let rows = &mut results[first * STRIP..(first + BLOCK_ROWS).min(panel.rows) * STRIP];
            let tiles = expanded.chunks_exact(2 * tile::BYTES);
            for (group, (packed, tiles)) in groups.clone().zip(tiles).enumerate() {
                // SAFETY: one step of both planes; partial sums have twice 32 rows; a group has scales.
                unsafe {
                    partial_sums(panel, panel.row + first, step + group, tiles, partial);
                    add_group(&packed[INT4_TILES..], partial, rows);
                }
            }
            if is_last {
                for (row, values) in rows.chunks_exact_mut(STRIP).enumerate() {
                    let scale = panel.x.scale(panel.row + first + row, 0);
                    values.iter_mut().for_each(|value| *value *= scale);
                }
                done(first, rows);
            }
        }
    }
}

/// f32 words of a wide block.
const BLOCK_SUMS: usize = BLOCK_ROWS * STRIP;

/// One group's integer sums, of the high plane and then of the low one.
unsafe fn partial_sums(
    panel: &Panel<'_>,
    row: usize,
    step: usize,
    tiles: &[u8],
    partial: &mut [f32],
) {
    let (high, low) = partial.split_at_mut(BLOCK_SUMS);
    let a = activations(panel, panel.x.high, row, step);
    let a_low = activations(panel, panel.x.low, row, step);
    let wide = Operands {
        a,
        a_stride: panel.x.depth_tiles * tile::BYTES,
        b: tiles.as_ptr(),
        steps: 1,
        c: high.as_mut_ptr().cast(),
        first: true,
    };
    // SAFETY: the caller's promise.
    unsafe {
        if panel.rows <= tile::ROWS {
            let planes = Operands { a_stride: a_low as usize - a as usize, ..wide };
            blocks::planes_of_group(planes, low.as_mut_ptr().cast());
        } else {
            blocks::wide_int8(wide, tiles.as_ptr());
            let low = Operands { a: a_low, c: low.as_mut_ptr().cast(), ..wide };
            blocks::wide_int8(low, tiles.as_ptr());
        }
    }
}

/// Adds a group's sums, times its scales, to the results.
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn add_group(scales: &[u8], partial: &[f32], results: &mut [f32]) {
    let (high, low) = partial.split_at(BLOCK_SUMS);
    let mut of_columns = [_mm512_set1_ps(0.0); 2];
    for (half, of_columns) in of_columns.iter_mut().enumerate() {
        let from = &scales[half * COLUMNS * 2..][..COLUMNS * 2];
        // SAFETY: sixteen bf16.
        let bits = unsafe { _mm256_loadu_si256(from.as_ptr().cast()) };
        *of_columns = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bits)));
    }
    let each = results
        .chunks_exact_mut(COLUMNS)
        .zip(high.chunks_exact(COLUMNS))
        .zip(low.chunks_exact(COLUMNS));
    for (index, ((result, high), low)) in each.enumerate() {
        // SAFETY: sixteen values of four bytes each.
        unsafe {
            let upper = _mm512_loadu_si512(high.as_ptr().cast());
            let lower = _mm512_loadu_si512(low.as_ptr().cast());
            let sum = _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_slli_epi32::<8>(upper), lower));
            let value = _mm512_mul_ps(sum, of_columns[index % 2]);
            let value = _mm512_add_ps(_mm512_loadu_ps(result.as_ptr()), value);
            _mm512_storeu_ps(result.as_mut_ptr(), value);
        }
    }
}

/// The weights that sixteen nibbles stand for, four times: indexes are taken modulo 64.
static NIBBLES: [i8; 64] = {
    let mut table = [0; 64];
    let mut index = 0;
    while index < 64 {
        table[index] = (index % 16) as i8 - 8;
        index += 1;
    }
    table
};

/// Two half tiles of nibbles to two tiles of int8.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn expand(group: &[u8], to: &mut [u8]) {
    // SAFETY: 64 bytes.
    let table: __m512i = unsafe { _mm512_loadu_si512(NIBBLES.as_ptr().cast()) };
    let lines = group.chunks_exact(tile::ROW_BYTES).take(INT4_TILES / tile::ROW_BYTES);
    for (from, to) in lines.zip(to.chunks_exact_mut(2 * tile::ROW_BYTES)) {
        // SAFETY: 64 bytes in, 128 out; a prefetch may point anywhere.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().wrapping_add(FAR).cast());
            let pairs = _mm512_loadu_si512(from.as_ptr().cast());
            // Only the low six bits of an index count, and the table repeats every sixteen.
            let even = _mm512_permutexvar_epi8(pairs, table);
            let odd = _mm512_permutexvar_epi8(_mm512_srli_epi16::<4>(pairs), table);
            _mm512_storeu_si512(to.as_mut_ptr().cast(), even);
            _mm512_storeu_si512(to.as_mut_ptr().add(tile::ROW_BYTES).cast(), odd);
        }
    }
}
