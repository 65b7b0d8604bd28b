//! A receiving packet socket with its ring.
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use netmap_io_capture::batch::Batch;

use crate::error::{Kind, RingError};
use crate::lengths::ETHERNET_HEADER_OCTETS;
use crate::memory::Mapping;
use crate::packet::blocks::BlockRing;
use crate::packet::finish::Account;
use crate::packet::{
    Address, PACKET_ADD_MEMBERSHIP, PACKET_FANOUT, PACKET_IGNORE_OUTGOING, PACKET_RX_RING, PACKET_STATISTICS,
    PACKET_TIMESTAMP, PACKET_VERSION, PACKET_VNET_HDR, SOL_PACKET, TPACKET_V3,
};
use crate::slots::{Slot, gather};
use crate::system::{self, Interface};

const EVERY_PROTOCOL: u16 = 3;
const PROMISCUOUS: u16 = 1;
const TIMESTAMP_RAW_HARDWARE: u32 = 1 << 6;
const FRAME_OCTETS: u32 = 2048; // TPACKET_V3 ignores it but for a check

/// How to receive.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Octets of a block: a power of two, at least a page.
    pub block_octets: u32,
    /// Blocks in the ring.
    pub blocks: u32,
    /// After how many milliseconds a block that is not full is handed over.
    pub block_timeout_ms: u32,
    /// Mode and number of a group of sockets that share the frames.
    pub fanout: Option<(u16, u16)>,
    /// Whether to have frames for other addresses too.
    pub promiscuous: bool,
    /// Whether the card is to stamp the frames.
    pub hardware_timestamps: bool,
}

/// `struct tpacket_req3`.
#[repr(C)]
#[derive(Clone, Copy)]
struct RingRequest {
    block_octets: u32,
    blocks: u32,
    frame_octets: u32,
    frames: u32,
    block_timeout_ms: u32,
    private_octets: u32,
    features: u32,
}

/// `struct packet_mreq`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Membership {
    interface: u32,
    kind: u16,
    address_octets: u16,
    address: [u8; 8],
}

/// Frames out of a receive ring.
pub struct Receiver {
    socket: OwnedFd,
    interface: Interface,
    ring: BlockRing,
    kernel_drops: u64,
}

impl Receiver {
    /// Open a socket on the interface called `name` and begin to receive.
    pub fn open(name: &str, options: &Options) -> Result<Self, RingError> {
        let socket = open_socket(name)?;
        let fd = socket.as_fd();
        let interface = system::interface(fd, name)?;
        system::check_up(fd, &interface)?;
        let fail = |doing: &'static str| move |error: io::Error| RingError::of_system(&error, name, doing);
        let option = |option, value: u32| system::set_option(fd, SOL_PACKET, option, &value);
        option(PACKET_VERSION, TPACKET_V3).map_err(fail("a receive ring of version 3"))?;
        option(PACKET_VNET_HDR, 1).map_err(fail("an offload header before each frame"))?;
        option(PACKET_IGNORE_OUTGOING, 1).map_err(fail("leaving out frames that this machine sends"))?;
        if options.hardware_timestamps {
            system::enable_hardware_timestamps(fd, name).map_err(fail("stamping frames by the card"))?;
            option(PACKET_TIMESTAMP, TIMESTAMP_RAW_HARDWARE).map_err(fail("time stamps of the card"))?;
        }
        let ring = make_ring(fd, options, interface.mtu).map_err(fail("making the receive ring"))?;
        system::bind(fd, &Address::of(interface.index, EVERY_PROTOCOL)).map_err(fail("binding a packet socket"))?;
        if options.promiscuous {
            let every =
                Membership { interface: interface.index, kind: PROMISCUOUS, address_octets: 0, address: [0; 8] };
            system::set_option(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &every).map_err(fail("promiscuous mode"))?;
        }
        if let Some((mode, number)) = options.fanout {
            let value = u32::from(mode) << 16 | u32::from(number);
            option(PACKET_FANOUT, value).map_err(|error| fanout_error(&error, name, number))?;
        }
        Ok(Self { socket, interface, ring, kernel_drops: 0 })
    }

    /// The interface as it was when the socket was opened.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// What polls readable when there are frames.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The memory that slots are in.
    pub fn memory(&self) -> &Arc<Mapping> {
        self.ring.memory()
    }

    /// What was done to frames, or could not be.
    pub fn account(&self) -> &Account {
        self.ring.account()
    }

    /// At most `max_frames` frames that are there, copied.
    pub fn receive(&mut self, max_frames: usize) -> Batch {
        // walked first and copied then, so that the copy is made into memory of the right size
        let slots = self.lend(max_frames);
        let batch = gather(self.ring.memory(), &slots);
        self.take_back();
        batch
    }

    /// At most `max_frames` frames that are there; their memory is ours until `take_back`.
    pub fn lend(&mut self, max_frames: usize) -> Vec<Slot> {
        self.ring.lend();
        let mut slots = Vec::new();
        while slots.len() < max_frames
            && let Some(slot) = self.ring.next_slot()
        {
            slots.push(slot);
        }
        slots
    }

    /// End a `lend`.
    pub fn take_back(&mut self) {
        self.ring.take_back();
    }

    /// Frames that the kernel dropped because the ring was full, since the socket was opened.
    pub fn kernel_drops(&mut self) -> u64 {
        // reading sets the kernel's count to 0
        if let Ok([_, drops, _]) = system::get_option::<u32, 3>(self.socket.as_fd(), SOL_PACKET, PACKET_STATISTICS) {
            self.kernel_drops += u64::from(drops);
        }
        self.kernel_drops
    }

    /// Take the error that waits on the socket; Err where it is another than that the interface went down.
    pub fn take_error(&self) -> Result<(), RingError> {
        match system::take_error(self.socket.as_fd()) {
            Some(error) if error.raw_os_error() != Some(libc::ENETDOWN) => {
                Err(RingError::of_system(&error, &self.interface.name, "receiving"))
            }
            _ => Ok(()),
        }
    }

    /// Err when the interface is down or gone.
    pub fn check_up(&self) -> Result<(), RingError> {
        system::check_up(self.socket.as_fd(), &self.interface)
    }
}

pub(super) fn open_socket(name: &str) -> Result<OwnedFd, RingError> {
    system::socket(libc::AF_PACKET, libc::SOCK_RAW, 0).map_err(|error| match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => RingError::new(
            Kind::Privilege,
            format!("a packet socket on {name} needs the capability CAP_NET_RAW, which this process has not"),
        ),
        _ => RingError::of_system(&error, name, "opening a packet socket"),
    })
}

fn make_ring(socket: BorrowedFd<'_>, options: &Options, mtu: usize) -> io::Result<BlockRing> {
    let request = RingRequest {
        block_octets: options.block_octets,
        blocks: options.blocks,
        frame_octets: FRAME_OCTETS,
        frames: options.block_octets / FRAME_OCTETS * options.blocks,
        block_timeout_ms: options.block_timeout_ms,
        private_octets: 0,
        features: 0,
    };
    system::set_option(socket, SOL_PACKET, PACKET_RX_RING, &request)?;
    let (block_octets, blocks) = (options.block_octets as usize, options.blocks as usize);
    let memory = Mapping::of_file(socket, block_octets * blocks, 0)?;
    let usual_octets = mtu + ETHERNET_HEADER_OCTETS;
    BlockRing::new(Arc::new(memory), block_octets, blocks, usual_octets, options.hardware_timestamps)
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
}

fn fanout_error(error: &io::Error, interface: &str, number: u16) -> RingError {
    match error.raw_os_error() {
        Some(libc::EINVAL | libc::EALREADY | libc::ENOSPC) => RingError::new(
            Kind::Busy,
            format!("{interface}: fanout group {number} is in use on another interface, in another mode, or full"),
        ),
        _ => RingError::of_system(error, interface, "joining a fanout group"),
    }
}
