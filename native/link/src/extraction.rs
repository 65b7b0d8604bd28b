//! Packets out of the data zones of one virtual channel, by the first header pointer.
//! Source: CCSDS 132.0-B-3 §4.3.2 and 732.0-B-5 §4.3.2 (packet extraction functions).

use crate::account::Account;
use crate::header::{cut, read48, space_packet};
use crate::parameters::VirtualChannel;

/// Where a packet or frame comes from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origin {
    /// Number of the (first) frame among all records.
    pub frame_index: u64,
    /// Its reception time, or -1.
    pub reception_time_ns: i64,
    /// Symbols corrected in its frames.
    pub corrected_symbols: u32,
    /// Frames lost before it, and since the packet before it.
    pub lost_frames_before: u32,
}

/// A packet, as it is given to the caller.
pub struct Packet<'a> {
    /// Its octets; of an incomplete one, those that came.
    pub octets: &'a [u8],
    /// All of it is there.
    pub complete: bool,
    /// It carries nothing.
    pub idle: bool,
    /// Where it comes from.
    pub origin: Origin,
}

/// Length of the packet that starts here.
enum Length {
    Known(usize),
    /// More octets are needed to tell.
    Open,
    UnknownVersion,
    Invalid,
}

/// State of one virtual channel.
#[derive(Debug, Default)]
pub struct Extractor {
    /// Octets of the packet in progress; empty: none.
    partial: Vec<u8>,
    partial_origin: Origin,
    /// The next octet starts a packet, or continues the one in progress.
    in_step: bool,
    lost_before: u32,
}

impl Extractor {
    /// Frames were lost: the packet in progress is over.
    pub fn gap(
        &mut self,
        lost: u32,
        parameters: &VirtualChannel,
        account: &mut Account,
        give: &mut impl FnMut(Packet<'_>),
    ) {
        if !self.partial.is_empty() {
            account.packets_dropped_by_gap += 1;
            self.drop_partial(parameters, account, give);
        }
        self.in_step = false;
        self.lost_before = self.lost_before.saturating_add(lost);
    }

    /// The stream ended.
    pub fn finish(&mut self, parameters: &VirtualChannel, account: &mut Account, give: &mut impl FnMut(Packet<'_>)) {
        if !self.partial.is_empty() {
            account.packets_unfinished += 1;
            self.drop_partial(parameters, account, give);
        }
        self.in_step = false;
    }

    /// The zone of the next frame; no pointer: no packet starts in it.
    pub fn zone(
        &mut self,
        zone: &[u8],
        pointer: Option<u16>,
        origin: Origin,
        parameters: &VirtualChannel,
        account: &mut Account,
        give: &mut impl FnMut(Packet<'_>),
    ) {
        let Some(pointer) = pointer else {
            account.frames_without_packet_start += 1;
            self.continue_packet(zone, origin, parameters, account, give);
            return;
        };
        let start = usize::from(pointer);
        if start >= zone.len() {
            account.pointers_invalid += 1;
            self.mismatch(parameters, account, give);
            return;
        }
        if !self.partial.is_empty() {
            self.end_packet(&zone[..start], origin, parameters, account, give);
        } else if self.in_step {
            account.pointer_matches += u64::from(start == 0);
            account.pointer_mismatches += u64::from(start != 0);
        }
        self.read(zone, start, origin, parameters, account, give);
    }

    /// A frame that was overtaken: only packets that lie in it whole.
    pub fn late_zone(
        &mut self,
        zone: &[u8],
        pointer: Option<u16>,
        origin: Origin,
        parameters: &VirtualChannel,
        account: &mut Account,
        give: &mut impl FnMut(Packet<'_>),
    ) {
        let mut alone = Extractor::default();
        if let Some(start) = pointer.map(usize::from).filter(|start| *start < zone.len()) {
            alone.read(zone, start, origin, parameters, account, give);
            alone.gap(0, parameters, account, give);
        }
    }

    /// A zone without a packet start.
    fn continue_packet(
        &mut self,
        zone: &[u8],
        origin: Origin,
        parameters: &VirtualChannel,
        account: &mut Account,
        give: &mut impl FnMut(Packet<'_>),
    ) {
        if self.partial.is_empty() {
            self.in_step = false;
            return;
        }
        self.append(zone, origin, parameters);
        match length(&self.partial, parameters) {
            Length::Open => {}
            Length::Known(octets) if octets > parameters.maximum_packet_octets => self.disbelieve(true, account),
            Length::Known(octets) if self.partial.len() < octets => {}
            Length::Known(octets) if self.partial.len() == octets => self.complete(give, account),
            Length::Known(octets) => {
                self.partial.truncate(octets);
                self.mismatch(parameters, account, give);
            }
            Length::UnknownVersion | Length::Invalid => self.disbelieve(false, account),
        }
    }

    /// The octets before a packet start end the packet in progress, or contradict it.
    fn end_packet(
        &mut self,
        head: &[u8],
        origin: Origin,
        parameters: &VirtualChannel,
        account: &mut Account,
        give: &mut impl FnMut(Packet<'_>),
    ) {
        if !head.is_empty() {
            self.append(head, origin, parameters);
        }
        match length(&self.partial, parameters) {
            Length::Known(octets) if octets > parameters.maximum_packet_octets => self.disbelieve(true, account),
            Length::UnknownVersion | Length::Invalid => self.disbelieve(false, account),
            Length::Known(octets) if octets == self.partial.len() => {
                account.pointer_matches += 1;
                self.complete(give, account);
            }
            other => {
                if let Length::Known(octets) = other {
                    self.partial.truncate(octets);
                }
                account.pointer_mismatches += 1;
                self.mismatch(parameters, account, give);
            }
        }
    }

    /// The next octets of a stream of packets without frames.  False: no packet starts where one should.
    pub fn stream(
        &mut self,
        octets: &[u8],
        origin: Origin,
        parameters: &VirtualChannel,
        account: &mut Account,
        give: &mut impl FnMut(Packet<'_>),
    ) -> bool {
        let mut at = 0;
        while !self.partial.is_empty() {
            let missing = match length(&self.partial, parameters) {
                Length::Known(octets) if octets <= parameters.maximum_packet_octets => octets - self.partial.len(),
                Length::Open => 1,
                Length::Known(_) => return self.refuse(&mut account.oversize_packets),
                Length::UnknownVersion | Length::Invalid => return self.refuse(&mut account.invalid_packets),
            };
            if missing == 0 {
                self.complete(give, account);
                break;
            }
            if at == octets.len() {
                return true;
            }
            let take = missing.min(octets.len() - at);
            self.partial.extend_from_slice(&octets[at..at + take]);
            at += take;
        }
        self.read(octets, at, origin, parameters, account, give);
        self.in_step
    }

    /// No packet starts where one should: its octets count as trailing ones, wherever the stream was cut.
    fn refuse(&mut self, counter: &mut u64) -> bool {
        *counter += 1;
        self.partial.clear();
        self.in_step = false;
        false
    }

    /// Packets one after the other, from a packet start on.
    fn read(
        &mut self,
        zone: &[u8],
        start: usize,
        origin: Origin,
        parameters: &VirtualChannel,
        account: &mut Account,
        give: &mut impl FnMut(Packet<'_>),
    ) {
        let mut at = start;
        self.in_step = true;
        while at < zone.len() {
            match length(&zone[at..], parameters) {
                Length::Known(octets) if octets > parameters.maximum_packet_octets => {
                    account.oversize_packets += 1;
                    self.in_step = false;
                    return;
                }
                Length::Known(octets) if octets <= zone.len() - at => {
                    let packet = &zone[at..at + octets];
                    at += octets;
                    let origin = self.start(origin);
                    give_counted(packet, origin, account, give);
                }
                Length::Known(_) | Length::Open => {
                    self.partial_origin = self.start(origin);
                    self.partial.extend_from_slice(&zone[at..]);
                    return;
                }
                Length::UnknownVersion => {
                    account.unknown_packet_versions += 1;
                    self.in_step = false;
                    return;
                }
                Length::Invalid => {
                    account.invalid_packets += 1;
                    self.in_step = false;
                    return;
                }
            }
        }
    }

    /// Origin of a packet that starts in this frame; the loss before it is told once.
    fn start(&mut self, origin: Origin) -> Origin {
        Origin { lost_frames_before: std::mem::take(&mut self.lost_before), ..origin }
    }

    /// More octets of the packet in progress, no more than are believed.
    fn append(&mut self, octets: &[u8], origin: Origin, parameters: &VirtualChannel) {
        let room = (parameters.maximum_packet_octets + 1).saturating_sub(self.partial.len());
        self.partial.extend_from_slice(&octets[..octets.len().min(room)]);
        self.partial_origin.corrected_symbols += origin.corrected_symbols;
    }

    fn complete(&mut self, give: &mut impl FnMut(Packet<'_>), account: &mut Account) {
        give_counted(&self.partial, self.partial_origin, account, give);
        self.partial.clear();
    }

    fn mismatch(&mut self, parameters: &VirtualChannel, account: &mut Account, give: &mut impl FnMut(Packet<'_>)) {
        if !self.partial.is_empty() {
            account.packets_dropped_by_mismatch += 1;
            self.drop_partial(parameters, account, give);
        }
        self.in_step = false;
    }

    /// What was taken for a packet in progress is none, now that its header is whole; it is not delivered, just as
    /// where the whole header lies in one frame.
    fn disbelieve(&mut self, oversize: bool, account: &mut Account) {
        account.oversize_packets += u64::from(oversize);
        account.invalid_packets += u64::from(!oversize);
        account.dropped_octets += self.partial.len() as u64;
        self.partial.clear();
        self.in_step = false;
    }

    fn drop_partial(&mut self, parameters: &VirtualChannel, account: &mut Account, give: &mut impl FnMut(Packet<'_>)) {
        account.dropped_octets += self.partial.len() as u64;
        if parameters.deliver_incomplete_packets {
            account.incomplete_packets += 1;
            give(Packet { octets: &self.partial, complete: false, idle: false, origin: self.partial_origin });
        }
        self.partial.clear();
    }
}

/// Packets that lie in one data unit, one after the other, whole.  False: what ends it is no whole packet.
pub(crate) fn read_block(
    block: &[u8],
    origin: Origin,
    parameters: &VirtualChannel,
    account: &mut Account,
    give: &mut impl FnMut(Packet<'_>),
) -> bool {
    let (mut at, mut origin) = (0, origin);
    while at < block.len() {
        let rest = &block[at..];
        match length(rest, parameters) {
            Length::Known(octets) if octets > parameters.maximum_packet_octets => account.oversize_packets += 1,
            Length::Known(octets) if octets <= rest.len() => {
                give_counted(&rest[..octets], origin, account, give);
                origin.lost_frames_before = 0; // told once
                at += octets;
                continue;
            }
            Length::Known(_) | Length::Open => {
                let mut cut = Extractor { partial: rest.to_vec(), partial_origin: origin, ..Extractor::default() };
                cut.mismatch(parameters, account, give);
            }
            Length::UnknownVersion => account.unknown_packet_versions += 1,
            Length::Invalid => account.invalid_packets += 1,
        }
        return false;
    }
    true
}

fn give_counted(octets: &[u8], origin: Origin, account: &mut Account, give: &mut impl FnMut(Packet<'_>)) {
    let idle = account.count(octets);
    give(Packet { octets, complete: true, idle, origin });
}

/// Length of the packet at the front of `octets`, which is not empty.
#[inline(always)]
fn length(octets: &[u8], parameters: &VirtualChannel) -> Length {
    let version = octets[0] >> 5;
    if parameters.valid_packet_versions >> version & 1 == 0 {
        return Length::UnknownVersion;
    }
    match version {
        0 if octets.len() >= 6 => Length::Known(cut(read48(octets), space_packet::DATA_LENGTH) as usize + 7),
        0 => Length::Open,
        7 => encapsulation_length(octets),
        _ => Length::UnknownVersion,
    }
}

/// Source: CCSDS 133.1-B-3, section 4.1.2: the length field has 0, 1, 2 or 4 octets and counts the whole packet.
fn encapsulation_length(octets: &[u8]) -> Length {
    let (header, at) = match octets[0] & 3 {
        0 => {
            return if octets[0] >> 2 & 7 == 0 { Length::Known(1) } else { Length::Invalid };
        }
        1 => (2, 1),
        2 => (4, 2),
        _ => (8, 4),
    };
    if octets.len() < header {
        return Length::Open;
    }
    let total = octets[at..header].iter().fold(0usize, |total, octet| total << 8 | usize::from(*octet));
    if total < header { Length::Invalid } else { Length::Known(total) }
}
