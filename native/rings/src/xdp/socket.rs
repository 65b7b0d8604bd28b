//! One AF_XDP socket on one queue, with its rings mapped.
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::memory::Mapping;
use crate::system;
use crate::xdp::ring::{Layout, Ring};

const FAMILY: i32 = 44;
const LEVEL: i32 = 283;
const MMAP_OFFSETS: i32 = 1;
const RECEIVE_RING: i32 = 2;
const TRANSMIT_RING: i32 = 3;
const REGISTER_MEMORY: i32 = 4;
const FILL_RING: i32 = 5;
const COMPLETION_RING: i32 = 6;
const STATISTICS: i32 = 7;
const OPTIONS: i32 = 8;
const TRANSMIT_BUDGET: i32 = 9;
const OFFSET_RECEIVE: i64 = 0;
const OFFSET_TRANSMIT: i64 = 0x8000_0000;
const OFFSET_FILL: i64 = 0x1_0000_0000;
const OFFSET_COMPLETION: i64 = 0x1_8000_0000;
const FLAG_COPY: u16 = 1 << 1;
const FLAG_ZERO_COPY: u16 = 1 << 2;
const FLAG_NEED_WAKEUP: u16 = 1 << 3;
const OPTION_ZERO_COPY: u32 = 1;

/// Who moves the frames between the card and our memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffers {
    /// The card where its driver can, else the kernel.
    Auto,
    /// The card, or it is an error.
    ZeroCopy,
    /// The kernel.
    Copy,
}

/// How one queue is set up.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Octets of a chunk: 2048 or 4096, or 0 for what the greatest frame needs.
    pub chunk_octets: u32,
    /// Octets kept free before each received frame.
    pub headroom: u32,
    /// Chunks for receiving, and entries of those rings: a power of two.
    pub receive_chunks: u32,
    /// The same for sending; 0: this queue sends nothing.
    pub transmit_chunks: u32,
}

impl Shape {
    /// Octets of shared memory.
    pub fn octets(&self) -> usize {
        (self.receive_chunks as usize + self.transmit_chunks as usize) * self.chunk_octets as usize
    }
}

/// `struct xdp_umem_reg`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Registration {
    address: u64,
    octets: u64,
    chunk_octets: u32,
    headroom: u32,
    flags: u32,
    metadata_octets: u32,
}

/// `struct sockaddr_xdp`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Address {
    family: u16,
    flags: u16,
    interface: u32,
    queue: u32,
    shared_descriptor: u32,
}

/// Drops that the kernel counts, in its order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Frames dropped for other reasons: too long for a chunk, or no chunk to put them into.
    pub dropped: u64,
    /// Chunks that we named wrongly.
    pub invalid_receive: u64,
    /// Frames that we described wrongly.
    pub invalid_transmit: u64,
    /// Frames dropped because the receive ring was full.
    pub ring_full: u64,
    /// How often the fill ring was empty.
    pub fill_empty: u64,
    /// How often the transmit ring was empty.
    pub transmit_empty: u64,
}

/// The rings of a socket.
pub struct Rings {
    /// Frames that came.
    pub received: Ring<16>,
    /// Chunks for frames to come.
    pub fill: Ring<8>,
    /// Frames to go and chunks of those that went.
    pub transmit: Option<(Ring<16>, Ring<8>)>,
}

/// A socket, bound or to be bound.
pub struct Socket {
    descriptor: OwnedFd,
}

impl Socket {
    /// A socket bound to nothing.
    pub fn open() -> io::Result<Self> {
        Ok(Self { descriptor: system::socket(FAMILY, libc::SOCK_RAW, 0)? })
    }

    /// What polls readable when there are frames.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Register the `shape.octets()` octets of `memory` from `base` on, and map the rings.
    pub fn make_rings(&self, memory: &Mapping, base: usize, shape: &Shape) -> io::Result<Rings> {
        let fd = self.descriptor();
        let registration = Registration {
            address: (memory.address().expose_provenance() + base) as u64,
            octets: shape.octets() as u64,
            chunk_octets: shape.chunk_octets,
            headroom: shape.headroom,
            flags: 0,
            metadata_octets: 0,
        };
        system::set_option(fd, LEVEL, REGISTER_MEMORY, &registration)?;
        let completions = shape.transmit_chunks.max(1);
        system::set_option(fd, LEVEL, FILL_RING, &shape.receive_chunks)?;
        system::set_option(fd, LEVEL, COMPLETION_RING, &completions)?;
        system::set_option(fd, LEVEL, RECEIVE_RING, &shape.receive_chunks)?;
        if shape.transmit_chunks > 0 {
            system::set_option(fd, LEVEL, TRANSMIT_RING, &shape.transmit_chunks)?;
            // newer kernels let one call send more than 32 frames; others do not know the option, and calls are repeated
            let _ = system::set_option(fd, LEVEL, TRANSMIT_BUDGET, &shape.transmit_chunks);
        }
        let offsets: [u64; 16] = system::get_option(fd, LEVEL, MMAP_OFFSETS)?;
        let received = self.map(OFFSET_RECEIVE, &offsets[..4], shape.receive_chunks)?;
        let fill = self.map(OFFSET_FILL, &offsets[8..12], shape.receive_chunks)?;
        let transmit = if shape.transmit_chunks > 0 {
            let requests = self.map(OFFSET_TRANSMIT, &offsets[4..8], shape.transmit_chunks)?;
            Some((requests, self.map(OFFSET_COMPLETION, &offsets[12..], completions)?))
        } else {
            None
        };
        Ok(Rings { received, fill, transmit })
    }

    fn map<const N: usize>(&self, place: i64, offsets: &[u64], size: u32) -> io::Result<Ring<N>> {
        let [producer, consumer, entries, flags] = [0, 1, 2, 3].map(|part| offsets[part] as usize);
        let octets = entries + size as usize * N;
        let memory = Mapping::of_file(self.descriptor(), octets, place)?;
        let layout = Layout { producer, consumer, flags, entries };
        Ring::new(memory, layout, size).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
    }

    /// Bind to a queue.
    pub fn bind(&self, interface: u32, queue: u32, buffers: Buffers) -> io::Result<()> {
        let flags = FLAG_NEED_WAKEUP
            | match buffers {
                Buffers::Auto => 0,
                Buffers::ZeroCopy => FLAG_ZERO_COPY,
                Buffers::Copy => FLAG_COPY,
            };
        let address = Address { family: FAMILY as u16, flags, interface, queue, shared_descriptor: 0 };
        system::bind(self.descriptor(), &address)
    }

    /// Whether the card moves the frames.
    pub fn zero_copy(&self) -> bool {
        let options = system::get_option::<u32, 1>(self.descriptor(), LEVEL, OPTIONS);
        options.is_ok_and(|[flags]| flags & OPTION_ZERO_COPY != 0)
    }

    /// Drops since the socket was opened.
    pub fn statistics(&self) -> Statistics {
        // older kernels tell only the first three
        let counts = system::get_option::<u64, 6>(self.descriptor(), LEVEL, STATISTICS);
        let [dropped, invalid_receive, invalid_transmit, ring_full, fill_empty, transmit_empty] =
            counts.unwrap_or_default();
        Statistics { dropped, invalid_receive, invalid_transmit, ring_full, fill_empty, transmit_empty }
    }
}
