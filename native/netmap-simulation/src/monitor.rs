//! Monitors that copy: ports that see what another port of their name sends or receives.
use crate::abi::{limit, register_flag as flag, slot_flag};
use crate::errno::Errno;
use crate::memory::monitor_geometry;
use crate::register::Request;
use crate::ring::{Slot, next, previous};
use crate::shared::Shared;
use crate::sync::Bound;
use crate::tables::{Kind, Port, Word};

impl Shared {
    /// A monitor of the port that the request names, in a region of its own, with as many rings.  It keeps that port.
    pub(crate) fn resolve_monitor(&self, request: &Request) -> Result<usize, Errno> {
        if request.flags & flag::ZERO_COPY_MONITOR != 0 {
            return Err(Errno(libc::EOPNOTSUPP));
        }
        let control = self.control();
        let watched_index = self.resolve(request)?;
        let watched = &control.ports[watched_index];
        if watched.vanished.is_set() {
            return Err(Errno(libc::ENXIO));
        }
        let wish = watched.wish();
        let region = self.create_region(self.new_region_id(), &monitor_geometry(&wish))?;
        let name = watched.name.get();
        let index = self.new_port(Kind::Monitor, &name, region).inspect_err(|_| self.leave_region(region))?;
        let monitor = &control.ports[index];
        monitor.size(&wish);
        monitor.host_tx_rings.set(watched.host_tx_rings.get());
        monitor.host_rx_rings.set(watched.host_rx_rings.get());
        monitor.watches_tx.set((request.flags & flag::MONITOR_TX != 0).into());
        monitor.watches_rx.set((request.flags & flag::MONITOR_RX != 0).into());
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

    /// Show monitors the slots `first` to before `end` of a ring, which were sent or have come.
    #[inline(always)]
    pub(crate) fn show(&self, bound: Bound<'_>, first: u32, end: u32) {
        if bound.port.monitors.is_set() && first != end {
            self.show_each(bound, first, end);
        }
    }

    #[cold]
    fn show_each(&self, bound: Bound<'_>, first: u32, end: u32) {
        let is_tx = bound.ring.is_tx.is_set();
        for monitor in &self.control().ports {
            let watches = if is_tx { &monitor.watches_tx } else { &monitor.watches_rx };
            if !monitor.used.is_set()
                || Kind::of(monitor.kind.get()) != Some(Kind::Monitor)
                || monitor.peer.index() != Some(bound.port_index)
                || !watches.is_set()
            {
                continue;
            }
            let number = bound.ring.number.get() as usize;
            match monitor.rx.get(number).and_then(Word::index).and_then(|index| self.bound(index)) {
                Some(to) => self.copy_to_monitor(bound, first, end, to),
                None => monitor.rx_dropped.add(1),
            }
        }
    }

    fn copy_to_monitor(&self, from: Bound<'_>, first: u32, end: u32, to: Bound<'_>) {
        let (n, room_of) = (from.ring.slots.get(), to.ring.slots.get());
        let mark = if from.ring.is_tx.is_set() { slot_flag::TX_MONITOR } else { 0 };
        let _queue = to.ring.queue.lock();
        let (mut index, mut tail) = (first, to.ring.hwtail.get());
        let full = previous(to.ring.hwcur.get(), room_of);
        if !to.ring.used.is_set() || first >= n || end >= n || tail >= room_of {
            return;
        }
        while index != end {
            if tail == full {
                to.port.rx_dropped.add(1);
            } else {
                let (seen, own) = (self.slot(from.ring, index), self.slot(to.ring, tail));
                let (at, space) = self.data(from.region, from.port, seen);
                let octets = u32::from(seen.length).min(space).min(limit::BUFFER_OCTETS);
                self.copy(at, to.region.buffer(own.buffer), octets.into());
                let flags = (seen.flags & !slot_flag::BUF_CHANGED) | mark;
                self.put_slot_but_pointer(to.ring, tail, Slot { length: octets as u16, flags, ..own });
                tail = next(tail, room_of);
            }
            index = next(index, n);
        }
        to.ring.hwtail.set(tail);
        self.notify(to.port);
    }
}
