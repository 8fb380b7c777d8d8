//! The expansion of 8-bit weights with half precision: 32 of them in five instructions.

use std::arch::{
    asm,
    x86_64::{
        __m512i, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm512_add_epi8, _mm512_add_epi16,
        _mm512_loadu_si512, _mm512_maskz_permutexvar_epi8, _mm512_set1_epi8, _mm512_set1_epi16,
        _mm512_shrdi_epi16, _mm512_srai_epi16, _mm512_storeu_si512, _mm512_ternarylogic_epi32,
    },
};

use crate::{
    linear::int8::{GROUP, TILES},
    tile::{BYTES, COLUMNS, ROW_BYTES},
};

/// Bytes between what is used and what is fetched meanwhile, for the first level and for the second.
const NEAR: usize = 4 << 10;
const FAR: usize = 16 << 10;

/// The upper byte of 256 in half precision, where a byte below it counts quarters.
const QUARTERS: i16 = 0x5c;
/// 288, with the 128 of a byte in quarters: what a multiplier is multiplied with to give what is too much.
const TOO_MUCH: i16 = 0x5c80;

/// Groups of int8 weights as bf16 tiles, two for each.
///
/// # Safety
/// The processor has what `Isa::Amx` needs.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2")]
pub(crate) unsafe fn int8(groups: &[u8], to: &mut [u8]) {
    for (group, tiles) in groups.chunks_exact(GROUP).zip(to.chunks_exact_mut(2 * BYTES)) {
        // SAFETY: the caller's promise.
        unsafe { int8_group(group, tiles) };
    }
}

/// One group. Lines of both halves are read in turns, as memory gives them fastest.
///
/// # Safety
/// As of `int8`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2")]
pub(crate) unsafe fn int8_group(group: &[u8], to: &mut [u8]) {
    let (weights, multipliers) = group[..GROUP].split_at(TILES);
    fetch(multipliers.as_ptr());
    // SAFETY: 64 bytes.
    let multipliers = unsafe { _mm512_loadu_si512(multipliers.as_ptr().cast()) };
    let (lines, other_lines) = weights.as_chunks::<ROW_BYTES>().0.split_at(COLUMNS / 2);
    let (first, second) =
        to[..2 * BYTES].as_chunks_mut::<{ 2 * ROW_BYTES }>().0.split_at_mut(COLUMNS / 2);
    for part in 0..2 {
        let from = (part * COLUMNS) as i8;
        let of_first = Factor::of(multipliers, from);
        let of_second = Factor::of(multipliers, from + 2 * COLUMNS as i8);
        for index in part * 4..part * 4 + 4 {
            two_rows(&lines[index], of_first, &mut first[index]);
            two_rows(&other_lines[index], of_second, &mut second[index]);
        }
    }
}

/// Multipliers in half precision, each for two columns' worth of words, and what they make of 288.
#[derive(Clone, Copy)]
struct Factor {
    multiplier: __m512i,
    too_much: __m512i,
}

/// For the lower byte of each word the column that it belongs to: words of a tile row are pairs.
static COLUMN_OF_WORD: [u8; 64] = {
    let mut table = [0; 64];
    let mut index = 0;
    while index < 64 {
        table[index] = (index / 4) as u8;
        index += 1;
    }
    table
};

impl Factor {
    /// Of the sixteen multipliers from `from` on.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn of(multipliers: __m512i, from: i8) -> Self {
        const LOWER_BYTES: u64 = 0x5555_5555_5555_5555;
        // SAFETY: 64 bytes.
        let columns = unsafe { _mm512_loadu_si512(COLUMN_OF_WORD.as_ptr().cast()) };
        let columns = _mm512_add_epi8(columns, _mm512_set1_epi8(from));
        let words = _mm512_maskz_permutexvar_epi8(LOWER_BYTES, columns, multipliers);
        let (multiplier, too_much): (__m512i, __m512i);
        // SAFETY: two instructions on registers; the compiler knows no half precision yet.
        unsafe {
            asm!(
                "vcvtuw2ph {multiplier}, {words}",
                "vmulph {too_much}, {multiplier}, {all}",
                words = in(zmm_reg) words,
                all = in(zmm_reg) _mm512_set1_epi16(TOO_MUCH),
                multiplier = out(zmm_reg) multiplier,
                too_much = lateout(zmm_reg) too_much,
                options(pure, nomem, nostack),
            );
        }
        Self { multiplier, too_much }
    }

    /// Words `256 + byte / 4` in half precision to the bf16 of weights.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn applied(self, words: __m512i) -> __m512i {
        let mut product = words;
        // SAFETY: an instruction on registers.
        unsafe {
            asm!(
                "vfmsub213ph {product}, {multiplier}, {too_much}",
                product = inout(zmm_reg) product,
                multiplier = in(zmm_reg) self.multiplier,
                too_much = in(zmm_reg) self.too_much,
                options(pure, nomem, nostack),
            );
        }
        // Three bits of the fraction are rounded away. Three copies of the sign then stand where bf16 has the
        // upper bits of its exponent, which become those of a number that is 2^16 times smaller.
        let shifted = _mm512_srai_epi16::<3>(_mm512_add_epi16(product, _mm512_set1_epi16(4)));
        const WITHOUT_BUT_WITH: i32 = 0xba;
        let (without, with) = (_mm512_set1_epi16(0x7000), _mm512_set1_epi16(0x3000));
        _mm512_ternarylogic_epi32::<WITHOUT_BUT_WITH>(shifted, without, with)
    }
}

/// Two rows of a bf16 tile from a line.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
fn two_rows(from: &[u8; ROW_BYTES], factor: Factor, to: &mut [u8; 2 * ROW_BYTES]) {
    fetch(from.as_ptr());
    const BOTH_OR: i32 = 0xea;
    let (lower, upper) = (_mm512_set1_epi16(0xff), _mm512_set1_epi16(QUARTERS << 8));
    // SAFETY: 64 bytes in, 128 out.
    unsafe {
        let bytes = _mm512_loadu_si512(from.as_ptr().cast());
        let even = _mm512_ternarylogic_epi32::<BOTH_OR>(bytes, lower, upper);
        let odd = _mm512_shrdi_epi16::<8>(bytes, _mm512_set1_epi16(QUARTERS));
        _mm512_storeu_si512(to.as_mut_ptr().cast(), factor.applied(even));
        _mm512_storeu_si512(to.as_mut_ptr().add(ROW_BYTES).cast(), factor.applied(odd));
    }
}

/// Asks for what will be read instead of `line` in a while.
#[inline(always)]
fn fetch(line: *const u8) {
    // SAFETY: a prefetch may point anywhere.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(line.wrapping_add(NEAR).cast());
        _mm_prefetch::<_MM_HINT_T1>(line.wrapping_add(FAR).cast());
    }
}
