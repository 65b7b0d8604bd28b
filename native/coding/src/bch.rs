//! The modified BCH (63,56) code of telecommand.  Source: CCSDS 231.0-B-4, section 3.
//!
//! A codeblock has seven octets of information, seven parity bits, which are sent complemented, and a filler bit 0.
//! The generator is (x + 1)(x^6 + x + 1), so the code has distance 4: three errors are detected, or one is corrected
//! and two are detected.

/// Octets of information in a codeblock.
pub const INFORMATION_OCTETS: usize = 7;
/// Octets of a codeblock.
pub const CODEBLOCK_OCTETS: usize = 8;

/// x^7 + x^6 + x^2 + 1.
const GENERATOR: u8 = 0b1100_0101;
/// The parity octet is sent complemented, but for the filler bit.
const COMPLEMENT: u8 = 0xFE;
const UNCORRECTABLE: u8 = 0xFF;

/// Parity of each value of each information octet, where the parity octet has it: filler bit last.
static PARITY: [[u8; 256]; INFORMATION_OCTETS] = parity();
/// Of each syndrome: the bit in error, counted from the first one sent.
static ERROR_BIT: [u8; 128] = error_bits();

/// `remainder` times x, modulo the generator.
const fn shifted(remainder: u8) -> u8 {
    let next = remainder << 1;
    if next & 0x80 == 0 { next } else { next ^ GENERATOR }
}

const fn parity() -> [[u8; 256]; INFORMATION_OCTETS] {
    let mut tables = [[0; 256]; INFORMATION_OCTETS];
    let mut power = GENERATOR & 0x7F; // x^7, what the last information bit leaves
    let mut octet = INFORMATION_OCTETS;
    while octet > 0 {
        octet -= 1;
        let mut bit = 0;
        while bit < 8 {
            let mut value = 0;
            while value < 256 {
                if value >> bit & 1 == 1 {
                    tables[octet][value] ^= power << 1;
                }
                value += 1;
            }
            power = shifted(power);
            bit += 1;
        }
    }
    tables
}

const fn error_bits() -> [u8; 128] {
    let mut table = [UNCORRECTABLE; 128];
    let mut power = 1; // what an error in the last parity bit leaves
    let mut bit = 63;
    while bit > 0 {
        bit -= 1;
        table[power as usize] = bit;
        power = shifted(power);
    }
    table
}

/// What a decoder does about errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Up to three errors are detected; none is corrected.
    Detect,
    /// One error is corrected; two are detected.
    Correct,
}

/// The parity octet of seven octets of information, filler bit 0 included.
#[inline(always)]
pub fn parity_octet(information: &[u8; INFORMATION_OCTETS]) -> u8 {
    let [a, b, c, d, e, f, g] = *information;
    PARITY[0][usize::from(a)]
        ^ PARITY[1][usize::from(b)]
        ^ PARITY[2][usize::from(c)]
        ^ PARITY[3][usize::from(d)]
        ^ PARITY[4][usize::from(e)]
        ^ PARITY[5][usize::from(f)]
        ^ PARITY[6][usize::from(g)]
        ^ COMPLEMENT
}

/// Judge a codeblock, its first bit the most significant one: its bits, corrected where the mode corrects, and how many
/// were (0 or 1); None where it is rejected.  The filler bit is not part of the code and not looked at.
#[inline(always)]
pub fn judge(codeblock: u64, mode: Mode) -> Option<(u64, u32)> {
    let [a, b, c, d, e, f, g, received] = codeblock.to_be_bytes();
    let syndrome = (parity_octet(&[a, b, c, d, e, f, g]) ^ received) >> 1;
    if syndrome == 0 {
        return Some((codeblock, 0));
    }
    let bit = ERROR_BIT[usize::from(syndrome)];
    if mode == Mode::Detect || bit == UNCORRECTABLE {
        return None;
    }
    Some((codeblock ^ (1 << (63 - bit)), 1))
}

/// Codeblocks of `information`, seven octets each; whole blocks only, as many as both slices hold.
pub fn encode(information: &[u8], codeblocks: &mut [u8]) {
    let (blocks, _) = information.as_chunks::<INFORMATION_OCTETS>();
    let (out, _) = codeblocks.as_chunks_mut::<CODEBLOCK_OCTETS>();
    for (codeblock, block) in out.iter_mut().zip(blocks) {
        *codeblock = with_parity(block);
    }
}

/// One codeblock.
#[inline(always)]
pub(crate) fn with_parity(information: &[u8; INFORMATION_OCTETS]) -> [u8; CODEBLOCK_OCTETS] {
    let [a, b, c, d, e, f, g] = *information;
    [a, b, c, d, e, f, g, parity_octet(information)]
}

/// Judge each codeblock: its information, corrected where the mode corrects, or as received where it is rejected; and
/// a status, the bits corrected in it or -1.  Whole blocks only, as many as all three slices hold.
pub fn decode(codeblocks: &[u8], mode: Mode, information: &mut [u8], status: &mut [i8]) {
    let (blocks, _) = codeblocks.as_chunks::<CODEBLOCK_OCTETS>();
    let (out, _) = information.as_chunks_mut::<INFORMATION_OCTETS>();
    for ((block, octets), status) in blocks.iter().zip(out).zip(status) {
        let received = u64::from_be_bytes(*block);
        let (decoded, corrected) = match judge(received, mode) {
            Some((decoded, 0)) => (decoded, 0),
            Some((decoded, _)) => (decoded, 1),
            None => (received, -1),
        };
        octets.copy_from_slice(&decoded.to_be_bytes()[..INFORMATION_OCTETS]);
        *status = corrected;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Division by the generator, one bit at a time.
    fn slow_parity_octet(information: [u8; INFORMATION_OCTETS]) -> u8 {
        let mut register = 0_u8;
        for bit in information.iter().flat_map(|octet| (0..8).rev().map(move |i| octet >> i & 1)) {
            let feedback = (register >> 6 & 1) ^ bit;
            register = register << 1 & 0x7F;
            if feedback == 1 {
                register ^= GENERATOR & 0x7F;
            }
        }
        (register ^ 0x7F) << 1
    }

    fn samples() -> impl Iterator<Item = [u8; INFORMATION_OCTETS]> {
        let mut state = 1_u64;
        (0..200).map(move |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[..INFORMATION_OCTETS].try_into().unwrap()
        })
    }

    #[test]
    fn parity_equals_the_division() {
        assert_eq!(parity_octet(&[0; 7]), 0xFE);
        assert_eq!(parity_octet(&[0x22, 0xF6, 0x00, 0xFF, 0x00, 0x42, 0x1A]), 0x12);
        for information in samples() {
            assert_eq!(parity_octet(&information), slow_parity_octet(information));
        }
    }

    #[test]
    fn every_error_of_weight_one_two_and_three() {
        for information in samples().take(3) {
            let word = u64::from_be_bytes(with_parity(&information));
            assert_eq!(judge(word, Mode::Detect), Some((word, 0)));
            for a in 1..64 {
                let one = word ^ 1 << a;
                assert_eq!(judge(one, Mode::Detect), None);
                assert_eq!(judge(one, Mode::Correct), Some((word, 1)));
                for b in 1..a {
                    assert_eq!(judge(one ^ 1 << b, Mode::Correct), None);
                    assert_eq!(judge(one ^ 1 << b, Mode::Detect), None);
                    for c in 1..b {
                        assert_eq!(judge(one ^ 1 << b ^ 1 << c, Mode::Detect), None);
                    }
                }
            }
            assert_eq!(judge(word ^ 1, Mode::Detect), Some((word ^ 1, 0)), "the filler bit is no part of the code");
        }
    }

    #[test]
    fn batches_are_single_blocks_side_by_side() {
        let information: Vec<u8> = samples().flatten().collect();
        let mut codeblocks = vec![0xA5; information.len() / 7 * 8];
        encode(&information, &mut codeblocks);
        codeblocks[8] ^= 0x10;
        codeblocks[16] ^= 0x11;
        let mut out = vec![0xA5; information.len()];
        let mut status = vec![9; information.len() / 7];
        decode(&codeblocks, Mode::Correct, &mut out, &mut status);
        assert_eq!(status[..4], [0, 1, -1, 0]);
        assert_eq!(out[14], information[14] ^ 0x11);
        out[14] ^= 0x11;
        assert_eq!(out, information);
        decode(&codeblocks, Mode::Detect, &mut out, &mut status);
        assert_eq!(status[..4], [0, -1, -1, 0]);
    }
}
