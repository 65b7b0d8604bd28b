//! A pipe: slots are handed over whole and unchecked; the sender waits for the reader to give them back.
//!
//! Each transmit ring has a receive ring at the other end, of as many slots.  The words that the two ends share are one
//! `pipe_position` each: of the receive ring, up to which slot there is something to read; of the transmit ring, its tail.
use std::sync::atomic::{AtomicU64, Ordering};

use crate::abi::{ring as at, slot_flag};
use crate::monitor::Showing;
use crate::ring::{Slot, distance, next, previous};
use crate::shared::Shared;
use crate::sync::Bound;
use crate::tables::Ring;

fn peer<'a>(shared: &'a Shared, bound: &Bound<'_>) -> Option<Bound<'a>> {
    let peer = shared.bound(bound.ring.peer.index()?)?;
    (peer.ring.slots.get() == bound.ring.slots.get()).then_some(peer)
}

/// Hand over the slots before `head`; those of a frame whose last one is not among them are not yet to be read.
pub(crate) fn transmit(shared: &Shared, bound: Bound<'_>, head: u32) {
    let ring = bound.ring;
    let n = ring.slots.get();
    let Some(peer) = peer(shared, &bound) else { return };
    ring.hwtail.set(ring.pipe_position.get().min(n - 1));
    let first = ring.hwcur.get();
    if head >= n || head == first {
        return;
    }
    if let Some(end) = hand_over(shared, &bound, &peer, head) {
        shared.show(peer, peer.ring.pipe_position.get(), end, Showing::Copy);
        peer.ring.pipe_position.set(end);
        shared.notify(peer.port);
    }
}

/// See what there is, then give the slots before `head` back.
pub(crate) fn receive(shared: &Shared, bound: Bound<'_>, head: u32) {
    let ring = bound.ring;
    let n = ring.slots.get();
    let Some(peer) = peer(shared, &bound) else { return };
    ring.hwtail.set(ring.pipe_position.get().min(n - 1));
    if head < n && ring.hwcur.get() != head {
        let _frames_are_the_senders = hand_over(shared, &bound, &peer, head);
        peer.ring.pipe_position.set(previous(head, n));
        shared.notify(peer.port);
    }
}

/// Copy whole slots to the ring at the other end, up to `end`; the position after the last one that ends a frame.
///
/// To a reader who asked for the offsets option no offset falls below the one that its slot had.
fn hand_over(shared: &Shared, from: &Bound<'_>, to: &Bound<'_>, end: u32) -> Option<u32> {
    let ring = from.ring;
    let mask = if keeps_room_of(to) { to.port.offset_mask.get() } else { 0 };
    let whole = if mask == 0 {
        hand_over_all(shared, ring, to.ring, end)
    } else {
        hand_over_with_offsets(shared, ring, to.ring, end, mask)
    };
    ring.hwcur.set(end);
    whole
}

/// Whether the receiver asked for room before its frames.
fn keeps_room_of(to: &Bound<'_>) -> bool {
    !to.ring.is_tx.is_set() && to.port.offset_asked.is_set()
}

/// The slots as they are; looked up once for all of them.
fn hand_over_all(shared: &Shared, ring: &Ring, peer: &Ring, end: u32) -> Option<u32> {
    let n = ring.slots.get();
    let cells = |ring: &Ring| shared.slot_cells(ring.header.get() + at::SLOTS, n);
    let (from, to) = (cells(ring)?, cells(peer)?);
    let mut index = ring.hwcur.get();
    let (first, last) = (index as usize, end as usize);
    let parts = if first <= last { [first..last, 0..0] } else { [first..n as usize, 0..last] };
    let mut whole = None;
    for part in parts {
        let (Some(from), Some(to)) = (from.get(part.clone()), to.get(part)) else { continue };
        for (from, to) in from.iter().zip(to) {
            index = next(index, n);
            if hand_over_slot(from, to) {
                whole = Some(index);
            }
        }
    }
    whole
}

/// Hand one slot over; whether it ends a frame.
#[inline(always)]
fn hand_over_slot(from: &[AtomicU64; 2], to: &[AtomicU64; 2]) -> bool {
    const CHANGED: u64 = (slot_flag::BUF_CHANGED as u64) << 48;
    const GOES_ON: u64 = (slot_flag::MORE_FRAGMENTS as u64) << 48;
    let (word, pointer) = (from[0].load(Ordering::Acquire), from[1].load(Ordering::Acquire));
    to[1].store(pointer, Ordering::Release);
    to[0].store(word, Ordering::Release);
    if word & CHANGED != 0 {
        from[0].store(word & !CHANGED, Ordering::Release);
    }
    word & GOES_ON == 0
}

/// The slots, with no offset below the one that the receiver's slot had.
fn hand_over_with_offsets(shared: &Shared, ring: &Ring, peer: &Ring, end: u32, mask: u64) -> Option<u32> {
    let n = ring.slots.get();
    let mut whole = None;
    let mut index = ring.hwcur.get();
    for _ in 0..distance(index, end, n) {
        let slot = shared.slot(ring, index);
        let offset = (slot.pointer & mask).max(shared.slot(peer, index).pointer & mask);
        shared.put_slot(peer, index, Slot { pointer: slot.pointer & !mask | offset, ..slot });
        if slot.flags & slot_flag::BUF_CHANGED != 0 {
            let cleared = Slot { flags: slot.flags & !slot_flag::BUF_CHANGED, ..slot };
            shared.put_slot_but_pointer(ring, index, cleared);
        }
        index = next(index, n);
        if slot.flags & slot_flag::MORE_FRAGMENTS == 0 {
            whole = Some(index);
        }
    }
    whole
}

/// Of a pair whose ends both go: which slots' buffers the transmit ring has to give back; the rest are the reader's.
pub(crate) fn buffers_of_sender(tx: &Ring, rx: &Ring) -> impl Fn(u32) -> bool {
    let n = tx.slots.get();
    let (first, handed_over) = (rx.hwcur.get(), distance(rx.hwcur.get(), tx.hwcur.get(), n));
    move |slot| distance(first, slot, n) >= handed_over
}
