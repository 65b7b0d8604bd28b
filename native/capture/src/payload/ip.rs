//! IPv4 and IPv6 headers, as far as finding the transport payload needs.  Source: RFC 791, RFC 8200.
use crate::octets::u16_of;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
/// Extension headers whose length is in units of eight octets.
const EXTENSIONS: [u8; 6] = [0, 43, 60, 135, 139, 140];

/// Addresses of a packet; IPv4 lies in the last four octets of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Addresses {
    pub(crate) source: [u8; 16],
    pub(crate) destination: [u8; 16],
    pub(crate) version_6: bool,
}

/// Where a fragment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub(crate) identification: u32,
    pub(crate) offset: usize,
    pub(crate) more: bool,
}

/// A packet's transport part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) addresses: Addresses,
    pub(crate) protocol: u8,
    /// What the record holds of it.
    pub(crate) data: &'a [u8],
    /// What the header promises, at least `data.len()`.
    pub(crate) length: usize,
    pub(crate) fragment: Option<Fragment>,
}

/// Why there is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IpTrouble {
    /// The header contradicts itself, or is neither version.
    Malformed,
    /// The record ends within the header.
    Short,
}

/// The packet at the start of `octets`.
#[inline]
pub(crate) fn packet(octets: &[u8]) -> Result<Packet<'_>, IpTrouble> {
    match octets.first() {
        None => Err(IpTrouble::Short),
        Some(first) if first >> 4 == 4 => version_4(octets),
        Some(first) if first >> 4 == 6 => version_6(octets),
        Some(_) => Err(IpTrouble::Malformed),
    }
}

#[inline]
fn version_4(octets: &[u8]) -> Result<Packet<'_>, IpTrouble> {
    let Some(header) = octets.first_chunk::<20>() else {
        return Err(IpTrouble::Short);
    };
    let header_octets = usize::from(header[0] & 0x0F) * 4;
    let total = match usize::from(u16_of::<true>(header, 2)) {
        0 => octets.len(), // segmentation offload: the card would have filled it in
        total => total,
    };
    if header_octets < 20 || total < header_octets {
        return Err(IpTrouble::Malformed);
    }
    if octets.len() < header_octets {
        return Err(IpTrouble::Short);
    }
    let mut addresses = Addresses::default();
    addresses.source[12..].copy_from_slice(&header[12..16]);
    addresses.destination[12..].copy_from_slice(&header[16..20]);
    let flags = u16_of::<true>(header, 6);
    let (offset, more) = (usize::from(flags & 0x1FFF) * 8, flags & 0x2000 != 0);
    let fragment =
        (offset > 0 || more).then(|| Fragment { identification: u32::from(u16_of::<true>(header, 4)), offset, more });
    Ok(Packet {
        addresses,
        protocol: header[9],
        data: &octets[header_octets..total.min(octets.len())],
        length: total - header_octets,
        fragment,
    })
}

fn version_6(octets: &[u8]) -> Result<Packet<'_>, IpTrouble> {
    let Some(header) = octets.first_chunk::<40>() else {
        return Err(IpTrouble::Short);
    };
    let mut addresses = Addresses { version_6: true, ..Addresses::default() };
    addresses.source.copy_from_slice(&header[8..24]);
    addresses.destination.copy_from_slice(&header[24..40]);
    let total = match usize::from(u16_of::<true>(header, 4)) {
        0 => octets.len(), // a jumbogram, or segmentation offload
        length => 40 + length,
    };
    let octets = &octets[..total.min(octets.len())];
    let (mut at, mut protocol, mut fragment) = (40, header[6], None);
    loop {
        let rest = octets.get(at..).ok_or(IpTrouble::Short)?;
        let length = match protocol {
            FRAGMENT => 8,
            AUTHENTICATION => (usize::from(*rest.get(1).ok_or(IpTrouble::Short)?) + 2) * 4,
            _ if EXTENSIONS.contains(&protocol) => (usize::from(*rest.get(1).ok_or(IpTrouble::Short)?) + 1) * 8,
            _ => break,
        };
        if at + length > total {
            return Err(IpTrouble::Malformed);
        }
        if rest.len() < length {
            return Err(IpTrouble::Short);
        }
        at += length;
        if protocol != FRAGMENT {
            protocol = rest[0];
            continue;
        }
        protocol = rest[0];
        let flags = u16_of::<true>(rest, 2);
        let (offset, more) = (usize::from(flags & 0xFFF8), flags & 1 != 0);
        if offset > 0 || more {
            let identification = u32::from_be_bytes([rest[4], rest[5], rest[6], rest[7]]);
            fragment = Some(Fragment { identification, offset, more });
            break; // what follows is a piece of what the first fragment's chain describes
        }
    }
    Ok(Packet { addresses, protocol, data: &octets[at..], length: total - at, fragment })
}
