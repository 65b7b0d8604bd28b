//! One ring's sync: checks, faults, then what its kind of port does; and the ioctls that sync all rings of a descriptor.
use crate::errno::Errno;
use crate::monitor::Showing;
use crate::poll::Want;
use crate::ring::{RingError, distance, next};
use crate::shared::Shared;
use crate::tables::{DescriptorState, Kind, Port, Region, Ring};
use crate::{fault, pipe, vale, wire};

/// A ring with what it belongs to.
#[derive(Clone, Copy)]
pub(crate) struct Bound<'a> {
    pub(crate) ring: &'a Ring,
    pub(crate) port: &'a Port,
    pub(crate) port_index: usize,
    pub(crate) region: &'a Region,
    pub(crate) kind: Kind,
}

impl Shared {
    /// The ring at `index` of the table, if it is in use and all that it refers to is there.
    #[inline]
    pub(crate) fn bound(&self, index: usize) -> Option<Bound<'_>> {
        let control = self.control();
        let ring = control.rings.get(index).filter(|ring| ring.used.is_set())?;
        let port_index = ring.port.index()?;
        let port = control.ports.get(port_index)?;
        let region = control.regions.get(ring.region.index()?)?;
        let kind = Kind::of(port.kind.get())?;
        // A ring that a user's numbers could not fit was never made; a block that says so all the same is damaged.
        (ring.slots.get() != 0).then_some(Bound { ring, port, port_index, region, kind })
    }

    /// The port of a registered descriptor.  Waits while its interface, set down after registering, is down.
    pub(crate) fn registered(&self, state: &DescriptorState) -> Result<&Port, Errno> {
        let port = state.port.index().and_then(|index| self.control().ports.get(index)).ok_or(Errno(libc::ENXIO))?;
        loop {
            if port.vanished.is_set() {
                return Err(Errno(libc::EIO));
            }
            let ticket = port.bell.ticket();
            if !(port.down.is_set() && port.freezes.is_set()) {
                return Ok(port);
            }
            port.bell.enter();
            let _signal = port.bell.wait(ticket, None); // the real one cannot be interrupted here either
            port.bell.leave();
        }
    }

    /// The rings bound to a descriptor in one direction.
    pub(crate) fn bound_rings<'a>(
        &'a self,
        state: &'a DescriptorState,
        port: &'a Port,
        want: Want,
    ) -> impl Iterator<Item = usize> + 'a {
        let (table, first, end) = match want {
            Want::Tx => (&port.tx, &state.tx_first, &state.tx_end),
            Want::Rx => (&port.rx, &state.rx_first, &state.rx_end),
        };
        (first.get() as usize..end.get() as usize).filter_map(|number| table.get(number)?.index())
    }

    /// NIOCTXSYNC and NIOCRXSYNC: ring errors are not told.
    pub(crate) fn sync_all(&self, state: &DescriptorState, want: Want) -> Result<(), Errno> {
        let port = self.registered(state)?;
        for index in self.bound_rings(state, port, want) {
            let Some(bound) = self.bound(index) else { continue };
            let Some(_busy) = bound.ring.busy.try_lock() else { continue };
            if !bound.ring.used.is_set() {
                continue;
            }
            let _told_by_poll_only: Result<(), RingError> = match want {
                Want::Tx => self.sync_tx(bound),
                Want::Rx => self.sync_rx(bound),
            };
        }
        Ok(())
    }

    /// With the ring's busy lock held.
    pub(crate) fn sync_tx(&self, bound: Bound<'_>) -> Result<(), RingError> {
        fault::strike(self, bound.ring);
        let Ok(head) = self.begin_tx(bound.ring) else {
            self.reinitialise(bound.ring, bound.region);
            return Err(RingError);
        };
        self.show(bound, bound.ring.hwcur.get(), head, Showing::Copy);
        let done_with = next(bound.ring.hwtail.get(), bound.ring.slots.get());
        match bound.kind {
            Kind::Pipe => pipe::transmit(self, bound, head),
            Kind::Vale => vale::transmit(self, bound, head),
            Kind::Hardware => wire::transmit(self, bound, head),
            Kind::Parent | Kind::Null | Kind::Monitor => self.complete_tx(bound, head),
        }
        self.show(bound, done_with, next(bound.ring.hwtail.get(), bound.ring.slots.get()), Showing::Swap);
        self.publish_tail(bound.ring);
        Ok(())
    }

    /// All slots up to `head` are done with.
    pub(crate) fn complete_tx(&self, bound: Bound<'_>, head: u32) {
        bound.ring.hwcur.set(head);
        bound.ring.hwtail.set(crate::ring::previous(head, bound.ring.slots.get()));
    }

    /// With the ring's busy lock held.  The port's part is done even after a ring error, with the head as it was given.
    pub(crate) fn sync_rx(&self, bound: Bound<'_>) -> Result<(), RingError> {
        fault::strike(self, bound.ring);
        let begun = self.begin_rx(bound.ring);
        if begun.is_err() {
            self.reinitialise(bound.ring, bound.region);
        }
        let head = bound.ring.rhead.get();
        self.show(bound, bound.ring.hwcur.get(), head, Showing::Swap);
        match bound.kind {
            Kind::Pipe => pipe::receive(self, bound, head),
            _ => self.release_received(bound, head),
        }
        self.stamp(bound.ring);
        self.publish_tail(bound.ring);
        begun.map(|_| ())
    }

    /// Slots before `head` are the kernel's again, to be filled by whoever sends.
    fn release_received(&self, bound: Bound<'_>, head: u32) {
        use crate::abi::slot_flag::BUF_CHANGED;
        let ring = bound.ring;
        let _queue = ring.queue.lock();
        let n = ring.slots.get();
        let mut index = ring.hwcur.get();
        if head >= n || index >= n {
            return;
        }
        for _ in 0..distance(index, head, n) {
            let slot = self.slot(ring, index);
            if slot.flags & BUF_CHANGED != 0 {
                self.put_slot_but_pointer(ring, index, crate::ring::Slot { flags: slot.flags & !BUF_CHANGED, ..slot });
            }
            index = crate::ring::next(index, n);
        }
        ring.hwcur.set(head);
    }

    /// Something changed for the users of this port.
    pub(crate) fn notify(&self, port: &Port) {
        port.bell.ring();
        self.control().bell.ring();
    }
}
