//! Arithmetic over sixteen explicit lanes, in one order for every instruction set.

/// Lanes of the widest register of f32.
pub(crate) const LANES: usize = 16;

/// Sums lanes as a tree, the same on every machine.
#[inline(always)]
fn fold(mut lanes: [f32; LANES], combine: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] = combine(lanes[lane], lanes[lane + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// `combine` over all of `values` through `map`, lane by lane and then as a tree.
#[inline(always)]
fn reduce(
    values: &[f32],
    start: f32,
    step: impl Fn(f32, f32) -> f32,
    tree: impl Fn(f32, f32) -> f32,
) -> f32 {
    let mut lanes = [start; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = step(lanes[lane], chunk[lane]);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane = step(*lane, value);
    }
    fold(lanes, tree)
}

#[inline(always)]
pub(crate) fn sum(values: &[f32]) -> f32 {
    reduce(values, 0.0, |sum, x| sum + x, |a, b| a + b)
}

#[inline(always)]
pub(crate) fn sum_of_squares(values: &[f32]) -> f32 {
    reduce(values, 0.0, |sum, x| sum + x * x, |a, b| a + b)
}

/// The larger, and `a` where they do not compare: the form that processors have one instruction for.
#[inline(always)]
pub(crate) fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

#[inline(always)]
pub(crate) fn max(values: &[f32]) -> f32 {
    max_of(values, |x| x)
}

/// The largest of `map` over `values`.
#[inline(always)]
pub(crate) fn max_of(values: &[f32], map: impl Fn(f32) -> f32) -> f32 {
    reduce(values, f32::NEG_INFINITY, |max, x| larger(max, map(x)), larger)
}

#[inline(always)]
pub(crate) fn abs_max(values: &[f32]) -> f32 {
    reduce(values, 0.0, |max, x| larger(max, x.abs()), larger)
}

/// 1.5 * 2^23: adding it leaves a float's nearest integer (ties to even) in its low bits.
const ROUNDER: f32 = 12_582_912.0;

/// The nearest integer, ties to even, of a value within ±2^22.
#[inline(always)]
pub(crate) fn round(value: f32) -> i32 {
    ((value + ROUNDER).to_bits() as i32).wrapping_sub(ROUNDER.to_bits() as i32)
}

/// A polynomial for 2^x on [-0.5, 0.5], highest power first.
pub(crate) const EXP2: [f32; 7] = [
    1.535_336_2e-4,
    1.339_887_4e-3,
    9.618_437e-3,
    5.550_332_4e-2,
    2.402_264_7e-1,
    6.931_472e-1,
    1.0,
];

/// 2^x, within 2e-7 relative. Below -126 it is as at -126: about 1e-38.
#[inline(always)]
pub(crate) fn exp2(x: f32) -> f32 {
    let x = larger(x, -126.0);
    let x = if x < 127.0 { x } else { 127.0 };
    // Rounded to an integer, which then stands in the low bits.
    let shifted = x + ROUNDER;
    let part = x - (shifted - ROUNDER);
    let mut value = EXP2[0];
    for coefficient in &EXP2[1..] {
        value = value * part + coefficient;
    }
    let power = (shifted.to_bits() << 23).wrapping_add(127 << 23);
    value * f32::from_bits(power)
}

/// x * sigmoid(x).
#[inline(always)]
pub(crate) fn silu(x: f32) -> f32 {
    x / (1.0 + exp2(-x * std::f32::consts::LOG2_E))
}

/// x * Φ(x), with the error function as Abramowitz and Stegun 7.1.26 (within 1.5e-7).
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let poly = ((((1.061_405_4 * t - 1.453_152_1) * t + 1.421_413_8) * t - 0.284_496_72) * t
        + 0.254_829_6)
        * t;
    let tail = 0.5 * poly * exp2(-z * z * std::f32::consts::LOG2_E);
    if x < 0.0 { x * tail } else { x - x * tail }
}
