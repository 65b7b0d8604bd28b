//! Link layer headers by LINKTYPE number: what lies beneath, and where.
use crate::octets::u16_of;

pub(crate) const ETHERNET: u16 = 1;
const NULL: u16 = 0;
const LOOP: u16 = 108;
const LINUX_COOKED: u16 = 113;
const LINUX_COOKED_2: u16 = 276;
const RAW_IP: [u16; 5] = [12, 14, 101, 228, 229]; // 12 and 14: what some systems call their raw IP
const USER: std::ops::RangeInclusive<u16> = 147..=162;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86DD;
const TAGS: [u16; 4] = [0x8100, 0x88A8, 0x9100, 0x9200];
const SMALLEST_TYPE: u16 = 0x0600; // below it the field is an IEEE 802.3 length
const SNAP: [u8; 6] = [0xAA, 0xAA, 0x03, 0, 0, 0];

/// What a link header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beneath {
    /// IP, either version.
    Ip,
    /// Known to be something else.
    Other,
    /// Nothing: the record is the payload.
    Whole,
}

/// Why a link header could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkTrouble {
    /// The LINKTYPE is not one of ours.
    Unknown,
    /// The record ends within the header.
    Short,
}

/// What lies beneath the link header of `frame`, and the header's length.
#[inline]
pub(crate) fn peel(link_type: u16, frame: &[u8]) -> Result<(Beneath, usize), LinkTrouble> {
    match link_type {
        ETHERNET => tagged(frame, 12),
        LINUX_COOKED => tagged(frame, 14),
        LINUX_COOKED_2 => cooked_2(frame),
        NULL => loopback(frame),
        LOOP => loopback(frame),
        _ if RAW_IP.contains(&link_type) => Ok((Beneath::Ip, 0)),
        _ if USER.contains(&link_type) => Ok((Beneath::Whole, 0)),
        _ => Err(LinkTrouble::Unknown),
    }
}

fn half(frame: &[u8], at: usize) -> Result<u16, LinkTrouble> {
    if frame.len() < at + 2 {
        return Err(LinkTrouble::Short);
    }
    Ok(u16_of::<true>(frame, at))
}

/// An EtherType at `at`, after any number of VLAN tags.
#[inline]
fn tagged(frame: &[u8], mut at: usize) -> Result<(Beneath, usize), LinkTrouble> {
    let mut kind = half(frame, at)?;
    while TAGS.contains(&kind) {
        at += 4;
        kind = half(frame, at)?;
    }
    at += 2;
    if kind < SMALLEST_TYPE && frame.len() >= at + 8 && frame[at..at + 6] == SNAP {
        at += 6;
        kind = half(frame, at)?;
        at += 2;
    }
    Ok((beneath(kind), at))
}

fn beneath(kind: u16) -> Beneath {
    if kind == IPV4 || kind == IPV6 { Beneath::Ip } else { Beneath::Other }
}

fn cooked_2(frame: &[u8]) -> Result<(Beneath, usize), LinkTrouble> {
    if frame.len() < 20 {
        return Err(LinkTrouble::Short);
    }
    let kind = u16_of::<true>(frame, 0);
    if TAGS.contains(&kind) {
        return tagged(frame, 22); // the tag's value, then the type
    }
    Ok((beneath(kind), 20))
}

/// Four octets of address family, in whichever byte order the capturing machine had.
fn loopback(frame: &[u8]) -> Result<(Beneath, usize), LinkTrouble> {
    let Some(cell) = frame.first_chunk::<4>() else {
        return Err(LinkTrouble::Short);
    };
    let family = u32::from_le_bytes(*cell).min(u32::from_be_bytes(*cell));
    let ip = matches!(family, 2 | 10 | 24 | 28 | 30); // AF_INET, and AF_INET6 of Linux and the BSDs
    Ok((if ip { Beneath::Ip } else { Beneath::Other }, 4))
}
