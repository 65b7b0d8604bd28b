//! The system calls that rings need, each wrapped once.
#![allow(unsafe_code)]
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::null;

use crate::error::{Kind, RingError};

/// Frames that `send_frames` hands over at once.
pub(crate) const FRAMES_PER_CALL: usize = 128;
const NAME_OCTETS: usize = 16;
const HARDWARE_ETHERNET: u16 = 1;
const HARDWARE_LOOPBACK: u16 = 772;

fn checked(status: libc::c_int) -> io::Result<libc::c_int> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(status) }
}

/// A new socket.
pub fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let descriptor = checked(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) })?;
    // SAFETY: open, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// A socket to ask about interfaces with: those that carry frames do not all answer.
pub fn control_socket() -> io::Result<OwnedFd> {
    socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0)
}

/// Set a socket option whose value is `value`.
pub(crate) fn set_option<T: Copy>(socket: BorrowedFd<'_>, level: i32, name: i32, value: &T) -> io::Result<()> {
    let octets = size_of::<T>() as libc::socklen_t;
    let place = std::ptr::from_ref(value).cast();
    // SAFETY: the kernel reads `octets` octets at `place`, which is a whole borrowed value.
    checked(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, place, octets) }).map(drop)
}

/// A socket option as numbers of 32 or 64 bits; what the kernel does not fill stays 0.
pub(crate) fn get_option<T: Integer, const N: usize>(
    socket: BorrowedFd<'_>,
    level: i32,
    name: i32,
) -> io::Result<[T; N]> {
    let mut value = [T::default(); N];
    let mut octets = size_of_val(&value) as libc::socklen_t;
    let place = value.as_mut_ptr().cast();
    // SAFETY: the kernel writes at most `octets` octets at `place`; integers (see `Integer`) have no invalid values.
    checked(unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, place, &raw mut octets) })?;
    Ok(value)
}

/// Integers that `get_option` fills.
pub(crate) trait Integer: Copy + Default {}
impl Integer for u32 {}
impl Integer for u64 {}

/// Bind to an address structure.
pub fn bind<T: Copy>(socket: BorrowedFd<'_>, address: &T) -> io::Result<()> {
    let octets = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel reads `octets` octets of a whole borrowed value.
    checked(unsafe { libc::bind(socket.as_raw_fd(), std::ptr::from_ref(address).cast(), octets) }).map(drop)
}

/// Make the kernel look at a transmit ring, without blocking.
pub(crate) fn kick_transmit(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no buffer and no address are passed.
    let status = unsafe { libc::sendto(socket.as_raw_fd(), null(), 0, libc::MSG_DONTWAIT, null(), 0) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Send frames from the front, as many as the kernel takes without blocking, at most `FRAMES_PER_CALL`; how many.
pub(crate) fn send_frames<'a>(socket: BorrowedFd<'_>, frames: impl Iterator<Item = &'a [u8]>) -> io::Result<usize> {
    // SAFETY: both are plain structures of numbers and addresses, for which zero is a valid value.
    let (mut pieces, mut messages): ([libc::iovec; FRAMES_PER_CALL], [libc::mmsghdr; FRAMES_PER_CALL]) =
        unsafe { std::mem::zeroed() };
    let mut count = 0;
    for (frame, (piece, message)) in frames.zip(pieces.iter_mut().zip(&mut messages)) {
        *piece = libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
        message.msg_hdr.msg_iov = piece;
        message.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    let flags = libc::MSG_DONTWAIT as _;
    // SAFETY: the first `count` messages name pieces that outlive the call, and these frames that are borrowed for longer
    // than it and only read.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), count, flags) };
    checked(sent).map(|sent| sent as usize)
}

/// Make the kernel look at a fill ring, without blocking.
pub(crate) fn kick_receive(socket: BorrowedFd<'_>) {
    let nothing = std::ptr::null_mut();
    let none = std::ptr::null_mut();
    // SAFETY: no buffer and no address are passed.  The status says nothing that the rings do not say.
    unsafe { libc::recvfrom(socket.as_raw_fd(), nothing, 0, libc::MSG_DONTWAIT, none, none.cast()) };
}

/// The error that waits on a socket, taken.
pub(crate) fn take_error(socket: BorrowedFd<'_>) -> Option<io::Error> {
    match get_option::<u32, 1>(socket, libc::SOL_SOCKET, libc::SO_ERROR) {
        Ok([0]) => None,
        Ok([code]) => Some(io::Error::from_raw_os_error(code as i32)),
        Err(error) => Some(error),
    }
}

/// A descriptor that polls readable when one of `members` does.
pub(crate) fn epoll_of(members: &[BorrowedFd<'_>]) -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let descriptor = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: open, and nobody else's.
    let epoll = unsafe { OwnedFd::from_raw_fd(descriptor) };
    for member in members {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        // SAFETY: the kernel reads one event structure.
        let add = unsafe { libc::epoll_ctl(descriptor, libc::EPOLL_CTL_ADD, member.as_raw_fd(), &raw mut event) };
        checked(add)?;
    }
    Ok(epoll)
}

/// bpf(2).  `attributes` is the union as its 64-bit words; what it points to must outlive the call.
pub(crate) fn bpf(command: u32, attributes: &mut [u64]) -> io::Result<libc::c_int> {
    let octets = size_of_val(attributes);
    // SAFETY: the kernel reads and writes at most `octets` octets of `attributes`; the addresses inside are of buffers
    // that the callers in `xdp::program` keep borrowed over the call, with their lengths beside them.
    let status = unsafe { libc::syscall(libc::SYS_bpf, command as libc::c_ulong, attributes.as_mut_ptr(), octets) };
    checked(status as libc::c_int)
}

/// As `bpf`, for a command that makes a descriptor.
pub(crate) fn bpf_descriptor(command: u32, attributes: &mut [u64]) -> io::Result<OwnedFd> {
    let descriptor = bpf(command, attributes)?;
    // SAFETY: open, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// What the kernel tells about an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name when it was looked up.
    pub name: String,
    /// Its number.
    pub index: u32,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// Octets of payload that a frame may have.
    pub mtu: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Request {
    name: [u8; NAME_OCTETS],
    data: [u8; 24],
}

impl Request {
    fn number(&self) -> u32 {
        u32::from_ne_bytes([self.data[0], self.data[1], self.data[2], self.data[3]])
    }
}

fn ask(socket: BorrowedFd<'_>, what: libc::c_ulong, request: &mut Request) -> io::Result<()> {
    // SAFETY: every request used here reads and writes one `struct ifreq`, of 40 octets, which `Request` is, or (time
    // stamps) also 12 octets at the address in it, which `enable_hardware_timestamps` holds.
    checked(unsafe { libc::ioctl(socket.as_raw_fd(), what as _, std::ptr::from_mut(request)) }).map(drop)
}

fn named(name: &str) -> Request {
    let mut request = Request { name: [0; NAME_OCTETS], data: [0; 24] };
    for (target, octet) in request.name.iter_mut().take(NAME_OCTETS - 1).zip(name.bytes()) {
        *target = octet;
    }
    request
}

/// Look an interface up in the network namespace of `socket`.
pub fn interface(socket: BorrowedFd<'_>, name: &str) -> Result<Interface, RingError> {
    let missing = || RingError::new(Kind::Interface, format!("there is no interface {name:?}"));
    if name.is_empty() || name.len() >= NAME_OCTETS {
        return Err(missing());
    }
    let get = |what| {
        let mut request = named(name);
        ask(socket, what, &mut request).map_err(|error| match error.raw_os_error() {
            Some(libc::ENODEV) => missing(),
            _ => RingError::of_system(&error, name, "looking the interface up"),
        })?;
        Ok::<_, RingError>(request)
    };
    let hardware = get(libc::SIOCGIFHWADDR)?.data;
    let family = u16::from_ne_bytes([hardware[0], hardware[1]]);
    if family != HARDWARE_ETHERNET && family != HARDWARE_LOOPBACK {
        return Err(RingError::new(Kind::Interface, format!("interface {name} carries no Ethernet frames")));
    }
    Ok(Interface {
        name: name.to_owned(),
        index: get(libc::SIOCGIFINDEX)?.number(),
        mac: [hardware[2], hardware[3], hardware[4], hardware[5], hardware[6], hardware[7]],
        mtu: get(libc::SIOCGIFMTU)?.number() as usize,
    })
}

/// Say what keeps an interface from carrying frames, if anything.
pub fn check_up(socket: BorrowedFd<'_>, interface: &Interface) -> Result<(), RingError> {
    let mut request = named("");
    request.data[..4].copy_from_slice(&interface.index.to_ne_bytes());
    if ask(socket, libc::SIOCGIFNAME, &mut request).is_err() {
        return Err(RingError::vanished(&interface.name));
    }
    // the name may have changed; the request now holds the present one
    ask(socket, libc::SIOCGIFFLAGS, &mut request).map_err(|_| RingError::vanished(&interface.name))?;
    let flags = u32::from(u16::from_ne_bytes([request.data[0], request.data[1]]));
    if flags & libc::IFF_UP as u32 == 0 {
        return Err(RingError::new(Kind::Down, format!("interface {} is down", interface.name)));
    }
    Ok(())
}

/// Have the card stamp every frame that it receives.
pub(crate) fn enable_hardware_timestamps(socket: BorrowedFd<'_>, interface: &str) -> io::Result<()> {
    const SIOCSHWTSTAMP: libc::c_ulong = 0x89b0;
    const EVERY_FRAME: u32 = 1;
    let mut configuration: [u32; 3] = [0, 0, EVERY_FRAME]; // flags, transmit type, receive filter
    let mut request = named(interface);
    let address = configuration.as_mut_ptr().expose_provenance();
    request.data[..size_of::<usize>()].copy_from_slice(&address.to_ne_bytes());
    ask(socket, SIOCSHWTSTAMP, &mut request)
}
