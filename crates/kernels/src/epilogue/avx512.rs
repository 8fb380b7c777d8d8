//! The gated activation with AVX-512.

use std::arch::x86_64::{
    __m256bh, __m256i, _mm256_storeu_si256, _mm512_add_ps, _mm512_cvtneps_pbh, _mm512_div_ps,
    _mm512_loadu_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_storeu_ps,
};

use crate::{
    activations::SharedActivations,
    avx512::exp2,
    format::ActivationFormat,
    tile::{COLUMNS, STRIP},
};

/// `silu(gate) * up` of a panel whose rows hold sixteen of each.
///
/// # Safety
/// The processor has AVX-512 with BF16; meanwhile nobody else uses these rows of the sixteen columns of `to`
/// from `from` on.
#[target_feature(enable = "avx512f,avx512bf16,avx512vl")]
pub(super) unsafe fn swiglu(panel: &[f32], to: SharedActivations<'_>, from: usize, row: usize) {
    for (index, values) in panel.chunks_exact(STRIP).enumerate() {
        // SAFETY: a row has sixteen gates and sixteen ups; `sixteen` gives room for as many results.
        unsafe {
            let gate = _mm512_loadu_ps(values.as_ptr());
            let up = _mm512_loadu_ps(values[COLUMNS..].as_ptr());
            let power = exp2(_mm512_mul_ps(gate, _mm512_set1_ps(-std::f32::consts::LOG2_E)));
            let below = _mm512_add_ps(power, _mm512_set1_ps(1.0));
            let result = _mm512_div_ps(_mm512_mul_ps(gate, up), below);
            let to_row = to.sixteen(row + index, from).as_mut_ptr();
            if to.format == ActivationFormat::Int16 {
                _mm512_storeu_ps(to_row.cast(), result);
            } else {
                let packed = _mm512_cvtneps_pbh(result);
                let packed = std::mem::transmute::<__m256bh, __m256i>(packed);
                _mm256_storeu_si256(to_row.cast(), packed);
            }
        }
    }
}
