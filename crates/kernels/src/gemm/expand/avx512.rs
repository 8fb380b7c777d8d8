//! The expansion of weights with AVX-512.

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _MM_HINT_T0, _MM_HINT_T1, _mm_loadu_si128, _mm_prefetch,
    _mm256_loadu_si256, _mm512_castsi512_ps, _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps,
    _mm512_cvtepu16_epi32, _mm512_cvtne2ps_pbh, _mm512_mul_ps, _mm512_permutexvar_ps,
    _mm512_setr_epi32, _mm512_slli_epi32, _mm512_storeu_si512,
};

use crate::{
    linear::{INT8_GROUP, INT8_TILES},
    tile::{BYTES, COLUMNS, ROW_BYTES},
};

/// Bytes between what is used and what is fetched meanwhile, for the first level and for the second.
const NEAR: usize = 4 << 10;
const FAR: usize = 16 << 10;

/// Groups of int8 weights as bf16 tiles, two for each.
///
/// # Safety
/// The processor has AVX-512 with BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(crate) unsafe fn int8(groups: &[u8], to: &mut [u8]) {
    for (group, tiles) in groups.chunks_exact(INT8_GROUP).zip(to.chunks_exact_mut(2 * BYTES)) {
        for (half, tile) in tiles.chunks_exact_mut(BYTES).enumerate() {
            let scales = &group[INT8_TILES + half * COLUMNS * 2..][..COLUMNS * 2];
            // SAFETY: sixteen bf16.
            let [lower, upper] = unsafe { doubled(scales.as_ptr()) };
            let lines = group[half * INT8_TILES / 2..][..INT8_TILES / 2].chunks_exact(ROW_BYTES);
            for (from, to) in lines.zip(tile.chunks_exact_mut(2 * ROW_BYTES)) {
                // SAFETY: 64 bytes in, 128 out; a prefetch may point anywhere.
                unsafe {
                    let from = from.as_ptr();
                    _mm_prefetch::<_MM_HINT_T1>(from.wrapping_add(FAR).cast());
                    _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(NEAR).cast());
                    let first = pairs(sixteen(from, lower), sixteen(from.add(16), upper));
                    let second = pairs(sixteen(from.add(32), lower), sixteen(from.add(48), upper));
                    _mm512_storeu_si512(to.as_mut_ptr().cast(), first);
                    _mm512_storeu_si512(to.as_mut_ptr().add(ROW_BYTES).cast(), second);
                }
            }
        }
    }
}

/// Sixteen bf16 scales as f32, each twice: of the first eight columns, and of the others.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn doubled(scales: *const u8) -> [__m512; 2] {
    // SAFETY: the caller has 32 bytes there.
    let bits = unsafe { _mm256_loadu_si256(scales.cast()) };
    let scales = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bits)));
    let lower = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    let upper = _mm512_setr_epi32(8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15);
    [_mm512_permutexvar_ps(lower, scales), _mm512_permutexvar_ps(upper, scales)]
}

/// Sixteen int8, times their scales.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn sixteen(from: *const u8, scales: __m512) -> __m512 {
    // SAFETY: the caller has sixteen bytes there.
    let bytes = unsafe { _mm_loadu_si128(from.cast()) };
    _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)), scales)
}

/// The row of a bf16 tile whose first half is `first`.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn pairs(first: __m512, second: __m512) -> __m512i {
    // SAFETY: registers of bf16 are bits.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(second, first)) }
}
