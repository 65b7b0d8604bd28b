//! The Internet checksum, where a sender left it for its card to complete.  Source: RFC 1071.

/// Complete a partial checksum: over `frame[start..]`, its place `offset` octets in.  False where that is out of bounds.
pub fn complete(frame: &mut [u8], start: usize, offset: usize) -> bool {
    let place = start.saturating_add(offset);
    if place.checked_add(2).is_none_or(|end| end > frame.len()) {
        return false;
    }
    let value = !sum(&frame[start..]);
    // the sum of a segment that is all zeros is 0, which UDP writes as ones; TCP may write either
    let value = if value == 0 { 0xFFFF } else { value };
    frame[place..place + 2].copy_from_slice(&value.to_be_bytes());
    true
}

/// Ones' complement sum of 16-bit words.
fn sum(octets: &[u8]) -> u16 {
    let (words, rest) = octets.as_chunks::<2>();
    let mut sum: u64 = words.iter().map(|word| u64::from(u16::from_be_bytes(*word))).sum();
    sum += rest.first().map_or(0, |&last| u64::from(last) << 8);
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_1071_example() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
    }

    #[test]
    fn completed_segments_sum_to_ones() {
        let mut frame = vec![9, 9, 1, 2, 3, 4, 0, 0, 7];
        assert!(complete(&mut frame, 2, 4));
        assert_eq!((sum(&frame[2..]), &frame[..2]), (0xFFFF, &[9u8, 9][..]));
    }

    #[test]
    fn out_of_bounds_is_refused() {
        for (start, offset) in [(8, 0), (7, 1), (9, 0), (usize::MAX, 0), (1, usize::MAX), (100, 2)] {
            assert!(!complete(&mut [0; 9], start, offset.max(usize::from(start == 8))), "{start} {offset}");
        }
    }
}
