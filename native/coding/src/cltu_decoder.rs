//! Communications Link Transmission Units with the BCH code, found in a stream and decoded.
//! Source: CCSDS 231.0-B-4, sections 3, 5 and 6.
//!
//! Three states: INACTIVE (nothing is looked at), SEARCH (for a start sequence, at any bit offset), DECODE (codeblocks,
//! until the first one that is rejected).  What is decided depends on the bits alone: where bits are missing to decide,
//! the decoder waits for them or for the end of the stream, so that the split into pieces changes nothing.
//!
//! The search goes on where a rejected codeblock begins: a start sequence within it is found.  A start sequence whose
//! first codeblock is rejected was none: the search goes on one bit after its beginning.

use crate::bch::{self, INFORMATION_OCTETS, Mode};
use crate::bit_queue::BitQueue;
use crate::cltu::TAIL_SEQUENCE;
use crate::randomizer;
use crate::start_sequence::StartSequence;

const START_BITS: u64 = 16;
const CODEBLOCK_BITS: u64 = 64;
/// A rejected codeblock with no more bits than these other than the tail sequence is called the tail.
const TAIL_ERRORS: u32 = 8;

/// Managed parameters of the decoder.
#[derive(Clone, Copy, Debug)]
pub struct Parameters {
    /// What is done about errors in codeblocks.
    pub mode: Mode,
    /// Bits of the start sequence that may be in error; at most `start_sequence::MAXIMUM_TOLERATED_ERRORS`.
    pub tolerated_errors: u32,
    /// Take CLTUs of inverted polarity, and turn them.
    pub accept_inverted: bool,
    /// Derandomize what is decoded.
    pub derandomize: bool,
    /// Codeblocks after which a CLTU is cut off.
    pub maximum_codeblocks: u64,
}

/// Why decoding ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum End {
    /// A codeblock was rejected, and was the tail sequence but for a few bits.
    Tail = 1,
    /// A codeblock was rejected.
    Rejected = 2,
    /// A codeblock was accepted after as many as a CLTU may have; it is not part of it.
    Limit = 3,
    /// The channel was deactivated.
    Deactivated = 4,
    /// The stream ended.
    Finished = 5,
}

/// One CLTU, and the candidate frame that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Stream position of the first bit of its start sequence.
    pub bit_position: u64,
    /// Stream position behind its last bit; the tail counts, a rejected codeblock does not.
    pub end_position: u64,
    /// Codeblocks accepted.
    pub codeblocks: u64,
    /// Bits corrected in them.
    pub corrected_bits: u64,
    /// Bits of the start sequence in error.
    pub start_errors: u32,
    /// The CLTU came inverted and was turned.
    pub inverted: bool,
    /// Why it ended.
    pub end: End,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Bits taken in.
    pub bits: u64,
    /// Of these, while inactive: not looked at.
    pub inactive_bits: u64,
    /// Of these, within CLTUs: from the start sequence to the end of the tail or of the last codeblock.
    pub cltu_bits: u64,
    /// CLTUs with at least one codeblock.
    pub cltus: u64,
    /// Start sequences without one.
    pub false_starts: u64,
    /// Codeblocks accepted.
    pub codeblocks: u64,
    /// Codeblocks rejected; tails are not counted.
    pub rejected_codeblocks: u64,
    /// Tail sequences that ended a CLTU or followed a start sequence.
    pub tails: u64,
    /// Bits corrected in codeblocks.
    pub corrected_bits: u64,
    /// Bits in error in start sequences of CLTUs.
    pub start_errors: u64,
    /// CLTUs that came inverted.
    pub inverted_cltus: u64,
}

#[derive(Clone, Copy)]
enum State {
    Inactive,
    Search { from: u64 },
    Decode { record: Record, next: u64 },
}

/// The decoder.  Starts inactive.
pub struct Decoder {
    parameters: Parameters,
    start_sequence: StartSequence,
    queue: BitQueue,
    state: State,
    statistics: Statistics,
    octets: Vec<u8>,
    records: Vec<Record>,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub fn new(parameters: Parameters) -> Self {
        Decoder {
            parameters,
            start_sequence: StartSequence::new(parameters.tolerated_errors, parameters.accept_inverted),
            queue: BitQueue::default(),
            state: State::Inactive,
            statistics: Statistics::default(),
            octets: Vec::new(),
            records: Vec::new(),
        }
    }

    /// The channel becomes active: INACTIVE to SEARCH.
    pub fn activate(&mut self) {
        if matches!(self.state, State::Inactive) {
            self.state = State::Search { from: self.queue.end() };
        }
    }

    /// The channel is no longer active: to INACTIVE.  A CLTU in progress ends.
    pub fn deactivate(&mut self) {
        self.end_here(End::Deactivated);
        self.state = State::Inactive;
    }

    /// The stream ends: a CLTU in progress does too.
    pub fn finish(&mut self) {
        self.end_here(End::Finished);
    }

    fn end_here(&mut self, end: End) {
        while let State::Decode { record, next } = self.state {
            if record.codeblocks > 0 {
                self.close(record, next, end, self.queue.end());
            } else {
                self.false_start(&record);
                self.run(); // bits after a false start may hold a whole CLTU
            }
        }
        self.queue.clear(0);
        if !matches!(self.state, State::Inactive) {
            self.state = State::Search { from: self.queue.end() };
        }
    }

    /// Take in octets.
    pub fn feed_octets(&mut self, octets: &[u8]) {
        self.statistics.bits += 8 * octets.len() as u64;
        if self.skip(8 * octets.len()) {
            return;
        }
        self.queue.push_octets(octets);
        self.run();
    }

    /// Take in bits.
    pub fn feed_bits(&mut self, bits: impl ExactSizeIterator<Item = bool>) {
        self.statistics.bits += bits.len() as u64;
        if self.skip(bits.len()) {
            return;
        }
        self.queue.push_bits(bits);
        self.run();
    }

    fn skip(&mut self, bits: usize) -> bool {
        let inactive = matches!(self.state, State::Inactive);
        if inactive {
            self.statistics.inactive_bits += bits as u64;
            self.queue.clear(bits as u64);
        }
        inactive
    }

    /// What was found since the last call: candidate frames end to end, and a record for each.
    pub fn take(&mut self) -> (Vec<u8>, Vec<Record>) {
        let open = match self.state {
            State::Decode { record, .. } => record.codeblocks as usize * INFORMATION_OCTETS,
            _ => 0, // no CLTU in progress
        };
        let rest = self.octets.split_off(self.octets.len().saturating_sub(open));
        (std::mem::replace(&mut self.octets, rest), std::mem::take(&mut self.records))
    }

    /// What happened so far.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// "INACTIVE", "SEARCH" or "DECODE".
    pub fn state(&self) -> &'static str {
        match self.state {
            State::Inactive => "INACTIVE",
            State::Search { .. } => "SEARCH",
            State::Decode { .. } => "DECODE",
        }
    }

    /// Decide all that the bits held allow to decide.
    fn run(&mut self) {
        loop {
            let going_on = match self.state {
                State::Inactive => false,
                State::Search { from } => self.search(from),
                State::Decode { record, next } => self.decode(record, next),
            };
            if !going_on {
                break;
            }
        }
        match self.state {
            State::Inactive => {}
            State::Search { from } => self.queue.drop_before(from),
            // The bits of a start sequence without a codeblock may be searched once more.
            State::Decode { record, next } if record.codeblocks > 0 => self.queue.drop_before(next),
            State::Decode { record, .. } => self.queue.drop_before(record.bit_position),
        }
    }

    fn search(&mut self, from: u64) -> bool {
        let (octets, bits, base) = self.queue.held();
        let Some(found) = self.start_sequence.find(octets, bits, (from - base) as usize) else {
            let from = from.max((base + bits as u64).saturating_sub(START_BITS - 1));
            self.state = State::Search { from };
            return false;
        };
        let bit_position = base + found.at as u64;
        let record = Record {
            bit_position,
            end_position: 0,
            codeblocks: 0,
            corrected_bits: 0,
            start_errors: found.errors,
            inverted: found.inverted,
            end: End::Finished,
        };
        self.state = State::Decode { record, next: bit_position + START_BITS };
        true
    }

    fn decode(&mut self, mut record: Record, mut next: u64) -> bool {
        let turn = if record.inverted { u64::MAX } else { 0 };
        while let Some(word) = self.queue.word(next) {
            let Some((codeblock, corrected)) = bch::judge(word ^ turn, self.parameters.mode) else {
                self.reject(record, next, word ^ turn);
                return true;
            };
            if record.codeblocks == self.parameters.maximum_codeblocks {
                self.close(record, next, End::Limit, next);
                return true;
            }
            let octets = self.octets.len();
            self.octets.extend_from_slice(&codeblock.to_be_bytes()[..INFORMATION_OCTETS]);
            if self.parameters.derandomize {
                let at = record.codeblocks as usize * INFORMATION_OCTETS % PERIOD_OCTETS;
                let sequence = &randomizer::telecommand()[at..at + INFORMATION_OCTETS];
                self.octets[octets..].iter_mut().zip(sequence).for_each(|(octet, pattern)| *octet ^= pattern);
            }
            record.codeblocks += 1;
            record.corrected_bits += u64::from(corrected);
            next += CODEBLOCK_BITS;
        }
        self.state = State::Decode { record, next };
        false
    }

    /// A codeblock was rejected: DECODE to SEARCH.
    fn reject(&mut self, record: Record, next: u64, word: u64) {
        let is_tail = (word ^ u64::from_be_bytes(TAIL_SEQUENCE)).count_ones() <= TAIL_ERRORS;
        self.statistics.tails += u64::from(is_tail);
        self.statistics.rejected_codeblocks += u64::from(!is_tail);
        if record.codeblocks == 0 {
            self.false_start(&record);
        } else if is_tail {
            self.close(record, next + CODEBLOCK_BITS, End::Tail, next + CODEBLOCK_BITS);
        } else {
            self.close(record, next, End::Rejected, next);
        }
    }

    fn false_start(&mut self, record: &Record) {
        self.statistics.false_starts += 1;
        self.state = State::Search { from: record.bit_position + 1 };
    }

    fn close(&mut self, mut record: Record, end_position: u64, end: End, search_from: u64) {
        record.end_position = end_position;
        record.end = end;
        self.records.push(record);
        let statistics = &mut self.statistics;
        statistics.cltus += 1;
        statistics.cltu_bits += end_position - record.bit_position;
        statistics.codeblocks += record.codeblocks;
        statistics.corrected_bits += record.corrected_bits;
        statistics.start_errors += u64::from(record.start_errors);
        statistics.inverted_cltus += u64::from(record.inverted);
        self.state = State::Search { from: search_from };
    }
}

const PERIOD_OCTETS: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cltu::{self, Randomization};

    fn parameters(mode: Mode) -> Parameters {
        Parameters {
            mode,
            tolerated_errors: u32::from(mode == Mode::Correct),
            accept_inverted: true,
            derandomize: true,
            maximum_codeblocks: u64::MAX,
        }
    }

    fn unit(length: usize) -> Vec<u8> {
        let frame: Vec<u8> = (0..length).map(|i| (i * 29 + length) as u8).collect();
        let mut out = vec![0; cltu::octets(length)];
        cltu::encode(&frame, Randomization::FrameAndFill, &mut out);
        out
    }

    fn stream() -> Vec<u8> {
        let mut stream = vec![0x55; 16];
        for (i, length) in [1, 7, 20, 300, 1024].into_iter().enumerate() {
            let mut unit = unit(length);
            if i == 2 {
                unit.iter_mut().for_each(|octet| *octet = !*octet);
            }
            if i == 3 {
                unit[0] ^= 4;
                unit[60] ^= 1 << 7;
            }
            stream.extend(unit);
            stream.extend(vec![0x55; i]);
        }
        stream
    }

    fn decode(mode: Mode, stream: &[u8], piece: usize) -> (Vec<u8>, Vec<Record>, Statistics) {
        let mut decoder = Decoder::new(parameters(mode));
        decoder.activate();
        let (mut octets, mut records) = (Vec::new(), Vec::new());
        for given in stream.chunks(piece).map(Some).chain([None]) {
            match given {
                Some(given) => decoder.feed_octets(given),
                None => decoder.finish(),
            }
            let (more_octets, more_records) = decoder.take();
            let codeblocks: u64 = more_records.iter().map(|record| record.codeblocks).sum();
            assert_eq!(more_octets.len() as u64, 7 * codeblocks);
            octets.extend(more_octets);
            records.extend(more_records);
        }
        (octets, records, decoder.statistics())
    }

    #[test]
    fn any_split_gives_the_same() {
        let stream = stream();
        for mode in [Mode::Detect, Mode::Correct] {
            let whole = decode(mode, &stream, stream.len());
            assert_eq!(whole.1.len(), if mode == Mode::Correct { 5 } else { 4 });
            assert!(whole.1.iter().all(|record| record.end == End::Tail));
            for piece in [1, 2, 3, 7, 8, 9, 64, 1000] {
                assert!(decode(mode, &stream, piece) == whole, "{piece}");
            }
        }
    }

    #[test]
    fn bits_and_octets_are_one_stream() {
        let stream = stream();
        let bits: Vec<bool> = stream.iter().flat_map(|o| (0..8).rev().map(move |i| o >> i & 1 == 1)).collect();
        let mut decoder = Decoder::new(parameters(Mode::Correct));
        decoder.feed_bits([true, false].into_iter()); // inactive
        decoder.activate();
        decoder.feed_bits([true; 3].into_iter());
        for (i, piece) in bits.chunks(72).enumerate() {
            if i % 2 == 0 && piece.len() == 72 {
                decoder.feed_octets(&stream[9 * i..9 * i + 9]);
            } else {
                decoder.feed_bits(piece.iter().copied());
            }
        }
        decoder.finish();
        let (octets, records) = decoder.take();
        let (expected, mut expected_records, _) = decode(Mode::Correct, &stream, 1000);
        assert_eq!(octets, expected);
        for record in &mut expected_records {
            record.bit_position += 5;
            record.end_position += 5;
        }
        assert_eq!(records, expected_records);
        assert_eq!(decoder.statistics().inactive_bits, 2);
        assert_eq!(decoder.statistics().bits, 5 + bits.len() as u64);
    }

    #[test]
    fn a_real_start_within_a_false_one_is_found() {
        // A start sequence, rubbish that is rejected, and a CLTU that begins before the rejected codeblock ends.
        let mut stream = vec![0xEB, 0x90, 0x12, 0x34, 0x56];
        stream.extend(unit(14));
        let (octets, records, statistics) = decode(Mode::Correct, &stream, 5);
        assert_eq!((octets.len(), records.len()), (14, 1));
        assert_eq!((records[0].bit_position, statistics.false_starts), (40, 1));
        // The same at the very end of a stream, where the false one waits for bits that never come.
        let (_, records, _) = decode(Mode::Correct, &[0xEB, 0x90, 0x00, 0x01], 4);
        assert!(records.is_empty());
    }

    #[test]
    fn the_end_is_told() {
        let unit = unit(70);
        let mut decoder = Decoder::new(Parameters { maximum_codeblocks: 4, ..parameters(Mode::Detect) });
        decoder.activate();
        decoder.feed_octets(&unit);
        decoder.feed_octets(&unit[..20]);
        decoder.deactivate();
        decoder.activate();
        decoder.feed_octets(&unit[..27]);
        decoder.finish();
        let ends: Vec<(u64, End, u64)> =
            decoder.take().1.iter().map(|r| (r.codeblocks, r.end, r.end_position - r.bit_position)).collect();
        assert_eq!(ends, [(4, End::Limit, 272), (2, End::Deactivated, 144), (3, End::Finished, 208)]);
    }
}
