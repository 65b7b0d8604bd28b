//! Network devices of the simulation: made by its owner, cabled to each other, set down, taken away.
use crate::abi::{DEVICE_NAME_OCTETS, limit};
use crate::errno::Errno;
use crate::fault::{self, CorruptWord, RingName};
use crate::memory::Wish;
use crate::simulation::Simulation;
use crate::tables::{Kind, Port, name_of};
use crate::wire::{self, Batch};

/// What a device is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Hardware ring pairs, at most 16.
    pub rings: u32,
    /// Slots of each, at most 2048.
    pub slots: u32,
    /// Frames of up to this and the 14 octets of a header are carried.  Above 2048 the device cannot be registered.
    pub mtu: u32,
    /// Shorter frames are padded with zeros to this length.
    pub shortest: u32,
}

impl Default for Interface {
    fn default() -> Self {
        Self { rings: 1, slots: limit::DEFAULT_SLOTS, mtu: 1500, shortest: 0 }
    }
}

/// Which side of a device a cable is plugged into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Its wire.
    Wire,
    /// Its host: the other end stands for the network stack of the machine.
    Host,
}

impl Simulation {
    /// A device, with nothing at the other end of its wire.  EEXIST: there is one of this name.
    pub fn add_interface(&self, name: &str, interface: Interface) -> Result<(), Errno> {
        let Interface { rings, slots, mtu, shortest } = interface;
        let sound = !name.is_empty()
            && name.len() < DEVICE_NAME_OCTETS
            && !name.starts_with("vale")
            && !name.contains(['{', '}', ':', '/'])
            && (1..=limit::RINGS).contains(&rings)
            && (2..=2048).contains(&slots)
            && shortest <= limit::BUFFER_OCTETS;
        if !sound {
            return Err(Errno(libc::EINVAL));
        }
        let shared = self.shared();
        let _lock = shared.control().lock.lock();
        if shared.port_by_name(name.as_bytes()).is_some() {
            return Err(Errno(libc::EEXIST));
        }
        let region = shared.region_by_id(limit::SYSTEM_MEMORY_ID).ok_or(Errno(libc::ENOMEM))?;
        let index = shared.new_port(Kind::Hardware, &name_of(name.as_bytes()), region)?;
        let port = &shared.control().ports[index];
        port.size(&Wish { tx_slots: slots, rx_slots: slots, tx_rings: rings, rx_rings: rings, extra_buffers: 0 });
        port.host_tx_rings.set(1);
        port.host_rx_rings.set(1);
        port.persistent.set(1);
        port.mtu.set(mtu);
        port.shortest.set(shortest);
        Ok(())
    }

    fn device(&self, name: &str) -> Result<(usize, &Port), Errno> {
        let index = self.shared().port_by_name(name.as_bytes()).ok_or(Errno(libc::ENXIO))?;
        let port = &self.shared().control().ports[index];
        if Kind::of(port.kind.get()) == Some(Kind::Hardware) { Ok((index, port)) } else { Err(Errno(libc::ENXIO)) }
    }

    /// Plug `far`'s wire into a side of `near`.  Two wires make a pair like veth.
    pub fn connect(&self, near: &str, side: Side, far: &str) -> Result<(), Errno> {
        let _lock = self.shared().control().lock.lock();
        let ((near_index, near), (far_index, far)) = (self.device(near)?, self.device(far)?);
        match side {
            Side::Wire => {
                near.peer.refer(Some(far_index));
                near.peer_is_host.set(0);
            }
            Side::Host => near.host_peer.refer(Some(far_index)),
        }
        far.peer.refer(Some(near_index));
        far.peer_is_host.set((side == Side::Host).into());
        Ok(())
    }

    /// Fault: set a device down, or up again.  Who has it registered when it goes down waits in his next call until it is up.
    pub fn set_up(&self, name: &str, up: bool) -> Result<(), Errno> {
        let lock = self.shared().control().lock.lock();
        let (_, port) = self.device(name)?;
        port.freezes.set(u32::from(!up && port.users.is_set()));
        port.down.set(u32::from(!up));
        drop(lock);
        self.shared().notify(port);
        Ok(())
    }

    /// Fault: a device goes away.  Who has it registered gets EIO and POLLERR; its name is free once he closed it.
    pub fn vanish(&self, name: &str) -> Result<(), Errno> {
        let shared = self.shared();
        let lock = shared.control().lock.lock();
        shared.reap_locked();
        let (index, port) = self.device(name)?;
        for other in &shared.control().ports {
            for cable in [&other.peer, &other.host_peer] {
                if other.used.is_set() && cable.index() == Some(index) {
                    cable.refer(None);
                }
            }
        }
        port.vanished.set(1);
        port.persistent.set(0);
        shared.detach(port);
        shared.collect();
        drop(lock);
        shared.notify(port);
        Ok(())
    }

    /// Fault: an allocator hands out nothing more, or does so again.
    pub fn set_exhausted(&self, memory_id: u16, exhausted: bool) -> Result<(), Errno> {
        let shared = self.shared();
        let _lock = shared.control().lock.lock();
        let index = shared.region_by_id(memory_id).ok_or(Errno(libc::EINVAL))?;
        shared.control().regions[index].exhausted.set(exhausted.into());
        Ok(())
    }

    /// Fault: somebody else has a device's receive hook: it cannot be registered.
    pub fn set_taken(&self, name: &str, taken: bool) -> Result<(), Errno> {
        self.device(name).map(|(_, port)| port.taken.set(taken.into()))
    }

    /// Raise or lower the MTU.
    pub fn set_mtu(&self, name: &str, mtu: u32) -> Result<(), Errno> {
        self.device(name).map(|(_, port)| port.mtu.set(mtu))
    }

    /// The MTU of a device.
    pub fn mtu(&self, name: &str) -> Result<u32, Errno> {
        self.device(name).map(|(_, port)| port.mtu.get())
    }

    /// The address of a device: locally administered, made of its name.
    pub fn mac(&self, name: &str) -> [u8; 6] {
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, octet| (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3));
        let [a, b, c, d, e, ..] = hash.to_le_bytes();
        [0x02, a, b, c, d, e]
    }

    /// Fault: overwrite a word of a ring at one of its next syncs.
    pub fn corrupt(&self, ring: RingName<'_>, word: CorruptWord) -> Result<(), Errno> {
        let shared = self.shared();
        let _lock = shared.control().lock.lock();
        let index = shared.port_by_name(ring.port.as_bytes()).ok_or(Errno(libc::ENXIO))?;
        let port = &shared.control().ports[index];
        let table = if ring.transmit { &port.tx } else { &port.rx };
        let index = table.get(ring.number).and_then(|cell| cell.index()).ok_or(Errno(libc::ENXIO))?;
        fault::arm(shared, index, word)
    }

    /// A frame arrives at a device as if from outside; longer ones than a buffer take several slots.
    pub fn inject(&self, name: &str, frame: &[u8]) -> Result<(), Errno> {
        let (index, _) = self.device(name)?;
        let batch = Batch::of_octets(frame);
        wire::arrive(self.shared(), index, false, 0, &batch, &batch.frames, 0);
        Ok(())
    }

    /// Frames that a port let go, sending and receiving.
    pub fn dropped(&self, name: &str) -> Result<(u64, u64), Errno> {
        let index = self.shared().port_by_name(name.as_bytes()).ok_or(Errno(libc::ENXIO))?;
        let port = &self.shared().control().ports[index];
        Ok((port.tx_dropped.get(), port.rx_dropped.get()))
    }
}
