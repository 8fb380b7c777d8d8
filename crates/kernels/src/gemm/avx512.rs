//! The product with AVX-512: BF16 and VNNI instructions on rows of the same tiles.
//!
//! A tile row is a register: sixteen columns with two bf16 or four int8 inner steps each. It meets the
//! broadcast activations of up to eight rows.

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm256_loadu_si256,
    _mm512_add_epi32, _mm512_add_ps, _mm512_and_si512, _mm512_castsi512_ps, _mm512_cvtepi32_ps,
    _mm512_cvtepu16_epi32, _mm512_dpbf16_ps, _mm512_dpbusd_epi32, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_mul_ps, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_setzero_si512, _mm512_slli_epi32, _mm512_srli_epi16,
    _mm512_storeu_ps, _mm512_sub_epi32, _mm512_xor_si512,
};

use crate::{
    activations::SCALED_TILES,
    format::WeightFormat,
    gemm::Panel,
    linear::{INT4_GROUP, INT4_TILES, W8A8_SCALES},
    tile::{self, COLUMNS, ROW_BYTES, STRIP},
};

/// Bytes between what is used and what is fetched meanwhile, for the first level and for the second.
const NEAR: usize = 4 << 10;
const FAR: usize = 16 << 10;

/// Adds the product of a panel's steps to `[rows][32]`.
///
/// # Safety
/// The processor has AVX-512 with BF16 and VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx512vnni")]
pub(super) unsafe fn panel(panel: &Panel<'_>, results: &mut [f32]) {
    let mut row = 0;
    while row < panel.rows {
        let results = &mut results[row * STRIP..];
        // SAFETY: the caller's promise; these rows are in the panel.
        row += unsafe {
            match panel.rows - row {
                8.. => rows::<8>(panel, row, results),
                4..8 => rows::<4>(panel, row, results),
                2..4 => rows::<2>(panel, row, results),
                _ => rows::<1>(panel, row, results),
            }
        };
    }
}

/// `R` rows; gives their number.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx512vnni")]
unsafe fn rows<const R: usize>(panel: &Panel<'_>, row: usize, results: &mut [f32]) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        match panel.format {
            // Int8 comes expanded to bf16.
            WeightFormat::Bf16 | WeightFormat::Int8 => bf16::<R>(panel, row, results),
            WeightFormat::W8a8 => w8a8::<R>(panel, row, results),
            WeightFormat::Int4 => int4::<R>(panel, row, results),
        }
    }
    R
}

/// Where the lines of `R` rows of a plane are at inner step tile `step`.
#[inline(always)]
fn lines<const R: usize>(
    panel: &Panel<'_>,
    plane: &[u8],
    row: usize,
    step: usize,
) -> [*const u8; R] {
    std::array::from_fn(|index| {
        let at = tile::a_offset(panel.row + row + index, step * ROW_BYTES, panel.x.depth_tiles);
        plane[at..at + ROW_BYTES].as_ptr()
    })
}

/// The four bytes of a line that meet tile row `inner`, in every lane.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn broadcast(line: *const u8, inner: usize) -> __m512i {
    // SAFETY: a line has sixteen times four bytes.
    _mm512_set1_epi32(unsafe { line.add(4 * inner).cast::<i32>().read_unaligned() })
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(from: *const u8) -> __m512i {
    // SAFETY: the caller has 64 bytes there; a prefetch may point anywhere.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(NEAR).cast());
        _mm_prefetch::<_MM_HINT_T1>(from.wrapping_add(FAR).cast());
        _mm512_loadu_si512(from.cast())
    }
}

/// Adds the product of one line per row and a bf16 tile.
///
/// # Safety
/// The processor has AVX-512 with BF16; a line has 64 bytes and the tile 1 KiB.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
pub(crate) unsafe fn dot_bf16<const R: usize>(
    lines: [*const u8; R],
    tile: *const u8,
    sums: &mut [__m512; R],
) {
    for inner in 0..tile::ROWS {
        // SAFETY: the caller's promise; registers of bf16 are bits.
        unsafe {
            let weights =
                std::mem::transmute::<__m512i, __m512bh>(load(tile.add(inner * ROW_BYTES)));
            for (line, sum) in lines.iter().zip(sums.iter_mut()) {
                let x = std::mem::transmute::<__m512i, __m512bh>(broadcast(*line, inner));
                *sum = _mm512_dpbf16_ps(*sum, x, weights);
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn bf16<const R: usize>(panel: &Panel<'_>, row: usize, results: &mut [f32]) {
    let mut sums = [[_mm512_setzero_ps(); R]; 2];
    if panel.step > 0 {
        for (half, sums) in sums.iter_mut().enumerate() {
            for (row, sum) in sums.iter_mut().enumerate() {
                let from = &results[row * STRIP + half * COLUMNS..][..COLUMNS];
                // SAFETY: sixteen results.
                *sum = unsafe { _mm512_loadu_ps(from.as_ptr()) };
            }
        }
    }
    for (step, tiles) in panel.weights.chunks_exact(2 * tile::BYTES).enumerate() {
        let lines = lines::<R>(panel, panel.x.high, row, panel.step + step);
        for (half, sums) in sums.iter_mut().enumerate() {
            // SAFETY: lines and tiles are as long as they are.
            unsafe { dot_bf16(lines, tiles[half * tile::BYTES..].as_ptr(), sums) };
        }
    }
    for (half, sums) in sums.iter().enumerate() {
        for (row, sum) in sums.iter().enumerate() {
            let to = &mut results[row * STRIP + half * COLUMNS..][..COLUMNS];
            // SAFETY: sixteen results.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), *sum) };
        }
    }
}

/// Adds the sums of both tiles, with 128 added to every weight, and 128 times the sums of the activations:
/// the instruction wants one operand without a sign.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn dot_int8<const R: usize>(
    lines: [*const u8; R],
    tiles: &[u8],
    sums: &mut [[__m512i; R]; 2],
    extra: &mut [__m512i; R],
) {
    let sign = _mm512_set1_epi8(-128);
    for inner in 0..tile::ROWS {
        // SAFETY: two tiles and lines of 64 bytes.
        unsafe {
            let first = load(tiles[inner * ROW_BYTES..].as_ptr());
            let second = load(tiles[tile::BYTES + inner * ROW_BYTES..].as_ptr());
            let (first, second) = (_mm512_xor_si512(first, sign), _mm512_xor_si512(second, sign));
            for (row, line) in lines.iter().enumerate() {
                let x = broadcast(*line, inner);
                sums[0][row] = _mm512_dpbusd_epi32(sums[0][row], first, x);
                sums[1][row] = _mm512_dpbusd_epi32(sums[1][row], second, x);
                extra[row] = _mm512_dpbusd_epi32(extra[row], sign, x);
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn w8a8<const R: usize>(panel: &Panel<'_>, row: usize, results: &mut [f32]) {
    let (tiles, scales) = panel.w8a8();
    let mut totals = [[_mm512_setzero_ps(); R]; 2];
    for (part, tiles) in tiles.chunks(SCALED_TILES * 2 * tile::BYTES).enumerate() {
        let mut sums = [[_mm512_setzero_si512(); R]; 2];
        let mut extra = [_mm512_setzero_si512(); R];
        for (step, tiles) in tiles.chunks_exact(2 * tile::BYTES).enumerate() {
            let lines = lines::<R>(panel, panel.x.high, row, part * SCALED_TILES + step);
            // SAFETY: lines and tiles are as long as they are.
            unsafe { dot_int8(lines, tiles, &mut sums, &mut extra) };
        }
        let scales = &scales[part * W8A8_SCALES..][..W8A8_SCALES];
        for (half, (sums, totals)) in sums.iter().zip(&mut totals).enumerate() {
            // SAFETY: twice sixteen f32.
            let of_columns =
                unsafe { _mm512_loadu_ps(scales[half * COLUMNS * 4..].as_ptr().cast()) };
            for index in 0..R {
                let of_row = _mm512_set1_ps(panel.x.scale(panel.row + row + index, part));
                let sum = _mm512_cvtepi32_ps(_mm512_sub_epi32(sums[index], extra[index]));
                let sum = _mm512_mul_ps(_mm512_mul_ps(sum, of_row), of_columns);
                totals[index] = _mm512_add_ps(totals[index], sum);
            }
        }
    }
    for (half, totals) in totals.iter().enumerate() {
        for (index, total) in totals.iter().enumerate() {
            let to = &mut results[index * STRIP + half * COLUMNS..][..COLUMNS];
            // SAFETY: sixteen results.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), *total) };
        }
    }
}

/// Sums of one plane of a group: of nibbles, which are 8 more than weights, and of 8 times the activations.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn dot_int4<const R: usize>(lines: [*const u8; R], group: &[u8]) -> [[__m512i; R]; 2] {
    let low_bits = _mm512_set1_epi8(15);
    let eight = _mm512_set1_epi8(8);
    let mut sums = [[_mm512_setzero_si512(); R]; 2];
    let mut extra = [_mm512_setzero_si512(); R];
    for pair in 0..tile::ROWS / 2 {
        for (half, sums) in sums.iter_mut().enumerate() {
            // SAFETY: two half tiles of nibbles.
            let packed =
                unsafe { load(group[half * tile::BYTES / 2 + pair * ROW_BYTES..].as_ptr()) };
            let even = _mm512_and_si512(packed, low_bits);
            let odd = _mm512_and_si512(_mm512_srli_epi16::<4>(packed), low_bits);
            for (row, line) in lines.iter().enumerate() {
                // SAFETY: lines of 64 bytes.
                let (x_even, x_odd) =
                    unsafe { (broadcast(*line, 2 * pair), broadcast(*line, 2 * pair + 1)) };
                sums[row] = _mm512_dpbusd_epi32(sums[row], even, x_even);
                sums[row] = _mm512_dpbusd_epi32(sums[row], odd, x_odd);
                if half == 0 {
                    extra[row] = _mm512_dpbusd_epi32(extra[row], eight, x_even);
                    extra[row] = _mm512_dpbusd_epi32(extra[row], eight, x_odd);
                }
            }
        }
    }
    sums.map(|sums| std::array::from_fn(|row| _mm512_sub_epi32(sums[row], extra[row])))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn int4<const R: usize>(panel: &Panel<'_>, row: usize, results: &mut [f32]) {
    let mut totals = [[_mm512_setzero_ps(); R]; 2];
    for (step, group) in panel.weights.chunks_exact(INT4_GROUP).enumerate() {
        // SAFETY: both planes have these lines.
        let (high, low) = unsafe {
            (
                dot_int4(lines::<R>(panel, panel.x.high, row, step), group),
                dot_int4(lines::<R>(panel, panel.x.low, row, step), group),
            )
        };
        for (half, totals) in totals.iter_mut().enumerate() {
            let scales = &group[INT4_TILES + half * COLUMNS * 2..][..COLUMNS * 2];
            // SAFETY: sixteen bf16.
            let bits = unsafe { _mm256_loadu_si256(scales.as_ptr().cast()) };
            let scales = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bits)));
            for (index, total) in totals.iter_mut().enumerate() {
                let sum =
                    _mm512_add_epi32(_mm512_slli_epi32::<8>(high[half][index]), low[half][index]);
                *total = _mm512_add_ps(*total, _mm512_mul_ps(_mm512_cvtepi32_ps(sum), scales));
            }
        }
    }
    for (half, totals) in totals.iter().enumerate() {
        for (index, total) in totals.iter().enumerate() {
            let of_row = _mm512_set1_ps(panel.x.scale(panel.row + row + index, 0));
            let to = &mut results[index * STRIP + half * COLUMNS..][..COLUMNS];
            // SAFETY: sixteen results.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), _mm512_mul_ps(*total, of_row)) };
        }
    }
}
