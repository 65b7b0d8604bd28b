//! What was received and what was lost, per virtual channel and per application process.

use sha2::{Digest, Sha256};

use crate::header::{IDLE_APPLICATION_PROCESS, cut, read48, space_packet};

/// Counts of one application process (or encapsulation protocol).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Source {
    /// Complete packets.
    pub packets: u64,
    /// Their octets.
    pub octets: u64,
    /// Pairs of packets whose sequence counts do not follow each other.
    pub sequence_gaps: u64,
    /// Packets missing by the sequence counts, modulo 16384 each time.
    pub missing_packets: u64,
    last: Option<u16>,
}

/// Counts of one virtual channel; the names are those of the JSON.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Frames received, repeated ones included.
    pub frames: u64,
    /// Frames that equal the one before them.
    pub repeated_frames: u64,
    /// Places where the counter jumps ahead.
    pub counter_gaps: u64,
    /// Frames missing by the counter.
    pub lost_frames: u64,
    /// Frames overtaken by others.
    pub late_frames: u64,
    /// Places where the counter was set anew.
    pub counter_resets: u64,
    /// Frames with only idle data.
    pub only_idle_data_frames: u64,
    /// Frames without a place where a packet starts.
    pub frames_without_packet_start: u64,
    /// Frames whose headers contradict their length.
    pub invalid_frames: u64,
    /// First header pointers that agree with the packets before them.
    pub pointer_matches: u64,
    /// First header pointers that do not.
    pub pointer_mismatches: u64,
    /// First header pointers behind the zone.
    pub pointers_invalid: u64,
    /// Places where no packet of a valid version starts.
    pub unknown_packet_versions: u64,
    /// Packets whose header contradicts itself.
    pub invalid_packets: u64,
    /// Packets that say they are longer than is allowed.
    pub oversize_packets: u64,
    /// Packets in progress dropped because frames were lost.
    pub packets_dropped_by_gap: u64,
    /// Packets in progress dropped because the pointer disagrees.
    pub packets_dropped_by_mismatch: u64,
    /// Packets in progress when the stream ended.
    pub packets_unfinished: u64,
    /// Octets of all packets dropped, as far as they had come.
    pub dropped_octets: u64,
    /// Incomplete packets delivered.
    pub incomplete_packets: u64,
    /// Complete packets that are not idle.
    pub packets: u64,
    /// Their octets.
    pub packet_octets: u64,
    /// Complete idle packets.
    pub idle_packets: u64,
    /// Their octets.
    pub idle_octets: u64,
    /// Space packets by application process, in order of appearance.
    pub application_processes: Sources,
    /// Encapsulation packets by protocol.
    pub protocols: [Source; 8],
    /// Digest of the complete packets that are not idle.
    pub digest: Option<Sha256>,
}

impl Account {
    /// Digest so far, in hexadecimal.
    pub fn hexdigest(&self) -> Option<String> {
        let digest = self.digest.clone()?.finalize();
        Some(digest.iter().map(|octet| format!("{octet:02x}")).collect())
    }

    /// Count a complete packet; true: it is idle.
    pub fn count(&mut self, packet: &[u8]) -> bool {
        let octets = packet.len() as u64;
        let idle = if packet[0] >> 5 == 0 {
            let header = read48(packet);
            let application_process = cut(header, space_packet::APPLICATION_PROCESS_ID) as u16;
            let sequence_count = cut(header, space_packet::SEQUENCE_COUNT) as u16;
            self.application_processes.at(application_process).count(octets, sequence_count);
            application_process == IDLE_APPLICATION_PROCESS
        } else {
            let protocol = &mut self.protocols[usize::from(packet[0] >> 2 & 7)];
            protocol.packets += 1;
            protocol.octets += octets;
            packet[0] >> 2 & 7 == 0
        };
        if idle {
            self.idle_packets += 1;
            self.idle_octets += octets;
        } else {
            self.packets += 1;
            self.packet_octets += octets;
            if let Some(digest) = &mut self.digest {
                digest.update(packet);
            }
        }
        idle
    }
}

impl Source {
    fn count(&mut self, octets: u64, sequence_count: u16) {
        self.packets += 1;
        self.octets += octets;
        if let Some(last) = self.last {
            let missing = sequence_count.wrapping_sub(last).wrapping_sub(1) & 0x3FFF;
            self.sequence_gaps += u64::from(missing != 0);
            self.missing_packets += u64::from(missing);
        }
        self.last = Some(sequence_count);
    }
}

/// Sources by application process identifier: a flat index, made when the first packet comes.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    index: Vec<u16>,
    rows: Vec<(u16, Source)>,
}

impl Sources {
    fn at(&mut self, application_process: u16) -> &mut Source {
        if self.index.is_empty() {
            self.index = vec![u16::MAX; 2048];
        }
        let slot = &mut self.index[usize::from(application_process & 2047)];
        if *slot == u16::MAX {
            *slot = self.rows.len() as u16;
            self.rows.push((application_process, Source::default()));
        }
        &mut self.rows[usize::from(*slot)].1
    }

    /// Rows of identifier and counts.
    pub fn rows(&self) -> &[(u16, Source)] {
        &self.rows
    }
}
