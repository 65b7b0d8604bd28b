//! A pipe: slots are handed over whole and unchecked; the sender waits for the reader to give them back.
//!
//! Each transmit ring has a receive ring at the other end, of as many slots.  The words that the two ends share are one
//! `pipe_position` each: of the receive ring, up to which slot there is something to read; of the transmit ring, its tail.
use std::sync::atomic::{AtomicU64, Ordering};

use crate::abi::{ring as at, slot_flag};
use crate::ring::{distance, previous};
use crate::shared::Shared;
use crate::sync::Bound;
use crate::tables::Ring;

fn peer<'a>(shared: &'a Shared, bound: &Bound<'_>) -> Option<Bound<'a>> {
    let peer = shared.bound(bound.ring.peer.index()?)?;
    (peer.ring.slots.get() == bound.ring.slots.get()).then_some(peer)
}

/// Hand over the slots before `head`, but a frame's only when its last one is among them.
pub(crate) fn transmit(shared: &Shared, bound: Bound<'_>, head: u32) {
    let ring = bound.ring;
    let n = ring.slots.get();
    let Some(peer) = peer(shared, &bound) else { return };
    ring.hwtail.set(ring.pipe_position.get().min(n - 1));
    let first = ring.hwcur.get();
    let mut end = head; // after the last slot that ends a frame
    for _ in 0..distance(first, head, n) {
        if shared.slot(ring, previous(end, n)).flags & slot_flag::MORE_FRAGMENTS == 0 {
            break;
        }
        end = previous(end, n);
    }
    if end != first {
        hand_over(shared, ring, peer.ring, end);
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
        hand_over(shared, ring, peer.ring, head);
        peer.ring.pipe_position.set(previous(head, n));
        shared.notify(peer.port);
    }
}

/// Copy whole slots from `ring` to the ring at the other end, of as many, up to `end`.
fn hand_over(shared: &Shared, ring: &Ring, peer: &Ring, end: u32) {
    let n = ring.slots.get();
    let first = ring.hwcur.get();
    let cells = |ring: &Ring| shared.slot_cells(ring.header.get() + at::SLOTS, n);
    if let (Some(from), Some(to)) = (cells(ring), cells(peer)) {
        let (first, end) = (first as usize, end as usize);
        let parts = if first <= end { [first..end, 0..0] } else { [first..n as usize, 0..end] };
        for part in parts {
            let (Some(from), Some(to)) = (from.get(part.clone()), to.get(part)) else { continue };
            from.iter().zip(to).for_each(|(from, to)| hand_over_slot(from, to));
        }
    }
    ring.hwcur.set(end);
}

#[inline(always)]
fn hand_over_slot(from: &[AtomicU64; 2], to: &[AtomicU64; 2]) {
    const CHANGED: u64 = (slot_flag::BUF_CHANGED as u64) << 48;
    let (word, pointer) = (from[0].load(Ordering::Acquire), from[1].load(Ordering::Acquire));
    to[1].store(pointer, Ordering::Release);
    to[0].store(word, Ordering::Release);
    if word & CHANGED != 0 {
        from[0].store(word & !CHANGED, Ordering::Release);
    }
}

/// Of a pair whose ends both go: which slots' buffers the transmit ring has to give back; the rest are the reader's.
pub(crate) fn buffers_of_sender(tx: &Ring, rx: &Ring) -> impl Fn(u32) -> bool {
    let n = tx.slots.get();
    let (first, handed_over) = (rx.hwcur.get(), distance(rx.hwcur.get(), tx.hwcur.get(), n));
    move |slot| distance(first, slot, n) >= handed_over
}
