//! Communications Link Transmission Units with the BCH code, made.  Source: CCSDS 231.0-B-4, sections 3, 5 and 6.

use crate::bch::{self, CODEBLOCK_OCTETS, INFORMATION_OCTETS};
use crate::randomizer;

/// The sixteen bits before the first codeblock.
pub const START_SEQUENCE: [u8; 2] = [0xEB, 0x90];
/// The sixty-four bits behind the last one: no codeblock, and none within one error of it.
pub const TAIL_SEQUENCE: [u8; CODEBLOCK_OCTETS] = [0xC5, 0xC5, 0xC5, 0xC5, 0xC5, 0xC5, 0xC5, 0x79];
/// What completes the last codeblock.
pub const FILL_OCTET: u8 = 0x55;

/// Whether frames are randomized, and what becomes of the fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Randomization {
    /// Frames are sent as they are.
    Off,
    /// Frames are randomized, the fill is not.
    Frame,
    /// Frames are randomized with the fill.
    FrameAndFill,
}

/// Octets of the CLTU of `frame_octets` octets of frames.
pub fn octets(frame_octets: usize) -> usize {
    START_SEQUENCE.len() + frame_octets.div_ceil(INFORMATION_OCTETS) * CODEBLOCK_OCTETS + TAIL_SEQUENCE.len()
}

/// Write the CLTU of `frame`, one frame or several end to end, into `out`, which has exactly as many octets as
/// `octets` says (others are left as they are, or missing).
pub fn encode(frame: &[u8], randomization: Randomization, out: &mut [u8]) {
    let (start, rest) = out.split_at_mut(START_SEQUENCE.len().min(out.len()));
    start.copy_from_slice(&START_SEQUENCE[..start.len()]);
    let blocks = frame.len().div_ceil(INFORMATION_OCTETS) * CODEBLOCK_OCTETS;
    let (codeblocks, tail) = rest.split_at_mut(blocks.min(rest.len()));
    let (codeblocks, _) = codeblocks.as_chunks_mut::<CODEBLOCK_OCTETS>();
    match randomization {
        Randomization::Off => encode_plain(frame, codeblocks),
        _ => encode_randomized(frame, randomization, codeblocks),
    }
    for (octet, sent) in tail.iter_mut().zip(TAIL_SEQUENCE) {
        *octet = sent;
    }
}

fn encode_plain(frame: &[u8], codeblocks: &mut [[u8; CODEBLOCK_OCTETS]]) {
    let (whole, rest) = frame.as_chunks::<INFORMATION_OCTETS>();
    for (codeblock, information) in codeblocks.iter_mut().zip(whole) {
        *codeblock = bch::with_parity(information);
    }
    if let (Some(last), false) = (codeblocks.get_mut(whole.len()), rest.is_empty()) {
        *last = bch::with_parity(&filled(rest));
    }
}

fn encode_randomized(frame: &[u8], randomization: Randomization, codeblocks: &mut [[u8; CODEBLOCK_OCTETS]]) {
    let (whole, rest) = frame.as_chunks::<INFORMATION_OCTETS>();
    // The table holds a whole number of periods, but not of blocks: begin anew where a period ends.
    let mut sequence = randomizer::telecommand().as_chunks::<INFORMATION_OCTETS>().0.iter().take(PERIOD_BLOCKS).cycle();
    for ((codeblock, information), pattern) in codeblocks.iter_mut().zip(whole).zip(&mut sequence) {
        *codeblock = bch::with_parity(&sum(information, pattern));
    }
    let (Some(last), Some(pattern), false) = (codeblocks.get_mut(whole.len()), sequence.next(), rest.is_empty()) else {
        return;
    };
    let mut information = sum(&filled(rest), pattern);
    if randomization == Randomization::Frame {
        information[rest.len()..].fill(FILL_OCTET);
    }
    *last = bch::with_parity(&information);
}

/// Blocks after which the sequence, of a period of 255 octets, begins anew.
const PERIOD_BLOCKS: usize = 255;

fn sum(a: &[u8; INFORMATION_OCTETS], b: &[u8; INFORMATION_OCTETS]) -> [u8; INFORMATION_OCTETS] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

fn filled(rest: &[u8]) -> [u8; INFORMATION_OCTETS] {
    let mut information = [FILL_OCTET; INFORMATION_OCTETS];
    information[..rest.len()].copy_from_slice(rest);
    information
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::randomizer::{Sequence, apply};

    /// The steps of the standard, one after the other.
    fn slow(frame: &[u8], randomization: Randomization) -> Vec<u8> {
        let mut information = frame.to_vec();
        if randomization == Randomization::Frame {
            apply(Sequence::Telecommand, &mut information);
        }
        while !information.len().is_multiple_of(INFORMATION_OCTETS) {
            information.push(FILL_OCTET);
        }
        if randomization == Randomization::FrameAndFill {
            apply(Sequence::Telecommand, &mut information);
        }
        let mut out = START_SEQUENCE.to_vec();
        for block in information.as_chunks::<INFORMATION_OCTETS>().0 {
            out.extend_from_slice(block);
            out.push(bch::parity_octet(block));
        }
        out.extend_from_slice(&TAIL_SEQUENCE);
        out
    }

    #[test]
    fn equals_the_steps_one_after_the_other() {
        let frame: Vec<u8> = (0..5000_u32).map(|i| (i * 13 + 5) as u8).collect();
        for length in [0, 1, 6, 7, 8, 13, 14, 254, 255, 256, 1024, 1784, 1785, 1786, 4079, 4081, 5000] {
            for randomization in [Randomization::Off, Randomization::Frame, Randomization::FrameAndFill] {
                let mut out = vec![0xA5; octets(length)];
                encode(&frame[..length], randomization, &mut out);
                assert!(out == slow(&frame[..length], randomization), "{length} {randomization:?}");
            }
        }
    }

    #[test]
    fn the_tail_is_rejected_with_or_without_an_error() {
        let tail = u64::from_be_bytes(TAIL_SEQUENCE);
        assert_eq!(bch::judge(tail, bch::Mode::Correct), None);
        for bit in 0..64 {
            assert_eq!(bch::judge(tail ^ 1 << bit, bch::Mode::Correct), None, "{bit}");
        }
    }
}
