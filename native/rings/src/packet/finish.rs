//! What the kernel leaves undone in a received frame: the checksum that a card would have made, the VLAN tag that it
//! took out.  Both are put right in the ring's own memory, which is ours meanwhile.
use crate::lengths::{VLAN_TAG_OCTETS, VLAN_TYPE};
use crate::memory::Mapping;
use crate::slots::Slot;

const STATUS_VLAN_VALID: u32 = 1 << 4;
const STATUS_VLAN_TYPE_VALID: u32 = 1 << 6;
const ADDRESSES_OCTETS: usize = 12;
/// `struct virtio_net_hdr`: flags, segmentation, its header's and segments' length, checksum's start and place.
const OFFLOAD_OCTETS: usize = 10;
const NEEDS_CHECKSUM: u8 = 1;
const PIECE_OCTETS: usize = 32;

/// What was done to received frames, or could not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Checksums that the sending stack had left to a card, finished.
    pub checksums_finished: u64,
    /// The same, where the frame was cut or the place of the checksum not in it: delivered as they are.
    pub checksums_unfinished: u64,
    /// VLAN tags put back.
    pub vlan_tags_restored: u64,
    /// Frames longer than the MTU allows, joined by receive offload or never cut by the sender; delivered whole.
    pub frames_over_mtu: u64,
    /// Frames cut because they did not fit into a block.
    pub frames_cut: u64,
    /// Slots of the ring that contradict themselves, passed over.
    pub damaged_slots: u64,
}

/// The frame of `slot`, made whole.
///
/// `room` is how many octets before the frame are ours to use; the offload header ends where the frame begins.
#[inline]
pub(crate) fn finish(
    memory: &Mapping,
    mut slot: Slot,
    status: u32,
    tag: (u16, u16),
    room: usize,
    usual_octets: usize,
    account: &mut Account,
) -> Slot {
    if slot.original_length as usize > slot.length {
        account.frames_cut += 1;
    }
    if room >= OFFLOAD_OCTETS
        && let Some(offload) = memory.read::<OFFLOAD_OCTETS>(slot.offset - OFFLOAD_OCTETS)
        && offload[0] & NEEDS_CHECKSUM != 0
    {
        let start = usize::from(u16::from_ne_bytes([offload[6], offload[7]]));
        let place = usize::from(u16::from_ne_bytes([offload[8], offload[9]]));
        if finish_checksum(memory, &slot, start, place) {
            account.checksums_finished += 1;
        } else {
            account.checksums_unfinished += 1;
        }
    }
    if slot.original_length as usize > usual_octets {
        account.frames_over_mtu += u64::from(slot.original_length as usize > usual_octets + own_tag(memory, &slot));
    }
    if status & STATUS_VLAN_VALID != 0 && room >= VLAN_TAG_OCTETS && slot.length >= ADDRESSES_OCTETS {
        let kind = if status & STATUS_VLAN_TYPE_VALID != 0 { tag.1 } else { VLAN_TYPE };
        if restore_tag(memory, slot.offset, kind, tag.0) {
            slot.offset -= VLAN_TAG_OCTETS;
            slot.length += VLAN_TAG_OCTETS;
            slot.original_length = slot.original_length.saturating_add(VLAN_TAG_OCTETS as u32);
            account.vlan_tags_restored += 1;
        }
    }
    slot
}

/// Octets of the VLAN tag that is in the frame itself: it may be that much longer.
fn own_tag(memory: &Mapping, slot: &Slot) -> usize {
    let kind = memory.read::<2>(slot.offset + ADDRESSES_OCTETS).map(u16::from_be_bytes);
    if kind == Some(VLAN_TYPE) { VLAN_TAG_OCTETS } else { 0 }
}

/// Move the addresses down and put the tag between them and what follows.
fn restore_tag(memory: &Mapping, offset: usize, kind: u16, control: u16) -> bool {
    let Some(addresses) = memory.read::<ADDRESSES_OCTETS>(offset) else { return false };
    let mut head = [0; ADDRESSES_OCTETS + VLAN_TAG_OCTETS];
    head[..ADDRESSES_OCTETS].copy_from_slice(&addresses);
    head[ADDRESSES_OCTETS..][..2].copy_from_slice(&kind.to_be_bytes());
    head[ADDRESSES_OCTETS + 2..].copy_from_slice(&control.to_be_bytes());
    memory.write(offset - VLAN_TAG_OCTETS, &head)
}

/// The Internet checksum from `start` to the end of the frame, written `place` octets after `start`.  The field holds
/// the pseudo header's sum, which thereby goes in.  False: the frame is cut, or the field is not in it.
fn finish_checksum(memory: &Mapping, slot: &Slot, start: usize, place: usize) -> bool {
    let whole = slot.original_length as usize == slot.length;
    let inside = start.checked_add(place).and_then(|at| at.checked_add(2)).is_some_and(|end| end <= slot.length);
    if !whole || !inside {
        return false;
    }
    let Some(sum) = sum(memory, slot.offset + start, slot.length - start) else { return false };
    let checksum = match !sum {
        0 => u16::MAX, // 0 would say that there is none
        other => other,
    };
    memory.write(slot.offset + start + place, &checksum.to_be_bytes())
}

/// Ones' complement sum of big-endian 16-bit words, an odd last octet padded.
fn sum(memory: &Mapping, offset: usize, length: usize) -> Option<u16> {
    let mut total: u64 = 0;
    let pieces = length / PIECE_OCTETS;
    for piece in 0..pieces {
        let octets = memory.read::<PIECE_OCTETS>(offset + piece * PIECE_OCTETS)?;
        for pair in octets.chunks_exact(2) {
            total += u64::from(u16::from_be_bytes([pair[0], pair[1]]));
        }
    }
    for at in pieces * PIECE_OCTETS..length {
        let [octet] = memory.read::<1>(offset + at)?;
        total += if at % 2 == 0 { u64::from(octet) << 8 } else { u64::from(octet) };
    }
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    Some(total as u16)
}
