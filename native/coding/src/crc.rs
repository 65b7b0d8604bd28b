//! Cyclic redundancy codes, by carry-less multiplication where the processor has it (crate `crc-fast`).

use std::sync::LazyLock;

use crc_fast::{CrcAlgorithm, CrcParams, Digest};

/// Preset of the Frame Error Control Field.
pub const PRESET: u16 = 0xFFFF;

/// Frame Error Control Field over `octets`: x^16 + x^12 + x^5 + 1, preset to ones (CCSDS 132.0-B-3, 4.1.6;
/// the same in 232.0-B-4, 732.0-B-5, 732.1-B-3).  Zero when they end in their own valid field.
pub fn remainder(octets: &[u8]) -> u16 {
    crc_fast::checksum(CrcAlgorithm::Crc16Ibm3740, octets) as u16
}

/// The same from another preset, which is also how a remainder is continued over the octets that follow.
pub fn remainder_with(preset: u16, octets: &[u8]) -> u16 {
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc16Ibm3740, u64::from(preset));
    digest.update(octets);
    digest.finalize() as u16
}

/// CRC-32 of Proximity-1 (CCSDS 211.2-B-3, annex C): x^32 + x^23 + x^21 + x^11 + x^2 + 1, preset to zeros.
pub fn crc32(octets: &[u8]) -> u32 {
    static PARAMETERS: LazyLock<CrcParams> = LazyLock::new(|| {
        CrcParams::new(
            "CRC-32/PROXIMITY-1",
            32,
            0x00A0_0805,
            0,
            false,
            0,
            0x5169_3C0C,
        )
    });
    crc_fast::checksum_with_params(*PARAMETERS, octets) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(width: u32, polynomial: u32, preset: u32, octets: &[u8]) -> u32 {
        let mut register = preset << (32 - width);
        for bit in octets
            .iter()
            .flat_map(|octet| (0..8).rev().map(move |i| u32::from(octet >> i & 1)))
        {
            let feedback = register >> 31 ^ bit;
            register <<= 1;
            if feedback == 1 {
                register ^= polynomial << (32 - width);
            }
        }
        register >> (32 - width)
    }

    #[test]
    fn check_strings() {
        assert_eq!(remainder(b"123456789"), 0x29B1);
        assert_eq!(
            remainder(&[
                0x06, 0x00, 0x0C, 0xF0, 0x00, 0x04, 0x00, 0x55, 0x88, 0x73, 0xC9, 0x00, 0x00, 0x05,
                0x21
            ]),
            0x75FB
        );
        assert_eq!(crc32(&[0x12, 0x34, 0x56, 0x78]), 0x34D7_4CB3);
        assert_eq!(crc32(&[1]), 0x00A0_0805);
    }

    #[test]
    fn every_length_up_to_a_frame_equals_the_shift_register() {
        let octets: Vec<u8> = (0..2100_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        for length in (0..600).chain([1115, 1279, 2048, 2100]) {
            let octets = &octets[..length];
            assert_eq!(
                u32::from(remainder(octets)),
                slow(16, 0x1021, 0xFFFF, octets),
                "{length}"
            );
            assert_eq!(
                u32::from(remainder_with(0x1D0F, octets)),
                slow(16, 0x1021, 0x1D0F, octets),
                "{length}"
            );
            assert_eq!(crc32(octets), slow(32, 0x00A0_0805, 0, octets), "{length}");
        }
    }

    #[test]
    fn a_remainder_can_be_continued_and_vanishes_over_its_own_field() {
        let octets: Vec<u8> = (0..=255).collect();
        for cut in 0..octets.len() {
            assert_eq!(
                remainder_with(remainder(&octets[..cut]), &octets[cut..]),
                remainder(&octets)
            );
        }
        let field = remainder(&octets).to_be_bytes();
        assert_eq!(remainder(&[&octets[..], &field].concat()), 0);
    }
}
