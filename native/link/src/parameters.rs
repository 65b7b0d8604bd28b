//! Managed parameters of the receiving chain, checked once.

use std::collections::HashMap;

use ccsds_coding::crc;
use ccsds_coding::randomizer::Sequence;
use ccsds_coding::reed_solomon::Code;

use crate::header::{PRIMARY_HEADER_OCTETS, tc, uslp};
use crate::synchronizer;

/// Transfer frames of a physical channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameType {
    /// CCSDS 132.0-B.
    Tm,
    /// CCSDS 732.0-B.
    Aos,
    /// CCSDS 232.0-B; of variable length.
    Tc,
    /// CCSDS 732.1-B; of fixed or variable length.
    Uslp,
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
    /// USLP MAP octet stream.
    OctetStream,
}

/// Of one MAP that is named (232.0-B-4 table 5-4, 732.1-B-3 table 5-5).
#[derive(Debug, Clone)]
pub struct Map {
    /// What it carries.
    pub service: Service,
    /// As of a virtual channel.
    pub valid_packet_versions: u8,
    /// As of a virtual channel.
    pub maximum_packet_octets: usize,
    /// As of a virtual channel.
    pub deliver_incomplete_packets: bool,
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
    /// TC: frames with data have a segment header, and so a MAP.
    pub segment_header: bool,
    /// USLP: octets of truncated frames, where there are such.
    pub truncated_frame_octets: Option<usize>,
    /// MAPs that differ from the channel.
    pub maps: HashMap<u8, Map>,
}

impl VirtualChannel {
    /// The parameters by which one of its MAPs is received; where it is not named, those of the channel.
    pub(crate) fn of_map(&self, map_id: Option<u8>) -> Self {
        let mut parameters = Self { maps: HashMap::new(), ..self.clone() };
        if let Some(map) = map_id.and_then(|id| self.maps.get(&id)) {
            parameters.service = map.service;
            parameters.valid_packet_versions = map.valid_packet_versions;
            parameters.maximum_packet_octets = map.maximum_packet_octets;
            parameters.deliver_incomplete_packets = map.deliver_incomplete_packets;
        }
        parameters
    }
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
            segment_header: false,
            truncated_frame_octets: None,
            maps: HashMap::new(),
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
    /// Octets of a frame, whatever stands in it; the most, where frames are of variable length.
    pub frame_octets: usize,
    /// USLP: frames are of variable length, as TC frames always are.
    pub variable_frame_length: bool,
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
    /// Octets of it: 2, or 4 of USLP frames by the older issues.
    pub frame_error_control_octets: usize,
    /// AOS frame header error control.
    pub header_error_control: Option<HeaderErrorControl>,
    /// AOS and USLP insert zone.
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

    /// Frames tell their own length.
    pub fn is_variable(&self) -> bool {
        self.frame_type == FrameType::Tc || self.variable_frame_length
    }

    /// TC and USLP frames: those that have MAPs.
    pub fn has_maps(&self) -> bool {
        matches!(self.frame_type, FrameType::Tc | FrameType::Uslp)
    }

    /// Octets of an AOS or USLP frame before the data field (without a frame count), or of a TM or TC primary header.
    pub fn header_octets(&self) -> usize {
        match self.frame_type {
            FrameType::Tm => PRIMARY_HEADER_OCTETS,
            FrameType::Tc => tc::OCTETS,
            FrameType::Uslp => uslp::OCTETS + self.insert_zone_octets,
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

    /// Octets of the frame error control field, where there is one.
    pub fn check_octets(&self) -> usize {
        if self.frame_error_control { self.frame_error_control_octets } else { 0 }
    }

    /// The frame error control field verifies; the frame has one.
    pub(crate) fn verifies(&self, frame: &[u8]) -> bool {
        if self.frame_error_control_octets == 4 { crc::crc32(frame) == 0 } else { crc::remainder(frame) == 0 }
    }

    /// Octets of the shortest TC frame, or USLP frame that is not truncated.
    pub(crate) fn least_octets(&self) -> usize {
        self.header_octets() + 1 + self.check_octets()
    }

    /// The same bound for the MAPs of all TC or USLP virtual channels.  Those that are named all have their place.
    pub(crate) fn maximum_maps(&self) -> usize {
        let named = self.master_channels.values().flat_map(|master| master.virtual_channels.values());
        self.maximum_channels().max(named.map(|channel| 2 * (1 + channel.maps.len())).sum())
    }

    /// Contradictions, in a sentence that names the parameter.
    pub fn check(&self) -> Result<(), String> {
        let least = match self.frame_type {
            FrameType::Tm | FrameType::Aos => self.header_octets() + 7 + self.check_octets(),
            FrameType::Tc | FrameType::Uslp => self.least_octets(),
        };
        if self.frame_octets < least || self.frame_octets > synchronizer::MAXIMUM_BLOCK_OCTETS {
            return Err(format!("frame_octets is {}, not at least {least}", self.frame_octets));
        }
        let coded = self.synchronizer.is_some() || self.reed_solomon.is_some() || self.randomizer.is_some();
        if self.is_variable() && (coded || self.deinterleaving_depth != 1) {
            return Err("frames of variable length come as such: without synchronization, randomizer, reed_solomon \
                        and deinterleaving_depth"
                .into());
        }
        let channels = self.master_channels.values().flat_map(|master| master.virtual_channels.values());
        if let Some(octets) = channels.filter_map(|channel| channel.truncated_frame_octets).max()
            && octets > self.frame_octets
        {
            return Err(format!(
                "truncated_frame_octets is {octets}, more than the {} of any frame",
                self.frame_octets
            ));
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
