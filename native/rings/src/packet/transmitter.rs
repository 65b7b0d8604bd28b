//! A sending packet socket.
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use netmap_io_capture::batch::Frames;

use crate::error::{Kind, RingError};
use crate::lengths::{self, ETHERNET_HEADER_OCTETS, VLAN_TAG_OCTETS};
use crate::memory::Mapping;
use crate::packet::frames::{FrameRing, HEADER_OCTETS};
use crate::packet::receiver::open_socket;
use crate::packet::{Address, PACKET_QDISC_BYPASS, PACKET_TX_RING, PACKET_VERSION, SOL_PACKET, TPACKET_V2};
use crate::system::{self, Interface};

const QUEUE_OCTETS: u32 = 16 << 20;
/// A great MTU makes great slots: there are fewer of them then.
const MOST_RING_OCTETS: usize = 32 << 20;
const BLOCK_OCTETS: usize = 1 << 18;
/// What the kernel counts for a frame besides its octets, roughly.
const BOOKKEEPING_OCTETS: usize = 1024;

/// `struct tpacket_req`.
#[repr(C)]
#[derive(Clone, Copy)]
struct RingRequest {
    block_octets: u32,
    blocks: u32,
    frame_octets: u32,
    frames: u32,
}

/// Sends frames, through a ring or by calls that copy them.
pub struct Transmitter {
    socket: OwnedFd,
    interface: Interface,
    ring: Option<FrameRing>,
}

impl Transmitter {
    /// Open a socket on the interface called `name`, with a ring for about `ring_slots` frames, as far as 32 MiB hold
    /// them, if that is not 0.
    pub fn open(name: &str, ring_slots: usize, bypass_queueing: bool) -> Result<Self, RingError> {
        let socket = open_socket(name)?;
        let fd = socket.as_fd();
        let interface = system::interface(fd, name)?;
        system::check_up(fd, &interface)?;
        let fail = |doing: &'static str| move |error: io::Error| RingError::of_system(&error, name, doing);
        let option = |option, value: u32| system::set_option(fd, SOL_PACKET, option, &value);
        if bypass_queueing {
            option(PACKET_QDISC_BYPASS, 1).map_err(fail("passing by the queueing discipline"))?;
        }
        let ring = if ring_slots > 0 {
            option(PACKET_VERSION, TPACKET_V2).map_err(fail("a transmit ring of version 2"))?;
            Some(make_ring(fd, ring_slots, interface.mtu).map_err(fail("making the transmit ring"))?)
        } else {
            enlarge_queue(fd, QUEUE_OCTETS).map_err(fail("enlarging the send queue"))?;
            None
        };
        // protocol 0: this socket receives nothing
        system::bind(fd, &Address::of(interface.index, 0)).map_err(fail("binding a packet socket"))?;
        Ok(Self { socket, interface, ring })
    }

    /// Send frames from the front; how many the kernel took.
    ///
    /// Fewer than given: the device's queue, the socket's or the ring is full.  Nothing is kept back.
    pub fn send(&mut self, frames: &Frames<'_>) -> Result<usize, RingError> {
        lengths::check(frames, &self.interface.name, self.interface.mtu + ETHERNET_HEADER_OCTETS)?;
        let mut taken = 0;
        while taken < frames.len() {
            let (went, error) = match &mut self.ring {
                Some(ring) => through_ring(ring, self.socket.as_fd(), frames, taken),
                None => by_call(self.socket.as_fd(), frames, taken),
            };
            taken += went;
            match error {
                None if went > 0 => {}
                Some(error) if taken == 0 => return self.trouble(&error).map(|()| 0),
                _ => break,
            }
        }
        Ok(taken)
    }

    /// What an error of the kernel means; Ok where it only means that there is no room.
    fn trouble(&self, error: &io::Error) -> Result<(), RingError> {
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::ENOBUFS | libc::EINTR) => Ok(()),
            Some(libc::EMSGSIZE | libc::EINVAL) => Err(RingError::new(
                Kind::Frame,
                format!("{}: the kernel takes no such frame: is the MTU less than it was?", self.interface.name),
            )),
            _ => {
                system::check_up(self.socket.as_fd(), &self.interface)?;
                Err(RingError::of_system(error, &self.interface.name, "sending"))
            }
        }
    }
}

/// Send the frames from `first` on, as many as one call takes; how many went, and what ended it.
fn by_call(socket: BorrowedFd<'_>, frames: &Frames<'_>, first: usize) -> (usize, Option<io::Error>) {
    match system::send_frames(socket, (first..frames.len()).map(|index| frames.frame(index))) {
        Ok(sent) => (sent, None),
        Err(error) => (0, Some(error)),
    }
}

/// The same through the ring.  Frames that the kernel did not take are not in it afterwards.
fn through_ring(
    ring: &mut FrameRing,
    socket: BorrowedFd<'_>,
    frames: &Frames<'_>,
    first: usize,
) -> (usize, Option<io::Error>) {
    let mut put = 0;
    while first + put < frames.len() && ring.put(frames.frame(first + put)) {
        put += 1;
    }
    let kicked = system::kick_transmit(socket);
    (put - ring.withdraw(put), kicked.err())
}

/// Let the socket hold `octets` of frames that are under way.
fn enlarge_queue(socket: BorrowedFd<'_>, octets: u32) -> io::Result<()> {
    // without the privilege to force it the system's limit applies, and sends are short earlier
    system::set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &octets)
        .or_else(|_| system::set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, &octets))
}

fn make_ring(socket: BorrowedFd<'_>, slots: usize, mtu: usize) -> io::Result<FrameRing> {
    let slot_octets = (HEADER_OCTETS + ETHERNET_HEADER_OCTETS + VLAN_TAG_OCTETS + mtu).next_power_of_two();
    let block_octets = BLOCK_OCTETS.max(slot_octets);
    let slots = slots.min(MOST_RING_OCTETS / slot_octets);
    let blocks = slots.div_ceil(block_octets / slot_octets);
    let request = RingRequest {
        block_octets: block_octets as u32,
        blocks: blocks as u32,
        frame_octets: slot_octets as u32,
        frames: (block_octets / slot_octets * blocks) as u32,
    };
    system::set_option(socket, SOL_PACKET, PACKET_TX_RING, &request)?;
    let most = (slots * (slot_octets + BOOKKEEPING_OCTETS)).min(1 << 30) as u32;
    enlarge_queue(socket, most)?;
    let memory = Mapping::of_file(socket, block_octets * blocks, 0)?;
    FrameRing::new(memory, block_octets, blocks, slot_octets)
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
}
