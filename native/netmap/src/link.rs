//! The network device behind a port: whether it is up, and one descriptor to wait on.
#![allow(unsafe_code)]
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use netmap_io_rings::error::RingError;
use netmap_io_rings::system::{self, Interface};

const LINK_GROUP: u32 = 1;

/// The network device behind a port, watched.
pub trait Watch: Send + Sync {
    /// What it is called and how large its frames may be.
    fn interface(&self) -> &Interface;

    /// Err when the device is down or gone.
    fn check(&self) -> Result<(), RingError>;

    /// What polls readable when something about devices has changed; None: only `check` tells.
    fn news(&self) -> Option<BorrowedFd<'_>>;

    /// Forget that there were news: who looks at the device sees more than they say.
    fn drain(&self);
}

/// A network device of this machine.
pub(crate) struct Link {
    control: OwnedFd,
    news: OwnedFd,
    interface: Interface,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct NetlinkAddress {
    family: u16,
    padding: u16,
    port: u32,
    groups: u32,
}

impl Link {
    /// The device called `name`, in the network namespace of this thread.
    pub(crate) fn open(name: &str) -> Result<Self, RingError> {
        let control =
            system::control_socket().map_err(|error| RingError::of_system(&error, name, "opening a socket"))?;
        let interface = system::interface(control.as_fd(), name)?;
        let news = system::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_NONBLOCK, libc::NETLINK_ROUTE);
        let news = news.and_then(|news| {
            let address = NetlinkAddress { family: libc::AF_NETLINK as u16, padding: 0, port: 0, groups: LINK_GROUP };
            system::bind(news.as_fd(), &address).map(|()| news)
        });
        let news = news.map_err(|error| RingError::of_system(&error, name, "watching the interface"))?;
        Ok(Self { control, news, interface })
    }
}

impl Watch for Link {
    fn interface(&self) -> &Interface {
        &self.interface
    }

    fn check(&self) -> Result<(), RingError> {
        system::check_up(self.control.as_fd(), &self.interface)
    }

    fn news(&self) -> Option<BorrowedFd<'_>> {
        Some(self.news.as_fd())
    }

    fn drain(&self) {
        let mut octets = [0_u8; 4096];
        loop {
            let place = octets.as_mut_ptr().cast();
            // SAFETY: the kernel writes at most that many octets at `place`, which is a whole array.
            let got = unsafe { libc::recv(self.news.as_raw_fd(), place, octets.len(), libc::MSG_DONTWAIT) };
            let lost = got < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ENOBUFS);
            if got <= 0 && !lost {
                return;
            }
        }
    }
}

/// One descriptor for all that a port waits for: an epoll, which asks a netmap descriptor only after it was woken.
///
/// That matters because the module blocks whoever polls a device that is down: see `Waiter::leave_out`.
pub(crate) struct Waiter {
    epoll: OwnedFd,
}

const NEWS: u64 = 1;
const FRAMES: u64 = 0;

impl Waiter {
    pub(crate) fn new(link: Option<&dyn Watch>) -> io::Result<Self> {
        // SAFETY: no memory is passed.
        let descriptor = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: open, and nobody else's.
        let epoll = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let waiter = Self { epoll };
        if let Some(news) = link.and_then(Watch::news) {
            waiter.change(libc::EPOLL_CTL_ADD, news, NEWS)?;
        }
        Ok(waiter)
    }

    fn change(&self, operation: i32, descriptor: BorrowedFd<'_>, mark: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: mark };
        // SAFETY: the kernel reads one event structure.
        let status =
            unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, descriptor.as_raw_fd(), &raw mut event) };
        if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Wait for a device's frames too.
    pub(crate) fn take_in(&self, device: BorrowedFd<'_>) -> io::Result<()> {
        match self.change(libc::EPOLL_CTL_ADD, device, FRAMES) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
            result => result,
        }
    }

    /// No longer wait for it: it must not be asked while its network device is down.
    pub(crate) fn leave_out(&self, device: BorrowedFd<'_>) -> io::Result<()> {
        match self.change(libc::EPOLL_CTL_DEL, device, FRAMES) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            result => result,
        }
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Wait at most `timeout`.  Whether there may be frames; news of the link are taken and end the wait.
    pub(crate) fn wait(&self, timeout: Duration, link: Option<&dyn Watch>) -> Wake {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 8];
        let milliseconds = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        let place = events.as_mut_ptr();
        // SAFETY: the kernel writes at most eight events into an array of eight.
        let count = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), place, events.len() as i32, milliseconds) };
        let mut wake = Wake::default();
        for event in events.iter().take(usize::try_from(count).unwrap_or(0)) {
            if event.u64 == NEWS {
                wake.look = true;
                if let Some(link) = link {
                    link.drain();
                }
            } else {
                wake.frames |= event.events & libc::EPOLLIN as u32 != 0;
                wake.look |= event.events & !(libc::EPOLLIN as u32) != 0;
            }
        }
        wake.look |= count == 0;
        wake
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wake {
    /// There may be frames.
    pub frames: bool,
    /// Look at the ring and at the device: an error, news of the link, or nothing for the whole time.
    pub look: bool,
}
