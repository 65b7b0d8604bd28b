//! What the headers of a TM or AOS frame say: whose it is, its counters, and where its data zone lies.

use crate::header::{self, aos, cut, read48, tm};
use crate::parameters::{FrameType, PhysicalChannel, Service, VirtualChannel};

/// A frame's headers, read.
pub(crate) struct Header {
    pub(crate) spacecraft_id: u16,
    pub(crate) virtual_channel_id: u8,
    pub(crate) replay: bool,
    pub(crate) count: u32,
    pub(crate) count_bits: u32,
    pub(crate) master_count: Option<u32>,
}

/// A frame's data zone.
pub(crate) struct Zone {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// As it stands in the frame.
    pub(crate) pointer: u16,
    /// Where the first packet starts; none: no packet starts here.
    pub(crate) packet_start: Option<u16>,
    pub(crate) packets: bool,
    pub(crate) only_idle_data: bool,
    pub(crate) operational_control_field: bool,
}

pub(crate) fn read_tm(word: u64) -> Header {
    Header {
        spacecraft_id: cut(word, tm::SPACECRAFT_ID) as u16,
        virtual_channel_id: cut(word, tm::VIRTUAL_CHANNEL_ID) as u8,
        replay: false,
        count: cut(word, tm::VIRTUAL_CHANNEL_FRAME_COUNT),
        count_bits: tm::VIRTUAL_CHANNEL_FRAME_COUNT.bits,
        master_count: Some(cut(word, tm::MASTER_CHANNEL_FRAME_COUNT)),
    }
}

pub(crate) fn read_aos(word: u64, issue_5: bool) -> Header {
    let high = if issue_5 { cut(word, aos::SPACECRAFT_ID_HIGH) } else { 0 };
    let cycle_used = cut(word, aos::FRAME_COUNT_USAGE_FLAG) == 1;
    let low_bits = aos::VIRTUAL_CHANNEL_FRAME_COUNT.bits;
    let cycle = if cycle_used { cut(word, aos::FRAME_COUNT_CYCLE) } else { 0 };
    Header {
        spacecraft_id: (high << aos::SPACECRAFT_ID.bits | cut(word, aos::SPACECRAFT_ID)) as u16,
        virtual_channel_id: cut(word, aos::VIRTUAL_CHANNEL_ID) as u8,
        replay: cut(word, aos::REPLAY_FLAG) == 1,
        count: cycle << low_bits | cut(word, aos::VIRTUAL_CHANNEL_FRAME_COUNT),
        count_bits: if cycle_used { low_bits + aos::FRAME_COUNT_CYCLE.bits } else { low_bits },
        master_count: None,
    }
}

/// Where the data zone lies; nothing where the headers contradict the length of the frame.
pub(crate) fn read_zone(
    frame: &[u8],
    header: &Header,
    physical: &PhysicalChannel,
    virtual_channel: &VirtualChannel,
) -> Option<Zone> {
    let end = frame.len() - if physical.frame_error_control { 2 } else { 0 };
    let mut zone = match physical.frame_type {
        FrameType::Tm => read_tm_zone(frame, end, virtual_channel)?,
        FrameType::Aos => read_aos_zone(frame, end, header, physical, virtual_channel)?,
        FrameType::Tc | FrameType::Uslp => return None, // `map_frame` reads them
    };
    if zone.operational_control_field {
        zone.end -= 4;
    }
    (zone.start < zone.end).then_some(zone)
}

fn read_tm_zone(frame: &[u8], end: usize, parameters: &VirtualChannel) -> Option<Zone> {
    let word = read48(frame);
    let mut start = header::PRIMARY_HEADER_OCTETS;
    if cut(word, tm::SECONDARY_HEADER_FLAG) == 1 {
        // 132.0-B-3 §4.1.3.2.3: the length field counts the octets of the secondary header, minus one.
        let said = usize::from(frame[start] & 0x3F) + 1;
        let octets = parameters.secondary_header_octets.unwrap_or(said);
        if octets < 2 {
            return None;
        }
        start += octets;
    }
    let pointer = cut(word, tm::FIRST_HEADER_POINTER) as u16;
    let synchronous = cut(word, tm::SYNCHRONIZATION_FLAG) == 0;
    let operational_control_field = cut(word, tm::OPERATIONAL_CONTROL_FIELD_FLAG) == 1;
    (start + if operational_control_field { 4 } else { 0 } < end).then_some(Zone {
        start,
        end,
        pointer,
        packet_start: (pointer != header::NO_PACKET_START).then_some(pointer),
        packets: synchronous && parameters.service == Service::Packets,
        only_idle_data: synchronous && pointer == header::ONLY_IDLE_DATA,
        operational_control_field,
    })
}

fn read_aos_zone(
    frame: &[u8],
    end: usize,
    header: &Header,
    physical: &PhysicalChannel,
    parameters: &VirtualChannel,
) -> Option<Zone> {
    let header_octets = physical.header_octets();
    let idle_channel = header.virtual_channel_id == header::AOS_IDLE_VIRTUAL_CHANNEL;
    let mut zone = Zone {
        start: header_octets,
        end,
        pointer: 0,
        packet_start: None,
        packets: parameters.service == Service::Packets && !idle_channel,
        only_idle_data: idle_channel,
        operational_control_field: parameters.operational_control_field,
    };
    if header_octets + 2 + if zone.operational_control_field { 4 } else { 0 } >= end {
        return None;
    }
    let pdu_header = u16::from_be_bytes([frame[header_octets], frame[header_octets + 1]]);
    match parameters.service {
        Service::Packets => {
            zone.start += 2;
            let wide = physical.issue_5;
            zone.pointer = if wide { pdu_header } else { pdu_header & 0x7FF };
            let reached = end - zone.start - if zone.operational_control_field { 4 } else { 0 };
            let (packet_start, only_idle_data) = first_packet(zone.pointer, wide, reached);
            zone.packet_start = packet_start;
            zone.only_idle_data |= only_idle_data;
        }
        Service::Bitstream => {
            zone.start += 2;
            zone.pointer = pdu_header & 0x3FFF;
            // 732.0-B-5 §4.1.4.3.2: all ones but the last bit says that only idle data is there.
            zone.only_idle_data |= zone.pointer == 0x3FFE;
        }
        Service::Access | Service::OctetStream => {}
    }
    Some(zone)
}

/// Where the first packet of an M_PDU starts, and whether there is only idle data.  Issue 5 of 732.0-B made the pointer
/// sixteen bits wide.  The two special values of eleven bits point behind any zone of their time, so a sender that
/// kept to the older issue is understood as well, where the zone is no longer than they point.
fn first_packet(pointer: u16, wide: bool, zone_octets: usize) -> (Option<u16>, bool) {
    let narrow = !wide || zone_octets <= usize::from(header::ONLY_IDLE_DATA);
    let is = |value: u16, wide_value: u16| (narrow && pointer == value) || (wide && pointer == wide_value);
    let no_start = is(header::NO_PACKET_START, header::WIDE_NO_PACKET_START);
    let only_idle_data = is(header::ONLY_IDLE_DATA, header::WIDE_ONLY_IDLE_DATA);
    ((!no_start).then_some(pointer), only_idle_data)
}
