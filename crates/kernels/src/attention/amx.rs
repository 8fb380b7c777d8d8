//! Scores and weighed sums with AMX tiles.

mod int8;

use crate::{
    amx::{
        Configured,
        attention::{self, Sums},
    },
    attention::workspace::{SCORE_STRIDE, WEIGHT_BYTES, sum_stride},
    isa::Isa,
    kv::BLOCK_TOKENS,
    spans::QUERY_ROWS,
    tile,
};

/// Sets this thread's tiles up for units of `rows` rows, unless they are.
pub(super) fn configure(isa: Isa, tiles: &mut Option<(usize, Configured)>, rows: usize) {
    let rows = rows.min(tile::ROWS);
    if isa == Isa::Amx && tiles.as_ref().is_none_or(|(configured, _)| *configured != rows) {
        // The old configuration is released before the new one is loaded.
        *tiles = None;
        // SAFETY: an `Isa::Amx` in use means that tiles are permitted.
        *tiles = Some((rows, unsafe { Configured::new(rows) }));
    }
}

/// Queries times the keys of a block: 32 scores for each row.
///
/// # Safety
/// Tiles are configured for `rows`.
pub(super) unsafe fn scores(queries: [&[u8]; 2], keys: &[u8], rows: usize, scores: &mut [f32]) {
    let steps = queries[0].len() / tile::BYTES;
    assert!(keys.len() == 2 * steps * tile::BYTES && queries[1].len() == queries[0].len());
    let tall = if rows > tile::ROWS { QUERY_ROWS } else { tile::ROWS };
    assert!(scores.len() >= (tall - 1) * SCORE_STRIDE + BLOCK_TOKENS, "room for scores");
    let to = Sums { first: scores.as_mut_ptr().cast(), stride: SCORE_STRIDE * 4 };
    // SAFETY: queries and keys have these steps, and scores these rows, as just checked.
    unsafe {
        if rows > tile::ROWS {
            attention::scores_of_two(
                [queries[0].as_ptr(), queries[1].as_ptr()],
                keys.as_ptr(),
                steps,
                to,
            );
        } else {
            attention::scores_of_one(queries[0].as_ptr(), keys.as_ptr(), steps, to);
        }
    }
}

/// Adds the values of each block, times the weights that each row gives its tokens.
///
/// # Safety
/// Tiles are configured for `rows`.
pub(super) unsafe fn add_values(
    weights: &[u8],
    values: &[&[u8]],
    (rows, head_dim): (usize, usize),
    sums: &mut [f32],
) {
    assert!(values.iter().all(|values| values.len() == head_dim * BLOCK_TOKENS * 2));
    assert!(weights.len() >= values.len() * WEIGHT_BYTES, "weights for every block");
    assert!(sums.len() >= QUERY_ROWS * sum_stride(head_dim), "room for sums");
    let mut blocks = [std::ptr::null::<u8>(); super::GROUP_BLOCKS];
    for (block, values) in blocks.iter_mut().zip(values) {
        *block = values.as_ptr();
    }
    // Two tiles of 16 dimensions at a time.
    for pair in 0..head_dim / (2 * tile::COLUMNS) {
        let first = sums[pair * 2 * tile::COLUMNS..].as_mut_ptr().cast();
        let to = Sums { first, stride: sum_stride(head_dim) * 4 };
        let blocks = &blocks[..values.len()];
        // SAFETY: every block has these dimensions and weights, and sums these rows, as checked above.
        unsafe {
            if rows > tile::ROWS {
                attention::values_of_two(weights.as_ptr(), blocks, pair * 2 * tile::BYTES, to);
            } else {
                attention::values_of_one(weights.as_ptr(), blocks, pair * 2 * tile::BYTES, to);
            }
        }
    }
}
