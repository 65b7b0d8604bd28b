//! Pseudo-randomizers.  Sources: CCSDS 131.0-B-5 and B-6, section 10.4 (telemetry); 231.0-B-4, section 6 (telecommand).
//!
//! A bit recurrence over GF(2) also holds with all its distances doubled (squaring is linear), hence with
//! distances eight times as long: the same recurrence runs on whole octets, most significant bit first.

use std::sync::LazyLock;

/// Which generator a physical channel uses (managed parameter).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sequence {
    /// x^8 + x^7 + x^5 + x^3 + 1, all cells one: period 255 bits (the only one up to 131.0-B-4).
    Short,
    /// x^17 + x^14 + 1: period 131071 bits (since 131.0-B-5).
    Long,
    /// x^8 + x^6 + x^4 + x^3 + x^2 + x + 1, all cells one: telecommand, period 255 bits.
    Telecommand,
}

const SHORT_PERIOD: usize = 255;
const LONG_PERIOD: usize = 131_071;
/// A whole number of periods, so that every piece of a longer block starts at its first octet.
const SHORT_OCTETS: usize = 16 * SHORT_PERIOD;
/// Covers every transfer frame and codeblock in use; longer blocks build the whole period.
const LONG_HEAD_OCTETS: usize = 16_384;
/// Leaves the register from its least significant bit.
const LONG_SEED: u32 = 0x18E38;

static SHORT: [u8; SHORT_OCTETS] = eight_cells(&[1, 3, 5, 8]);
static TELECOMMAND: [u8; SHORT_OCTETS] = eight_cells(&[2, 4, 5, 6, 7, 8]);
static LONG_HEAD: [u8; LONG_HEAD_OCTETS] = {
    let mut octets = [0; LONG_HEAD_OCTETS];
    fill_long(&mut octets);
    octets
};
static LONG: LazyLock<Box<[u8]>> = LazyLock::new(|| {
    let mut octets = vec![0; LONG_PERIOD].into_boxed_slice();
    fill_long(&mut octets);
    octets
});

/// A sequence of eight cells, all one at first: each bit is the sum of those `distances` before it.
const fn eight_cells(distances: &[usize]) -> [u8; SHORT_OCTETS] {
    let mut octets = [0; SHORT_OCTETS];
    octets[0] = 0xFF;
    let mut bit = 8;
    while bit < 64 {
        let mut sum = 0;
        let mut i = 0;
        while i < distances.len() {
            let before = bit - distances[i];
            sum ^= octets[before / 8] >> (7 - before % 8) & 1;
            i += 1;
        }
        octets[bit / 8] |= sum << (7 - bit % 8);
        bit += 1;
    }
    let mut at = 8;
    while at < SHORT_OCTETS {
        let mut i = 0;
        while i < distances.len() {
            octets[at] ^= octets[at - distances[i]];
            i += 1;
        }
        at += 1;
    }
    octets
}

const fn fill_long(octets: &mut [u8]) {
    let mut register = LONG_SEED;
    let mut bit = 0;
    while bit < 17 * 8 {
        octets[bit / 8] |= ((register & 1) as u8) << (7 - bit % 8);
        let feedback = register ^ (register >> 14);
        register = (register >> 1) | (feedback & 1) << 16;
        bit += 1;
    }
    let mut i = 17;
    while i < octets.len() {
        octets[i] = octets[i - 3] ^ octets[i - 17];
        i += 1;
    }
}

/// The table to repeat for a block of `length` octets.
fn table(sequence: Sequence, length: usize) -> &'static [u8] {
    match sequence {
        Sequence::Short => &SHORT,
        Sequence::Telecommand => &TELECOMMAND,
        Sequence::Long if length <= LONG_HEAD_OCTETS => &LONG_HEAD,
        Sequence::Long => &LONG,
    }
}

/// Randomize `block` in place, the generator preset at its first octet; its own inverse.
pub fn apply(sequence: Sequence, block: &mut [u8]) {
    let table = table(sequence, block.len());
    for piece in block.chunks_mut(table.len()) {
        for (octet, pattern) in piece.iter_mut().zip(table) {
            *octet ^= pattern;
        }
    }
}

/// Sixteen periods of the telecommand sequence, octets that begin anew every 255.
pub(crate) fn telecommand() -> &'static [u8; SHORT_OCTETS] {
    &TELECOMMAND
}

/// The first `length` octets of the sequence, the first bit in the most significant place.
pub fn octets(sequence: Sequence, length: usize) -> Vec<u8> {
    let mut octets = vec![0; length];
    apply(sequence, &mut octets);
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The generator of the standard, one bit at a time.
    fn slow(sequence: Sequence, length: usize) -> Vec<u8> {
        let (mut register, taps, top): (u32, &[u32], u32) = match sequence {
            Sequence::Short => (0xFF, &[0, 3, 5, 7], 7),
            Sequence::Long => (LONG_SEED, &[0, 14], 16),
            Sequence::Telecommand => (0xFF, &[0, 1, 2, 3, 4, 6], 7),
        };
        let mut octets = vec![0; length];
        for bit in 0..8 * length {
            octets[bit / 8] |= ((register & 1) as u8) << (7 - bit % 8);
            let feedback = taps.iter().fold(0, |sum, tap| sum ^ (register >> tap)) & 1;
            register = register >> 1 | feedback << top;
        }
        octets
    }

    #[test]
    fn printed_first_octets() {
        assert_eq!(octets(Sequence::Short, 5), [0xFF, 0x48, 0x0E, 0xC0, 0x9A]);
        assert_eq!(octets(Sequence::Telecommand, 5), [0xFF, 0x39, 0x9E, 0x5A, 0x68]);
        assert_eq!(octets(Sequence::Long, 5), [0x1C, 0x71, 0xB9, 0x1B, 0xA9]);
    }

    #[test]
    fn any_length_equals_the_bit_generator() {
        for sequence in [Sequence::Short, Sequence::Long, Sequence::Telecommand] {
            let expected = slow(sequence, 2 * LONG_PERIOD + 1000);
            for length in [0, 1, 7, 255, 4079, 4080, 4081, 16_384, 16_385, 131_071, 263_000] {
                assert!(octets(sequence, length) == expected[..length], "{sequence:?} {length}");
            }
        }
    }

    #[test]
    fn applying_twice_changes_nothing() {
        let mut block: Vec<u8> = (0..5000_u32).map(|i| (i * 7) as u8).collect();
        let before = block.clone();
        apply(Sequence::Long, &mut block);
        assert_ne!(block, before);
        apply(Sequence::Long, &mut block);
        assert_eq!(block, before);
    }
}
