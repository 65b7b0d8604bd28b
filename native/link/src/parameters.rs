//! Managed parameters of the receiving chain, checked once.

use std::collections::HashMap;

use ccsds_coding::randomizer::Sequence;
use ccsds_coding::reed_solomon::Code;

use crate::header::PRIMARY_HEADER_OCTETS;
use crate::synchronizer;

/// Transfer frames of a physical channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameType {
    /// CCSDS 132.0-B.
    Tm,
    /// CCSDS 732.0-B.
    Aos,
}

/// What a virtual channel carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Packets, found by the first header pointer.
    Packets,
    /// Virtual channel access: the data zone as it is.
    Access,
    /// AOS bitstream: a B_PDU.
    Bitstream,
}

/// Of one virtual channel (132.0-B-3 table 5-3 and 5-4, 732.0-B-5 table 5-3).
#[derive(Debug, Clone)]
pub struct VirtualChannel {
    /// What it carries.
    pub service: Service,
    /// Octets of the TM secondary header where its own length field lies.
    pub secondary_header_octets: Option<usize>,
    /// AOS: an operational control field is there.
    pub operational_control_field: bool,
    /// Bit v: packets of version v are valid; 0 and 7 can be cut.
    pub valid_packet_versions: u8,
    /// A packet that says it is longer is not believed.
    pub maximum_packet_octets: usize,
    /// Deliver the beginning of packets that were lost.
    pub deliver_incomplete_packets: bool,
    /// Ignore a frame that equals the one before it.
    pub remove_repeated_frames: bool,
    /// The counter of this channel does not count.
    pub frame_count_frozen: bool,
}

impl Default for VirtualChannel {
    fn default() -> Self {
        Self {
            service: Service::Packets,
            secondary_header_octets: None,
            operational_control_field: false,
            valid_packet_versions: 1 | 1 << 7,
            maximum_packet_octets: 65_542,
            deliver_incomplete_packets: false,
            remove_repeated_frames: true,
            frame_count_frozen: false,
        }
    }
}

/// Of one master channel.
#[derive(Debug, Clone, Default)]
pub struct MasterChannel {
    /// For channels that are not named.
    pub default: VirtualChannel,
    /// By virtual channel identifier.
    pub virtual_channels: HashMap<u8, VirtualChannel>,
}

/// Of the physical channel.
pub struct PhysicalChannel {
    /// Its transfer frames.
    pub frame_type: FrameType,
    /// Octets of a frame, whatever stands in it.
    pub frame_octets: usize,
    /// Marker search; without it frames or codeblocks come back to back.
    pub synchronizer: Option<synchronizer::Parameters>,
    /// Randomizer.
    pub randomizer: Option<Sequence>,
    /// Reed-Solomon code.
    pub reed_solomon: Option<Code>,
    /// A frame is written in rows of this many columns; 1: as it is.
    pub deinterleaving_depth: usize,
    /// A frame error control field ends the frame.
    pub frame_error_control: bool,
    /// AOS frame header error control.
    pub header_error_control: Option<HeaderErrorControl>,
    /// AOS insert zone.
    pub insert_zone_octets: usize,
    /// AOS: 732.0-B issue 5, with a spacecraft identifier of ten bits and an M_PDU pointer of sixteen;
    /// up to issue 4 they have eight and eleven.
    pub issue_5: bool,
    /// Frames overtaken by at most this many others are late, not a reset.
    pub late_frame_window: u32,
    /// Expected spacecraft; empty: any.
    pub master_channels: HashMap<u16, MasterChannel>,
    /// For spacecraft that are not named, where any is taken.
    pub any_master_channel: MasterChannel,
    /// Deliver idle packets too.
    pub deliver_idle_packets: bool,
    /// Digest the packets of each virtual channel.
    pub digest: bool,
}

/// What to do with the AOS frame header error control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderErrorControl {
    /// Drop a frame whose check fails.
    Check,
    /// Correct up to two symbols first.
    Correct,
}

/// For the frames and packets that virtual channels remember.
const CHANNEL_MEMORY_OCTETS: usize = 16 << 20;

impl PhysicalChannel {
    /// Octets of one record: a codeblock where there is a code, a frame otherwise.
    pub fn block_octets(&self) -> usize {
        self.reed_solomon.as_ref().map_or(self.frame_octets, Code::block_octets)
    }

    /// Octets of an AOS frame before the data field, or of a TM primary header.
    pub fn header_octets(&self) -> usize {
        match self.frame_type {
            FrameType::Tm => PRIMARY_HEADER_OCTETS,
            FrameType::Aos => {
                let check = if self.header_error_control.is_some() { 2 } else { 0 };
                PRIMARY_HEADER_OCTETS + check + self.insert_zone_octets
            }
        }
    }

    /// Virtual channels that are kept account of: each remembers a frame and a packet in progress, and noise that passes for frames where any
    /// spacecraft is taken must not fill the memory.
    pub fn maximum_channels(&self) -> usize {
        let each = self.frame_octets + self.any_master_channel.default.maximum_packet_octets;
        (CHANNEL_MEMORY_OCTETS / each).max(2 * 64 * self.master_channels.len().max(1))
    }

    /// Contradictions, in a sentence that names the parameter.
    pub fn check(&self) -> Result<(), String> {
        let least = self.header_octets() + 7 + if self.frame_error_control { 2 } else { 0 };
        if self.frame_octets < least || self.frame_octets > synchronizer::MAXIMUM_BLOCK_OCTETS {
            return Err(format!("frame_octets is {}, not at least {least}", self.frame_octets));
        }
        if let Some(code) = &self.reed_solomon
            && code.frame_octets() != self.frame_octets
        {
            let holds = code.frame_octets();
            return Err(format!("frame_octets is {}, but the Reed-Solomon codeblock holds {holds}", self.frame_octets));
        }
        if let Some(synchronizer) = &self.synchronizer
            && synchronizer.block_octets != self.block_octets()
        {
            return Err(format!("block_octets between markers must be {}", self.block_octets()));
        }
        if self.deinterleaving_depth == 0 || !self.frame_octets.is_multiple_of(self.deinterleaving_depth) {
            return Err(format!("deinterleaving_depth {} does not divide the frame", self.deinterleaving_depth));
        }
        Ok(())
    }

    /// Parameters of a virtual channel, or nothing for a foreign spacecraft.
    pub fn virtual_channel(&self, spacecraft_id: u16, virtual_channel_id: u8) -> Option<&VirtualChannel> {
        let master = match self.master_channels.get(&spacecraft_id) {
            Some(master) => master,
            None if self.master_channels.is_empty() => &self.any_master_channel,
            None => return None,
        };
        Some(master.virtual_channels.get(&virtual_channel_id).unwrap_or(&master.default))
    }
}
