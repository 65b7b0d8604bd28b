//! A TC or USLP virtual channel at work: two sequences of frames, and the receiving ends of its MAPs.
//!
//! Frames are sequence-controlled or expedited, each kind with a frame count of its own.  A data unit is carried by
//! frames of one kind, so each kind has a receiving end of its own on each MAP, and what is lost of one spoils nothing
//! of the other.

use std::collections::BTreeMap;

use crate::account::Account;
use crate::batch::{Batch, Status, quality};
use crate::channel::ChannelKey;
use crate::counter::{FrameCounter, Step};
use crate::extraction::{Extractor, Packet, read_block};
use crate::header::USLP_IDLE_VIRTUAL_CHANNEL;
use crate::map_account::{MapAccount, SequenceAccount};
use crate::map_frame::{Content, DataField, MapFrame, read_data_field};
use crate::parameters::{FrameType, PhysicalChannel, Service, VirtualChannel};
use crate::reassembly::{Discard, Reassembler, Segment, Unit, take_late};
use crate::row::{MapRow, Row, deliver};

/// A virtual channel at work.
pub(crate) struct MapChannel {
    pub(crate) parameters: VirtualChannel,
    pub(crate) account: Account,
    /// Sequence-controlled, expedited.
    sequences: [Sequence; 2],
    maps: BTreeMap<Option<u8>, Map>,
    /// Its size as the chain knows it.
    pub(crate) counted: usize,
}

#[derive(Default)]
struct Sequence {
    account: SequenceAccount,
    counter: FrameCounter,
    count_octets: u8,
    last_frame: Vec<u8>,
}

struct Map {
    parameters: VirtualChannel,
    account: MapAccount,
    /// Of sequence-controlled, of expedited frames.
    ends: [End; 2],
}

#[derive(Default)]
struct End {
    extractor: Extractor,
    reassembler: Reassembler,
}

/// Where packets and units go.
pub(crate) struct Sink<'a> {
    pub(crate) batch: &'a mut Batch,
    pub(crate) key: ChannelKey,
    pub(crate) deliver_idle: bool,
}

impl MapChannel {
    pub(crate) fn new(physical: &PhysicalChannel, key: ChannelKey) -> Self {
        Self {
            parameters: physical.virtual_channel(key.0, key.1).cloned().unwrap_or_default(),
            account: Account { digest: physical.digest.then(Default::default), ..Account::default() },
            sequences: Default::default(),
            maps: BTreeMap::new(),
            counted: 0,
        }
    }

    /// MAPs that were heard of, and one for the channel.
    pub(crate) fn size(&self) -> usize {
        1 + self.maps.len()
    }

    pub(crate) fn has_map(&self, map_id: Option<u8>) -> bool {
        self.maps.contains_key(&map_id)
    }

    /// Counts of sequence-controlled and of expedited frames.
    pub(crate) fn sequence_accounts(&self) -> [SequenceAccount; 2] {
        [self.sequences[0].account, self.sequences[1].account]
    }

    /// Counts of the MAPs, in order.
    pub(crate) fn map_accounts(&self) -> impl Iterator<Item = (Option<u8>, MapAccount)> {
        self.maps.iter().map(|(id, map)| (*id, map.account))
    }

    /// The frame count of some frames had eight bits.
    pub(crate) fn aliases(&self) -> bool {
        self.sequences.iter().any(|sequence| sequence.count_octets == 1)
    }

    /// A frame whose headers contradict its length: what is in progress lacks it.
    pub(crate) fn refuse(&mut self, sink: &mut Sink<'_>) -> Status {
        self.account.invalid_frames += 1;
        self.gap(&[0, 1], 0, sink);
        Status::Invalid
    }

    /// Account for a frame, take its data.
    pub(crate) fn receive(
        &mut self,
        frame: &[u8],
        read: &MapFrame,
        physical: &PhysicalChannel,
        rows: (&mut Row, &mut MapRow),
        sink: &mut Sink<'_>,
    ) -> Status {
        let (row, map_row) = rows;
        if self.is_repeated(frame, read) {
            return Status::Repeated;
        }
        let late = self.count(read, physical.late_frame_window, row, sink);
        let flag = if read.operational_control_field { quality::OPERATIONAL_CONTROL_FIELD } else { 0 };
        row.reception.quality |= flag;
        let field = read_data_field(frame, read, physical);
        if let Some(field) = &field {
            row.zone_offset = field.zone.start as u32;
            row.zone_octets = field.zone.len() as u32;
            row.pointer = field.pointer;
            map_row.construction = field.construction;
            map_row.protocol_id = field.protocol_id;
        }
        let only_idle = physical.frame_type == FrameType::Uslp && sink.key.1 == USLP_IDLE_VIRTUAL_CHANNEL;
        let kind = usize::from(read.expedited);
        match field {
            _ if only_idle => self.count_idle(row),
            Some(DataField { content: Content::Idle, .. }) => self.count_idle(row),
            Some(DataField { content: Content::Command, .. }) => {
                self.sequences[kind].account.control_command_frames += 1;
            }
            // a truncated frame stands alone, too: it may come between the portions of a unit
            Some(field) => self.take(frame, read, &field, late || read.truncated, row, sink),
            None => {
                self.account.invalid_frames += 1;
                self.gap(&[kind], 0, sink);
                return Status::Invalid;
            }
        }
        Status::Accepted
    }

    /// Count a frame in its sequence; true: it equals the one before it there, and the count says that it is that one.
    fn is_repeated(&mut self, frame: &[u8], read: &MapFrame) -> bool {
        let sequence = &mut self.sequences[usize::from(read.expedited)];
        sequence.account.frames += 1;
        sequence.account.truncated_frames += u64::from(read.truncated);
        if read.count_octets == 0 || !self.parameters.remove_repeated_frames {
            return false;
        }
        if sequence.last_frame == frame {
            sequence.account.repeated_frames += 1;
            self.account.repeated_frames += 1;
            return true;
        }
        sequence.last_frame.clear();
        sequence.last_frame.extend_from_slice(frame);
        false
    }

    /// The stream ended.
    pub(crate) fn finish(&mut self, sink: &mut Sink<'_>) {
        for (map_id, map) in &mut self.maps {
            let Map { parameters, account, ends } = map;
            for end in ends {
                let mut give = |packet: Packet<'_>| sink.packet(*map_id, &packet);
                end.extractor.finish(parameters, &mut self.account, &mut give);
                let mut accounts = (&mut self.account, &mut *account);
                end.reassembler.finish(&mut |unit| take_unit(&unit, *map_id, parameters, &mut accounts, sink));
            }
        }
    }

    fn count_idle(&mut self, row: &mut Row) {
        self.account.only_idle_data_frames += 1;
        row.reception.quality |= quality::ONLY_IDLE_DATA;
    }

    /// Account for the frame count; true: the frame was overtaken.
    fn count(&mut self, read: &MapFrame, late_window: u32, row: &mut Row, sink: &mut Sink<'_>) -> bool {
        if read.count_octets == 0 || self.parameters.frame_count_frozen {
            return false;
        }
        let kind = usize::from(read.expedited);
        let sequence = &mut self.sequences[kind];
        if std::mem::replace(&mut sequence.count_octets, read.count_octets) != read.count_octets {
            sequence.counter = FrameCounter::default(); // of another width: it says nothing of what was before
        }
        let Sequence { counter, account, .. } = sequence;
        let lost = match counter.step(read.count, 8 * u32::from(read.count_octets), late_window) {
            Step::InSequence => return false,
            Step::Late => {
                account.late_frames += 1;
                self.account.late_frames += 1;
                row.reception.quality |= quality::LATE;
                return true;
            }
            Step::Gap(lost) => {
                account.counter_gaps += 1;
                account.lost_frames = account.lost_frames.saturating_add(lost);
                self.account.counter_gaps += 1;
                self.account.lost_frames = self.account.lost_frames.saturating_add(lost);
                u32::try_from(lost).unwrap_or(u32::MAX)
            }
            Step::Reset => {
                account.counter_resets += 1;
                self.account.counter_resets += 1;
                row.reception.quality |= quality::COUNTER_RESET;
                0
            }
        };
        row.lost_before = lost;
        self.gap(&[kind], lost, sink);
        false
    }

    /// Frames of these kinds are missing: what is in progress on any MAP is over.
    fn gap(&mut self, kinds: &[usize], lost: u32, sink: &mut Sink<'_>) {
        for (map_id, map) in &mut self.maps {
            let Map { parameters, account, ends } = map;
            for kind in kinds {
                let end = &mut ends[*kind];
                let mut give = |packet: Packet<'_>| sink.packet(*map_id, &packet);
                end.extractor.gap(lost, parameters, &mut self.account, &mut give);
                let mut accounts = (&mut self.account, &mut *account);
                end.reassembler.gap(lost, &mut |unit| take_unit(&unit, *map_id, parameters, &mut accounts, sink));
            }
        }
    }

    /// The data of a frame, by the way they were put into it.
    fn take(
        &mut self,
        frame: &[u8],
        read: &MapFrame,
        field: &DataField,
        late: bool,
        row: &mut Row,
        sink: &mut Sink<'_>,
    ) {
        let map_id = read.map_id;
        let new = || Map {
            parameters: self.parameters.of_map(map_id),
            account: MapAccount::default(),
            ends: Default::default(),
        };
        let Map { parameters, account, ends } = self.maps.entry(map_id).or_insert_with(new);
        let End { extractor, reassembler } = &mut ends[usize::from(read.expedited)];
        let octets = &frame[field.zone.clone()];
        let origin = row.origin();
        account.frames += 1;
        self.account.pointers_invalid += u64::from(field.pointer_invalid);
        match field.content {
            Content::Packets(start) => {
                let before = (self.account.packets, self.account.packet_octets);
                let mut give = |packet: Packet<'_>| sink.packet(map_id, &packet);
                let take = if late { Extractor::late_zone } else { Extractor::zone };
                take(extractor, octets, start, origin, parameters, &mut self.account, &mut give);
                account.packets += self.account.packets - before.0;
                account.packet_octets += self.account.packet_octets - before.1;
            }
            Content::Stream => {
                account.octet_stream_octets += octets.len() as u64;
                let lost_frames_before = if late { 0 } else { reassembler.take_lost() };
                let origin = crate::extraction::Origin { lost_frames_before, ..origin };
                let unit = Unit { octets, origin, protocol_id: field.protocol_id, segments: 1, discard: None };
                sink.unit(map_id, &unit, true);
            }
            Content::Portion(portion) => {
                account.segments += 1;
                let segment = Segment { portion, octets, origin, protocol_id: field.protocol_id };
                let most = parameters.maximum_packet_octets;
                let mut accounts = (&mut self.account, account);
                let mut give = |unit: Unit<'_>| take_unit(&unit, map_id, parameters, &mut accounts, sink);
                if late { take_late(segment, &mut give) } else { reassembler.take(segment, most, &mut give) }
            }
            Content::Command | Content::Idle => {} // they never come here
        }
    }
}

/// A unit is done: packets, or data for the user of the MAP; or it is thrown away.
fn take_unit(
    unit: &Unit<'_>,
    map_id: Option<u8>,
    parameters: &VirtualChannel,
    accounts: &mut (&mut Account, &mut MapAccount),
    sink: &mut Sink<'_>,
) {
    let (account, map_account) = accounts;
    // USLP protocol 0 is that of packets, and so is all of TC.
    let packets = parameters.service == Service::Packets && unit.protocol_id == 0;
    if let Some(reason) = unit.discard {
        throw_away(unit, reason, packets, account, map_account);
        let has_beginning = !matches!(reason, Discard::NoFirst | Discard::Oversize);
        if !parameters.deliver_incomplete_packets || !has_beginning || unit.octets.is_empty() {
            return;
        }
        map_account.incomplete_units += 1;
        account.incomplete_packets += u64::from(packets);
        if packets {
            sink.packet(map_id, &Packet { octets: unit.octets, complete: false, idle: false, origin: unit.origin });
        } else {
            sink.unit(map_id, unit, false);
        }
    } else if packets {
        let before = (account.packets, account.packet_octets);
        let mut give = |packet: Packet<'_>| sink.packet(map_id, &packet);
        let whole = read_block(unit.octets, unit.origin, parameters, account, &mut give);
        map_account.broken_blocks += u64::from(!whole);
        map_account.packets += account.packets - before.0;
        map_account.packet_octets += account.packet_octets - before.1;
    } else {
        map_account.access_units += 1;
        map_account.access_unit_octets += unit.octets.len() as u64;
        sink.unit(map_id, unit, false);
    }
}

/// Count a unit that is not whole; of packets, in the terms of the virtual channel too.
fn throw_away(unit: &Unit<'_>, reason: Discard, packets: bool, account: &mut Account, map_account: &mut MapAccount) {
    let octets = unit.octets.len() as u64;
    map_account.discarded_octets += octets;
    let mut nothing = 0;
    let (of_map, of_channel) = match reason {
        Discard::NoFirst => (&mut map_account.discarded_no_first, &mut nothing),
        Discard::NoLast => (&mut map_account.discarded_no_last, &mut account.packets_dropped_by_mismatch),
        Discard::Gap => (&mut map_account.discarded_gap, &mut account.packets_dropped_by_gap),
        Discard::Oversize => (&mut map_account.discarded_oversize, &mut account.oversize_packets),
        Discard::End => (&mut map_account.discarded_end, &mut account.packets_unfinished),
    };
    *of_map += 1;
    if packets {
        *of_channel += 1;
        account.dropped_octets += octets;
    }
}

impl Sink<'_> {
    fn packet(&mut self, map_id: Option<u8>, packet: &Packet<'_>) {
        if !packet.idle || self.deliver_idle {
            deliver(self.batch, self.key, packet, true);
            self.batch.map_packets.map_id.push(map_id.map_or(-1, i16::from));
        }
    }

    fn unit(&mut self, map_id: Option<u8>, unit: &Unit<'_>, octet_stream: bool) {
        let Batch { units: columns, unit_octets, .. } = &mut *self.batch;
        columns.start.push(unit_octets.len() as u64);
        columns.length.push(unit.octets.len() as u32);
        columns.frame_index.push(unit.origin.frame_index);
        columns.reception_time_ns.push(unit.origin.reception_time_ns);
        columns.spacecraft_id.push(self.key.0);
        columns.virtual_channel_id.push(self.key.1);
        columns.map_id.push(map_id.map_or(-1, i16::from));
        columns.uslp_protocol_id.push(unit.protocol_id);
        columns.octet_stream.push(u8::from(octet_stream));
        columns.complete.push(u8::from(unit.discard.is_none()));
        columns.segments.push(unit.segments);
        columns.corrected_symbols.push(unit.origin.corrected_symbols);
        columns.lost_frames_before.push(unit.origin.lost_frames_before);
        unit_octets.extend_from_slice(unit.octets);
    }
}
