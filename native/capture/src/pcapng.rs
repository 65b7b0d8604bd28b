//! pcapng.  Source: draft-ietf-opsawg-pcapng.
use crate::batch::Annotation;
use crate::catalogue::{Catalogue, Interface, RawOption, Section};
use crate::clock::Clock;
use crate::error::{CaptureError, Kind};
use crate::gather::Gather;
use crate::octets::{padded, u16_of, u32_of};

pub(crate) const SECTION_HEADER: u32 = 0x0A0D_0D0A; // the same in both byte orders
pub(crate) const INTERFACE_DESCRIPTION: u32 = 1;
const PACKET: u32 = 2; // obsolete
pub(crate) const SIMPLE_PACKET: u32 = 3;
const NAME_RESOLUTION: u32 = 4;
pub(crate) const INTERFACE_STATISTICS: u32 = 5;
pub(crate) const ENHANCED_PACKET: u32 = 6;
pub(crate) const BYTE_ORDER_MAGIC: u32 = 0x1A2B_3C4D;

const OPTION_END: u16 = 0;
pub(crate) const OPTION_RESOLUTION: u16 = 9;
const OPTION_OFFSET: u16 = 14;
const OPTION_FRAME_DROPS: u16 = 4;
const DROPS_UNKNOWN: u16 = 0xFFFF;

/// What the frames of an interface need.
#[derive(Clone, Copy, Debug)]
struct Line {
    clock: Clock,
    snap_length: u32,
}

/// Walks the blocks of a pcapng file.
#[derive(Debug)]
pub(crate) struct PcapngWalker {
    big_endian: bool,
    maximum_octets: usize,
    lines: Vec<Line>, // of the current section
    first: u32,       // index of the section's first interface among all
}

/// Whether these are the first octets of a section header.
pub(crate) fn is_section_header(start: &[u8]) -> bool {
    start.len() >= 4 && u32_of::<true>(start, 0) == SECTION_HEADER
}

/// A packet in a block; without ticks it has no time and no options.
struct Packet {
    start: usize,
    captured: usize,
    original: u32,
    interface: u32,
    ticks: Option<u64>,
}

impl PcapngWalker {
    pub(crate) fn new(maximum_octets: usize) -> Self {
        Self { big_endian: false, maximum_octets, lines: Vec::new(), first: 0 }
    }

    /// Take the whole blocks off the front of `piece`; how many octets, and what stopped it.
    pub(crate) fn walk(
        &mut self,
        piece: &mut [u8],
        position: u64,
        max_frames: usize,
        batch: &mut Gather,
        catalogue: &mut Catalogue,
    ) -> (usize, Option<CaptureError>) {
        let mut at = 0;
        loop {
            let rest = &piece[at..];
            let here = position + at as u64;
            if is_section_header(rest) {
                match self.section(rest, here, catalogue) {
                    Ok(0) => return (at, None),
                    Ok(octets) => at += octets,
                    Err(error) => return (at, Some(error)),
                }
                continue;
            }
            let (stop, result) = if self.big_endian {
                self.walk_ordered::<true>(piece, at, position, max_frames, batch, catalogue)
            } else {
                self.walk_ordered::<false>(piece, at, position, max_frames, batch, catalogue)
            };
            at = stop;
            match result {
                Ok(true) => {}
                Ok(false) => return (at, None),
                Err(error) => return (at, Some(error)),
            }
        }
    }

    /// The blocks from `at` up to the next section header (true) or to the end of what can be walked (false), and
    /// where that is.
    fn walk_ordered<const BIG: bool>(
        &mut self,
        piece: &mut [u8],
        mut at: usize,
        position: u64,
        max_frames: usize,
        batch: &mut Gather,
        catalogue: &mut Catalogue,
    ) -> (usize, Result<bool, CaptureError>) {
        loop {
            let rest = &piece[at..];
            let Some(header) = rest.first_chunk::<8>() else {
                return (at, Ok(false));
            };
            let here = position + at as u64;
            let kind = u32_of::<BIG>(header, 0);
            if kind == SECTION_HEADER {
                return (at, Ok(true));
            }
            let total = u32_of::<BIG>(header, 4);
            let block = match self.cut::<BIG>(rest, total, here) {
                Ok(Some(block)) => block,
                Ok(None) => return (at, Ok(false)),
                Err(error) => return (at, Err(error)),
            };
            let frame = matches!(kind, ENHANCED_PACKET | SIMPLE_PACKET | PACKET);
            if frame && batch.len() >= max_frames {
                return (at, Ok(false));
            }
            let end = at + block.len();
            if kind == ENHANCED_PACKET {
                match self.enhanced::<BIG>(block, here) {
                    Ok(packet) => self.take::<BIG>(piece, at, end, packet, batch, catalogue),
                    Err(error) => return (at, Err(error)),
                }
            } else {
                match self.other::<BIG>(kind, block, here, catalogue) {
                    Ok(Some(packet)) => self.take::<BIG>(piece, at, end, packet, batch, catalogue),
                    Ok(None) => {}
                    Err(error) => return (at, Err(error)),
                }
            }
            at = end;
        }
    }

    /// The block at the front of `rest`, or None where it is not all there.
    #[inline(always)]
    fn cut<'a, const BIG: bool>(
        &self,
        rest: &'a [u8],
        total: u32,
        here: u64,
    ) -> Result<Option<&'a [u8]>, CaptureError> {
        let total = total as usize;
        if total < 12 || !total.is_multiple_of(4) || total > self.maximum_octets {
            return Err(self.refuse_length(total, here));
        }
        let Some(block) = rest.get(..total) else {
            return Ok(None);
        };
        let again = u32_of::<BIG>(block, total - 4) as usize;
        if again != total {
            return Err(CaptureError::damaged(
                here,
                format!("a block begins with length {total} and ends with length {again}"),
            ));
        }
        Ok(Some(block))
    }

    #[cold]
    fn refuse_length(&self, total: usize, here: u64) -> CaptureError {
        if total > self.maximum_octets {
            let message = format!("a block claims {total} octets, more than the {} allowed", self.maximum_octets);
            return CaptureError::new(Kind::TooLong, here, message);
        }
        CaptureError::damaged(here, format!("a block claims {total} octets, which is no multiple of 4 from 12 on"))
    }

    #[inline(always)]
    fn enhanced<const BIG: bool>(&self, block: &[u8], here: u64) -> Result<Packet, CaptureError> {
        let Some(header) = block.first_chunk::<28>().filter(|_| block.len() >= 32) else {
            return Err(too_short("enhanced packet", block, here));
        };
        let interface = u32_of::<BIG>(header, 8);
        let ticks = u64::from(u32_of::<BIG>(header, 12)) << 32 | u64::from(u32_of::<BIG>(header, 16));
        let captured = u32_of::<BIG>(header, 20) as usize;
        let original = u32_of::<BIG>(header, 24);
        self.check(block, here, Packet { start: 28, captured, original, interface, ticks: Some(ticks) })
    }

    /// `packet`, where the block has room for it and its interface is described.
    #[inline(always)]
    fn check(&self, block: &[u8], here: u64, packet: Packet) -> Result<Packet, CaptureError> {
        let (captured, room) = (packet.captured, block.len() - 4 - packet.start);
        if captured > room {
            return Err(CaptureError::damaged(
                here,
                format!("a packet of {captured} octets in a block with room for {room}"),
            ));
        }
        self.line(packet.interface, here)?;
        Ok(packet)
    }

    /// Take the packet of the block `piece[at..end]`, and the options behind it.
    #[inline(always)]
    fn take<const BIG: bool>(
        &self,
        piece: &mut [u8],
        at: usize,
        end: usize,
        packet: Packet,
        batch: &mut Gather,
        catalogue: &mut Catalogue,
    ) {
        let timestamp = match packet.ticks {
            Some(ticks) => self.lines[packet.interface as usize].clock.nanoseconds(ticks).unwrap_or_else(|| {
                catalogue.times_out_of_range += 1;
                -1
            }),
            None => -1,
        };
        let from = at + packet.start;
        let options = at + padded(packet.start + packet.captured);
        if packet.ticks.is_some() && options < end - 4 {
            annotate::<BIG>(&piece[options..end - 4], batch, catalogue);
        }
        batch.push(piece, from, packet.captured, timestamp, packet.original, self.first + packet.interface);
    }

    #[inline(always)]
    fn line(&self, interface: u32, here: u64) -> Result<&Line, CaptureError> {
        self.lines.get(interface as usize).ok_or_else(|| {
            let message =
                format!("interface {interface} is not described; the section has {} so far", self.lines.len());
            CaptureError::damaged(here, message)
        })
    }

    #[cold]
    fn other<const BIG: bool>(
        &mut self,
        kind: u32,
        block: &[u8],
        here: u64,
        catalogue: &mut Catalogue,
    ) -> Result<Option<Packet>, CaptureError> {
        match kind {
            INTERFACE_DESCRIPTION => self.interface::<BIG>(block, here, catalogue)?,
            SIMPLE_PACKET => return self.simple::<BIG>(block, here).map(Some),
            PACKET => return self.obsolete::<BIG>(block, here, catalogue).map(Some),
            INTERFACE_STATISTICS => self.statistics::<BIG>(block, here, catalogue)?,
            NAME_RESOLUTION => names::<BIG>(&block[8..block.len() - 4], catalogue),
            _ => catalogue.other_blocks += 1,
        }
        Ok(None)
    }

    fn section(&mut self, rest: &[u8], here: u64, catalogue: &mut Catalogue) -> Result<usize, CaptureError> {
        let Some(header) = rest.first_chunk::<12>() else {
            return Ok(0);
        };
        let (big, little) = (u32_of::<true>(header, 8), u32_of::<false>(header, 8));
        match (big == BYTE_ORDER_MAGIC, little == BYTE_ORDER_MAGIC) {
            (true, _) => self.section_ordered::<true>(rest, here, catalogue),
            (_, true) => self.section_ordered::<false>(rest, here, catalogue),
            _ => Err(CaptureError::damaged(here, format!("a section header with byte-order magic {big:#010x}"))),
        }
    }

    fn section_ordered<const BIG: bool>(
        &mut self,
        rest: &[u8],
        here: u64,
        catalogue: &mut Catalogue,
    ) -> Result<usize, CaptureError> {
        let Some(block) = self.cut::<BIG>(rest, u32_of::<BIG>(rest, 4), here)? else {
            return Ok(0);
        };
        if block.len() < 28 {
            return Err(too_short("section header", block, here));
        }
        let (major, minor) = (u16_of::<BIG>(block, 12), u16_of::<BIG>(block, 14));
        if major != 1 {
            return Err(CaptureError::damaged(here, format!("pcapng version {major}.{minor} is not known; 1.x is")));
        }
        catalogue.format = "pcapng";
        if !catalogue.keep(0) {
            return Err(CaptureError::damaged(here, "too many sections and interfaces"));
        }
        let options = options::<BIG>(&block[24..block.len() - 4], catalogue);
        catalogue.sections.push(Section { big_endian: BIG, major, minor, options });
        self.big_endian = BIG;
        self.lines.clear();
        self.first = catalogue.interfaces.len() as u32;
        Ok(block.len())
    }

    fn interface<const BIG: bool>(
        &mut self,
        block: &[u8],
        here: u64,
        catalogue: &mut Catalogue,
    ) -> Result<(), CaptureError> {
        if block.len() < 20 {
            return Err(too_short("interface description", block, here));
        }
        if !catalogue.keep(std::mem::size_of::<Interface>()) {
            return Err(CaptureError::damaged(here, "too many sections and interfaces"));
        }
        let mut resolution = 6;
        let mut offset_s = 0;
        each_option::<BIG>(&block[16..block.len() - 4], |code, value| {
            if code == OPTION_RESOLUTION && value.len() == 1 {
                resolution = value[0];
            } else if code == OPTION_OFFSET && value.len() == 8 {
                offset_s = u64_of::<BIG>(value) as i64;
            }
        });
        let options = options::<BIG>(&block[16..block.len() - 4], catalogue);
        let snap_length = u32_of::<BIG>(block, 12);
        self.lines.push(Line { clock: Clock::new(resolution, offset_s), snap_length });
        catalogue.interfaces.push(Interface {
            section: catalogue.sections.len() as u32 - 1,
            link_type: u16_of::<BIG>(block, 8),
            snap_length,
            resolution,
            offset_s,
            options,
            statistics: None,
            statistics_timestamp_ns: -1,
        });
        Ok(())
    }

    fn simple<const BIG: bool>(&self, block: &[u8], here: u64) -> Result<Packet, CaptureError> {
        if block.len() < 16 {
            return Err(too_short("simple packet", block, here));
        }
        let line = self.line(0, here)?;
        let original = u32_of::<BIG>(block, 8);
        let captured = match line.snap_length {
            0 => original,
            limit => original.min(limit),
        } as usize;
        self.check(block, here, Packet { start: 12, captured, original, interface: 0, ticks: None })
    }

    fn obsolete<const BIG: bool>(
        &self,
        block: &[u8],
        here: u64,
        catalogue: &mut Catalogue,
    ) -> Result<Packet, CaptureError> {
        if block.len() < 32 {
            return Err(too_short("packet", block, here));
        }
        let drops = u16_of::<BIG>(block, 10);
        let ticks = u64::from(u32_of::<BIG>(block, 12)) << 32 | u64::from(u32_of::<BIG>(block, 16));
        let interface = u32::from(u16_of::<BIG>(block, 8));
        let captured = u32_of::<BIG>(block, 20) as usize;
        let original = u32_of::<BIG>(block, 24);
        let packet =
            self.check(block, here, Packet { start: 28, captured, original, interface, ticks: Some(ticks) })?;
        if drops != DROPS_UNKNOWN {
            catalogue.dropped_by_annotation += u64::from(drops);
        }
        Ok(packet)
    }

    fn statistics<const BIG: bool>(
        &mut self,
        block: &[u8],
        here: u64,
        catalogue: &mut Catalogue,
    ) -> Result<(), CaptureError> {
        if block.len() < 24 {
            return Err(too_short("interface statistics", block, here));
        }
        let interface = u32_of::<BIG>(block, 8);
        let ticks = u64::from(u32_of::<BIG>(block, 12)) << 32 | u64::from(u32_of::<BIG>(block, 16));
        let timestamp = self.line(interface, here)?.clock.nanoseconds(ticks);
        let options = options::<BIG>(&block[20..block.len() - 4], catalogue);
        let described = &mut catalogue.interfaces[(self.first + interface) as usize];
        described.statistics_timestamp_ns = timestamp.unwrap_or(-1);
        if let Some(old) = described.statistics.replace(options) {
            catalogue.release(&old);
        }
        Ok(())
    }
}

#[cold]
fn too_short(what: &str, block: &[u8], here: u64) -> CaptureError {
    CaptureError::damaged(here, format!("an {what} block of only {} octets", block.len()))
}

fn u64_of<const BIG: bool>(value: &[u8]) -> u64 {
    let (first, second) = (u32_of::<BIG>(value, 0), u32_of::<BIG>(value, 4));
    let (high, low) = if BIG { (first, second) } else { (second, first) };
    u64::from(high) << 32 | u64::from(low)
}

/// Call `each` with every option; false where the octets end within one.
fn each_option<const BIG: bool>(mut octets: &[u8], mut each: impl FnMut(u16, &[u8])) -> bool {
    while octets.len() >= 4 {
        let (code, length) = (u16_of::<BIG>(octets, 0), u16_of::<BIG>(octets, 2) as usize);
        if code == OPTION_END {
            return true;
        }
        let Some(value) = octets.get(4..4 + length) else {
            return false;
        };
        each(code, value);
        octets = octets.get(4 + padded(length)..).unwrap_or_default();
    }
    true
}

fn options<const BIG: bool>(octets: &[u8], catalogue: &mut Catalogue) -> Vec<RawOption> {
    let mut kept = Vec::new();
    let whole = each_option::<BIG>(octets, |code, value| {
        if catalogue.keep(value.len()) {
            let value = value.to_vec();
            kept.push(RawOption { code, value });
        }
    });
    catalogue.malformed_options += u64::from(!whole);
    kept
}

#[cold]
fn annotate<const BIG: bool>(octets: &[u8], batch: &mut Gather, catalogue: &mut Catalogue) {
    let frame = batch.len(); // the packet of these options comes next
    let whole = each_option::<BIG>(octets, |code, value| {
        if code == OPTION_FRAME_DROPS && value.len() == 8 {
            let drops = u64_of::<BIG>(value);
            catalogue.dropped_by_annotation = catalogue.dropped_by_annotation.saturating_add(drops);
        }
        let value = value.to_vec();
        batch.annotations.push(Annotation { frame, code, value });
    });
    catalogue.malformed_options += u64::from(!whole);
}

fn names<const BIG: bool>(octets: &[u8], catalogue: &mut Catalogue) {
    let mut records = Vec::new();
    let whole = each_option::<BIG>(octets, |code, value| {
        if catalogue.keep(value.len()) {
            let value = value.to_vec();
            records.push(RawOption { code, value });
        }
    });
    catalogue.malformed_options += u64::from(!whole);
    catalogue.names.append(&mut records);
}
