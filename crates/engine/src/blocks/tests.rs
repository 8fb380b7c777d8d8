//! The life of a block.

use super::*;

fn tokens(first: TokenId) -> Vec<TokenId> {
    (first..).take(BLOCK_TOKENS).collect()
}

/// Takes a block, fills it behind a prefix and releases it: it is idle then.
fn cached(pool: &mut BlockPool, before: PrefixId, first: TokenId) -> (BlockId, PrefixId) {
    let id = pool.take().unwrap();
    let (id, prefix) = pool.publish(before, &tokens(first), id);
    pool.release(id);
    (id, prefix)
}

#[test]
fn blocks_run_out_and_come_back() {
    let mut pool = BlockPool::new(2);
    let (one, two) = (pool.take().unwrap(), pool.take().unwrap());
    assert_eq!((one.index(), two.index(), pool.take()), (0, 1, None));
    pool.release(one);
    assert_eq!((pool.free(), pool.take()), (1, Some(one)));
}

#[test]
fn a_prefix_is_found_after_its_sequence_ended_and_only_behind_what_it_continues() {
    let mut pool = BlockPool::new(4);
    let (one, prefix) = cached(&mut pool, PrefixId::EMPTY, 0);
    let (two, _) = cached(&mut pool, prefix, 100);
    let both: Vec<_> = tokens(0).into_iter().chain(tokens(100)).collect();
    let hits = pool.find(&both);
    assert_eq!((hits.blocks, hits.idle), (vec![one, two], 2));
    assert_eq!(pool.find(&both[..63]).blocks, [one], "a part of a block is no hit");
    assert!(pool.find(&tokens(100)).blocks.is_empty());
}

#[test]
fn the_least_recently_used_prefix_is_forgotten_first() {
    let mut pool = BlockPool::new(2);
    let (one, _) = cached(&mut pool, PrefixId::EMPTY, 1);
    let (two, _) = cached(&mut pool, PrefixId::EMPTY, 2);
    pool.hold(one);
    pool.release(one);
    assert_eq!(pool.take(), Some(two));
    assert!(pool.find(&tokens(2)).blocks.is_empty());
    assert_eq!(pool.find(&tokens(1)).blocks, [one]);
}

#[test]
fn two_blocks_with_the_same_prefix_become_one() {
    let mut pool = BlockPool::new(2);
    let (one, two) = (pool.take().unwrap(), pool.take().unwrap());
    let (kept, prefix) = pool.publish(PrefixId::EMPTY, &tokens(7), one);
    assert_eq!(kept, one);
    assert_eq!(pool.publish(PrefixId::EMPTY, &tokens(7), two), (one, prefix));
    assert_eq!(pool.free(), 1);
    assert_eq!(pool.integrity([one, one].into_iter()), Ok(()));
    pool.release(one);
    assert_eq!(pool.integrity([one].into_iter()), Ok(()));
}

#[test]
fn the_look_over_all_blocks_sees_a_leak() {
    let mut pool = BlockPool::new(2);
    let one = pool.take().unwrap();
    assert_eq!(pool.integrity([one].into_iter()), Ok(()));
    let leak = pool.integrity(std::iter::empty()).unwrap_err();
    assert_eq!(leak, "block 0: 0 refer to it, 1 are counted");
}
