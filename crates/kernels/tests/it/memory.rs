//! Arenas, whose pieces never overlap, and what a cache takes of memory.

use kernels::{Arena, Cpu, HeadShape, Isa, KvCache, KvFormat, MemoryError};

#[test]
fn pieces_start_on_cache_lines_and_do_not_overlap() {
    let mut arena = Arena::anonymous(64 + 128 + 10).unwrap();
    let mut pieces = [10, 100, 10].map(|bytes| arena.take(bytes).unwrap());
    for (index, piece) in pieces.iter_mut().enumerate() {
        assert_eq!(piece.as_ptr().align_offset(64), 0);
        piece.fill(index as u8 + 1);
    }
    for (index, piece) in pieces.iter().enumerate() {
        assert!(piece.iter().all(|&byte| byte == index as u8 + 1));
    }
    assert!(matches!(arena.take(1), Err(MemoryError::Exhausted { asked: 1, .. })));
}

/// Bytes of this process that are in memory.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() * 1024
}

#[cfg(target_os = "linux")]
#[test]
fn a_cache_takes_the_memory_that_is_touched_and_no_more() {
    const MIB: usize = 1 << 20;
    let shape = HeadShape { heads: 8, kv_heads: 8, head_dim: 128 };
    let blocks = 64;
    let bytes = KvCache::bytes(KvFormat::Bf16, shape, 8, blocks);
    assert_eq!(bytes, 64 * MIB);
    let cpu = Cpu::new(Isa::Portable, 3).unwrap();
    let before = resident();
    let cache = KvCache::new(KvFormat::Bf16, shape, 8, blocks).unwrap();
    assert!(resident() < before + 8 * MIB);
    // Pages may be huge, so that the ends of layers are taken with their neighbours.
    let cache = cache.touched(&cpu, 16 * MIB);
    let taken = resident() - before;
    assert!((16 * MIB..48 * MIB).contains(&taken), "{taken}");
    drop(cache);
    let cache = KvCache::new(KvFormat::Bf16, shape, 8, blocks).unwrap().touched(&cpu, usize::MAX);
    assert!(resident() - before >= bytes);
    drop(cache);
}

#[test]
fn more_than_there_are_addresses_is_refused() {
    for bytes in [usize::MAX, usize::MAX - 64, isize::MAX as usize] {
        let refused = Arena::anonymous(bytes).unwrap_err();
        assert!(matches!(refused, MemoryError::Refused { bytes: asked, .. } if asked >= bytes));
    }
}
