//! What a registration talks to: the character device, or whatever stands in for it.
#![allow(unsafe_code)]
use std::ffi::{CString, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use netmap_io_rings::error::RingError;
use netmap_io_rings::memory::Mapping;

use crate::layout::{API, CONTROL, NAME_OCTETS, RequestHeader};
use crate::link::{Link, Watch};

/// One descriptor of a netmap device: at most one registered port.  Dropping it closes it.
pub trait Device: Send + Sync {
    /// The device's ioctl.
    ///
    /// # Safety
    /// `argument` is what `request` says, and so is all that it points to; it is nobody else's during the call.
    unsafe fn control(&self, request: u64, argument: *mut c_void) -> io::Result<()>;

    /// `octets` of the memory region of the registered port, from its start.
    fn map(&self, octets: usize) -> io::Result<Mapping>;

    /// What is ready of `events` (POLLIN, POLLOUT) within `timeout_ms`, POLLERR where it has to say so.
    fn poll(&self, events: i16, timeout_ms: i32) -> io::Result<i16>;

    /// What polls readable when a receive ring of the port has frames beyond its `cur`.
    fn descriptor(&self) -> io::Result<BorrowedFd<'_>>;

    /// For devices that cannot look at the rings when their descriptor is polled: frames are left unread, or none is.
    fn looked(&self, _frames_left: bool) {}
}

/// Opens descriptors; a port over several single rings needs several.
pub trait Opener: Send + Sync {
    /// A new one, nothing registered on it.
    fn open(&self) -> io::Result<Box<dyn Device>>;

    /// The network device of that name, to be looked after while a port has it.
    fn watch(&self, name: &str) -> Result<Box<dyn Watch>, RingError>;
}

/// The kernel module's character device, by path.
pub struct CharacterDevice {
    /// Usually /dev/netmap.
    pub path: String,
}

impl Opener for CharacterDevice {
    fn open(&self) -> io::Result<Box<dyn Device>> {
        let path = CString::new(self.path.as_str())?;
        // SAFETY: a terminated string, read during the call.
        let descriptor = unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: open, and nobody else's.
        Ok(Box::new(Character(unsafe { OwnedFd::from_raw_fd(descriptor) })))
    }

    fn watch(&self, name: &str) -> Result<Box<dyn Watch>, RingError> {
        Ok(Box::new(Link::open(name)?))
    }
}

struct Character(OwnedFd);

impl Device for Character {
    unsafe fn control(&self, request: u64, argument: *mut c_void) -> io::Result<()> {
        // SAFETY: the caller vouches for `argument`.
        match unsafe { libc::ioctl(self.0.as_raw_fd(), request as _, argument) } {
            status if status < 0 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    fn map(&self, octets: usize) -> io::Result<Mapping> {
        Mapping::of_device(self.0.as_fd(), octets, 0)
    }

    fn poll(&self, events: i16, timeout_ms: i32) -> io::Result<i16> {
        let mut one = libc::pollfd { fd: self.0.as_raw_fd(), events, revents: 0 };
        // SAFETY: one structure, which the kernel reads and writes during the call.
        match unsafe { libc::poll(&raw mut one, 1, timeout_ms) } {
            status if status < 0 => Err(io::Error::last_os_error()),
            _ => Ok(one.revents),
        }
    }

    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        Ok(self.0.as_fd())
    }
}

/// Bodies of requests.
///
/// # Safety
/// The implementor is `repr(C)`, of integers only, and as long as the module takes its request's body to be.
pub(crate) unsafe trait Body {}
// SAFETY: layout.rs asserts its size.
unsafe impl Body for crate::layout::RegisterBody {}
// SAFETY: layout.rs asserts its size.
unsafe impl Body for crate::layout::PoolsInfoBody {}

/// Make one request about the port `name`; the answer is in `body`.
pub(crate) fn request<B: Body>(device: &dyn Device, number: u16, name: &str, body: &mut B) -> io::Result<()> {
    let mut header = RequestHeader {
        version: API,
        request: number,
        reserved: 0,
        name: [0; NAME_OCTETS],
        options: 0,
        body: std::ptr::from_mut(body).expose_provenance() as u64,
    };
    if name.len() >= NAME_OCTETS || name.contains('\0') {
        return Err(io::Error::from_raw_os_error(libc::ENXIO)); // what the module says of a name that it does not know
    }
    header.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: a whole header of 88 octets whose body is exclusively borrowed for the call and of the request's size.
    unsafe { device.control(CONTROL, std::ptr::from_mut(&mut header).cast()) }
}

/// Let the device look at the rings of one direction.
pub(crate) fn sync(device: &dyn Device, which: u64) -> io::Result<()> {
    loop {
        // SAFETY: the two sync requests take no argument.
        match unsafe { device.control(which, std::ptr::null_mut()) } {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
