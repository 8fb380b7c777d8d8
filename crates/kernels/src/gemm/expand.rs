//! From quantised weights back to tiles that meet activations.

#[cfg(target_arch = "x86_64")]
pub(super) mod fp16;

use crate::{
    isa::{Isa, multiversion},
    linear::int8::{self, GROUP, TILES},
    tile::{self, COLUMNS, ROW_BYTES},
};

/// Groups of int8 weights as bf16 tiles, two for each, in the front of `to`. All instruction sets expand to the
/// same bits.
pub(super) fn int8<'t>(isa: Isa, groups: &[u8], to: &'t mut [u8]) -> &'t [u8] {
    let to = &mut to[..groups.len() / GROUP * 2 * tile::BYTES];
    plain(isa, groups, to);
    to
}

multiversion! {
    fn plain(groups: &[u8], to: &mut [u8]) {
        let tiles = to.as_chunks_mut::<{ tile::BYTES }>().0;
        let halves = groups.chunks_exact(GROUP).flat_map(|group| [(group, 0), (group, 1)]);
        for ((group, half), tile) in halves.zip(tiles) {
            let lines = group[half * TILES / 2..][..TILES / 2].as_chunks::<ROW_BYTES>().0;
            let rows = tile.as_chunks_mut::<{ 2 * ROW_BYTES }>().0;
            for (index, (line, rows)) in lines.iter().zip(rows).enumerate() {
                let first = int8::multiplier_at(4 * index, half * COLUMNS);
                let multipliers = &group[first..first + COLUMNS];
                let (even, odd) = rows.split_at_mut(ROW_BYTES);
                let even = even.as_chunks_mut::<2>().0.iter_mut();
                let odd = odd.as_chunks_mut::<2>().0.iter_mut();
                for (element, ((even, odd), bytes)) in even.zip(odd).zip(line.as_chunks::<2>().0).enumerate() {
                    let multiplier = multipliers[element / 2];
                    *even = int8::bits(bytes[0], multiplier).to_le_bytes();
                    *odd = int8::bits(bytes[1], multiplier).to_le_bytes();
                }
            }
        }
    }
}
