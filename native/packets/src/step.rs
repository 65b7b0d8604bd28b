//! One step of the walk: the packet that begins at an octet, by the rules of its packet version number.

/// Octets of a space packet's primary header (133.0-B-2 section 4.1.3).
const SPACE_PACKET_HEADER: u64 = 6;
const SPACE_PACKET: u8 = 0;
const ENCAPSULATION_PACKET: u8 = 7;
/// Octets of an encapsulation packet header, by its length of length (133.1-B-3 section 4.1.2.4).
const ENCAPSULATION_HEADER: [u64; 4] = [1, 2, 4, 8];

/// What a mission may choose.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Accept packet version number 7.
    pub encapsulation: bool,
    /// The longest packet that is believed, in octets.
    pub maximum_octets: u64,
}

/// Why the octets at some place are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A packet version number that is unknown or not accepted.
    Version(u8),
    /// A packet that is longer than `Rules::maximum_octets`; its octets.
    TooLong(u64),
    /// An encapsulation packet whose length field is smaller than its own header; its octets.
    TooShort(u64),
    /// An encapsulation packet without a length field that is not idle; its protocol.
    NoLength(u8),
}

/// What stands at an octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A whole packet of this many octets.
    Packet {
        /// Octets of the packet, header included.
        octets: u64,
        /// The 48 bits of a space packet's primary header; of another packet only the version number.
        header: u64,
    },
    /// The beginning of a packet: this many octets are needed to see the packet, or at least its length.
    Incomplete(u64),
    /// No packet.
    Refused(Refusal),
}

/// The first six octets as a number, when eight can be read at `at`.
#[inline(always)]
pub(crate) fn header_at(octets: &[u8], at: u64) -> Option<u64> {
    let at = usize::try_from(at).ok()?;
    let word = octets.get(at..)?.first_chunk::<8>()?;
    Some(u64::from_be_bytes(*word) >> 16)
}

/// Octets of the space packet with this header; the header must be of version 0.
#[inline(always)]
pub(crate) fn space_packet_octets(header: u64) -> u64 {
    (header & 0xffff) + SPACE_PACKET_HEADER + 1
}

/// True where the 48-bit header is of a space packet.
#[inline(always)]
pub(crate) fn is_space_packet(header: u64) -> bool {
    header >> 45 == 0
}

/// The packet that begins at octet `at`, which must not be past the end.
#[must_use]
pub fn step(octets: &[u8], at: u64, rules: &Rules) -> Step {
    let start = usize::try_from(at).unwrap_or(usize::MAX);
    let rest = octets.get(start..).unwrap_or_default();
    let Some(&first) = rest.first() else {
        return Step::Incomplete(1);
    };
    let sized = match first >> 5 {
        SPACE_PACKET => space_packet(rest),
        ENCAPSULATION_PACKET if rules.encapsulation => encapsulation_packet(rest),
        version => return Step::Refused(Refusal::Version(version)),
    };
    match sized {
        Step::Packet { octets, .. } if octets > rules.maximum_octets => Step::Refused(Refusal::TooLong(octets)),
        Step::Packet { octets, .. } if octets > rest.len() as u64 => Step::Incomplete(octets),
        other => other,
    }
}

fn space_packet(rest: &[u8]) -> Step {
    match number(rest, 0, SPACE_PACKET_HEADER) {
        Some(header) => Step::Packet { octets: space_packet_octets(header), header },
        None => Step::Incomplete(SPACE_PACKET_HEADER),
    }
}

fn encapsulation_packet(rest: &[u8]) -> Step {
    let length_of_length = usize::from(rest[0] & 3);
    let header_octets = ENCAPSULATION_HEADER[length_of_length];
    let first = match length_of_length {
        0 => {
            // Only an idle packet may be without a length field (133.1-B-3 section 4.1.2.4).
            let protocol = rest[0] >> 2 & 7;
            return match protocol {
                0 => Step::Packet { octets: 1, header: 7 << 45 },
                _ => Step::Refused(Refusal::NoLength(protocol)),
            };
        }
        1 => 1,
        2 => 2,
        _ => 4,
    };
    // The length field counts the whole packet, header included (133.1-B-3 section 4.1.2.8).
    match number(rest, first, header_octets) {
        None => Step::Incomplete(header_octets),
        Some(octets) if octets < header_octets => Step::Refused(Refusal::TooShort(octets)),
        Some(octets) => Step::Packet { octets, header: 7 << 45 },
    }
}

/// The octets `from..to` as a big-endian number.
fn number(rest: &[u8], from: u64, to: u64) -> Option<u64> {
    let field = rest.get(from as usize..to as usize)?;
    Some(field.iter().fold(0, |value, &octet| value << 8 | u64::from(octet)))
}
