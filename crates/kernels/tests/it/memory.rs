//! Arenas: pieces that never overlap, and files.

use std::io::Write as _;

use kernels::{Arena, MemoryError};

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

#[test]
fn a_mapped_file_is_read_and_never_written() {
    let path = std::env::temp_dir().join(format!("kernels-map-{}", std::process::id()));
    std::fs::File::create(&path).unwrap().write_all(&[7; 200]).unwrap();
    let mut arena = Arena::map(&std::fs::File::open(&path).unwrap()).unwrap();
    let (mut first, second) = (arena.take(64).unwrap(), arena.take(136).unwrap());
    first.fill(1);
    assert!(second.iter().all(|&byte| byte == 7));
    assert_eq!(std::fs::read(&path).unwrap(), vec![7; 200]);
    std::fs::remove_file(&path).unwrap();
    drop(arena);
    assert_eq!(first[0], 1);
}
