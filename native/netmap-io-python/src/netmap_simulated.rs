//! The simulated kernel side as a device of the netmap driver, and as an object to make networks of.
#![allow(unsafe_code)]
use std::collections::HashMap;
use std::ffi::c_void;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use netmap_io_netmap::device::{Device, Opener};
use netmap_io_netmap::link::Watch;
use netmap_io_rings::error::{Kind, RingError};
use netmap_io_rings::memory::Mapping;
use netmap_io_rings::system::Interface as NetworkInterface;
use netmap_simulation::{CorruptWord, Descriptor, Errno, Interface, RingName, Side, Simulation};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

/// How long the watcher of a descriptor that is polled asks at a time; closing waits for it.
const WATCH: Duration = Duration::from_millis(20);
const MTU: usize = 1500;

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

/// What is known of a simulated network device, and who wants to hear of changes.
struct State {
    interface: NetworkInterface,
    up: AtomicBool,
    present: AtomicBool,
    watchers: Mutex<Vec<Weak<OwnedFd>>>,
}

impl State {
    fn tell(&self) {
        let mut watchers = locked(&self.watchers);
        watchers.retain(|watcher| watcher.upgrade().inspect(|event| set(event)).is_some());
    }
}

type Devices = Arc<Mutex<HashMap<String, Arc<State>>>>;

/// A kernel side of netmap in this process's memory, or in a file that several processes attach to.
#[pyclass(frozen, module = "netmap_io._native")]
pub(crate) struct SimulatedNetmap {
    simulation: Simulation,
    devices: Devices,
}

impl SimulatedNetmap {
    fn of(simulation: Simulation) -> Self {
        Self { simulation, devices: Arc::default() }
    }

    pub(crate) fn opener(&self) -> Box<dyn Opener> {
        Box::new(SimulatedOpener { simulation: self.simulation.clone(), devices: Arc::clone(&self.devices) })
    }

    fn state(&self, name: &str) -> Option<Arc<State>> {
        locked(&self.devices).get(name).cloned()
    }
}

fn done(result: Result<(), Errno>) -> PyResult<()> {
    result.map_err(|error| PyOSError::new_err((error.0, system(error).to_string())))
}

#[pymethods]
impl SimulatedNetmap {
    /// A new one, which only this process knows until `file` is handed on.
    #[new]
    fn new() -> PyResult<Self> {
        Ok(Self::of(Simulation::create()?))
    }

    /// One that another process made, by a path to its file.
    #[staticmethod]
    fn attach(path: PathBuf) -> PyResult<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self::of(Simulation::attach(file.into())?))
    }

    /// The descriptor of its file; this object's.
    fn fileno(&self) -> i32 {
        self.simulation.file().as_raw_fd()
    }

    /// A network device with nothing at the other end of its wire.
    #[pyo3(signature = (name, *, rings = 1, slots = 1024, mtu = 1500, shortest = 0))]
    fn add_interface(&self, name: &str, rings: u32, slots: u32, mtu: u32, shortest: u32) -> PyResult<()> {
        done(self.simulation.add_interface(name, Interface { rings, slots, mtu, shortest }))?;
        let mut devices = locked(&self.devices);
        let index = devices.len() as u32 + 1;
        let mac = [2, 0, 0, 0, (index >> 8) as u8, index as u8];
        let interface = NetworkInterface { name: name.to_owned(), index, mac, mtu: mtu as usize };
        let (up, present) = (AtomicBool::new(true), AtomicBool::new(true));
        devices.insert(name.to_owned(), Arc::new(State { interface, up, present, watchers: Mutex::default() }));
        Ok(())
    }

    /// Plug the wire of `far` into `near`'s wire or, with `host`, where its host's stack is.
    #[pyo3(signature = (near, far, *, host = false))]
    fn connect(&self, near: &str, far: &str, host: bool) -> PyResult<()> {
        done(self.simulation.connect(near, if host { Side::Host } else { Side::Wire }, far))
    }

    /// Set a device down, or up again; as with the module, who asks it while it is down waits for its return.
    fn set_up(&self, name: &str, up: bool) -> PyResult<()> {
        let state = self.state(name);
        if let Some(state) = &state {
            state.up.store(up, Ordering::SeqCst);
        }
        done(self.simulation.set_up(name, up))?;
        if let Some(state) = state {
            state.tell();
        }
        Ok(())
    }

    /// Take a device away.
    fn vanish(&self, name: &str) -> PyResult<()> {
        done(self.simulation.vanish(name))?;
        if let Some(state) = locked(&self.devices).remove(name) {
            state.present.store(false, Ordering::SeqCst);
            state.tell();
        }
        Ok(())
    }

    /// Let somebody else have a device's receive hook, so that it is busy.
    fn set_taken(&self, name: &str, taken: bool) -> PyResult<()> {
        done(self.simulation.set_taken(name, taken))
    }

    /// Let an allocator hand out nothing more.
    fn set_exhausted(&self, memory_id: u16, exhausted: bool) -> PyResult<()> {
        done(self.simulation.set_exhausted(memory_id, exhausted))
    }

    /// Overwrite the word at `offset` of a ring at the sync after so many.
    fn corrupt(
        &self,
        port: &str,
        transmit: bool,
        number: usize,
        after_syncs: u32,
        offset: u32,
        value: u32,
    ) -> PyResult<()> {
        let word = CorruptWord { after_syncs, offset, value };
        done(self.simulation.corrupt(RingName { port, transmit, number }, word))
    }

    /// Let a frame arrive at a device from outside.
    fn inject(&self, name: &str, frame: &[u8]) -> PyResult<()> {
        done(self.simulation.inject(name, frame))
    }

    /// Frames that a port let go: (sending, receiving)
    fn dropped(&self, name: &str) -> PyResult<(u64, u64)> {
        self.simulation.dropped(name).map_err(|_| PyValueError::new_err(format!("no port {name:?}")))
    }
}

struct SimulatedOpener {
    simulation: Simulation,
    devices: Devices,
}

impl Opener for SimulatedOpener {
    fn open(&self) -> io::Result<Box<dyn Device>> {
        let descriptor = Arc::new(self.simulation.open().map_err(system)?);
        Ok(Box::new(SimulatedDevice { watcher: OnceLock::new(), descriptor }))
    }

    /// Devices that another process made are not known here: taken to be up.
    fn watch(&self, name: &str) -> Result<Box<dyn Watch>, RingError> {
        let news = event().map_err(|error| RingError::of_system(&error, name, "watching the interface"))?;
        let news = Arc::new(news);
        let state = locked(&self.devices).get(name).cloned().unwrap_or_else(|| {
            let interface = NetworkInterface { name: name.to_owned(), index: 0, mac: [2, 0, 0, 0, 0, 0], mtu: MTU };
            let (up, present) = (AtomicBool::new(true), AtomicBool::new(true));
            Arc::new(State { interface, up, present, watchers: Mutex::default() })
        });
        locked(&state.watchers).push(Arc::downgrade(&news));
        Ok(Box::new(SimulatedLink { state, news }))
    }
}

struct SimulatedLink {
    state: Arc<State>,
    news: Arc<OwnedFd>,
}

impl Watch for SimulatedLink {
    fn interface(&self) -> &NetworkInterface {
        &self.state.interface
    }

    fn check(&self) -> Result<(), RingError> {
        let name = &self.state.interface.name;
        if !self.state.present.load(Ordering::SeqCst) {
            Err(RingError::vanished(name))
        } else if !self.state.up.load(Ordering::SeqCst) {
            Err(RingError::new(Kind::Down, format!("interface {name} is down")))
        } else {
            Ok(())
        }
    }

    fn news(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }

    fn drain(&self) {
        clear(&self.news);
    }
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
        if let Some(thread) = self.thread.take() {
            // a watcher that panicked has nothing left to say
            let _ = thread.join();
        }
    }
}
