//! Sending: packets into the frames of one virtual channel, and frames into channel access data units.
//! Sources: CCSDS 132.0-B-3 §4.2.2 to §4.2.6, 732.0-B-5 §4.2.2 to §4.2.6, 131.0-B-5 §4, §9 and §10.
//!
//! The results are those of the object face in Python, octet for octet; a test holds that.

use ccsds_coding::randomizer::{self, Sequence};
use ccsds_coding::reed_solomon::Code;
use ccsds_coding::{crc, header_error_control};

use crate::header::{self, Field, aos, tm};

/// What the frames of one virtual channel look like, and where its counters stand.
#[derive(Debug, Clone)]
pub struct FrameShape {
    /// Which protocol.
    pub protocol: Protocol,
    /// Octets of a frame.
    pub frame_octets: usize,
    /// Spacecraft identifier.
    pub spacecraft_id: u16,
    /// Virtual channel identifier.
    pub virtual_channel_id: u8,
    /// Whole secondary header (TM); empty: none.
    pub secondary_header: Vec<u8>,
    /// Operational control field; empty: none.
    pub control_field: Vec<u8>,
    /// Insert zones, one for each frame of the batch, or one for all; empty: none.
    pub insert_zones: Vec<u8>,
    /// Octets of one insert zone.
    pub insert_zone_octets: usize,
    /// A frame error control field ends the frame.
    pub frame_error_control: bool,
    /// Master channel frame count of the first frame (TM).
    pub master_channel_frame_count: u8,
    /// Virtual channel frame count of the first frame, with its cycle.
    pub virtual_channel_frame_count: u32,
    /// The virtual channel frame count does not count.
    pub frame_count_frozen: bool,
}

/// The protocol, and what it needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// 132.0-B.
    Tm,
    /// 732.0-B.
    Aos {
        /// First header pointers of sixteen bits (issue 5).
        wide_pointer: bool,
        /// A frame header error control field is there.
        header_error_control: bool,
        /// Frames are marked as replayed.
        replay_flag: bool,
        /// The cycle is in use.
        frame_count_cycle: bool,
    },
}

/// Packets end to end: those whose beginning is already known, and the new ones.
#[derive(Debug, Clone, Copy)]
pub struct Stream<'a> {
    /// Octets that waited.
    pub pending: &'a [u8],
    /// Where packets start in them, rising.
    pub pending_starts: &'a [u64],
    /// New packets.
    pub packets: &'a [u8],
    /// Packet i is `packets[offsets[i]..offsets[i + 1]]`.
    pub offsets: &'a [u64],
}

const M_PDU_HEADER_OCTETS: usize = 2;
const CHECK_OCTETS: usize = 2;

fn put(value: u32, field: Field) -> u64 {
    u64::from(value) << (48 - field.offset - field.bits)
}

impl FrameShape {
    /// Octets of the packet zone; None where the rest of the frame leaves none.
    pub fn zone_octets(&self) -> Option<usize> {
        let tail = self.control_field.len() + if self.frame_error_control { CHECK_OCTETS } else { 0 };
        self.frame_octets.checked_sub(self.zone_offset() + tail).filter(|octets| *octets > 0)
    }

    fn zone_offset(&self) -> usize {
        header::PRIMARY_HEADER_OCTETS
            + match self.protocol {
                Protocol::Tm => self.secondary_header.len(),
                Protocol::Aos { header_error_control, .. } => {
                    self.insert_zone_octets + M_PDU_HEADER_OCTETS + if header_error_control { CHECK_OCTETS } else { 0 }
                }
            }
    }

    /// The whole frames that `stream` fills, each given to `each` as the unit of `unit_octets` octets in `out` in which
    /// it begins at `frame_at`.
    ///
    /// Frames are as many as there are whole units in `out` and whole zones in the stream, whichever is less.
    pub fn build(
        &self,
        stream: &Stream<'_>,
        out: &mut [u8],
        unit_octets: usize,
        frame_at: usize,
        mut each: impl FnMut(&mut [u8]),
    ) {
        let Some(zone_octets) = self.zone_octets() else {
            return;
        };
        let first = stream.offsets.first().copied().unwrap_or(0);
        let waited = stream.pending.len() as u64;
        let new = stream.offsets.iter().take(stream.offsets.len().saturating_sub(1)).map(|at| at - first + waited);
        let mut starts = stream.pending_starts.iter().copied().chain(new).peekable();
        let octets = stream.packets.get(first as usize..).unwrap_or_default();
        let total = (stream.offsets.last().copied().unwrap_or(first) - first + waited) as usize;
        let units = out.chunks_exact_mut(unit_octets).take(total / zone_octets);
        for (number, unit) in units.enumerate() {
            let begin = (number * zone_octets) as u64;
            let end = begin + zone_octets as u64;
            let pointer = starts.peek().filter(|at| **at < end).map(|at| (at - begin) as u16);
            while starts.next_if(|at| *at < end).is_some() {}
            let frame = &mut unit[frame_at..frame_at + self.frame_octets];
            self.write(frame, number, pointer, |zone| copy(stream.pending, octets, begin as usize, zone));
            each(unit);
        }
    }

    fn write(&self, frame: &mut [u8], number: usize, pointer: Option<u16>, fill: impl FnOnce(&mut [u8])) {
        let zone_at = self.zone_offset();
        match self.protocol {
            Protocol::Tm => {
                frame[..6].copy_from_slice(&self.tm_header(number, pointer).to_be_bytes()[2..]);
                frame[6..zone_at].copy_from_slice(&self.secondary_header);
            }
            Protocol::Aos { wide_pointer, header_error_control, .. } => {
                let header = self.aos_header(number).to_be_bytes();
                let mut first = [0; 6];
                first.copy_from_slice(&header[2..]);
                frame[..6].copy_from_slice(&first);
                let mut at = 6;
                if header_error_control {
                    frame[at..at + 2].copy_from_slice(&header_error_control::compute(&first).to_be_bytes());
                    at += 2;
                }
                let size = self.insert_zone_octets;
                let zone_of = number * size;
                let zone = self.insert_zones.get(zone_of..zone_of + size).unwrap_or(&self.insert_zones[..size]);
                frame[at..at + size].copy_from_slice(zone);
                let none = if wide_pointer { header::WIDE_NO_PACKET_START } else { header::NO_PACKET_START };
                frame[zone_at - 2..zone_at].copy_from_slice(&pointer.unwrap_or(none).to_be_bytes());
            }
        }
        let check_at = frame.len() - if self.frame_error_control { CHECK_OCTETS } else { 0 };
        let control_at = check_at - self.control_field.len();
        fill(&mut frame[zone_at..control_at]);
        frame[control_at..check_at].copy_from_slice(&self.control_field);
        if self.frame_error_control {
            let remainder = crc::remainder(&frame[..check_at]);
            frame[check_at..].copy_from_slice(&remainder.to_be_bytes());
        }
    }

    fn count(&self, number: usize) -> u32 {
        let steps = if self.frame_count_frozen { 0 } else { number as u32 };
        self.virtual_channel_frame_count.wrapping_add(steps)
    }

    fn tm_header(&self, number: usize, pointer: Option<u16>) -> u64 {
        put(u32::from(self.spacecraft_id) & 0x3FF, tm::SPACECRAFT_ID)
            | put(u32::from(self.virtual_channel_id) & 7, tm::VIRTUAL_CHANNEL_ID)
            | put(u32::from(!self.control_field.is_empty()), tm::OPERATIONAL_CONTROL_FIELD_FLAG)
            | put(u32::from(self.master_channel_frame_count.wrapping_add(number as u8)), tm::MASTER_CHANNEL_FRAME_COUNT)
            | put(self.count(number) & 0xFF, tm::VIRTUAL_CHANNEL_FRAME_COUNT)
            | put(u32::from(!self.secondary_header.is_empty()), tm::SECONDARY_HEADER_FLAG)
            | put(3, tm::SEGMENT_LENGTH_ID)
            | put(u32::from(pointer.unwrap_or(header::NO_PACKET_START)) & 0x7FF, tm::FIRST_HEADER_POINTER)
    }

    fn aos_header(&self, number: usize) -> u64 {
        let count = self.count(number);
        let cycle = matches!(self.protocol, Protocol::Aos { frame_count_cycle: true, .. });
        let replay = matches!(self.protocol, Protocol::Aos { replay_flag: true, .. });
        put(1, aos::VERSION)
            | put(u32::from(self.spacecraft_id) & 0xFF, aos::SPACECRAFT_ID)
            | put(u32::from(self.virtual_channel_id) & 0x3F, aos::VIRTUAL_CHANNEL_ID)
            | put(count & 0xFF_FFFF, aos::VIRTUAL_CHANNEL_FRAME_COUNT)
            | put(u32::from(replay), aos::REPLAY_FLAG)
            | put(u32::from(cycle), aos::FRAME_COUNT_USAGE_FLAG)
            | put(u32::from(self.spacecraft_id) >> 8 & 3, aos::SPACECRAFT_ID_HIGH)
            | put(if cycle { count >> 24 & 0xF } else { 0 }, aos::FRAME_COUNT_CYCLE)
    }
}

/// Octets of the stream from `at` on, as many as `zone` has.
fn copy(pending: &[u8], packets: &[u8], at: usize, zone: &mut [u8]) {
    let waited = pending.get(at..).unwrap_or_default();
    let waited = &waited[..waited.len().min(zone.len())];
    let (head, rest) = zone.split_at_mut(waited.len());
    head.copy_from_slice(waited);
    let from = (at + waited.len()).saturating_sub(pending.len());
    let new = &packets[from..from + rest.len()];
    rest.copy_from_slice(new);
}

/// The packet that is not one, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its version is not valid.
    Version(usize),
    /// Its header states another length than its offsets do, or cannot be.
    Length(usize),
    /// It is longer than the maximum.
    TooLong(usize),
}

/// Whether each packet is exactly one of a valid version (a bit each) and length.
pub fn check_packets(octets: &[u8], offsets: &[u64], valid_versions: u8, maximum_octets: u64) -> Result<(), Refusal> {
    for (number, pair) in offsets.windows(2).enumerate() {
        let packet = octets.get(pair[0] as usize..pair[1] as usize).unwrap_or_default();
        let Some(first) = packet.first() else {
            return Err(Refusal::Length(number));
        };
        if valid_versions >> (first >> 5) & 1 == 0 {
            return Err(Refusal::Version(number));
        }
        if stated_octets(packet) != Some(pair[1] - pair[0]) {
            return Err(Refusal::Length(number));
        }
        if pair[1] - pair[0] > maximum_octets {
            return Err(Refusal::TooLong(number));
        }
    }
    Ok(())
}

/// What the header of a packet of version 0 or 7 states.
fn stated_octets(packet: &[u8]) -> Option<u64> {
    if packet[0] >> 5 == 0 {
        let length = packet.get(4..6)?;
        return Some((u64::from(length[0]) << 8 | u64::from(length[1])) + 7);
    }
    let (header, at) = match packet[0] & 3 {
        0 => return (packet[0] >> 2 & 7 == 0).then_some(1),
        1 => (2, 1),
        2 => (4, 2),
        _ => (8, 4),
    };
    let length = packet.get(at..header)?.iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet));
    (length >= header as u64).then_some(length)
}

/// From frame to channel access data unit: interleaving, Reed-Solomon code, randomizer, marker.
#[derive(Debug, Clone)]
pub struct Coder {
    /// Attached sync marker; empty: none.
    pub marker: Vec<u8>,
    /// Octets of a frame.
    pub frame_octets: usize,
    /// Frames are written in rows of so many octets; 1: as they are.
    pub interleaving_columns: usize,
    /// The code.
    pub reed_solomon: Option<Code>,
    /// The sequence.
    pub randomizer: Option<Sequence>,
}

impl Coder {
    /// Octets of one unit: marker, frame, check symbols.
    pub fn unit_octets(&self) -> usize {
        self.marker.len() + self.reed_solomon.as_ref().map_or(self.frame_octets, Code::block_octets)
    }

    /// Complete a unit in which the frame stands behind the place of the marker.
    pub fn complete(&self, unit: &mut [u8], scratch: &mut Vec<u8>) {
        let (marker, block) = unit.split_at_mut(self.marker.len());
        marker.copy_from_slice(&self.marker);
        let (frame, check_symbols) = block.split_at_mut(self.frame_octets);
        self.interleave(frame, scratch);
        if let Some(code) = &self.reed_solomon {
            // The lengths are those of the code: the constructor of the binding compared them.
            let encoded = code.encode(frame, check_symbols);
            debug_assert!(encoded.is_ok(), "{encoded:?}");
        }
        if let Some(sequence) = self.randomizer {
            randomizer::apply(sequence, block);
        }
    }

    fn interleave(&self, frame: &mut [u8], scratch: &mut Vec<u8>) {
        let columns = self.interleaving_columns;
        if columns <= 1 {
            return;
        }
        scratch.clear();
        scratch.extend_from_slice(frame);
        let rows = frame.len() / columns;
        for (at, octet) in scratch.iter().enumerate() {
            frame[at % rows * columns + at / rows] = *octet;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> FrameShape {
        FrameShape {
            protocol: Protocol::Tm,
            frame_octets: 16,
            spacecraft_id: 0x2F6,
            virtual_channel_id: 5,
            secondary_header: Vec::new(),
            control_field: vec![1, 2, 3, 4],
            insert_zones: Vec::new(),
            insert_zone_octets: 0,
            frame_error_control: true,
            master_channel_frame_count: 255,
            virtual_channel_frame_count: 7,
            frame_count_frozen: false,
        }
    }

    #[test]
    fn pointers_say_where_packets_start() {
        let packets: Vec<u8> = (0..12).collect();
        let stream =
            Stream { pending: &[0xAA, 0xBB], pending_starts: &[], packets: &packets, offsets: &[0, 1, 11, 12] };
        let mut out = [0xA5; 16 * 4];
        let shape = shape();
        assert_eq!(shape.zone_octets(), Some(4));
        shape.build(&stream, &mut out, 16, 0, |_| {});
        let pointers: Vec<u16> = out.chunks(16).map(|frame| u16::from_be_bytes([frame[4], frame[5]]) & 0x7FF).collect();
        assert_eq!(pointers[..3], [2, 0x7FF, 0x7FF]);
        assert_eq!(out[48..], [0xA5; 16], "three zones are full, not four");
        assert_eq!(out[6..10], [0xAA, 0xBB, 0, 1]);
        assert_eq!([out[2], out[18], out[3], out[19]], [255, 0, 7, 8]);
        assert!(out[..48].chunks(16).all(|frame| crc::remainder(frame) == 0));
    }

    #[test]
    fn packets_are_checked() {
        let octets = [0, 0, 0xC0, 0, 0, 0, 9, 0xE0];
        assert_eq!(check_packets(&octets, &[0, 7, 8], 0b1000_0001, 7), Ok(()));
        assert_eq!(check_packets(&octets, &[0, 7, 8], 1, 7), Err(Refusal::Version(1)));
        assert_eq!(check_packets(&octets, &[0, 8], 1, 100), Err(Refusal::Length(0)));
        assert_eq!(check_packets(&octets, &[0, 7], 1, 6), Err(Refusal::TooLong(0)));
        assert_eq!(check_packets(&octets, &[3, 3], 1, 6), Err(Refusal::Length(0)));
    }

    #[test]
    fn rows_and_columns() {
        let coder = Coder {
            marker: vec![0x1A],
            frame_octets: 6,
            interleaving_columns: 2,
            reed_solomon: None,
            randomizer: None,
        };
        let mut unit = [0, 1, 2, 3, 4, 5, 6];
        coder.complete(&mut unit, &mut Vec::new());
        assert_eq!(unit, [0x1A, 1, 4, 2, 5, 3, 6]);
    }
}
