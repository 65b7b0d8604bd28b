//! Classic pcap.  Source: draft-ietf-opsawg-pcap.
use crate::catalogue::{Catalogue, Interface, Section};
use crate::error::{CaptureError, Kind};
use crate::gather::Gather;
use crate::octets::{u16_of, u32_of};

pub(crate) const HEADER_OCTETS: usize = 24;
const MICROSECONDS: u32 = 0xA1B2_C3D4;
const NANOSECONDS: u32 = 0xA1B2_3C4D;
const PATCHED: u32 = 0xA1B2_CD34; // microseconds, records with eight more octets of header

/// Walks the records of a classic pcap file.
#[derive(Debug)]
pub(crate) struct PcapWalker {
    big_endian: bool,
    fraction_ns: u32,
    record_header_octets: usize,
    maximum_octets: usize,
}

/// Whether the first four octets are a classic pcap file's, and if so its byte order.
pub(crate) fn byte_order(start: &[u8]) -> Option<bool> {
    let known = |magic| matches!(magic, MICROSECONDS | NANOSECONDS | PATCHED);
    if start.len() < 4 {
        None
    } else if known(u32_of::<true>(start, 0)) {
        Some(true)
    } else {
        known(u32_of::<false>(start, 0)).then_some(false)
    }
}

impl PcapWalker {
    /// Read the file header, of which `header` holds at least the 24 octets.
    pub(crate) fn open(
        header: &[u8],
        big_endian: bool,
        maximum_octets: usize,
        catalogue: &mut Catalogue,
    ) -> Result<Self, CaptureError> {
        let word = |at| {
            if big_endian { u32_of::<true>(header, at) } else { u32_of::<false>(header, at) }
        };
        let half = |at| {
            if big_endian { u16_of::<true>(header, at) } else { u16_of::<false>(header, at) }
        };
        let magic = word(0);
        let (major, minor) = (half(4), half(6));
        if major != 2 {
            return Err(CaptureError::new(
                Kind::NotACapture,
                4,
                format!("pcap version {major}.{minor} is not known; 2.x is"),
            ));
        }
        catalogue.format = "pcap";
        catalogue.sections.push(Section { big_endian, major, minor, options: Vec::new() });
        catalogue.interfaces.push(Interface {
            link_type: (word(20) & 0xFFFF) as u16, // the upper bits tell of the frame check sequence
            snap_length: word(16),
            resolution: if magic == NANOSECONDS { 9 } else { 6 },
            statistics_timestamp_ns: -1,
            ..Interface::default()
        });
        Ok(Self {
            big_endian,
            fraction_ns: if magic == NANOSECONDS { 1 } else { 1000 },
            record_header_octets: if magic == PATCHED { 24 } else { 16 },
            maximum_octets,
        })
    }

    /// Take the whole records off the front of `piece`; how many octets, and what stopped it.
    pub(crate) fn walk(
        &self,
        piece: &mut [u8],
        position: u64,
        max_frames: usize,
        batch: &mut Gather,
    ) -> (usize, Option<CaptureError>) {
        if self.big_endian {
            self.walk_ordered::<true>(piece, position, max_frames, batch)
        } else {
            self.walk_ordered::<false>(piece, position, max_frames, batch)
        }
    }

    fn walk_ordered<const BIG: bool>(
        &self,
        piece: &mut [u8],
        position: u64,
        max_frames: usize,
        batch: &mut Gather,
    ) -> (usize, Option<CaptureError>) {
        let mut at = 0;
        while batch.len() < max_frames {
            let rest = &piece[at..];
            let Some(header) = rest.first_chunk::<16>() else {
                break;
            };
            let captured = u32_of::<BIG>(header, 8) as usize;
            if captured > self.maximum_octets {
                let message =
                    format!("a record claims {captured} octets, more than the {} allowed", self.maximum_octets);
                return (at, Some(CaptureError::new(Kind::TooLong, position + at as u64, message)));
            }
            let end = self.record_header_octets + captured;
            if rest.len() < end {
                break;
            }
            let seconds = i64::from(u32_of::<BIG>(header, 0));
            let fraction = i64::from(u32_of::<BIG>(header, 4)) * i64::from(self.fraction_ns);
            let original = u32_of::<BIG>(header, 12);
            let timestamp = seconds * 1_000_000_000 + fraction;
            batch.push(piece, at + self.record_header_octets, captured, timestamp, original, 0);
            at += end;
        }
        (at, None)
    }
}
