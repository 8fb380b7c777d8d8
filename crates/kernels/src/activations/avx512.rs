//! Staged rows become int8 with AVX-512.

use std::arch::x86_64::{
    _mm_storeu_si128, _mm256_loadu_si256, _mm512_and_si512, _mm512_castsi512_ps,
    _mm512_cvtepi32_epi8, _mm512_cvtepu16_epi32, _mm512_cvtps_epi32, _mm512_loadu_si512,
    _mm512_max_ps, _mm512_mul_ps, _mm512_reduce_max_ps, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_slli_epi32,
};

use super::{INT8_MAX, SCALED_INPUTS, SharedActivations};
use crate::lanes::LANES;

/// As `pack_int8` of a staged row, whose columns are a multiple of 32, in registers from bf16 to int8.
///
/// # Safety
/// The processor has AVX-512, and meanwhile nobody else uses the row.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn settle_int8(to: SharedActivations<'_>, row: usize) {
    // SAFETY: the caller's promise.
    let staged = unsafe { to.staged(row, 0, 2 * to.columns) };
    for (part, staged) in staged.chunks(2 * SCALED_INPUTS).enumerate() {
        let mut max = [_mm512_setzero_ps(); 2];
        for pairs in staged.chunks_exact(4 * LANES) {
            // SAFETY: 64 bytes.
            let pairs = unsafe { _mm512_loadu_si512(pairs.as_ptr().cast()) };
            // Without their signs, the lower of each two, and the upper.
            let lower = _mm512_slli_epi32::<16>(_mm512_and_si512(pairs, _mm512_set1_epi32(0x7fff)));
            let upper = _mm512_and_si512(pairs, _mm512_set1_epi32(0x7fff_0000));
            // What is no number is passed over.
            max[0] = _mm512_max_ps(_mm512_castsi512_ps(lower), max[0]);
            max[1] = _mm512_max_ps(_mm512_castsi512_ps(upper), max[1]);
        }
        let max = _mm512_reduce_max_ps(_mm512_max_ps(max[0], max[1]));
        let inverse = _mm512_set1_ps(if max > 0.0 { INT8_MAX / max } else { 0.0 });
        // SAFETY: the caller's promise.
        unsafe { to.set_scale(row, part, max / INT8_MAX) };
        for (chunk, values) in staged.chunks_exact(2 * LANES).enumerate() {
            // SAFETY: sixteen bf16 in, sixteen bytes out; and the caller's promise.
            unsafe {
                let words = _mm512_cvtepu16_epi32(_mm256_loadu_si256(values.as_ptr().cast()));
                let value = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(words));
                let bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(value, inverse)));
                let line = to.line(row, part * SCALED_INPUTS + chunk * LANES, 0, LANES);
                _mm_storeu_si128(line.as_mut_ptr().cast(), bytes);
            }
        }
    }
}
