//! The outside end of a device's cable, for whoever brings frames from elsewhere: whole frames, no rings to see.
use std::time::Duration;

use crate::abi::ring as at;
use crate::abi::slot_flag;
use crate::descriptor::Descriptor;
use crate::errno::Errno;
use crate::interface::{Interface, Side};
use crate::poll::Want;
use crate::register::Request;
use crate::ring::{distance, next, previous};
use crate::simulation::Simulation;
use crate::sync::Bound;
use crate::tables::name_of;
use crate::wire::{self, Batch, Frame, Piece, Source};

/// What a device sends comes out here, and what goes in here arrives at it.
pub struct Outlet {
    simulation: Simulation,
    descriptor: Descriptor,
    near: String,
    own: String,
}

impl Outlet {
    /// Plug into a side of `device`.  A device for the other end is made, named after it.
    pub fn plug(simulation: &Simulation, device: &str, side: Side) -> Result<Self, Errno> {
        let suffix = if side == Side::Host { "^" } else { "~" };
        let own = format!("{}{suffix}", device.get(..device.len().min(14)).unwrap_or(device));
        let mtu = simulation.mtu(device)?.min(crate::abi::limit::MTU); // what comes to it may be longer all the same
        match simulation.add_interface(&own, Interface { slots: 2048, mtu, ..Interface::default() }) {
            Ok(()) | Err(Errno(libc::EEXIST)) => {}
            Err(error) => return Err(error),
        }
        simulation.connect(device, side, &own)?;
        let descriptor = simulation.open()?;
        let state = simulation.shared().state(descriptor.id()).ok_or(Errno(libc::EBADF))?;
        let mut request = Request::of_name(name_of(own.as_bytes()));
        request.flags = crate::abi::register_flag::EXCLUSIVE;
        simulation.shared().register(state, &mut request)?;
        Ok(Self { simulation: simulation.clone(), descriptor, near: device.to_owned(), own })
    }

    fn rings(&self, want: Want) -> Result<Vec<usize>, Errno> {
        let shared = self.simulation.shared();
        let state = shared.state(self.descriptor.id()).ok_or(Errno(libc::EBADF))?;
        let port = shared.registered(state)?;
        Ok(shared.bound_rings(state, port, want).collect())
    }

    /// Whole frames that the device sent, at most `most`, back to back with the length of each.  Waits for the first.
    pub fn receive(&self, most: usize, timeout: Option<Duration>) -> Result<(Vec<u8>, Vec<u32>), Errno> {
        let (mut octets, mut lengths) = (Vec::new(), Vec::new());
        self.descriptor.poll(libc::POLLIN, timeout)?;
        for index in self.rings(Want::Rx)? {
            if let Some(bound) = self.simulation.shared().bound(index) {
                self.take(bound, most, &mut octets, &mut lengths);
            }
        }
        Ok((octets, lengths))
    }

    fn take(&self, bound: Bound<'_>, most: usize, octets: &mut Vec<u8>, lengths: &mut Vec<u32>) {
        let shared = self.simulation.shared();
        let (header, n) = (bound.ring.header.get(), bound.ring.slots.get());
        let (mut index, tail) = (shared.load(header + at::HEAD), bound.ring.rtail.get());
        let (mut head, mut begun) = (index, octets.len());
        while index != tail && lengths.len() < most {
            let slot = shared.slot(bound.ring, index);
            let (place, space) = shared.data(bound.region, bound.port, slot);
            let end = octets.len();
            octets.resize(end + u32::from(slot.length).min(space) as usize, 0);
            shared.read(place, &mut octets[end..]);
            index = next(index, n);
            if slot.flags & slot_flag::MORE_FRAGMENTS == 0 {
                lengths.push((octets.len() - begun) as u32);
                (begun, head) = (octets.len(), index);
            }
        }
        octets.truncate(begun);
        shared.store(header + at::HEAD, head);
        shared.store(header + at::CUR, head);
    }

    /// Let frames arrive at the device, in order; how many there was room for: none while nobody has opened it.
    pub fn send(&self, octets: &[u8], lengths: &[u32]) -> Result<usize, Errno> {
        let shared = self.simulation.shared();
        self.rings(Want::Tx)?; // gone?
        let own = shared.port_by_name(self.own.as_bytes()).ok_or(Errno(libc::ENXIO))?;
        let near_index = shared.port_by_name(self.near.as_bytes()).ok_or(Errno(libc::ENXIO))?;
        let (own, near) = (&shared.control().ports[own], &shared.control().ports[near_index]);
        let to_host = own.peer_is_host.is_set();
        let number = if to_host { near.rx_rings.get() } else { 0 };
        let ring = near.rx.get(number as usize).and_then(|cell| shared.bound(cell.index()?));
        // A switch takes what comes; so does, from its host, a device that nobody has opened and that has a cable.
        let passes_on = if to_host { near.peer.is_set() && !near.is_in_netmap_mode() } else { near.switch.is_set() };
        let attached = if passes_on { u32::MAX } else { 0 };
        let mut room = ring.map_or(attached, |bound| {
            let n = bound.ring.slots.get();
            distance(bound.ring.hwtail.get(), previous(bound.ring.hwcur.get(), n), n)
        });
        let mut batch = Batch { held: octets.to_vec(), ..Batch::default() };
        let mut start = 0;
        for (first, &length) in lengths.iter().enumerate() {
            let slots = length.div_ceil(crate::abi::limit::BUFFER_OCTETS).max(1);
            if slots > room || start + length as usize > octets.len() {
                break;
            }
            room -= slots;
            batch.pieces.push(Piece { source: Source::Held(start), length, offset: 0 });
            batch.frames.push(Frame { first, end: first + 1 });
            start += length as usize;
        }
        wire::arrive(shared, near_index, to_host, 0, &batch, &batch.frames, 0);
        Ok(batch.frames.len())
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        // The device for this end goes with it, once the descriptor is closed; it may be gone already.
        let _gone = self.simulation.vanish(&self.own);
    }
}
