//! bf16: the upper half of an f32.

/// Rounds to nearest, ties to even. A NaN stays one.
#[inline(always)]
pub fn from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    // Rounding could carry a NaN's payload away; setting its quiet bit cannot.
    let bits = if value.is_nan() { bits | 0x0040_0000 } else { rounded };
    (bits >> 16) as u16
}

/// Exact.
#[inline(always)]
pub fn to_f32(value: u16) -> f32 {
    f32::from_bits(u32::from(value) << 16)
}

/// The nearest bf16, as f32.
#[inline(always)]
pub(crate) fn rounded(value: f32) -> f32 {
    to_f32(from_f32(value))
}
