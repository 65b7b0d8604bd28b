//! Monitors: ports that see what another port of their name sends or receives.
//!
//! One that copies sees a slot when it is sent or filled.  One that does not sees it when it is done with, and takes its
//! buffer for one of its own.
use crate::abi::{limit, register_flag as flag, slot_flag};
use crate::errno::Errno;
use crate::memory::monitor_geometry;
use crate::register::Request;
use crate::ring::{Slot, next, previous};
use crate::shared::Shared;
use crate::sync::Bound;
use crate::tables::{Kind, Port, Word};

/// How a monitor gets what it sees.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Showing {
    Copy = 1,
    Swap = 2,
}

impl Shared {
    /// A monitor of the port that the request names, with as many rings: in a region of its own, or,
    /// without a copy, in that port's.  It keeps that port.
    pub(crate) fn resolve_monitor(&self, request: &Request) -> Result<usize, Errno> {
        let control = self.control();
        let watched_index = self.resolve(request)?;
        let watched = &control.ports[watched_index];
        if watched.vanished.is_set() {
            return Err(Errno(libc::ENXIO));
        }
        let wish = watched.wish();
        let (name, swaps) = (watched.name.get(), request.flags & flag::ZERO_COPY_MONITOR != 0);
        let index = if swaps {
            self.new_port(Kind::Monitor, &name, watched.region.index().ok_or(Errno(libc::ENXIO))?)?
        } else {
            let region = self.create_region(self.new_region_id(), &monitor_geometry(&wish))?;
            self.new_port(Kind::Monitor, &name, region).inspect_err(|_| self.leave_region(region))?
        };
        let how = if swaps { Showing::Swap } else { Showing::Copy } as u32;
        let monitor = &control.ports[index];
        monitor.size(&wish);
        monitor.host_tx_rings.set(watched.host_tx_rings.get());
        monitor.host_rx_rings.set(watched.host_rx_rings.get());
        // Without a direction both are meant, as netmap's own tests of `/z` expect.
        let both = request.flags & (flag::MONITOR_TX | flag::MONITOR_RX) == 0;
        let watches = |direction: u64| if both || request.flags & direction != 0 { how } else { 0 };
        monitor.watches_tx.set(watches(flag::MONITOR_TX));
        monitor.watches_rx.set(watches(flag::MONITOR_RX));
        monitor.peer.refer(Some(watched_index));
        watched.users.add(1);
        watched.monitors.add(1);
        Ok(index)
    }

    /// A monitor goes: what it watched is held by one less.
    pub(crate) fn leave_watched(&self, monitor: &Port) {
        if Kind::of(monitor.kind.get()) != Some(Kind::Monitor) {
            return;
        }
        if let Some(watched) = monitor.peer.index().and_then(|index| self.control().ports.get(index)) {
            watched.users.set(watched.users.get().saturating_sub(1));
            watched.monitors.set(watched.monitors.get().saturating_sub(1));
        }
        monitor.peer.refer(None);
    }

    /// Show monitors the slots `first` to before `end` of a ring: sent or come, or, to be swapped, done with.
    #[inline(always)]
    pub(crate) fn show(&self, bound: Bound<'_>, first: u32, end: u32, how: Showing) {
        if bound.port.monitors.is_set() && first != end {
            self.show_each(bound, first, end, how);
        }
    }

    #[cold]
    fn show_each(&self, bound: Bound<'_>, first: u32, end: u32, how: Showing) {
        let is_tx = bound.ring.is_tx.is_set();
        let n = bound.ring.slots.get();
        if first >= n || end >= n {
            return;
        }
        for monitor in &self.control().ports {
            let watches = if is_tx { &monitor.watches_tx } else { &monitor.watches_rx };
            if !monitor.used.is_set()
                || Kind::of(monitor.kind.get()) != Some(Kind::Monitor)
                || monitor.peer.index() != Some(bound.port_index)
                || watches.get() != how as u32
            {
                continue;
            }
            let number = bound.ring.number.get() as usize;
            match monitor.rx.get(number).and_then(Word::index).and_then(|index| self.bound(index)) {
                Some(to) => self.hand_to_monitor(bound, (first, end), to, how),
                None => monitor.rx_dropped.add(1),
            }
        }
    }

    fn hand_to_monitor(&self, from: Bound<'_>, (first, end): (u32, u32), to: Bound<'_>, how: Showing) {
        let _queue = to.ring.queue.lock();
        let (n, monitor_n) = (from.ring.slots.get(), to.ring.slots.get());
        let (mut index, mut tail) = (first, to.ring.hwtail.get());
        let full = previous(to.ring.hwcur.get(), monitor_n);
        if !to.ring.used.is_set() || tail >= monitor_n {
            return;
        }
        while index != end {
            let shown = tail != full
                && match how {
                    Showing::Copy => self.copy_slot(from, index, to, tail),
                    Showing::Swap => self.swap_slot(from, index, to, tail),
                };
            if shown {
                tail = next(tail, monitor_n);
            } else {
                to.port.rx_dropped.add(1);
            }
            index = next(index, n);
        }
        to.ring.hwtail.set(tail);
        self.notify(to.port);
    }

    fn copy_slot(&self, from: Bound<'_>, index: u32, to: Bound<'_>, tail: u32) -> bool {
        let (seen, own) = (self.slot(from.ring, index), self.slot(to.ring, tail));
        let (at, space) = self.data(from.region, from.port, seen);
        let octets = u32::from(seen.length).min(space);
        self.copy(at, to.region.buffer(own.buffer), octets.into());
        self.put_slot_but_pointer(to.ring, tail, Slot { length: octets as u16, flags: flags_of(from, seen), ..own });
        true
    }

    /// The buffers change places; what names none stays where it is.
    fn swap_slot(&self, from: Bound<'_>, index: u32, to: Bound<'_>, tail: u32) -> bool {
        let (seen, own) = (self.slot(from.ring, index), self.slot(to.ring, tail));
        let sound = |slot: Slot| (limit::FIRST_BUFFER..from.region.buffers()).contains(&slot.buffer);
        if !sound(seen) || !sound(own) {
            return false;
        }
        self.put_slot(to.ring, tail, Slot { flags: flags_of(from, seen), ..seen });
        let given = Slot { flags: slot_flag::BUF_CHANGED, pointer: seen.pointer, ..own };
        self.put_slot_but_pointer(from.ring, index, given);
        true
    }
}

fn flags_of(from: Bound<'_>, seen: Slot) -> u16 {
    let mark = if from.ring.is_tx.is_set() { slot_flag::TX_MONITOR } else { 0 };
    (seen.flags & !slot_flag::BUF_CHANGED) | mark
}
