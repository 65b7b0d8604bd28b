//! What a TC or USLP frame says: whose it is, its length, its count, and how its data are to be put together.
//! Sources: CCSDS 232.0-B-4 section 4.1, CCSDS 732.1-B-3 section 4.1 and annex D.

use std::ops::Range;

use crate::header::{self, cut64, read64, tc, uslp};
use crate::parameters::{FrameType, PhysicalChannel, VirtualChannel};

/// The first octets of a frame: whose it is, and how long.
pub(crate) struct Head {
    pub(crate) version_valid: bool,
    pub(crate) spacecraft_id: u16,
    pub(crate) virtual_channel_id: u8,
    /// USLP: the header ends after four octets.
    pub(crate) truncated: bool,
    /// Octets of the frame, as its length field says, or by agreement where it is truncated; none: not agreed upon.
    pub(crate) octets: Option<usize>,
}

/// The head of the frame that starts here; nothing while more octets are needed.
pub(crate) fn read_head(octets: &[u8], physical: &PhysicalChannel) -> Option<Head> {
    let word = read64(octets);
    if physical.frame_type == FrameType::Tc {
        return (octets.len() >= tc::OCTETS).then(|| Head {
            version_valid: cut64(word, tc::VERSION) == 0,
            spacecraft_id: cut64(word, tc::SPACECRAFT_ID) as u16,
            virtual_channel_id: cut64(word, tc::VIRTUAL_CHANNEL_ID) as u8,
            truncated: false,
            octets: Some(cut64(word, tc::FRAME_LENGTH) as usize + 1),
        });
    }
    let truncated = octets.len() >= uslp::TRUNCATED_OCTETS && cut64(word, uslp::END_OF_HEADER_FLAG) == 1;
    if octets.len() < if truncated { uslp::TRUNCATED_OCTETS } else { uslp::OCTETS } {
        return None;
    }
    let spacecraft_id = cut64(word, uslp::SPACECRAFT_ID) as u16;
    let virtual_channel_id = cut64(word, uslp::VIRTUAL_CHANNEL_ID) as u8;
    let agreed = || physical.virtual_channel(spacecraft_id, virtual_channel_id)?.truncated_frame_octets;
    Some(Head {
        version_valid: cut64(word, uslp::VERSION) == uslp::VERSION_NUMBER,
        spacecraft_id,
        virtual_channel_id,
        truncated,
        octets: if truncated { agreed() } else { Some(cut64(word, uslp::FRAME_LENGTH) as usize + 1) },
    })
}

impl Head {
    /// The length, where a frame of this channel can have it.
    pub(crate) fn believable(&self, physical: &PhysicalChannel) -> Option<usize> {
        let least = if self.truncated { uslp::TRUNCATED_OCTETS + 1 } else { physical.least_octets() };
        self.octets.filter(|octets| self.version_valid && (least..=physical.frame_octets).contains(octets))
    }
}

/// Which portion of a data unit a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Portion {
    Continuing,
    First,
    Last,
    Unsegmented,
}

/// How the data are to be put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// For the protocol itself, not for a user.
    Command,
    Idle,
    /// Packets that go on from frame to frame, and where the first starts.
    Packets(Option<u16>),
    Stream,
    Portion(Portion),
}

/// A frame's headers, read.
pub(crate) struct MapFrame {
    pub(crate) map_id: Option<u8>,
    pub(crate) expedited: bool,
    pub(crate) command: bool,
    pub(crate) truncated: bool,
    pub(crate) source_or_destination_id: u8,
    pub(crate) count: u64,
    /// Octets of the count; 0: the frame has none.
    pub(crate) count_octets: u8,
    pub(crate) operational_control_field: bool,
    /// Octets between headers and trailers; of USLP the whole data field.
    pub(crate) field: Range<usize>,
}

/// What the data field says.
pub(crate) struct DataField {
    pub(crate) content: Content,
    /// The data: without idle octets behind the last valid one.
    pub(crate) zone: Range<usize>,
    pub(crate) pointer: u16,
    /// The pointer to the last valid octet points behind the data.
    pub(crate) pointer_invalid: bool,
    /// Sequence flags or construction rule; 255: none.
    pub(crate) construction: u8,
    pub(crate) protocol_id: u8,
}

/// Sequence flags of a TC frame without a segment header.
const NO_SEGMENT_HEADER: u8 = 255;

/// The headers of a whole frame; nothing where they contradict its length or each other.
pub(crate) fn read_map_frame(frame: &[u8], physical: &PhysicalChannel, channel: &VirtualChannel) -> Option<MapFrame> {
    let read = if physical.frame_type == FrameType::Tc { read_tc } else { read_uslp };
    read(frame, physical, channel).filter(|read| read.field.start < read.field.end)
}

fn read_tc(frame: &[u8], physical: &PhysicalChannel, channel: &VirtualChannel) -> Option<MapFrame> {
    let word = read64(frame);
    let expedited = cut64(word, tc::BYPASS_FLAG) == 1;
    let command = cut64(word, tc::CONTROL_COMMAND_FLAG) == 1;
    let end = frame.len().checked_sub(physical.check_octets())?;
    let segmented = channel.segment_header && !command;
    // 232.0-B-4 §4.1.2.3: a sequence-controlled control command is reserved.
    if (command && !expedited) || end <= tc::OCTETS {
        return None;
    }
    Some(MapFrame {
        map_id: segmented.then(|| frame[tc::OCTETS] & 0x3F),
        expedited,
        command,
        truncated: false,
        source_or_destination_id: 0,
        count: u64::from(cut64(word, tc::FRAME_SEQUENCE_NUMBER)),
        count_octets: u8::from(!expedited), // 232.0-B-4 §4.1.2.8: of expedited frames it does not count
        operational_control_field: false,
        field: tc::OCTETS..end,
    })
}

fn read_uslp(frame: &[u8], physical: &PhysicalChannel, channel: &VirtualChannel) -> Option<MapFrame> {
    let word = read64(frame);
    let truncated = cut64(word, uslp::END_OF_HEADER_FLAG) == 1;
    let mut read = MapFrame {
        map_id: Some(cut64(word, uslp::MAP_ID) as u8),
        expedited: truncated || cut64(word, uslp::BYPASS_FLAG) == 1,
        command: !truncated && cut64(word, uslp::CONTROL_COMMAND_FLAG) == 1,
        truncated,
        source_or_destination_id: cut64(word, uslp::SOURCE_OR_DESTINATION_ID) as u8,
        count: 0,
        count_octets: 0,
        operational_control_field: false,
        field: uslp::TRUNCATED_OCTETS..frame.len(),
    };
    if truncated {
        return (channel.truncated_frame_octets == Some(frame.len())).then_some(read);
    }
    let count_octets = cut64(word, uslp::FRAME_COUNT_LENGTH) as usize;
    let count_end = uslp::OCTETS + count_octets;
    read.operational_control_field = cut64(word, uslp::OPERATIONAL_CONTROL_FIELD_FLAG) == 1;
    let trailer = physical.check_octets() + if read.operational_control_field { 4 } else { 0 };
    let said = cut64(word, uslp::FRAME_LENGTH) as usize + 1;
    if said != frame.len() || frame.len() < count_end + trailer {
        return None;
    }
    read.count_octets = count_octets as u8;
    read.count = frame[uslp::OCTETS..count_end].iter().fold(0, |count, octet| count << 8 | u64::from(*octet));
    read.field = count_end + physical.insert_zone_octets..frame.len() - trailer;
    Some(read)
}

/// What the data field of a frame says; nothing where it has no room for data.
pub(crate) fn read_data_field(frame: &[u8], read: &MapFrame, physical: &PhysicalChannel) -> Option<DataField> {
    if physical.frame_type == FrameType::Tc { Some(read_segment(frame, read)) } else { read_uslp_field(frame, read) }
}

fn read_segment(frame: &[u8], read: &MapFrame) -> DataField {
    let mut field = DataField {
        content: Content::Portion(Portion::Unsegmented),
        zone: read.field.clone(),
        pointer: 0,
        pointer_invalid: false,
        construction: NO_SEGMENT_HEADER,
        protocol_id: 0,
    };
    if read.map_id.is_some() {
        field.zone.start += 1;
        field.construction = frame[read.field.start] >> 6;
        let portions = [Portion::Continuing, Portion::First, Portion::Last, Portion::Unsegmented];
        field.content = Content::Portion(portions[usize::from(field.construction)]);
    } else if read.command {
        field.content = Content::Command;
    }
    field
}

/// Source: CCSDS 732.1-B-3, section 4.1.4.2, table 4-3.
fn read_uslp_field(frame: &[u8], read: &MapFrame) -> Option<DataField> {
    let octets = &frame[read.field.clone()];
    let (rule, protocol_id) = (octets[0] >> 5, octets[0] & 0x1F);
    let has_pointer = rule <= 0b010;
    let start = if has_pointer { 3 } else { 1 };
    if octets.len() <= start || (read.truncated && has_pointer) {
        return None;
    }
    let pointer = if has_pointer { u16::from_be_bytes([octets[1], octets[2]]) } else { 0 };
    let goes_on = pointer == header::USLP_POINTER_ALL_ONES;
    let data = octets.len() - start;
    let last_valid = matches!(rule, 0b001 | 0b010) && !goes_on;
    let valid = if last_valid { data.min(usize::from(pointer) + 1) } else { data };
    let content = match rule {
        _ if read.command => Content::Command,
        _ if protocol_id == header::USLP_IDLE_PROTOCOL => Content::Idle,
        0b000 => Content::Packets((!goes_on).then_some(pointer)),
        0b001 => Content::Portion(if goes_on { Portion::First } else { Portion::Unsegmented }),
        0b010 => Content::Portion(if goes_on { Portion::Continuing } else { Portion::Last }),
        0b011 => Content::Stream,
        0b100 => Content::Portion(Portion::First),
        0b101 => Content::Portion(Portion::Continuing),
        0b110 => Content::Portion(Portion::Last),
        _ => Content::Portion(Portion::Unsegmented),
    };
    let begin = read.field.start + start;
    Some(DataField {
        content,
        zone: begin..begin + valid,
        pointer,
        pointer_invalid: last_valid && usize::from(pointer) >= data,
        construction: rule,
        protocol_id,
    })
}
