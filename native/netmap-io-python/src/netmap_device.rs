//! The simulated kernel side as a device of the netmap driver.
#![allow(unsafe_code)]
use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use netmap_io_netmap::device::{Device, Opener};
use netmap_io_netmap::link::Watch;
use netmap_io_rings::error::{Kind, RingError};
use netmap_io_rings::memory::Mapping;
use netmap_io_rings::system::Interface;
use netmap_simulation::{Descriptor, Errno, Simulation};

/// How long the watcher of a descriptor that is polled asks at a time; closing waits for it.
const WATCH: Duration = Duration::from_millis(20);
/// How long closing waits for the watcher: the simulation holds whoever polls a device that is down, as the module does.
const PATIENCE: Duration = Duration::from_millis(200);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn system(error: Errno) -> io::Error {
    io::Error::from_raw_os_error(error.0)
}

fn event() -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: open, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn set(event: &OwnedFd) {
    // SAFETY: no memory is passed; it fails only where the event is set already.
    unsafe { libc::eventfd_write(event.as_raw_fd(), 1) };
}

fn clear(event: &OwnedFd) {
    let mut count = 0;
    // SAFETY: the call writes one number, borrowed for it; it fails only where the event is not set.
    unsafe { libc::eventfd_read(event.as_raw_fd(), &raw mut count) };
}

/// Opens descriptors of a simulated kernel side.
pub(crate) struct SimulatedOpener(pub(crate) Simulation);

impl Opener for SimulatedOpener {
    fn open(&self) -> io::Result<Box<dyn Device>> {
        let descriptor = Arc::new(self.0.open().map_err(system)?);
        Ok(Box::new(SimulatedDevice { watcher: OnceLock::new(), descriptor }))
    }

    fn watch(&self, name: &str) -> Result<Box<dyn Watch>, RingError> {
        let mtu =
            self.0.mtu(name).map_err(|_| RingError::new(Kind::Interface, format!("there is no interface {name:?}")))?;
        let interface = Interface { name: name.to_owned(), index: 0, mac: self.0.mac(name), mtu: mtu as usize };
        Ok(Box::new(SimulatedLink { simulation: self.0.clone(), interface }))
    }
}

struct SimulatedLink {
    simulation: Simulation,
    interface: Interface,
}

impl Watch for SimulatedLink {
    fn interface(&self) -> &Interface {
        &self.interface
    }

    fn check(&self) -> Result<(), RingError> {
        let name = &self.interface.name;
        match self.simulation.is_up(name) {
            Ok(true) => Ok(()),
            Ok(false) => Err(RingError::new(Kind::Down, format!("interface {name} is down"))),
            Err(_) => Err(RingError::vanished(name)),
        }
    }

    fn news(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn drain(&self) {}
}

struct SimulatedDevice {
    watcher: OnceLock<Watcher>,
    descriptor: Arc<Descriptor>,
}

impl Device for SimulatedDevice {
    unsafe fn control(&self, request: u64, argument: *mut c_void) -> io::Result<()> {
        // SAFETY: the caller vouches for `argument`.
        unsafe { self.descriptor.ioctl(request, argument) }.map(drop).map_err(system)
    }

    fn map(&self, octets: usize) -> io::Result<Mapping> {
        let mapping = self.descriptor.mapping().map_err(system)?;
        let offset = i64::try_from(mapping.offset).ok().filter(|_| octets as u64 <= mapping.octets);
        let offset = offset.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        Mapping::of_device(self.descriptor.file(), octets, offset)
    }

    fn poll(&self, events: i16, timeout_ms: i32) -> io::Result<i16> {
        let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        self.descriptor.poll(events, timeout).map_err(system)
    }

    /// An event that a thread sets, which polls in our place: the simulation has nothing that polls by itself.
    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        if let Some(watcher) = self.watcher.get() {
            return Ok(watcher.shared.event.as_fd());
        }
        let watcher = Watcher::start(Arc::clone(&self.descriptor))?;
        Ok(self.watcher.get_or_init(|| watcher).shared.event.as_fd())
    }

    fn looked(&self, frames_left: bool) {
        if let Some(watcher) = self.watcher.get() {
            watcher.looked(frames_left);
        }
    }
}

/// Keeps an event set while there are frames.
struct Watcher {
    shared: Arc<Watched>,
    thread: Option<JoinHandle<()>>,
}

struct Watched {
    event: OwnedFd,
    turn: Mutex<Turn>,
    change: Condvar,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Nothing is known to be there: poll.
    Ask,
    /// The event is set: wait for somebody to look.
    Told,
    Over,
}

impl Watcher {
    fn start(descriptor: Arc<Descriptor>) -> io::Result<Self> {
        let shared = Arc::new(Watched { event: event()?, turn: Mutex::new(Turn::Ask), change: Condvar::new() });
        if descriptor.poll(libc::POLLIN, Some(Duration::ZERO)).is_ok_and(|ready| ready != 0) {
            set(&shared.event);
            *locked(&shared.turn) = Turn::Told;
        }
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("netmap watcher".into()).spawn(move || own.run(&descriptor))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    fn looked(&self, frames_left: bool) {
        let mut turn = locked(&self.shared.turn);
        if !frames_left && *turn == Turn::Told {
            clear(&self.shared.event);
            *turn = Turn::Ask;
            self.shared.change.notify_one();
        } else if frames_left && *turn == Turn::Ask {
            set(&self.shared.event);
            *turn = Turn::Told;
        }
    }
}

impl Watched {
    fn run(&self, descriptor: &Descriptor) {
        loop {
            let turn = locked(&self.turn);
            let turn =
                *self.change.wait_while(turn, |turn| *turn == Turn::Told).unwrap_or_else(PoisonError::into_inner);
            if turn == Turn::Over {
                return;
            }
            let ready = descriptor.poll(libc::POLLIN, Some(WATCH));
            let mut turn = locked(&self.turn);
            if *turn == Turn::Ask && ready.is_ok_and(|ready| ready != 0) {
                set(&self.event);
                *turn = Turn::Told;
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        *locked(&self.shared.turn) = Turn::Over;
        self.shared.change.notify_one();
        let Some(thread) = self.thread.take() else { return };
        let begun = Instant::now();
        while !thread.is_finished() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
        if thread.is_finished() {
            // a watcher that panicked has nothing left to say
            let _ = thread.join();
        } // else it goes, and the registration with it, once the device is up
    }
}
