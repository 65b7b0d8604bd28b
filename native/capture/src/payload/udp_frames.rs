//! Ethernet, IPv4 and UDP around payloads, checksums included.  Source: RFC 791, RFC 768, RFC 1071.
use crate::batch::{Batch, Frames};

const HEADERS: usize = 14 + 20 + 8;
/// The longest payload that one IPv4 packet can carry.
pub const MAXIMUM_PAYLOAD: usize = 65507;

/// Ends of the made-up conversation.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// MAC address.
    pub source_mac: [u8; 6],
    /// MAC address.
    pub destination_mac: [u8; 6],
    /// IPv4 address.
    pub source: [u8; 4],
    /// IPv4 address.
    pub destination: [u8; 4],
    /// UDP port.
    pub source_port: u16,
    /// UDP port.
    pub destination_port: u16,
    /// Identification of the first packet; it counts up.
    pub identification: u16,
}

/// Ones' complement sum, not yet folded.
fn sum(octets: &[u8]) -> u64 {
    let (pairs, rest) = octets.as_chunks::<2>();
    let even: u64 = pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair))).sum();
    even + rest.first().map_or(0, |octet| u64::from(*octet) << 8)
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

/// One frame for each payload.  Err names the first payload that is too long.
pub fn wrap(payloads: &Frames<'_>, ends: &Ends) -> Result<Batch, usize> {
    let count = payloads.len();
    let mut out = Batch::with_capacity(count, payloads.octets.len() + count * HEADERS);
    let mut frame = Vec::new();
    for index in 0..count {
        let payload = payloads.frame(index);
        if payload.len() > MAXIMUM_PAYLOAD {
            return Err(index);
        }
        let identification = ends.identification.wrapping_add(index as u16);
        frame.clear();
        headers(&mut frame, payload, identification, ends);
        frame.extend_from_slice(payload);
        out.push(&frame, payloads.timestamps_ns[index], frame.len() as u32, 0);
    }
    Ok(out)
}

fn headers(frame: &mut Vec<u8>, payload: &[u8], identification: u16, ends: &Ends) {
    let udp_length = 8 + payload.len() as u16;
    frame.extend_from_slice(&ends.destination_mac);
    frame.extend_from_slice(&ends.source_mac);
    frame.extend_from_slice(&[0x08, 0x00]);
    frame.extend_from_slice(&[0x45, 0]);
    frame.extend_from_slice(&(20 + udp_length).to_be_bytes());
    frame.extend_from_slice(&identification.to_be_bytes());
    frame.extend_from_slice(&[0x40, 0, 64, 17, 0, 0]); // do not fragment, time to live, UDP
    frame.extend_from_slice(&ends.source);
    frame.extend_from_slice(&ends.destination);
    let header = fold(sum(&frame[14..34]));
    frame[24..26].copy_from_slice(&header.to_be_bytes());
    let ports = [ends.source_port, ends.destination_port];
    let pseudo = sum(&frame[26..34]) + 17 + u64::from(udp_length);
    let fixed: u64 = ports.iter().map(|port| u64::from(*port)).sum();
    let checksum = match fold(pseudo + fixed + u64::from(udp_length) + sum(payload)) {
        0 => 0xFFFF, // zero says "none"
        checksum => checksum,
    };
    for word in [ports[0], ports[1], udp_length, checksum] {
        frame.extend_from_slice(&word.to_be_bytes());
    }
}
