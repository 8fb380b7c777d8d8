//! The product with AVX2 on rows of the same tiles: a tile row is two registers of eight columns.

use std::arch::x86_64::{
    __m128i, __m256, __m256i, _MM_HINT_T0, _mm_add_epi16, _mm_and_si128, _mm_cvtepi8_epi16,
    _mm_cvtsi32_si128, _mm_loadu_si128, _mm_prefetch, _mm_set1_epi8, _mm_slli_epi16,
    _mm_srli_epi16, _mm_sub_epi8, _mm256_add_epi32, _mm256_and_si256, _mm256_broadcastq_epi64,
    _mm256_castsi256_ps, _mm256_cvtepi8_epi16, _mm256_fmadd_ps, _mm256_hadd_epi32, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_permute4x64_epi64, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_slli_epi32, _mm256_storeu_ps,
    _mm256_storeu_si256,
};

use crate::{
    activations::SCALED_TILES,
    bf16::to_f32,
    format::WeightFormat,
    gemm::{Panel, portable},
    linear::{INT4_GROUP, INT4_TILES, W8A8_SCALES, bf16_at, f32_at},
    tile::{self, COLUMNS, ROW_BYTES, STRIP},
};

/// Bytes between what is used and what is fetched meanwhile.
const AHEAD: usize = 4 << 10;
/// Columns of a register of 32-bit sums.
const LANES: usize = 8;
/// Registers for the columns of a strip.
const PARTS: usize = STRIP / LANES;

/// Adds the product of a panel's steps to `[rows][32]`.
///
/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn panel(panel: &Panel<'_>, results: &mut [f32]) {
    for (row, result) in results.chunks_exact_mut(STRIP).enumerate().take(panel.rows) {
        // SAFETY: the caller's promise.
        unsafe {
            match panel.format {
                // Int8 comes expanded to bf16.
                WeightFormat::Bf16 | WeightFormat::Int8 => row_bf16(panel, panel.row + row, result),
                WeightFormat::W8a8 => row_w8a8(panel, panel.row + row, result),
                WeightFormat::Int4 => row_int4(panel, panel.row + row, result),
            }
        }
    }
}

/// Adds the product of a line and a bf16 tile to two registers of sums.
///
/// # Safety
/// The processor has AVX2 and FMA.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn dot_bf16(line: &[u8], tile: &[u8], sums: &mut [__m256; 2]) {
    let upper = _mm256_set1_epi32(0xffff_0000_u32 as i32);
    for (pair, weights) in line.as_chunks::<4>().0.iter().zip(tile.as_chunks::<ROW_BYTES>().0) {
        let even = _mm256_set1_ps(to_f32(u16::from_le_bytes([pair[0], pair[1]])));
        let odd = _mm256_set1_ps(to_f32(u16::from_le_bytes([pair[2], pair[3]])));
        for (half, sum) in sums.iter_mut().enumerate() {
            // SAFETY: 64 bytes are two registers; a prefetch may point anywhere.
            let pairs = unsafe {
                _mm_prefetch::<_MM_HINT_T0>(weights.as_ptr().wrapping_add(AHEAD).cast());
                _mm256_loadu_si256(weights.as_ptr().cast::<__m256i>().add(half))
            };
            let first = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(pairs));
            let second = _mm256_castsi256_ps(_mm256_and_si256(pairs, upper));
            *sum = _mm256_fmadd_ps(even, first, *sum);
            *sum = _mm256_fmadd_ps(odd, second, *sum);
        }
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn row_bf16(panel: &Panel<'_>, row: usize, result: &mut [f32]) {
    let mut sums = [[_mm256_setzero_ps(); 2]; 2];
    if panel.step > 0 {
        for (from, sum) in result.chunks_exact(LANES).zip(sums.as_flattened_mut()) {
            // SAFETY: eight results.
            *sum = unsafe { _mm256_loadu_ps(from.as_ptr()) };
        }
    }
    for (step, tiles) in panel.weights.chunks_exact(2 * tile::BYTES).enumerate() {
        let line = portable::line(panel.x.high, row, panel.step + step, panel.x.depth_tiles);
        for (sums, tile) in sums.iter_mut().zip(tiles.chunks_exact(tile::BYTES)) {
            // SAFETY: the caller's promise.
            unsafe { dot_bf16(line, tile, sums) };
        }
    }
    for (to, sum) in result.chunks_exact_mut(LANES).zip(sums.as_flattened()) {
        // SAFETY: eight results.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), *sum) };
    }
}

/// Two sums per column, side by side, of eight columns.
type Sums = [__m256i; 2];

/// Four int8 of a line as words, four times.
#[inline]
#[target_feature(enable = "avx2")]
fn words(four: [u8; 4]) -> __m256i {
    let words = _mm_cvtepi8_epi16(_mm_cvtsi32_si128(i32::from_le_bytes(four)));
    _mm256_broadcastq_epi64(words)
}

/// Adds the products of sixteen int8 weights, of four columns, with four words.
#[inline]
#[target_feature(enable = "avx2")]
fn add_products(sum: &mut __m256i, weights: __m128i, words: __m256i) {
    let products = _mm256_madd_epi16(_mm256_cvtepi8_epi16(weights), words);
    *sum = _mm256_add_epi32(*sum, products);
}

/// One sum per column, of a strip.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn folded(sums: &[Sums; PARTS]) -> [i32; STRIP] {
    let mut totals = [0; STRIP];
    for (to, [first, second]) in totals.chunks_exact_mut(LANES).zip(sums) {
        let pairs = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(*first, *second));
        // SAFETY: eight sums.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), pairs) };
    }
    totals
}

#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load(from: &[u8]) -> __m128i {
    debug_assert!(from.len() >= 16);
    // SAFETY: the caller has sixteen bytes there; a prefetch may point anywhere.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().wrapping_add(AHEAD).cast());
        _mm_loadu_si128(from.as_ptr().cast())
    }
}

/// The sums of a row over some tiles, from inner tile `first` on.
#[target_feature(enable = "avx2")]
unsafe fn sums_int8(panel: &Panel<'_>, row: usize, first: usize, tiles: &[u8]) -> [i32; STRIP] {
    let mut sums = [[_mm256_setzero_si256(); 2]; PARTS];
    for (step, tiles) in tiles.chunks_exact(2 * tile::BYTES).enumerate() {
        let line = portable::line(panel.x.high, row, first + step, panel.x.depth_tiles);
        for (inner, four) in line.as_chunks::<4>().0.iter().enumerate() {
            let words = words(*four);
            for (part, sums) in sums.iter_mut().enumerate() {
                let at = part / 2 * tile::BYTES + inner * ROW_BYTES + part % 2 * 32;
                for (half, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: two tiles have these bytes.
                    add_products(sum, unsafe { load(&tiles[at + 16 * half..]) }, words);
                }
            }
        }
    }
    // SAFETY: the caller's promise.
    unsafe { folded(&sums) }
}

#[target_feature(enable = "avx2")]
unsafe fn row_w8a8(panel: &Panel<'_>, row: usize, result: &mut [f32]) {
    let (tiles, scales) = panel.w8a8();
    result.fill(0.0);
    for (part, tiles) in tiles.chunks(SCALED_TILES * 2 * tile::BYTES).enumerate() {
        // SAFETY: the caller's promise.
        let sums = unsafe { sums_int8(panel, row, part * SCALED_TILES, tiles) };
        let (of_row, of_columns) = (panel.x.scale(row, part), &scales[part * W8A8_SCALES..]);
        for (column, (result, sum)) in result.iter_mut().zip(sums).enumerate() {
            *result += sum as f32 * of_row * f32_at(of_columns, 4 * column);
        }
    }
}

#[target_feature(enable = "avx2")]
unsafe fn row_int4(panel: &Panel<'_>, row: usize, result: &mut [f32]) {
    let (low_bits, eight) = (_mm_set1_epi8(15), _mm_set1_epi8(8));
    let mut totals = [0.0f32; STRIP];
    for (step, group) in panel.weights.chunks_exact(INT4_GROUP).enumerate() {
        let high = portable::line(panel.x.high, row, step, panel.x.depth_tiles);
        let low = portable::line(panel.x.low, row, step, panel.x.depth_tiles);
        let mut sums = [[_mm256_setzero_si256(); 2]; PARTS];
        let fours = high.as_chunks::<4>().0.iter().zip(low.as_chunks::<4>().0);
        for (inner, (high, low)) in fours.enumerate() {
            let word =
                |four: &[u8; 4]| _mm_cvtepi8_epi16(_mm_cvtsi32_si128(i32::from_le_bytes(*four)));
            let words = _mm_add_epi16(_mm_slli_epi16::<8>(word(high)), word(low));
            let words = _mm256_broadcastq_epi64(words);
            for (part, sums) in sums.iter_mut().enumerate() {
                let at = part / 2 * (tile::BYTES / 2) + inner / 2 * ROW_BYTES + part % 2 * 32;
                for (half, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: two half tiles have these bytes.
                    let packed = unsafe { load(&group[at + 16 * half..]) };
                    let shifted = if inner % 2 == 0 { packed } else { _mm_srli_epi16::<4>(packed) };
                    let weights = _mm_sub_epi8(_mm_and_si128(shifted, low_bits), eight);
                    add_products(sum, weights, words);
                }
            }
        }
        // SAFETY: the caller's promise.
        let sums = unsafe { folded(&sums) };
        for (column, (total, sum)) in totals.iter_mut().zip(sums).enumerate() {
            *total += sum as f32 * bf16_at(group, INT4_TILES + 2 * column);
        }
    }
    let scale = panel.x.scale(row, 0);
    for (result, total) in result.iter_mut().zip(totals) {
        *result = total * scale;
    }
}

const _: () = assert!(COLUMNS == 2 * LANES);
