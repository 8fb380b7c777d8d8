//! From quantised weights back to tiles that meet activations.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;

use crate::{
    bf16,
    isa::{Isa, multiversion},
    linear::{INT8_GROUP, INT8_TILES, bf16_at},
    tile,
};

/// Groups of int8 weights as bf16 tiles, two for each, in the front of `to`.
///
/// A weight times its scale is exact in f32, and its nearest bf16 is one number: so all instruction sets
/// expand to the same bits.
pub(super) fn int8<'t>(isa: Isa, groups: &[u8], to: &'t mut [u8]) -> &'t [u8] {
    let to = &mut to[..groups.len() / INT8_GROUP * 2 * tile::BYTES];
    match isa {
        // SAFETY: a `Cpu` has these instruction sets only where the machine does.
        #[cfg(target_arch = "x86_64")]
        Isa::Amx | Isa::Avx512 => unsafe { avx512::int8(groups, to) },
        _ => plain(isa, groups, to),
    }
    to
}

multiversion! {
    fn plain(groups: &[u8], to: &mut [u8]) {
        let tiles = to.as_chunks_mut::<{ tile::BYTES }>().0;
        let halves = groups.chunks_exact(INT8_GROUP).flat_map(|group| [(group, 0), (group, 1)]);
        for ((group, half), tile) in halves.zip(tiles) {
            let mut scales = [0.0; 2 * tile::COLUMNS];
            for (index, scale) in scales.iter_mut().enumerate() {
                *scale = bf16_at(group, INT8_TILES + 2 * (half * tile::COLUMNS + index / 2));
            }
            let from = group[half * INT8_TILES / 2..][..INT8_TILES / 2].chunks_exact(scales.len());
            for (from, to) in from.zip(tile.as_chunks_mut::<{ tile::ROW_BYTES }>().0) {
                for ((to, from), scale) in to.as_chunks_mut::<2>().0.iter_mut().zip(from).zip(scales) {
                    *to = bf16::from_f32(f32::from(*from as i8) * scale).to_le_bytes();
                }
            }
        }
    }
}
