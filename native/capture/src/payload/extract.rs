//! Payloads out of captured frames: one pass over a batch, everything that is skipped counted.
use super::fragments::Fragments;
use super::ip::{self, IpTrouble, Packet, TCP, UDP};
use super::link::{self, Beneath, LinkTrouble};
use super::tcp::{FlowKey, Flows, Piece, Segment, TcpCounters};
use crate::batch::{Batch, Frames};
use crate::octets::{u16_of, u32_of};

/// What is taken for a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// UDP data where the frame is UDP; the record where its link type is a user's own.
    Auto,
    /// UDP data.
    Udp,
    /// TCP streams.
    Tcp,
    /// What follows the link header.
    Ethernet,
    /// The whole record.
    Raw,
}

/// Which payloads, and which part of each.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// Protocol.
    pub protocol: Protocol,
    /// Source or destination port.
    pub port: Option<u16>,
    /// Octets to leave out at the start of each payload.
    pub offset: usize,
    /// Octets to take at most.
    pub length: Option<usize>,
}

/// What became of the frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames looked at.
    pub frames: u64,
    /// Payloads given out.
    pub payloads: u64,
    /// Their octets.
    pub payload_octets: u64,
    /// Frames of another protocol.
    pub other_protocol: u64,
    /// Frames of other ports.
    pub other_port: u64,
    /// Frames whose link type is not known here.
    pub other_link_type: u64,
    /// Frames whose payload the capture cut short (TCP: what there is has been used).
    pub cut_by_snap_length: u64,
    /// Frames whose headers contradict themselves.
    pub malformed: u64,
    /// Payloads with nothing left after the cut, and empty datagrams.
    pub empty: u64,
    /// Payloads given out though nobody looked at their checksums: all that have one.
    pub checksum_not_looked_at: u64,
    /// IP fragments seen.
    pub fragments: u64,
    /// IP fragments that did not become part of a datagram.
    pub fragments_lost: u64,
    /// Datagrams put together.
    pub datagrams_reassembled: u64,
    /// TCP.
    pub tcp: TcpCounters,
}

/// Why a frame gives nothing; each is a counter.
enum Skip {
    OtherProtocol,
    OtherPort,
    OtherLinkType,
    Cut,
    Malformed,
    Waiting, // a fragment; accounted elsewhere
}

/// A flow's ends, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEnds {
    /// The number in the `interfaces` column of the payloads.
    pub number: u32,
    /// Whether the addresses are IPv6; IPv4 lies in the last four octets.
    pub version_6: bool,
    /// Address.
    pub source: [u8; 16],
    /// Address.
    pub destination: [u8; 16],
    /// Port.
    pub source_port: u16,
    /// Port.
    pub destination_port: u16,
}

/// Takes payloads out of frames.
#[derive(Debug)]
pub struct Extractor {
    choice: Choice,
    counters: Counters,
    fragments: Fragments,
    flows: Flows,
    pieces: Vec<Piece>,
}

/// Where a frame came from.
#[derive(Clone, Copy)]
struct Origin {
    timestamp_ns: i64,
    interface: u32,
}

impl Extractor {
    /// An extractor with nothing held back.
    pub fn new(choice: Choice) -> Self {
        Self {
            choice,
            counters: Counters::default(),
            fragments: Fragments::default(),
            flows: Flows::default(),
            pieces: Vec::new(),
        }
    }

    /// The account so far.
    pub fn counters(&self) -> Counters {
        Counters { fragments_lost: self.fragments.lost, tcp: self.flows.counters, ..self.counters }
    }

    /// The TCP streams under way.
    pub fn flows(&self) -> Vec<FlowEnds> {
        let ends = |(number, key): (u32, &FlowKey)| FlowEnds {
            number,
            version_6: key.addresses.version_6,
            source: key.addresses.source,
            destination: key.addresses.destination,
            source_port: key.source_port,
            destination_port: key.destination_port,
        };
        self.flows.ends().map(ends).collect()
    }

    /// The payloads of `frames`; `link_types` and `interfaces` have an entry for each frame.
    pub fn feed(&mut self, frames: &Frames<'_>, link_types: &[u16], interfaces: &[u32]) -> Batch {
        let mut out = Batch::with_capacity(frames.len(), frames.octets.len());
        for index in 0..frames.len() {
            self.counters.frames += 1;
            let frame = frames.frame(index);
            let origin = Origin { timestamp_ns: frames.timestamps_ns[index], interface: interfaces[index] };
            let original = frames.original_lengths[index] as usize;
            let result = self.frame(frame, original, link_types[index], origin, &mut out);
            if let Err(skip) = result {
                self.count(&skip);
            }
        }
        out
    }

    /// What is still held back; fragments that wait are given up.
    pub fn finish(&mut self) -> Batch {
        let mut out = Batch::with_capacity(0, 0);
        self.fragments.finish();
        let mut pieces = std::mem::take(&mut self.pieces);
        self.flows.finish(&mut pieces);
        self.pieces = pieces;
        self.give_pieces(&mut out);
        out
    }

    fn count(&mut self, skip: &Skip) {
        match skip {
            Skip::OtherProtocol => self.counters.other_protocol += 1,
            Skip::OtherPort => self.counters.other_port += 1,
            Skip::OtherLinkType => self.counters.other_link_type += 1,
            Skip::Cut => self.counters.cut_by_snap_length += 1,
            Skip::Malformed => self.counters.malformed += 1,
            Skip::Waiting => {}
        }
    }

    #[inline]
    fn frame(
        &mut self,
        frame: &[u8],
        original: usize,
        link_type: u16,
        origin: Origin,
        out: &mut Batch,
    ) -> Result<(), Skip> {
        let choice = self.choice.protocol;
        if choice == Protocol::Raw {
            return self.give(frame, original, origin, out);
        }
        let cut = frame.len() < original;
        let (beneath, start) = link::peel(link_type, frame).map_err(|trouble| match trouble {
            LinkTrouble::Unknown => Skip::OtherLinkType,
            LinkTrouble::Short if cut => Skip::Cut,
            LinkTrouble::Short => Skip::Malformed,
        })?;
        let rest = frame.get(start..).ok_or(if cut { Skip::Cut } else { Skip::Malformed })?;
        match (choice, beneath) {
            (Protocol::Ethernet, _) | (Protocol::Auto, Beneath::Whole) => {
                return self.give(rest, original - start, origin, out);
            }
            (_, Beneath::Ip) => {}
            _ => return Err(Skip::OtherProtocol),
        }
        let packet = ip::packet(rest).map_err(|trouble| match trouble {
            IpTrouble::Short if cut => Skip::Cut,
            _ => Skip::Malformed,
        })?;
        if packet.data.len() < packet.length && !cut {
            return Err(Skip::Malformed); // the header promises more than there ever was
        }
        self.packet(&packet, origin, out)
    }

    fn packet(&mut self, packet: &Packet<'_>, origin: Origin, out: &mut Batch) -> Result<(), Skip> {
        let wanted = if self.choice.protocol == Protocol::Tcp { TCP } else { UDP };
        let Some(fragment) = packet.fragment else {
            if packet.protocol != wanted {
                return Err(Skip::OtherProtocol);
            }
            return self.transport(packet, origin, out);
        };
        if packet.protocol != wanted && !packet.addresses.version_6 {
            return Err(Skip::OtherProtocol);
        }
        self.counters.fragments += 1;
        let now = self.counters.frames;
        let whole = self.fragments.add(packet, fragment, now).ok_or(Skip::Waiting)?;
        self.counters.datagrams_reassembled += 1;
        if packet.protocol != wanted {
            return Err(Skip::OtherProtocol);
        }
        let packet = Packet { data: &whole, length: whole.len(), fragment: None, ..*packet };
        self.transport(&packet, origin, out)
    }

    #[inline]
    fn transport(&mut self, packet: &Packet<'_>, origin: Origin, out: &mut Batch) -> Result<(), Skip> {
        let cut = packet.data.len() < packet.length;
        if packet.data.len() < 4 {
            return Err(if cut { Skip::Cut } else { Skip::Malformed });
        }
        let source_port = u16_of::<true>(packet.data, 0);
        let destination_port = u16_of::<true>(packet.data, 2);
        if self.choice.port.is_some_and(|port| port != source_port && port != destination_port) {
            return Err(Skip::OtherPort);
        }
        if packet.protocol == UDP {
            return self.datagram(packet, origin, out);
        }
        let key = FlowKey { addresses: packet.addresses, source_port, destination_port };
        self.segment(packet, key, origin, out)
    }

    #[inline]
    fn datagram(&mut self, packet: &Packet<'_>, origin: Origin, out: &mut Batch) -> Result<(), Skip> {
        let data = packet.data;
        if data.len() < 8 {
            return Err(if data.len() < packet.length { Skip::Cut } else { Skip::Malformed });
        }
        let length = match usize::from(u16_of::<true>(data, 4)) {
            0 => packet.length, // longer than the field can say
            length => length,
        };
        if length < 8 || length > packet.length {
            return Err(Skip::Malformed);
        }
        let held = &data[8..length.min(data.len())];
        self.give(held, length - 8, origin, out)?;
        self.counters.checksum_not_looked_at += 1;
        Ok(())
    }

    fn segment(&mut self, packet: &Packet<'_>, key: FlowKey, origin: Origin, out: &mut Batch) -> Result<(), Skip> {
        let cut = packet.data.len() < packet.length;
        let short = if cut { Skip::Cut } else { Skip::Malformed };
        let Some(header) = packet.data.first_chunk::<20>() else {
            return Err(short);
        };
        let start = usize::from(header[12] >> 4) * 4;
        if start < 20 || start > packet.length {
            return Err(Skip::Malformed);
        }
        let data = packet.data.get(start..).ok_or(short)?;
        let segment = Segment {
            sequence: u32_of::<true>(header, 4),
            syn: header[13] & 2 != 0,
            closes: header[13] & 5 != 0,
            data,
            timestamp_ns: origin.timestamp_ns,
        };
        let mut pieces = std::mem::take(&mut self.pieces);
        self.flows.add(key, segment, self.counters.frames, &mut pieces);
        self.pieces = pieces;
        self.give_pieces(out);
        if cut { Err(Skip::Cut) } else { Ok(()) }
    }

    fn give_pieces(&mut self, out: &mut Batch) {
        for (number, timestamp_ns, piece) in std::mem::take(&mut self.pieces) {
            let origin = Origin { timestamp_ns, interface: number };
            if self.give(&piece, piece.len(), origin, out).is_ok() {
                self.counters.checksum_not_looked_at += 1;
            }
        }
    }

    /// Cut and give out a payload of `length` octets of which `held` are there.
    #[inline]
    fn give(&mut self, held: &[u8], length: usize, origin: Origin, out: &mut Batch) -> Result<(), Skip> {
        let end = match self.choice.length {
            Some(taken) => self.choice.offset.saturating_add(taken).min(length),
            None => length,
        };
        let start = self.choice.offset.min(end);
        if start == end {
            self.counters.empty += 1;
            return Ok(());
        }
        let payload = held.get(start..end).ok_or(Skip::Cut)?;
        out.push(payload, origin.timestamp_ns, payload.len() as u32, origin.interface);
        self.counters.payloads += 1;
        self.counters.payload_octets += payload.len() as u64;
        Ok(())
    }
}
