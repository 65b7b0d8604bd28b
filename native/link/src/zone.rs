//! Where the data zone of a frame lies.  Sources: CCSDS 132.0-B-3 section 4.1, 732.0-B-5 section 4.1.

use crate::header::{self, cut, read48, tm};
use crate::parameters::{FrameType, PhysicalChannel, Service, VirtualChannel};

/// A frame's data zone.
pub(crate) struct Zone {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) pointer: u16,
    pub(crate) packets: bool,
    pub(crate) only_idle_data: bool,
    pub(crate) operational_control_field: bool,
}

/// Where the data zone lies; nothing where the headers contradict the length of the frame.
pub(crate) fn read_zone(
    frame: &[u8],
    virtual_channel_id: u8,
    physical: &PhysicalChannel,
    virtual_channel: &VirtualChannel,
) -> Option<Zone> {
    let end = frame.len() - if physical.frame_error_control { 2 } else { 0 };
    let mut zone = match physical.frame_type {
        FrameType::Tm => read_tm_zone(frame, end, virtual_channel)?,
        FrameType::Aos => read_aos_zone(frame, end, virtual_channel_id, physical.header_octets(), virtual_channel)?,
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
        start += parameters.secondary_header_octets.unwrap_or(said);
    }
    let pointer = cut(word, tm::FIRST_HEADER_POINTER) as u16;
    let synchronous = cut(word, tm::SYNCHRONIZATION_FLAG) == 0;
    let operational_control_field = cut(word, tm::OPERATIONAL_CONTROL_FIELD_FLAG) == 1;
    (start + if operational_control_field { 4 } else { 0 } < end).then_some(Zone {
        start,
        end,
        pointer,
        packets: synchronous && parameters.service == Service::Packets,
        only_idle_data: synchronous && pointer == header::ONLY_IDLE_DATA,
        operational_control_field,
    })
}

fn read_aos_zone(
    frame: &[u8],
    end: usize,
    virtual_channel_id: u8,
    header_octets: usize,
    parameters: &VirtualChannel,
) -> Option<Zone> {
    let idle_channel = virtual_channel_id == header::AOS_IDLE_VIRTUAL_CHANNEL;
    let mut zone = Zone {
        start: header_octets,
        end,
        pointer: 0,
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
            zone.pointer = pdu_header & 0x7FF;
            zone.only_idle_data |= zone.pointer == header::ONLY_IDLE_DATA;
        }
        Service::Bitstream => {
            zone.start += 2;
            zone.pointer = pdu_header & 0x3FFF;
            // 732.0-B-5 §4.1.4.3.2: all ones but the last bit says that only idle data is there.
            zone.only_idle_data |= zone.pointer == 0x3FFE;
        }
        Service::Access => {}
    }
    Some(zone)
}
