//! Rows of the columns of frames and packets while they are made.

use crate::batch::{Batch, Status};
use crate::channel::ChannelKey;
use crate::extraction::{Origin, Packet};
use crate::map_frame::MapFrame;

/// What is known of a record before it is read.
#[derive(Clone, Copy)]
pub(crate) struct Reception {
    pub(crate) bit_position: u64,
    pub(crate) time_ns: i64,
    pub(crate) quality: u8,
    pub(crate) corrected: i32,
    /// Its frame error control field was looked at, and verifies.
    pub(crate) verified: bool,
}

/// A row of the frame columns while it is made.
pub(crate) struct Row {
    pub(crate) frame_index: u64,
    pub(crate) reception: Reception,
    pub(crate) status: Status,
    pub(crate) spacecraft_id: u16,
    pub(crate) virtual_channel_id: u8,
    pub(crate) count: u32,
    pub(crate) lost_before: u32,
    pub(crate) pointer: u16,
    pub(crate) zone_offset: u32,
    pub(crate) zone_octets: u32,
}

impl Default for Row {
    fn default() -> Self {
        Self {
            frame_index: 0,
            reception: Reception { bit_position: 0, time_ns: -1, quality: 0, corrected: 0, verified: false },
            status: Status::Accepted,
            spacecraft_id: 0,
            virtual_channel_id: 0,
            count: 0,
            lost_before: 0,
            pointer: 0,
            zone_offset: 0,
            zone_octets: 0,
        }
    }
}

impl Row {
    pub(crate) fn origin(&self) -> Origin {
        Origin {
            frame_index: self.frame_index,
            reception_time_ns: self.reception.time_ns,
            corrected_symbols: self.reception.corrected.max(0) as u32,
            lost_frames_before: 0,
        }
    }

    pub(crate) fn push(self, batch: &mut Batch) {
        let columns = &mut batch.frames;
        columns.frame_index.push(self.frame_index);
        columns.bit_position.push(self.reception.bit_position);
        columns.reception_time_ns.push(self.reception.time_ns);
        columns.status.push(self.status as u8);
        columns.quality.push(self.reception.quality);
        columns.corrected_symbols.push(self.reception.corrected);
        columns.spacecraft_id.push(self.spacecraft_id);
        columns.virtual_channel_id.push(self.virtual_channel_id);
        columns.virtual_channel_frame_count.push(self.count);
        columns.lost_frames_before.push(self.lost_before);
        columns.pointer.push(self.pointer);
        columns.zone_offset.push(self.zone_offset);
        columns.zone_octets.push(self.zone_octets);
    }
}

/// What a row of a TC or USLP frame has beside.
pub(crate) struct MapRow {
    pub(crate) frame_octets: u32,
    pub(crate) count: u64,
    pub(crate) map_id: Option<u8>,
    pub(crate) expedited: bool,
    pub(crate) command: bool,
    pub(crate) truncated: bool,
    pub(crate) construction: u8,
    pub(crate) protocol_id: u8,
    pub(crate) count_octets: u8,
    pub(crate) source_or_destination_id: u8,
}

impl MapRow {
    /// Of a frame whose headers were not read.
    pub(crate) fn unread(frame_octets: usize) -> Self {
        Self {
            frame_octets: frame_octets as u32,
            count: 0,
            map_id: None,
            expedited: false,
            command: false,
            truncated: false,
            construction: 255,
            protocol_id: 0,
            count_octets: 0,
            source_or_destination_id: 0,
        }
    }

    pub(crate) fn of(frame_octets: usize, read: &MapFrame) -> Self {
        Self {
            count: read.count,
            map_id: read.map_id,
            expedited: read.expedited && !read.truncated,
            command: read.command,
            truncated: read.truncated,
            count_octets: read.count_octets,
            source_or_destination_id: read.source_or_destination_id,
            ..Self::unread(frame_octets)
        }
    }

    pub(crate) fn push(self, batch: &mut Batch) {
        let columns = &mut batch.map_frames;
        columns.frame_octets.push(self.frame_octets);
        columns.wide_frame_count.push(self.count);
        columns.map_id.push(self.map_id.map_or(-1, i16::from));
        columns.bypass_flag.push(u8::from(self.expedited));
        columns.control_command_flag.push(u8::from(self.command));
        columns.construction.push(self.construction);
        columns.uslp_protocol_id.push(self.protocol_id);
        columns.virtual_channel_frame_count_length.push(self.count_octets);
        columns.source_or_destination_id.push(self.source_or_destination_id);
        columns.end_of_frame_primary_header_flag.push(u8::from(self.truncated));
    }
}

pub(crate) fn deliver(batch: &mut Batch, key: ChannelKey, packet: &Packet<'_>, deliver_idle: bool) {
    if packet.idle && !deliver_idle {
        return;
    }
    let columns = &mut batch.packets;
    columns.start.push(batch.packet_octets.len() as u64);
    columns.length.push(packet.octets.len() as u32);
    columns.frame_index.push(packet.origin.frame_index);
    columns.reception_time_ns.push(packet.origin.reception_time_ns);
    columns.spacecraft_id.push(key.0);
    columns.virtual_channel_id.push(key.1);
    columns.replay.push(u8::from(key.2));
    columns.complete.push(u8::from(packet.complete));
    columns.corrected_symbols.push(packet.origin.corrected_symbols);
    columns.lost_frames_before.push(packet.origin.lost_frames_before);
    batch.packet_octets.extend_from_slice(packet.octets);
}
