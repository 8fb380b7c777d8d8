//! What several AVX-512 paths need.

use std::arch::x86_64::{
    __m512, _mm512_fmadd_ps, _mm512_max_ps, _mm512_roundscale_ps, _mm512_scalef_ps, _mm512_set1_ps,
    _mm512_sub_ps,
};

use crate::lanes;

/// 2^x, as `lanes::exp2`.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn exp2(x: __m512) -> __m512 {
    let x = _mm512_max_ps(x, _mm512_set1_ps(-126.0));
    let whole = _mm512_roundscale_ps::<8>(x);
    let part = _mm512_sub_ps(x, whole);
    let mut value = _mm512_set1_ps(lanes::EXP2[0]);
    for coefficient in &lanes::EXP2[1..] {
        value = _mm512_fmadd_ps(value, part, _mm512_set1_ps(*coefficient));
    }
    _mm512_scalef_ps(value, whole)
}
