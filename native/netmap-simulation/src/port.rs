//! Ports: found by name, made when a name allows it, gone when nobody uses them.  All with the control lock held.
use crate::abi::{DEVICE_NAME_OCTETS, limit};
use crate::errno::Errno;
use crate::memory::{Wish, private_geometry};
use crate::pipe;
use crate::register::Request;
use crate::shared::Shared;
use crate::tables::{Kind, Name, Port, Switch, Word, name_octets, name_of};

/// A name in parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Parsed<'a> {
    /// A network device, or what a fresh pipe parent is called.
    Device(&'a [u8]),
    /// Switch and port.
    Vale(&'a [u8], &'a [u8]),
    /// An end of a pipe under this parent.
    Pipe(&'a [u8]),
}

const SWITCH_PREFIX: &[u8] = b"vale";

pub(crate) fn parse(name: &[u8]) -> Result<Parsed<'_>, Errno> {
    if let Some(at) = name.iter().position(|octet| matches!(octet, b'{' | b'}')) {
        if at + 1 == name.len() {
            return Err(Errno(libc::EINVAL));
        }
        return Ok(Parsed::Pipe(&name[..at]));
    }
    if name.starts_with(SWITCH_PREFIX) {
        return vale(name).ok_or(Errno(libc::ENOMEM));
    }
    Ok(Parsed::Device(name))
}

fn vale(name: &[u8]) -> Option<Parsed<'_>> {
    let colon = name.iter().position(|&octet| octet == b':')?;
    let (switch, port) = (&name[..colon], &name[colon + 1..]);
    let sound = switch[SWITCH_PREFIX.len()..].iter().all(|&octet| octet.is_ascii_alphanumeric() || octet == b'_');
    (sound && switch.len() < DEVICE_NAME_OCTETS && !port.is_empty()).then_some(Parsed::Vale(switch, port))
}

/// The other end's name.
fn twin_of(name: &Name) -> Name {
    name.map(|octet| match octet {
        b'{' => b'}',
        b'}' => b'{',
        other => other,
    })
}

impl Shared {
    pub(crate) fn port_by_name(&self, name: &[u8]) -> Option<usize> {
        let is_named = |port: &Port| Kind::of(port.kind.get()) != Some(Kind::Monitor);
        let wanted = |port: &Port| port.used.is_set() && is_named(port) && name_octets(&port.name.get()) == name;
        self.control().ports.iter().position(wanted)
    }

    pub(crate) fn switch_by_name(&self, name: &[u8]) -> Option<usize> {
        let wanted = |switch: &Switch| switch.used.is_set() && name_octets(&switch.name.get()) == name;
        self.control().switches.iter().position(wanted)
    }

    /// The port of a switch, by its full name or by the device's that is attached.
    pub(crate) fn member(&self, switch: &[u8], full: &[u8], device: &[u8]) -> Option<usize> {
        let control = self.control();
        let switch = control.switches.get(self.switch_by_name(switch)?)?;
        switch.ports.iter().filter_map(Word::index).find(|&index| {
            control.ports.get(index).is_some_and(|port| {
                let own = port.name.get();
                name_octets(&own) == full || name_octets(&own) == device
            })
        })
    }

    /// The port that a request names, made where its name allows that.
    pub(crate) fn resolve(&self, request: &Request) -> Result<usize, Errno> {
        let name = request.name;
        let octets = name_octets(&name);
        match parse(octets)? {
            Parsed::Device(device) => self.port_by_name(device).ok_or(Errno(libc::ENXIO)),
            Parsed::Vale(switch, device) => match self.member(switch, octets, device) {
                Some(found) => Ok(found),
                None => self.create_vale(switch, &name, request),
            },
            Parsed::Pipe(parent) => match self.port_by_name(octets) {
                Some(found) => Ok(found),
                None => self.create_pipe(parent, &name, request),
            },
        }
    }

    /// A free row of the table, cleared, in a region of its own or in that of the request.
    pub(crate) fn new_port(&self, kind: Kind, name: &Name, region: usize) -> Result<usize, Errno> {
        let control = self.control();
        let index = control.ports.iter().position(|port| !port.used.is_set()).ok_or(Errno(libc::ENOMEM))?;
        let (port, home) = (&control.ports[index], control.regions.get(region).ok_or(Errno(libc::ENOMEM))?);
        port.clear();
        port.kind.set(kind as u32);
        port.name.set(name);
        port.region.refer(Some(region));
        home.holders.add(1);
        port.used.set(1);
        Ok(index)
    }

    fn region_for(&self, wish: &Wish, memory_id: u16) -> Result<usize, Errno> {
        match memory_id {
            0 => self.create_region(self.new_region_id(), &private_geometry(wish)),
            id => self.region_by_id(id).ok_or(Errno(libc::EINVAL)),
        }
    }

    /// A port with a region for it, sized after the wish.
    pub(crate) fn new_sized_port(&self, kind: Kind, name: &Name, request: &Request) -> Result<usize, Errno> {
        let wish = request.wish();
        let region = self.region_for(&wish, request.memory_id)?;
        let index = self.new_port(kind, name, region).inspect_err(|_| {
            if request.memory_id == 0 {
                self.leave_region(region); // made for this port
            }
        })?;
        let port = &self.control().ports[index];
        port.size(&wish);
        port.set_offsets(request)?;
        Ok(index)
    }

    fn create_vale(&self, switch: &[u8], name: &Name, request: &Request) -> Result<usize, Errno> {
        let index = self.new_sized_port(Kind::Vale, name, request)?;
        self.attach(switch, index).inspect_err(|_| self.remove_port(index))?;
        Ok(index)
    }

    /// Put a port on a switch, which is made if it is not there.
    pub(crate) fn attach(&self, switch: &[u8], index: usize) -> Result<(), Errno> {
        let control = self.control();
        let row = match self.switch_by_name(switch) {
            Some(row) => row,
            None => control.switches.iter().position(|switch| !switch.used.is_set()).ok_or(Errno(libc::ENOMEM))?,
        };
        let (table, port) = (&control.switches[row], &control.ports[index]);
        if !table.used.is_set() {
            table.name.set(&name_of(switch));
            table.ports.iter().for_each(|port| port.refer(None));
            table.learnt.iter().for_each(|entry| entry.set(0));
            table.used.set(1);
        }
        let free = table.ports.iter().position(|port| !port.is_set()).ok_or(Errno(libc::ENOMEM))?;
        port.switch_port.set(free as u32);
        port.switch.refer(Some(row));
        table.ports[free].refer(Some(index));
        Ok(())
    }

    /// Take a port off its switch; a switch without ports is gone.  What was learnt of the port stays, as in the module:
    /// frames to it are lost until a port has its number again, or the address is learnt behind another.
    pub(crate) fn detach(&self, port: &Port) {
        let Some(switch) = port.switch.index().and_then(|row| self.control().switches.get(row)) else { return };
        let number = port.switch_port.get();
        port.switch.refer(None);
        if let Some(cell) = switch.ports.get(number as usize) {
            cell.refer(None);
        }
        if !switch.ports.iter().any(Word::is_set) {
            switch.used.set(0);
        }
    }

    fn create_pipe(&self, parent: &[u8], name: &Name, request: &Request) -> Result<usize, Errno> {
        let parent = self.pipe_parent(parent, request)?;
        let region = self.control().ports[parent].region.index().ok_or(Errno(libc::ENXIO))?;
        let (own, other) = (self.new_port(Kind::Pipe, name, region)?, twin_of(name));
        let other = self.new_port(Kind::Pipe, &other, region).inspect_err(|_| self.remove_port(own))?;
        let control = self.control();
        let (port, twin, wish) = (&control.ports[own], &control.ports[other], request.wish());
        port.size(&wish);
        twin.size(&Wish {
            tx_slots: wish.rx_slots,
            rx_slots: wish.tx_slots,
            tx_rings: wish.rx_rings,
            rx_rings: wish.tx_rings,
            ..wish
        });
        port.peer.refer(Some(other));
        twin.peer.refer(Some(own));
        port.set_offsets(request).and_then(|()| twin.set_offsets(request)).inspect_err(|_| {
            self.remove_port(own);
            self.remove_port(other);
        })?;
        port.parent.refer(Some(parent));
        twin.parent.refer(Some(parent));
        Ok(own)
    }

    fn pipe_parent(&self, name: &[u8], request: &Request) -> Result<usize, Errno> {
        if let Some(found) = self.port_by_name(name) {
            return Ok(found);
        }
        match parse(name)? {
            Parsed::Vale(switch, device) => match self.member(switch, name, device) {
                Some(found) => Ok(found),
                None => self.create_vale(switch, &name_of(name), request),
            },
            Parsed::Device(device) if device.is_empty() || device.len() >= DEVICE_NAME_OCTETS => {
                Err(Errno(libc::ENXIO))
            }
            Parsed::Device(device) => {
                let bare = Request { offsets: None, ..request.clone() };
                self.new_sized_port(Kind::Parent, &name_of(device), &bare)
            }
            Parsed::Pipe(..) => Err(Errno(libc::ENXIO)),
        }
    }

    /// Remove what nobody uses: ephemeral ports, pairs of pipe ends, parents without pipes.
    pub(crate) fn collect(&self) {
        let control = self.control();
        let is_idle = |port: &Port| port.used.is_set() && !port.users.is_set() && !port.persistent.is_set();
        let parent_of_some =
            |index| control.ports.iter().any(|port| port.used.is_set() && port.parent.index() == Some(index));
        for (index, port) in control.ports.iter().enumerate() {
            if is_idle(port) && Kind::of(port.kind.get()) == Some(Kind::Monitor) {
                self.remove_port(index); // first: what it watched may be idle then
            }
        }
        for (index, port) in control.ports.iter().enumerate() {
            if is_idle(port) && Kind::of(port.kind.get()) == Some(Kind::Pipe) {
                let peer = port.peer.index();
                if peer.and_then(|peer| control.ports.get(peer)).is_none_or(is_idle) {
                    self.remove_port(index);
                    peer.into_iter().for_each(|peer| self.remove_port(peer));
                }
            }
        }
        for (index, port) in control.ports.iter().enumerate() {
            if is_idle(port) && Kind::of(port.kind.get()) != Some(Kind::Pipe) && !parent_of_some(index) {
                self.remove_port(index);
            }
        }
    }

    /// A port with its rings and its hold on the region.
    pub(crate) fn remove_port(&self, index: usize) {
        let control = self.control();
        let Some(port) = control.ports.get(index).filter(|port| port.used.is_set()) else { return };
        self.detach(port);
        for cell in port.tx.iter().chain(&port.rx) {
            if let Some(ring) = cell.index() {
                self.destroy_ring_of(port, ring);
                cell.refer(None);
            }
        }
        self.leave_watched(port);
        port.used.set(0);
        if let Some(region) = port.region.index() {
            self.leave_region(region);
        }
        self.notify(port);
    }

    /// A ring, with the buffers that are its own: of a pipe's pair each buffer is in one ring at a time.
    pub(crate) fn destroy_ring_of(&self, port: &Port, index: usize) {
        let rings = &self.control().rings;
        let Some(ring) = rings.get(index) else { return };
        let twin = ring.peer.index().and_then(|twin| rings.get(twin));
        match (Kind::of(port.kind.get()), twin, ring.is_tx.is_set()) {
            (Some(Kind::Pipe), Some(twin), true) => self.destroy_ring(index, pipe::buffers_of_sender(ring, twin)),
            (Some(Kind::Pipe), Some(twin), false) => {
                let of_sender = pipe::buffers_of_sender(twin, ring);
                self.destroy_ring(index, |slot| !of_sender(slot));
            }
            _ => self.destroy_ring(index, |_| true),
        }
    }
}

impl Port {
    fn clear(&self) {
        let words = [
            &self.tx_rings,
            &self.rx_rings,
            &self.host_tx_rings,
            &self.host_rx_rings,
            &self.tx_slots,
            &self.rx_slots,
            &self.users,
            &self.persistent,
            &self.switch,
            &self.switch_port,
            &self.parent,
            &self.peer,
            &self.peer_is_host,
            &self.host_peer,
            &self.down,
            &self.freezes,
            &self.vanished,
            &self.taken,
            &self.mtu,
            &self.shortest,
            &self.header_octets,
            &self.offset_max,
            &self.offset_initial,
            &self.offset_asked,
            &self.monitors,
            &self.watches_tx,
            &self.watches_rx,
        ]; // all but the table's own
        words.into_iter().chain(&self.tx).chain(&self.rx).for_each(|word| word.set(0));
        [&self.offset_mask, &self.tx_dropped, &self.rx_dropped].into_iter().for_each(|long| long.set(0));
    }

    /// What a port like this one would be wished with.
    pub(crate) fn wish(&self) -> Wish {
        Wish {
            tx_slots: self.tx_slots.get(),
            rx_slots: self.rx_slots.get(),
            tx_rings: self.tx_rings.get(),
            rx_rings: self.rx_rings.get(),
            extra_buffers: 0,
        }
    }

    pub(crate) fn size(&self, wish: &Wish) {
        self.tx_slots.set(wish.tx_slots);
        self.rx_slots.set(wish.rx_slots);
        self.tx_rings.set(wish.tx_rings);
        self.rx_rings.set(wish.rx_rings);
    }

    /// Turn the offsets option on, as the request asks.
    pub(crate) fn set_offsets(&self, request: &Request) -> Result<(), Errno> {
        let Some(offsets) = request.offsets else { return Ok(()) };
        if offsets.maximum > limit::OFFSET {
            return Err(Errno(libc::EINVAL));
        }
        self.offset_max.set(offsets.maximum as u32);
        self.offset_initial.set(offsets.initial as u32);
        self.offset_mask.set(offsets.mask);
        Ok(())
    }
}
