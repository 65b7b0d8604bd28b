//! A ring: its header and slots in users' memory, its true positions in the control block, and the checks at a sync.
use std::time::{SystemTime, UNIX_EPOCH};

use crate::abi::{limit, ring as at};
use crate::errno::Errno;
use crate::shared::Shared;
use crate::tables::{Objects, Port, Region, Ring};

/// A slot, copied once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) buffer: u32,
    pub(crate) length: u16,
    pub(crate) flags: u16,
    pub(crate) pointer: u64,
}

/// The user's head or cur is where it may not be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RingError;

/// How far `to` is ahead of `from` on a ring of `slots`.
#[inline(always)]
pub(crate) fn distance(from: u32, to: u32, slots: u32) -> u32 {
    if to >= from { to - from } else { to + slots - from }
}

/// The slot after `index`.
#[inline(always)]
pub(crate) fn next(index: u32, slots: u32) -> u32 {
    if index + 1 >= slots { 0 } else { index + 1 }
}

/// The slot before `index`.
#[inline(always)]
pub(crate) fn previous(index: u32, slots: u32) -> u32 {
    if index == 0 { slots.saturating_sub(1) } else { index - 1 }
}

impl Shared {
    #[inline(always)]
    pub(crate) fn slot_place(&self, ring: &Ring, index: u32) -> u64 {
        ring.header.get() + at::SLOTS + u64::from(index) * at::SLOT_OCTETS
    }

    #[inline(always)]
    pub(crate) fn slot(&self, ring: &Ring, index: u32) -> Slot {
        let place = self.slot_place(ring, index);
        let (word, pointer) = (self.load_long(place), self.load_long(place + 8));
        Slot { buffer: word as u32, length: (word >> 32) as u16, flags: (word >> 48) as u16, pointer }
    }

    #[inline(always)]
    pub(crate) fn put_slot(&self, ring: &Ring, index: u32, slot: Slot) {
        let place = self.slot_place(ring, index);
        self.store_long(place + 8, slot.pointer);
        self.put_slot_but_pointer(ring, index, slot);
    }

    #[inline(always)]
    pub(crate) fn put_slot_but_pointer(&self, ring: &Ring, index: u32, slot: Slot) {
        let word = u64::from(slot.buffer) | u64::from(slot.length) << 32 | u64::from(slot.flags) << 48;
        self.store_long(self.slot_place(ring, index), word);
    }

    /// Where the slot's data begins, in the file, and how many octets of the buffer are left from there.
    #[inline(always)]
    pub(crate) fn data(&self, region: &Region, port: &Port, slot: Slot) -> (u64, u32) {
        let mask = port.offset_mask.get();
        let offset = if mask == 0 { 0 } else { (slot.pointer & mask).min(port.offset_max.get().into()) as u32 };
        let offset = offset.min(limit::BUFFER_OCTETS);
        (region.buffer(slot.buffer) + u64::from(offset), limit::BUFFER_OCTETS - offset)
    }

    /// Take the user's head and cur of a transmit ring, if they are where they may be.
    pub(crate) fn begin_tx(&self, ring: &Ring) -> Result<u32, RingError> {
        let (head, cur) = (self.load(ring.header.get() + at::HEAD), self.load(ring.header.get() + at::CUR));
        let (n, rhead, rtail) = (ring.slots.get(), ring.rhead.get(), ring.rtail.get());
        if [ring.hwcur.get(), rhead, rtail, ring.hwtail.get(), head, cur].iter().any(|&position| position >= n) {
            return Err(RingError);
        }
        let in_order =
            distance(rhead, head, n) <= distance(rhead, rtail, n) && distance(head, cur, n) <= distance(head, rtail, n);
        if !in_order {
            return Err(RingError);
        }
        self.store(ring.header.get() + at::TAIL, rtail);
        ring.rhead.set(head);
        ring.rcur.set(cur);
        Ok(head)
    }

    /// As `begin_tx` for a receive ring, whose bounds are the true positions.  The user's words are taken even if wrong.
    pub(crate) fn begin_rx(&self, ring: &Ring) -> Result<u32, RingError> {
        let (head, cur) = (self.load(ring.header.get() + at::HEAD), self.load(ring.header.get() + at::CUR));
        let (n, hwcur, hwtail) = (ring.slots.get(), ring.hwcur.get(), ring.hwtail.get());
        ring.rhead.set(head);
        ring.rcur.set(cur);
        if [hwcur, hwtail, head, cur].iter().any(|&position| position >= n) {
            return Err(RingError);
        }
        let in_order = distance(hwcur, head, n) <= distance(hwcur, hwtail, n)
            && distance(head, cur, n) <= distance(head, hwtail, n);
        if !in_order {
            return Err(RingError);
        }
        self.store(ring.header.get() + at::TAIL, ring.rtail.get());
        Ok(head)
    }

    /// After a ring error: believe the user's positions as far as they are on the ring, repair the slots.
    pub(crate) fn reinitialise(&self, ring: &Ring, region: &Region) {
        let header = ring.header.get();
        let n = ring.slots.get();
        let (head, cur, tail) =
            (self.load(header + at::HEAD), self.load(header + at::CUR), self.load(header + at::TAIL));
        for index in 0..n {
            let slot = self.slot(ring, index);
            if slot.buffer < limit::FIRST_BUFFER || slot.buffer >= region.buffers() {
                self.put_slot_but_pointer(ring, index, Slot { buffer: 0, length: 0, ..slot });
            } else if u32::from(slot.length) > limit::BUFFER_OCTETS {
                self.put_slot_but_pointer(ring, index, Slot { length: 0, ..slot });
            }
        }
        if head < n && cur < n && tail < n {
            ring.rhead.set(head);
            ring.rcur.set(cur);
            ring.rtail.set(tail);
            return;
        }
        let (hwcur, hwtail) = (ring.hwcur.get(), ring.hwtail.get());
        ring.rhead.set(hwcur);
        ring.rcur.set(hwcur);
        ring.rtail.set(hwtail);
        self.store(header + at::HEAD, hwcur);
        self.store(header + at::CUR, hwcur);
        self.store(header + at::TAIL, hwtail);
    }

    /// Show the user how far the kernel side has come.
    #[inline(always)]
    pub(crate) fn publish_tail(&self, ring: &Ring) {
        let tail = ring.hwtail.get();
        ring.rtail.set(tail);
        self.store(ring.header.get() + at::TAIL, tail);
    }

    /// The wall clock in the header.
    pub(crate) fn stamp(&self, ring: &Ring) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.store_long(ring.header.get() + at::SECONDS, now.as_secs());
        self.store_long(ring.header.get() + at::MICROSECONDS, now.subsec_micros().into());
    }

    /// Whether there are slots between the user's wake-up point and the tail, both as the user sees them.
    #[inline(always)]
    pub(crate) fn has_unseen(&self, ring: &Ring) -> bool {
        self.load(ring.header.get() + at::CUR) != self.load(ring.header.get() + at::TAIL)
    }

    /// Make ring `number` of a port: hardware ones first, then the host's.  `twin`: take its buffers, for pipes.
    /// Called with the control lock held.
    pub(crate) fn create_ring(
        &self,
        port_index: usize,
        is_tx: bool,
        number: usize,
        twin: Option<&Ring>,
    ) -> Result<usize, Errno> {
        let control = self.control();
        let port = control.ports.get(port_index).ok_or(Errno(libc::ENXIO))?;
        let region_index = port.region.index().ok_or(Errno(libc::ENXIO))?;
        let region = control.regions.get(region_index).ok_or(Errno(libc::ENXIO))?;
        let free = control.rings.iter().position(|ring| !ring.used.is_set()).ok_or(Errno(libc::ENOMEM))?;
        let ring = &control.rings[free];
        let slots = if is_tx { port.tx_slots.get() } else { port.rx_slots.get() };
        let needed = at::SLOTS + u64::from(slots) * at::SLOT_OCTETS;
        if needed > region.pools[Objects::Rings as usize].object_octets.get().into() {
            return Err(Errno(libc::ENOMEM));
        }
        let object = self.allocate(region, Objects::Rings, 1)?[0];
        let buffers = match twin {
            Some(twin) => (0..slots).map(|index| self.slot(twin, index).buffer).collect(),
            None => match self.allocate(region, Objects::Buffers, slots) {
                Ok(buffers) => buffers,
                Err(error) => {
                    self.release(region, Objects::Rings, object);
                    return Err(error);
                }
            },
        };
        let header = region.object(Objects::Rings, object);
        ring.port.refer(Some(port_index));
        ring.is_tx.set(is_tx.into());
        let hardware = if is_tx { port.tx_rings.get() } else { port.rx_rings.get() };
        ring.is_host.set((number as u32 >= hardware).into());
        ring.number.set(number as u32);
        ring.slots.set(slots);
        ring.region.refer(Some(region_index));
        ring.object.set(object);
        ring.header.set(header);
        ring.syncs.set(0);
        ring.users.set(0);
        ring.exclusive.set(0);
        ring.peer.refer(None);
        let tail = if is_tx { slots.saturating_sub(1) } else { 0 };
        for (position, value) in [
            (&ring.hwcur, 0),
            (&ring.rhead, 0),
            (&ring.rcur, 0),
            (&ring.hwtail, tail),
            (&ring.rtail, tail),
            (&ring.pipe_position, tail),
        ] {
            position.set(value);
        }
        self.write_header(ring, region, port);
        for (index, buffer) in (0..slots).zip(buffers) {
            let pointer = if port.offset_mask.get() != 0 { port.offset_initial.get().into() } else { 0 };
            self.put_slot(ring, index, Slot { buffer, length: limit::BUFFER_OCTETS as u16, flags: 0, pointer });
        }
        ring.used.set(1);
        Ok(free)
    }

    fn write_header(&self, ring: &Ring, region: &Region, port: &Port) {
        let header = ring.header.get();
        (0..at::SLOTS).step_by(8).for_each(|offset| self.store_long(header + offset, 0));
        self.store_long(header + at::BUF_OFS, region.buffer(0).wrapping_sub(header));
        self.store(header + at::NUM_SLOTS, ring.slots.get());
        self.store(header + at::BUF_SIZE, limit::BUFFER_OCTETS);
        let direction = if ring.is_tx.is_set() { at::DIRECTION_TX } else { at::DIRECTION_RX };
        self.store(header + at::RING_ID_AND_DIRECTION, ring.number.get() | direction << 16);
        self.store(header + at::TAIL, ring.rtail.get());
        self.store_long(header + at::OFFSET_MASK, port.offset_mask.get());
    }

    /// Undo `create_ring`: whoever syncs it or delivers into it is waited for.  `with_buffers`: those of its slots too.
    pub(crate) fn destroy_ring(&self, index: usize, with_buffers: impl Fn(u32) -> bool) {
        let control = self.control();
        let Some(ring) = control.rings.get(index).filter(|ring| ring.used.is_set()) else { return };
        let _no_sync = ring.busy.lock();
        let _no_delivery = ring.queue.lock();
        ring.used.set(0);
        if let Some(region) = ring.region.index().and_then(|region| control.regions.get(region)) {
            (0..ring.slots.get())
                .filter(|&slot| with_buffers(slot))
                .for_each(|slot| self.release(region, Objects::Buffers, self.slot(ring, slot).buffer));
            self.release(region, Objects::Rings, ring.object.get());
        }
        ring.port.refer(None);
    }
}
