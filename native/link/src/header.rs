//! Primary headers of frames and of packets, cut by tables.
//!
//! The tables are exported so that a test holds them equal to the layouts of the Python codecs.

/// One field: bits before it, bits of it.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Bits from the start of the header.
    pub offset: u32,
    /// Width.
    pub bits: u32,
}

const fn field(offset: u32, bits: u32) -> Field {
    Field { offset, bits }
}

/// Cut a field out of a 48-bit header.
#[inline(always)]
pub const fn cut(header: u64, field: Field) -> u32 {
    ((header >> (48 - field.offset - field.bits)) & ((1 << field.bits) - 1)) as u32
}

/// Six octets as one number; `octets` holds at least six.
#[inline(always)]
pub fn read48(octets: &[u8]) -> u64 {
    let mut word = [0u8; 8];
    word[2..].copy_from_slice(&octets[..6]);
    u64::from_be_bytes(word)
}

/// The first eight octets as one number, with zeros behind the end.
#[inline(always)]
pub fn read64(octets: &[u8]) -> u64 {
    let mut word = [0u8; 8];
    let there = octets.len().min(8);
    word[..there].copy_from_slice(&octets[..there]);
    u64::from_be_bytes(word)
}

/// Cut a field out of the first 64 bits of a header.
#[inline(always)]
pub const fn cut64(header: u64, field: Field) -> u32 {
    ((header >> (64 - field.offset - field.bits)) & ((1 << field.bits) - 1)) as u32
}

/// TM transfer frame primary header.  Source: CCSDS 132.0-B-3, section 4.1.2.
pub mod tm {
    use super::{Field, field};
    /// Transfer frame version number.
    pub const VERSION: Field = field(0, 2);
    /// Spacecraft identifier.
    pub const SPACECRAFT_ID: Field = field(2, 10);
    /// Virtual channel identifier.
    pub const VIRTUAL_CHANNEL_ID: Field = field(12, 3);
    /// Operational control field flag.
    pub const OPERATIONAL_CONTROL_FIELD_FLAG: Field = field(15, 1);
    /// Master channel frame count.
    pub const MASTER_CHANNEL_FRAME_COUNT: Field = field(16, 8);
    /// Virtual channel frame count.
    pub const VIRTUAL_CHANNEL_FRAME_COUNT: Field = field(24, 8);
    /// Transfer frame secondary header flag.
    pub const SECONDARY_HEADER_FLAG: Field = field(32, 1);
    /// Synchronisation flag.
    pub const SYNCHRONIZATION_FLAG: Field = field(33, 1);
    /// Packet order flag.
    pub const PACKET_ORDER_FLAG: Field = field(34, 1);
    /// Segment length identifier.
    pub const SEGMENT_LENGTH_ID: Field = field(35, 2);
    /// First header pointer.
    pub const FIRST_HEADER_POINTER: Field = field(37, 11);
    /// All fields in order.
    pub const TABLE: [Field; 11] = [
        VERSION,
        SPACECRAFT_ID,
        VIRTUAL_CHANNEL_ID,
        OPERATIONAL_CONTROL_FIELD_FLAG,
        MASTER_CHANNEL_FRAME_COUNT,
        VIRTUAL_CHANNEL_FRAME_COUNT,
        SECONDARY_HEADER_FLAG,
        SYNCHRONIZATION_FLAG,
        PACKET_ORDER_FLAG,
        SEGMENT_LENGTH_ID,
        FIRST_HEADER_POINTER,
    ];
}

/// AOS transfer frame primary header.  Source: CCSDS 732.0-B-5, section 4.1.2.
pub mod aos {
    use super::{Field, field};
    /// Transfer frame version number.
    pub const VERSION: Field = field(0, 2);
    /// Spacecraft identifier; up to issue 4 all of it.
    pub const SPACECRAFT_ID: Field = field(2, 8);
    /// Virtual channel identifier.
    pub const VIRTUAL_CHANNEL_ID: Field = field(10, 6);
    /// Virtual channel frame count.
    pub const VIRTUAL_CHANNEL_FRAME_COUNT: Field = field(16, 24);
    /// Replay flag.
    pub const REPLAY_FLAG: Field = field(40, 1);
    /// Virtual channel frame count usage flag.
    pub const FRAME_COUNT_USAGE_FLAG: Field = field(41, 1);
    /// Two most significant bits of the spacecraft identifier; spare up to issue 4.
    pub const SPACECRAFT_ID_HIGH: Field = field(42, 2);
    /// Virtual channel frame count cycle.
    pub const FRAME_COUNT_CYCLE: Field = field(44, 4);
    /// All fields in order.
    pub const TABLE: [Field; 8] = [
        VERSION,
        SPACECRAFT_ID,
        VIRTUAL_CHANNEL_ID,
        VIRTUAL_CHANNEL_FRAME_COUNT,
        REPLAY_FLAG,
        FRAME_COUNT_USAGE_FLAG,
        SPACECRAFT_ID_HIGH,
        FRAME_COUNT_CYCLE,
    ];
}

/// TC transfer frame primary header.  Source: CCSDS 232.0-B-4, section 4.1.2.
pub mod tc {
    use super::{Field, field};
    /// Transfer frame version number.
    pub const VERSION: Field = field(0, 2);
    /// Bypass flag.
    pub const BYPASS_FLAG: Field = field(2, 1);
    /// Control command flag.
    pub const CONTROL_COMMAND_FLAG: Field = field(3, 1);
    /// Reserved spare.
    pub const RESERVED_SPARE: Field = field(4, 2);
    /// Spacecraft identifier.
    pub const SPACECRAFT_ID: Field = field(6, 10);
    /// Virtual channel identifier.
    pub const VIRTUAL_CHANNEL_ID: Field = field(16, 6);
    /// Octets of the frame, minus one.
    pub const FRAME_LENGTH: Field = field(22, 10);
    /// Frame sequence number.
    pub const FRAME_SEQUENCE_NUMBER: Field = field(32, 8);
    /// Octets of it.
    pub const OCTETS: usize = 5;
    /// All fields in order.
    pub const TABLE: [Field; 8] = [
        VERSION,
        BYPASS_FLAG,
        CONTROL_COMMAND_FLAG,
        RESERVED_SPARE,
        SPACECRAFT_ID,
        VIRTUAL_CHANNEL_ID,
        FRAME_LENGTH,
        FRAME_SEQUENCE_NUMBER,
    ];
}

/// USLP transfer frame primary header, without its frame count.  Source: CCSDS 732.1-B-3, section 4.1.2.
pub mod uslp {
    use super::{Field, field};
    /// Transfer frame version number.
    pub const VERSION: Field = field(0, 4);
    /// Spacecraft identifier.
    pub const SPACECRAFT_ID: Field = field(4, 16);
    /// Source or destination identifier.
    pub const SOURCE_OR_DESTINATION_ID: Field = field(20, 1);
    /// Virtual channel identifier.
    pub const VIRTUAL_CHANNEL_ID: Field = field(21, 6);
    /// MAP identifier.
    pub const MAP_ID: Field = field(27, 4);
    /// End of frame primary header flag: the header is truncated here.
    pub const END_OF_HEADER_FLAG: Field = field(31, 1);
    /// Octets of the frame, minus one.
    pub const FRAME_LENGTH: Field = field(32, 16);
    /// Bypass/sequence control flag.
    pub const BYPASS_FLAG: Field = field(48, 1);
    /// Protocol control command flag.
    pub const CONTROL_COMMAND_FLAG: Field = field(49, 1);
    /// Reserved spare.
    pub const RESERVED_SPARE: Field = field(50, 2);
    /// Operational control field flag.
    pub const OPERATIONAL_CONTROL_FIELD_FLAG: Field = field(52, 1);
    /// Octets of the virtual channel frame count.
    pub const FRAME_COUNT_LENGTH: Field = field(53, 3);
    /// Value of the version number.
    pub const VERSION_NUMBER: u32 = 0b1100;
    /// Octets of the truncated header.
    pub const TRUNCATED_OCTETS: usize = 4;
    /// Octets before the frame count.
    pub const OCTETS: usize = 7;
    /// All fields in order.
    pub const TABLE: [Field; 12] = [
        VERSION,
        SPACECRAFT_ID,
        SOURCE_OR_DESTINATION_ID,
        VIRTUAL_CHANNEL_ID,
        MAP_ID,
        END_OF_HEADER_FLAG,
        FRAME_LENGTH,
        BYPASS_FLAG,
        CONTROL_COMMAND_FLAG,
        RESERVED_SPARE,
        OPERATIONAL_CONTROL_FIELD_FLAG,
        FRAME_COUNT_LENGTH,
    ];
}

/// Space packet primary header.  Source: CCSDS 133.0-B-2, section 4.1.3.
pub mod space_packet {
    use super::{Field, field};
    /// Packet version number.
    pub const VERSION: Field = field(0, 3);
    /// Packet type.
    pub const PACKET_TYPE: Field = field(3, 1);
    /// Secondary header flag.
    pub const SECONDARY_HEADER_FLAG: Field = field(4, 1);
    /// Application process identifier.
    pub const APPLICATION_PROCESS_ID: Field = field(5, 11);
    /// Sequence flags.
    pub const SEQUENCE_FLAGS: Field = field(16, 2);
    /// Packet sequence count.
    pub const SEQUENCE_COUNT: Field = field(18, 14);
    /// Packet data length.
    pub const DATA_LENGTH: Field = field(32, 16);
    /// All fields in order.
    pub const TABLE: [Field; 7] = [
        VERSION,
        PACKET_TYPE,
        SECONDARY_HEADER_FLAG,
        APPLICATION_PROCESS_ID,
        SEQUENCE_FLAGS,
        SEQUENCE_COUNT,
        DATA_LENGTH,
    ];
}

/// Octets of the primary headers of TM and AOS frames and of space packets.
pub const PRIMARY_HEADER_OCTETS: usize = 6;
/// First header pointer of eleven bits: no packet starts in this frame (132.0-B-3 §4.1.2.7.6.4, 732.0-B-4 §4.1.4.2.3).
pub const NO_PACKET_START: u16 = 0x7FF;
/// First header pointer of eleven bits: only idle data (132.0-B-3 §4.1.2.7.6.5, 732.0-B-4 §4.1.4.2.3).
pub const ONLY_IDLE_DATA: u16 = 0x7FE;
/// First header pointer of sixteen bits: no packet starts in this frame (732.0-B-5 §4.1.4.2.2.4).
pub const WIDE_NO_PACKET_START: u16 = 0xFFFF;
/// First header pointer of sixteen bits: only idle data (732.0-B-5 §4.1.4.2.2.5).
pub const WIDE_ONLY_IDLE_DATA: u16 = 0xFFFE;
/// AOS virtual channel of only-idle-data frames (732.0-B-5 §4.1.2.3).
pub const AOS_IDLE_VIRTUAL_CHANNEL: u8 = 63;
/// USLP virtual channel of only-idle-data frames (732.1-B-3 §4.1.4.1.6).
pub const USLP_IDLE_VIRTUAL_CHANNEL: u8 = 63;
/// USLP protocol identifier of idle data.
pub const USLP_IDLE_PROTOCOL: u8 = 31;
/// USLP pointer of all ones: no packet starts here, or the unit goes on (732.1-B-3 §4.1.4.2.4).
pub const USLP_POINTER_ALL_ONES: u16 = 0xFFFF;
/// Space packets of this application process are idle (133.0-B-2 §4.1.3.3.4.4).
pub const IDLE_APPLICATION_PROCESS: u16 = 0x7FF;
