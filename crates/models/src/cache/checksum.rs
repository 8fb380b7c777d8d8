//! A checksum as fast as memory: it finds damage on a disk, not malice.

/// Independent sums, so that the multiplications of one do not wait for those of another.
const LANES: usize = 8;
const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;

/// The checksum of these bytes.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    let mut lanes: [u64; LANES] = std::array::from_fn(|lane| lane as u64);
    let (blocks, rest) = bytes.as_chunks::<{ LANES * 8 }>();
    for block in blocks {
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
            *lane = (*lane ^ u64::from_le_bytes(*word)).wrapping_mul(PRIME).rotate_left(29);
        }
    }
    let mut sum = bytes.len() as u64;
    for byte in rest {
        sum = (sum ^ u64::from(*byte)).wrapping_mul(PRIME).rotate_left(29);
    }
    lanes.into_iter().fold(sum, |sum, lane| (sum ^ lane).wrapping_mul(PRIME).rotate_left(29))
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn every_single_bit_changes_the_sum() {
        let bytes: Vec<u8> = (0..200).map(|i| (i * 7) as u8).collect();
        let sum = checksum(&bytes);
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(checksum(&other), sum, "bit {bit}");
        }
        assert_ne!(checksum(&bytes[..199]), sum);
    }

    #[test]
    fn zeros_of_different_lengths_have_different_sums() {
        assert_ne!(checksum(&[0; 64]), checksum(&[0; 128]));
    }
}
