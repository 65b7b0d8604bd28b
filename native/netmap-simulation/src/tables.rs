//! What the simulated kernel keeps, in the control block of the shared file: tables of atomic words, no pointers.
//!
//! A reference from one table to another is an index plus one, 0 being none.  The control block changes under
//! `Control::lock`; a ring's words belong to whoever holds its `busy` lock, and what a peer may move to its `queue` lock.
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::abi::{NAME_OCTETS, limit};
use crate::lock::Lock;
use crate::wake::Bell;

pub(crate) const REGIONS: usize = 128;
pub(crate) const PORTS: usize = 256;
pub(crate) const RINGS: usize = 2048;
pub(crate) const DESCRIPTORS: usize = 512;
pub(crate) const FAULTS: usize = 32;
pub(crate) const LEARNT: usize = 1024;
/// Ports of one switch.
pub(crate) const SWITCH_PORTS: usize = 254;
/// Ring pairs of a port: hardware ones, then the host's.
pub(crate) const PORT_RINGS: usize = 2 * limit::RINGS as usize;

const MAGIC: u64 = u64::from_be_bytes(*b"nmsimul1");

/// One atomic word.
#[repr(transparent)]
pub(crate) struct Word(AtomicU32);

impl Word {
    #[inline(always)]
    pub(crate) fn get(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
    #[inline(always)]
    pub(crate) fn set(&self, value: u32) {
        self.0.store(value, Ordering::Release);
    }
    pub(crate) fn is_set(&self) -> bool {
        self.get() != 0
    }
    /// Add with wrap-around; the new value.
    pub(crate) fn add(&self, value: u32) -> u32 {
        self.0.fetch_add(value, Ordering::AcqRel).wrapping_add(value)
    }
    /// The table index that the word refers to.
    #[inline(always)]
    pub(crate) fn index(&self) -> Option<usize> {
        self.get().checked_sub(1).map(|index| index as usize)
    }
    #[inline(always)]
    pub(crate) fn refer(&self, index: Option<usize>) {
        self.set(index.map_or(0, |index| index as u32 + 1));
    }
}

/// One atomic word of 64 bits.
#[repr(transparent)]
pub(crate) struct Long(AtomicU64);

impl Long {
    #[inline(always)]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
    #[inline(always)]
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Release);
    }
    pub(crate) fn add(&self, value: u64) {
        self.0.fetch_add(value, Ordering::AcqRel);
    }
}

/// A port's name, zeros after it.
pub(crate) type Name = [u8; NAME_OCTETS];

/// `text` as a name; what is too long is cut.
pub(crate) fn name_of(text: &[u8]) -> Name {
    let mut name = [0; NAME_OCTETS];
    for (cell, &octet) in name.iter_mut().zip(text.iter().take(NAME_OCTETS - 1)) {
        if octet == 0 {
            break;
        }
        *cell = octet;
    }
    name
}

/// The octets of a name before its end.
pub(crate) fn name_octets(name: &Name) -> &[u8] {
    name.split(|&octet| octet == 0).next().unwrap_or_default()
}

#[repr(C)]
pub(crate) struct NameCells([Long; NAME_OCTETS / 8]);

impl NameCells {
    pub(crate) fn get(&self) -> Name {
        let mut name = [0; NAME_OCTETS];
        for (piece, cell) in name.chunks_exact_mut(8).zip(&self.0) {
            piece.copy_from_slice(&cell.get().to_ne_bytes());
        }
        name
    }
    pub(crate) fn set(&self, name: &Name) {
        for (piece, cell) in name.chunks_exact(8).zip(&self.0) {
            cell.set(u64::from_ne_bytes(piece.try_into().unwrap_or_default()));
        }
    }
}

/// Objects of one size, handed out by a bitmap that lies before the region's memory.
#[repr(C)]
pub(crate) struct Pool {
    /// In the region.
    pub(crate) offset: Long,
    pub(crate) total: Word,
    pub(crate) object_octets: Word,
    pub(crate) free: Word,
    /// Of the bitmap, in the file.
    pub(crate) bitmap: Long,
}

/// Which pool of a region.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Objects {
    Interfaces = 0,
    Rings = 1,
    Buffers = 2,
}

/// An allocator: one stretch of memory that a user maps.
#[repr(C)]
pub(crate) struct Region {
    pub(crate) used: Word,
    pub(crate) id: Word,
    /// Ports that hold it.
    pub(crate) holders: Word,
    /// Fault: nothing is handed out any more.
    pub(crate) exhausted: Word,
    /// Of bitmaps and memory, in the file.
    pub(crate) file_start: Long,
    pub(crate) file_octets: Long,
    /// Of the memory, in the file.
    pub(crate) base: Long,
    pub(crate) memory_octets: Long,
    pub(crate) pools: [Pool; 3],
}

/// What a port is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Of a switch, or one that could be attached to it.
    Vale = 1,
    /// A network device in emulated mode.
    Hardware = 2,
    /// An end of a pipe.
    Pipe = 3,
    /// A device that was made for pipes to be under it; carries nothing.
    Parent = 4,
    /// Memory and no device.
    Null = 5,
    /// Sees what another port moves: its peer.  No name leads to it.
    Monitor = 6,
}

impl Kind {
    pub(crate) fn of(word: u32) -> Option<Self> {
        Some(match word {
            1 => Self::Vale,
            2 => Self::Hardware,
            3 => Self::Pipe,
            4 => Self::Parent,
            5 => Self::Null,
            6 => Self::Monitor,
            _ => return None,
        })
    }
}

/// A port that can be registered.
#[repr(C)]
pub(crate) struct Port {
    pub(crate) used: Word,
    pub(crate) kind: Word,
    pub(crate) name: NameCells,
    pub(crate) region: Word,
    pub(crate) tx_rings: Word,
    pub(crate) rx_rings: Word,
    /// 0: the kind has none.
    pub(crate) host_tx_rings: Word,
    pub(crate) host_rx_rings: Word,
    pub(crate) tx_slots: Word,
    pub(crate) rx_slots: Word,
    /// Rings that exist: hardware ones, then the host's.
    pub(crate) tx: [Word; PORT_RINGS],
    pub(crate) rx: [Word; PORT_RINGS],
    /// Registrations.
    pub(crate) users: Word,
    /// Stays without users: made by NEWIF or by the owner of the simulation.
    pub(crate) persistent: Word,
    pub(crate) switch: Word,
    pub(crate) switch_port: Word,
    /// Pipes: the port they are under.
    pub(crate) parent: Word,
    /// Pipes: the other end.  Hardware: what the wire leads to.
    pub(crate) peer: Word,
    /// Hardware: the wire leads to the peer's host rings.
    pub(crate) peer_is_host: Word,
    /// Hardware: what stands for the host stack.
    pub(crate) host_peer: Word,
    pub(crate) down: Word,
    /// Set down while registered: whoever syncs waits.
    pub(crate) freezes: Word,
    pub(crate) vanished: Word,
    /// Hook taken by somebody else: cannot be registered.
    pub(crate) taken: Word,
    pub(crate) mtu: Word,
    /// Frames are padded to this length.
    pub(crate) shortest: Word,
    /// Octets of a virtio-net header before each frame.
    pub(crate) header_octets: Word,
    /// Monitors of this port, and, of a monitor, which rings of its peer it watches.
    pub(crate) monitors: Word,
    pub(crate) watches_tx: Word,
    pub(crate) watches_rx: Word,
    /// Offsets option, in force where mask is not 0.
    pub(crate) offset_mask: Long,
    pub(crate) offset_max: Word,
    pub(crate) offset_initial: Word,
    /// Whoever registered this end asked for the option: of a pipe each end does for itself.
    pub(crate) offset_asked: Word,
    /// Frames that were let go on the way out and on the way in.
    pub(crate) tx_dropped: Long,
    pub(crate) rx_dropped: Long,
    pub(crate) bell: Bell,
}

/// The private side of a ring.
#[repr(C)]
pub(crate) struct Ring {
    /// Held by the sync under way.
    pub(crate) busy: Lock,
    /// Guards what a peer moves: hwtail of a receive ring and the slots behind it.
    pub(crate) queue: Lock,
    pub(crate) used: Word,
    pub(crate) port: Word,
    pub(crate) is_tx: Word,
    pub(crate) is_host: Word,
    /// Position in the port's table.
    pub(crate) number: Word,
    pub(crate) slots: Word,
    pub(crate) region: Word,
    /// Index of its object in the region's ring pool.
    pub(crate) object: Word,
    /// Of its header, in the file.
    pub(crate) header: Long,
    pub(crate) hwcur: Word,
    pub(crate) hwtail: Word,
    pub(crate) rhead: Word,
    pub(crate) rcur: Word,
    pub(crate) rtail: Word,
    /// Pipes: how far the other end has come.
    pub(crate) pipe_position: Word,
    /// Pipes: the ring at the other end.
    pub(crate) peer: Word,
    pub(crate) syncs: Word,
    /// Registrations that have it bound, and whether one of them wants nobody beside it.
    pub(crate) users: Word,
    pub(crate) exclusive: Word,
}

/// An open `/dev/netmap`.
#[repr(C)]
pub(crate) struct DescriptorState {
    pub(crate) used: Word,
    pub(crate) port: Word,
    pub(crate) region: Word,
    /// Index of the interface record in its pool.
    pub(crate) record: Word,
    pub(crate) mode: Word,
    pub(crate) flags: Long,
    /// Rings bound, as a range of the port's table.
    pub(crate) tx_first: Word,
    pub(crate) tx_end: Word,
    pub(crate) rx_first: Word,
    pub(crate) rx_end: Word,
    pub(crate) extra_buffers: Word,
}

/// A switch: its ports and whom it has learnt behind which.
#[repr(C)]
pub(crate) struct Switch {
    pub(crate) used: Word,
    pub(crate) name: NameCells,
    pub(crate) ports: [Word; SWITCH_PORTS],
    /// Address in the low 48 bits, switch port plus one above; 0: nothing.
    pub(crate) learnt: [Long; LEARNT],
}

/// A word to be overwritten at a given sync of a ring.
#[repr(C)]
pub(crate) struct FaultState {
    pub(crate) used: Word,
    pub(crate) ring: Word,
    pub(crate) at_sync: Word,
    /// In the ring object.
    pub(crate) offset: Word,
    pub(crate) value: Word,
}

/// The control block.
#[repr(C)]
pub(crate) struct Control {
    magic: Long,
    size: Long,
    /// For changes of anything but a ring's positions.
    pub(crate) lock: Lock,
    /// Rings whenever any port's bell does, for those who wait for several.
    pub(crate) bell: Bell,
    pub(crate) last_region_id: Word,
    pub(crate) faults_armed: Word,
    pub(crate) regions: [Region; REGIONS],
    pub(crate) ports: [Port; PORTS],
    pub(crate) rings: [Ring; RINGS],
    pub(crate) descriptors: [DescriptorState; DESCRIPTORS],
    pub(crate) switches: [Switch; limit::SWITCHES],
    pub(crate) faults: [FaultState; FAULTS],
}

impl Control {
    /// Once, on zeros, by whoever creates the file.
    pub(crate) fn initialise(&self) {
        self.lock.initialise();
        for ring in &self.rings {
            ring.busy.initialise();
            ring.queue.initialise();
        }
        self.size.set(size_of::<Self>() as u64);
        self.magic.set(MAGIC);
    }

    /// Whether a program of this version made the block.
    pub(crate) fn is_ours(&self) -> bool {
        self.magic.get() == MAGIC && self.size.get() == size_of::<Self>() as u64
    }
}
