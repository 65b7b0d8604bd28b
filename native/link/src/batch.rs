//! What one `feed` gives: columns that own their memory.

use crate::recycle;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Delivered.
    Accepted = 0,
    /// Equals the frame before it; ignored.
    Repeated = 1,
    /// The frame error control field does not verify.
    FrameErrorControl = 2,
    /// The AOS header error control does not verify and cannot be corrected.
    HeaderErrorControl = 3,
    /// A codeword is past correction.
    Uncorrectable = 4,
    /// Another version or spacecraft.
    Foreign = 5,
    /// Headers contradict the length of the frame.
    Invalid = 6,
    /// One virtual channel too many.
    Surplus = 7,
}

/// Names of `Status`, in order.
pub const STATUS_NAMES: [&str; 8] = [
    "accepted",
    "repeated",
    "frame_error_control",
    "header_error_control",
    "uncorrectable",
    "foreign",
    "invalid",
    "surplus",
];

/// Bits of the frame quality column.
pub mod quality {
    /// Came inverted.
    pub const INVERTED: u8 = 1;
    /// Its marker was missing and bridged.
    pub const FLYWHEEL: u8 = 2;
    /// No second marker in step was seen.
    pub const UNCONFIRMED: u8 = 4;
    /// AOS replay flag.
    pub const REPLAY: u8 = 8;
    /// Was overtaken by other frames.
    pub const LATE: u8 = 16;
    /// Carries only idle data.
    pub const ONLY_IDLE_DATA: u8 = 32;
    /// The counter was set anew.
    pub const COUNTER_RESET: u8 = 64;
    /// An operational control field is there.
    pub const OPERATIONAL_CONTROL_FIELD: u8 = 128;
}

/// Names of the bits, in order.
pub const QUALITY_NAMES: [&str; 8] = [
    "inverted",
    "flywheel",
    "unconfirmed",
    "replay",
    "late",
    "only_idle_data",
    "counter_reset",
    "operational_control_field",
];

macro_rules! columns {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub struct $name { $($(#[$doc])* pub $field: Vec<$kind>,)* }

        impl $name {
            /// Name of each column and its type in numpy's letters, in the order of a `Table`.
            pub const NAMES: &'static [(&'static str, &'static str)] =
                &[$((stringify!($field), <$kind as Cell>::LETTERS),)*];

            /// All columns in one piece of memory.
            pub fn into_table(self) -> Table {
                let columns: &[&[u8]] = &[$(bytemuck::cast_slice(&self.$field),)*];
                let mut table = Table { rows: 0, octets: Vec::new() };
                table.octets.reserve_exact(columns.iter().map(|column| column.len().next_multiple_of(ALIGNMENT)).sum());
                for column in columns {
                    table.octets.extend_from_slice(column);
                    table.octets.resize(table.octets.len().next_multiple_of(ALIGNMENT), 0);
                }
                $(table.rows = self.$field.len();)*
                table
            }
        }
    };
}

/// Columns one after the other, each from a multiple of `ALIGNMENT` octets on.
#[derive(Debug)]
pub struct Table {
    /// Cells of each column.
    pub rows: usize,
    /// The cells, as the machine holds them.
    pub octets: Vec<u8>,
}

/// Of the widest cell.
pub const ALIGNMENT: usize = 8;

/// A column's element.
trait Cell {
    const LETTERS: &'static str;
}

macro_rules! cells {
    ($($kind:ty => $letters:literal,)*) => {
        $(impl Cell for $kind {
            const LETTERS: &'static str = $letters;
        })*
    };
}

cells! { u8 => "u1", u16 => "u2", i16 => "i2", u32 => "u4", i32 => "i4", u64 => "u8", i64 => "i8", }

columns! {
    /// One row per record.
    FrameColumns {
        /// Number of the record.
        frame_index: u64,
        /// First bit of its marker, or of itself, in the stream.
        bit_position: u64,
        /// When it was received, or -1.
        reception_time_ns: i64,
        /// A `Status`.
        status: u8,
        /// Bits of `quality`.
        quality: u8,
        /// Symbols that the code corrected; -1 past correction.
        corrected_symbols: i32,
        /// Spacecraft identifier.
        spacecraft_id: u16,
        /// Virtual channel identifier.
        virtual_channel_id: u8,
        /// Virtual channel frame count, with its cycle where that is used.
        virtual_channel_frame_count: u32,
        /// Frames of this channel lost before it.
        lost_frames_before: u32,
        /// First header pointer, or bitstream data pointer.
        pointer: u16,
        /// Where the data zone starts in the frame.
        zone_offset: u32,
        /// Octets of the data zone.
        zone_octets: u32,
    }
}

columns! {
    /// One row per packet.
    PacketColumns {
        /// Where it starts among the packet octets.
        start: u64,
        /// Its octets.
        length: u32,
        /// Number of the record in which it starts.
        frame_index: u64,
        /// When that was received, or -1.
        reception_time_ns: i64,
        /// Spacecraft identifier.
        spacecraft_id: u16,
        /// Virtual channel identifier.
        virtual_channel_id: u8,
        /// 1: it came in replayed frames (AOS).
        replay: u8,
        /// 1: all of it is there.
        complete: u8,
        /// Symbols corrected in its frames.
        corrected_symbols: u32,
        /// Frames of this channel lost since the packet before it.
        lost_frames_before: u32,
    }
}

columns! {
    /// What TC and USLP frames have beside the columns of all: one row per record.
    MapFrameColumns {
        /// Octets of the frame.
        frame_octets: u32,
        /// Virtual channel frame count (TC: frame sequence number) with all its octets.
        wide_frame_count: u64,
        /// MAP identifier; -1 where there is none.
        map_id: i16,
        /// 1: expedited, 0: sequence-controlled.
        bypass_flag: u8,
        /// 1: a control command.
        control_command_flag: u8,
        /// TC: sequence flags of the segment header, 255 where there is none.  USLP: construction rule.
        construction: u8,
        /// USLP protocol identifier.
        uslp_protocol_id: u8,
        /// USLP: octets of the frame count.
        virtual_channel_frame_count_length: u8,
        /// USLP: source or destination identifier.
        source_or_destination_id: u8,
        /// USLP: 1: the header is truncated.
        end_of_frame_primary_header_flag: u8,
    }
}

columns! {
    /// What packets from TC and USLP frames have beside the columns of all: one row per packet.
    MapPacketColumns {
        /// MAP identifier; -1 where there is none.
        map_id: i16,
    }
}

columns! {
    /// One row per access data unit or portion of an octet stream.
    UnitColumns {
        /// Where it starts among the unit octets.
        start: u64,
        /// Its octets.
        length: u32,
        /// Number of the record in which it starts.
        frame_index: u64,
        /// When that was received, or -1.
        reception_time_ns: i64,
        /// Spacecraft identifier.
        spacecraft_id: u16,
        /// Virtual channel identifier.
        virtual_channel_id: u8,
        /// MAP identifier; -1 where there is none.
        map_id: i16,
        /// USLP protocol identifier; 0 of TC.
        uslp_protocol_id: u8,
        /// 1: the next octets of a stream that has no units.
        octet_stream: u8,
        /// 1: all of it is there.
        complete: u8,
        /// Frames in which it came.
        segments: u32,
        /// Symbols corrected in its frames.
        corrected_symbols: u32,
        /// Frames of this channel lost since the unit before it.
        lost_frames_before: u32,
    }
}

/// What one `feed` gives.
#[derive(Debug, Default)]
pub struct Batch {
    /// Rows of frames.
    pub frames: FrameColumns,
    /// The frames, back to back, one per row.
    pub frame_octets: Vec<u8>,
    /// Rows of packets, in order of completion.
    pub packets: PacketColumns,
    /// Their octets.
    pub packet_octets: Vec<u8>,
    /// Of TC and USLP frames: more of the rows of frames.
    pub map_frames: MapFrameColumns,
    /// Of TC and USLP frames: more of the rows of packets.
    pub map_packets: MapPacketColumns,
    /// Of TC and USLP frames: rows of access data units and octet streams.
    pub units: UnitColumns,
    /// Their octets.
    pub unit_octets: Vec<u8>,
}

impl Batch {
    /// Make room for what `octets` octets in blocks of `block_octets` can give at most, idle packets aside, so that
    /// the memory does not grow while it is filled.
    pub(crate) fn reserve(&mut self, octets: usize, block_octets: usize) {
        if self.frame_octets.is_empty() && self.packet_octets.is_empty() {
            self.frame_octets = recycle::take(octets + block_octets);
            self.packet_octets = recycle::take(octets);
        }
    }

    /// Give back room that was not used.
    pub(crate) fn trimmed(mut self) -> Self {
        for octets in [&mut self.frame_octets, &mut self.packet_octets] {
            if octets.len() < octets.capacity() / 4 {
                octets.shrink_to_fit();
            }
        }
        self
    }
}
