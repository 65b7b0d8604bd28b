//! A port: one registration or, over several single rings, one for each; its two halves; its errors in words.
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use netmap_io_rings::error::{Kind, RingError};
use netmap_io_rings::memory::Mapping;
use netmap_io_rings::system::Interface;

use crate::device::{Opener, sync};
use crate::layout::{Mode, RECEIVE_SYNC, TRANSMIT_SYNC, flag};
use crate::link::{Waiter, Wake, Watch};
use crate::receive::Receiver;
use crate::region::Pool;
pub use crate::registration::Wish;
use crate::registration::{Registered, register};
use crate::ring::Ring;
use crate::transmit::Transmitter;

const ETHERNET_HEADER_OCTETS: usize = 14;
/// Slots that a frame may take on a port that carries frames over several: what a switch takes.
const MOST_FRAGMENTS: usize = 64;

/// How often a network device that tells no news is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What lies behind a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortKind {
    /// A network device.
    Network,
    /// A port of a switch.
    Vale,
    /// An end of a pipe.
    Pipe,
}

impl PortKind {
    /// What the module takes a name for.
    pub fn of_name(name: &str) -> Self {
        if name.contains(['{', '}']) {
            Self::Pipe
        } else if name.starts_with("vale") {
            Self::Vale
        } else {
            Self::Network
        }
    }
}

/// How to open a port.
#[derive(Clone, Debug)]
pub struct Options {
    /// One mode for each descriptor: one, or several of `OneHardware` and `OneHost`.
    pub modes: Vec<Mode>,
    /// What to ask of the module.
    pub wish: Wish,
    /// Stamp received frames with the time of the sync that brought them.
    pub timestamps: bool,
    /// Index, among the bound transmit rings, of the one that sends.
    pub send_ring: usize,
}

/// How a port came out.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the name is.
    pub kind: PortKind,
    /// The network device, where one is watched.
    pub interface: Option<Interface>,
    /// Octets of a frame that the port takes.
    pub longest: usize,
    /// Octets of a buffer.
    pub buffer_octets: usize,
    /// Slots of each bound transmit and receive ring.
    pub transmit_slots: Vec<u32>,
    /// As above.
    pub receive_slots: Vec<u32>,
    /// Number of the memory region.
    pub memory_id: u16,
    /// Extra buffers that were granted.
    pub extra_buffers: usize,
}

/// What both halves hold.  The last one to go gives the extra buffers back and closes the descriptors.
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) registered: Vec<Registered>,
    pub(crate) memory: Arc<Mapping>,
    pub(crate) memory_id: u16,
    pub(crate) kind: PortKind,
    pub(crate) longest: usize,
    link: Option<Box<dyn Watch>>,
    waiter: OnceLock<Waiter>,
    gone: AtomicBool,
    pool: Pool,
    /// Extra buffers that are in nobody's hands.
    spares: Mutex<Vec<u32>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let spares = std::mem::take(self.spares.get_mut().unwrap_or_else(PoisonError::into_inner));
        let mut rest = spares.as_slice();
        for registered in &self.registered {
            let count = rest.len().min(registered.extra_buffers as usize);
            let (own, others) = rest.split_at(count);
            registered.give_back(&self.memory, &self.pool, own);
            rest = others;
        }
    }
}

/// Why a port cannot go on at once.
pub(crate) enum Stop {
    /// The device is down: nobody may ask the module about it now.
    Down(RingError),
    /// Anything else.
    Error(RingError),
}

impl From<Stop> for RingError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Down(error) | Stop::Error(error) => error,
        }
    }
}

impl Shared {
    /// Err when the network device is down or gone, or a sync said that the device is.
    pub(crate) fn check(&self) -> Result<(), Stop> {
        if self.gone.load(Ordering::Relaxed) {
            return Err(Stop::Error(RingError::vanished(&self.name)));
        }
        let state = self.link.as_deref().map_or(Ok(()), Watch::check);
        match state {
            Ok(()) => self.watch(true),
            Err(error) => {
                self.watch(false)?;
                Err(if error.kind == Kind::Down { Stop::Down(error) } else { Stop::Error(error) })
            }
        }
    }

    /// Let the waiter ask the devices, or keep it from asking them, once there is a waiter.
    fn watch(&self, ask: bool) -> Result<(), Stop> {
        let Some(waiter) = self.waiter.get() else { return Ok(()) };
        for registered in &self.registered {
            let device = registered.device.descriptor();
            let done = device.and_then(|device| if ask { waiter.take_in(device) } else { waiter.leave_out(device) });
            done.map_err(|error| Stop::Error(self.trouble(&error, "waiting for frames")))?;
        }
        Ok(())
    }

    /// What to wait on for all that the port waits for.
    pub(crate) fn waiter(&self) -> Result<&Waiter, Stop> {
        if let Some(waiter) = self.waiter.get() {
            return Ok(waiter);
        }
        let waiter = Waiter::new(self.link.as_deref()).map_err(|error| Stop::Error(self.trouble(&error, "waiting")))?;
        let waiter = self.waiter.get_or_init(|| waiter);
        match self.check() {
            Ok(()) | Err(Stop::Down(_)) => Ok(waiter),
            Err(stop) => Err(stop),
        }
    }

    /// Wait at most `timeout` for frames or for news.
    pub(crate) fn wait(&self, timeout: Duration) -> Result<Wake, RingError> {
        let news = self.link.as_deref().is_some_and(|link| link.news().is_some());
        let ([registered], false) = (self.registered.as_slice(), news || self.gone.load(Ordering::Relaxed)) else {
            return Ok(self.wait_for_all(timeout)?);
        };
        let timeout = match (&self.link, self.check_up()) {
            (_, Err(Stop::Error(error))) => return Err(error),
            (_, Err(Stop::Down(_))) => {
                sleep(timeout.min(LOOK_EVERY)); // only its return is waited for
                return Ok(Wake { frames: false, look: true });
            }
            (Some(_), Ok(())) => timeout.min(LOOK_EVERY),
            (None, Ok(())) => timeout,
        };
        let milliseconds = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        match registered.device.poll(libc::POLLIN, milliseconds) {
            Ok(ready) => Ok(Wake { frames: ready & libc::POLLIN != 0, look: ready & !libc::POLLIN != 0 || ready == 0 }),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Wake { frames: false, look: true }),
            Err(error) => Err(self.trouble(&error, "waiting")),
        }
    }

    /// Wait at most `timeout` until registration `index` has room to send, or for news.
    pub(crate) fn wait_to_send(&self, index: usize, timeout: Duration) -> Result<(), RingError> {
        self.check_up()?;
        let timeout = if self.link.is_some() { timeout.min(LOOK_EVERY) } else { timeout };
        let milliseconds = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        match self.registered[index].device.poll(libc::POLLOUT, milliseconds) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(self.trouble(&error, "waiting for room")),
            _ => Ok(()),
        }
    }

    fn wait_for_all(&self, timeout: Duration) -> Result<Wake, Stop> {
        let waiter = self.waiter()?;
        match self.check() {
            Ok(()) | Err(Stop::Down(_)) => Ok(waiter.wait(timeout, self.link.as_deref())), // only its return is waited for
            Err(stop) => Err(stop),
        }
    }

    /// As `check`, without a look at what is waited for.
    pub(crate) fn check_up(&self) -> Result<(), Stop> {
        match &self.link {
            _ if self.gone.load(Ordering::Relaxed) => Err(Stop::Error(RingError::vanished(&self.name))),
            Some(link) if link.check().is_err() => self.check(),
            _ => Ok(()),
        }
    }

    fn trouble(&self, error: &io::Error, doing: &str) -> RingError {
        match error.raw_os_error() {
            Some(libc::EIO | libc::ENXIO | libc::ENODEV) => {
                self.gone.store(true, Ordering::Relaxed);
                RingError::vanished(&self.name)
            }
            Some(libc::EBUSY) => RingError::new(
                Kind::Busy,
                format!("{}: its rings are in the hands of a kernel loop or of shared blocks", self.name),
            ),
            _ => RingError::of_system(error, &self.name, doing),
        }
    }

    /// Let the kernel side look at `rings`, all of one direction of registration `index`: shown before, collected after.
    pub(crate) fn sync(&self, index: usize, sends: bool, rings: &mut [Ring]) -> Result<(), Stop> {
        self.check_up()?;
        let device = self.registered[index].device.as_ref();
        let (which, doing) = if sends { (TRANSMIT_SYNC, "sending") } else { (RECEIVE_SYNC, "receiving") };
        let failed = |error: io::Error| Stop::Error(self.trouble(&error, doing));
        for ring in rings.iter_mut() {
            if !ring.untouched() {
                ring.count_words_changed();
                self.recover(ring, || sync(device, which)).map_err(failed)?.map_err(Stop::Error)?;
            }
            ring.show();
        }
        sync(device, which).map_err(failed)?;
        for ring in rings.iter_mut() {
            if !ring.collect() {
                self.recover(ring, || sync(device, which)).map_err(failed)?.map_err(Stop::Error)?;
            }
        }
        Ok(())
    }

    fn recover(&self, ring: &mut Ring, sync: impl FnMut() -> io::Result<()>) -> io::Result<Result<(), RingError>> {
        let number = ring.number;
        Ok(ring.recover(sync)?.map_err(|_| {
            let message = format!(
                "{}: the words of ring {number} contradict each other, and the ring could not be put right",
                self.name
            );
            RingError::new(Kind::System, message)
        }))
    }

    /// Err where the ring that is to be filled was moved by somebody else: put right first.
    pub(crate) fn verify(&self, index: usize, ring: &mut Ring) -> Result<(), Stop> {
        if ring.untouched() { Ok(()) } else { self.sync(index, true, std::slice::from_mut(ring)) }
    }

    pub(crate) fn spares(&self) -> MutexGuard<'_, Vec<u32>> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Open the port `name`.
pub fn open(opener: &dyn Opener, name: &str, options: &Options) -> Result<(Receiver, Transmitter, Outcome), RingError> {
    let kind = PortKind::of_name(name);
    let mut first = Some(opener.open().map_err(|error| explain_open(&error))?);
    let link = match kind {
        PortKind::Network => Some(opener.watch(name).map_err(|error| match error.kind {
            Kind::Interface if !error.message.contains("no Ethernet") => unknown(name, kind),
            _ => error,
        })?),
        _ => None,
    };
    if let Some(link) = &link {
        link.check()?;
    }
    let mut registered = Vec::new();
    for &mode in &options.modes {
        let device = match first.take() {
            Some(device) => device,
            None => opener.open().map_err(|error| explain_open(&error))?,
        };
        // extra buffers are the port's, not each ring's
        let extra = if registered.is_empty() { options.wish.extra_buffers } else { 0 };
        let wish = Wish { extra_buffers: extra, ..options.wish.clone() };
        let one = register(device, name, mode, &wish);
        registered.push(one.map_err(|error| explain_register(&error, name, kind, &wish, link.as_deref()))?);
    }
    let Some(first) = registered.first() else {
        return Err(RingError::new(Kind::System, format!("{name}: no ring was asked for")));
    };
    let memory_id = first.memory_id;
    if registered.iter().any(|one| one.memory_id != memory_id || one.memory_octets != first.memory_octets) {
        return Err(RingError::new(Kind::Unsupported, format!("{name}: its rings lie in several memory regions")));
    }
    let memory = first.device.map(first.memory_octets);
    let memory = Arc::new(memory.map_err(|error| RingError::of_system(&error, name, "mapping its memory"))?);
    assemble(name, kind, options, link, registered, memory)
}

fn assemble(
    name: &str,
    kind: PortKind,
    options: &Options,
    link: Option<Box<dyn Watch>>,
    registered: Vec<Registered>,
    memory: Arc<Mapping>,
) -> Result<(Receiver, Transmitter, Outcome), RingError> {
    let wrong = |what: String| RingError::new(Kind::System, format!("{name}: {what}"));
    let (mut sending, mut receiving) = (Vec::new(), Vec::new());
    for (index, one) in registered.iter().enumerate() {
        let rings = one.rings(&memory).map_err(wrong)?;
        sending.extend(rings.transmit.into_iter().map(|ring| (index, ring)));
        receiving.push(rings.receive);
    }
    let pool = sending.iter().map(|(_, ring)| ring).chain(receiving.iter().flatten()).next();
    let pool = pool.ok_or_else(|| wrong("no ring was bound".to_owned()))?.pool.clone();
    let spares: Vec<u32> = registered.iter().flat_map(|one| one.extra(&memory, &pool)).collect();
    let transmit_slots: Vec<u32> = sending.iter().map(|(_, ring)| ring.words.slots()).collect();
    let receive_slots = receiving.iter().flatten().map(|ring| ring.words.slots()).collect();
    let count = sending.len();
    let sends = options.wish.flags & (flag::RECEIVE_ONLY | flag::MONITOR_SENT | flag::MONITOR_RECEIVED) == 0;
    let chosen = sending.into_iter().nth(options.send_ring).filter(|_| sends);
    if sends && chosen.is_none() && count > 0 {
        let message = format!("{name}: send_ring={} is asked for, and {count} are bound", options.send_ring);
        return Err(RingError::new(Kind::Unsupported, message));
    }
    let buffer_octets = pool.buffer_octets();
    let longest = longest(kind, link.as_deref(), buffer_octets, chosen.as_ref().map(|(_, ring)| ring));
    let memory_id = registered[0].memory_id;
    let outcome = Outcome {
        kind,
        interface: link.as_deref().map(|link| link.interface().clone()),
        longest,
        buffer_octets,
        transmit_slots,
        receive_slots,
        memory_id,
        extra_buffers: spares.len(),
    };
    let shared = Arc::new(Shared {
        name: name.to_owned(),
        registered,
        memory,
        memory_id,
        kind,
        longest,
        link,
        waiter: OnceLock::new(),
        gone: AtomicBool::new(false),
        pool,
        spares: Mutex::new(spares),
    });
    shared.check()?;
    let receiver = Receiver::new(Arc::clone(&shared), receiving, options.timestamps);
    Ok((receiver, Transmitter::new(shared, chosen), outcome))
}

/// Octets of the longest frame: what one buffer and the MTU allow, or on pipes and switches several buffers.
fn longest(kind: PortKind, link: Option<&dyn Watch>, buffer_octets: usize, ring: Option<&Ring>) -> usize {
    let slots = ring.map_or(MOST_FRAGMENTS, |ring| ring.words.slots() as usize - 1);
    match (kind, link) {
        (PortKind::Network, Some(link)) => buffer_octets.min(link.interface().mtu + ETHERNET_HEADER_OCTETS),
        (PortKind::Network, None) => buffer_octets,
        _ => buffer_octets * slots.min(MOST_FRAGMENTS),
    }
}

fn explain_open(error: &io::Error) -> RingError {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => RingError::new(
            Kind::Unsupported,
            "there is no /dev/netmap: the kernel's netmap module is not loaded; device=simulated needs none",
        ),
        Some(libc::EACCES | libc::EPERM) => {
            RingError::new(Kind::Privilege, "/dev/netmap may be opened by root only, or by whom its owner lets")
        }
        _ => RingError::of_system(error, "netmap", "opening the device"),
    }
}

fn unknown(name: &str, kind: PortKind) -> RingError {
    let message = match kind {
        PortKind::Network => format!(
            "netmap knows no port {name:?}: no network device is called so (suffixes such as ^ or -0 are options here: \
             rings=host, rings=0)"
        ),
        PortKind::Vale => format!("netmap knows no port {name:?}: a switch's port is called valeS:P"),
        PortKind::Pipe => format!(
            "netmap cannot make the pipe {name:?}: what stands before the brace is a network device, a port of a switch \
             that exists, or a new name of at most 15 characters"
        ),
    };
    RingError::new(Kind::Interface, message)
}

/// Each errno of a registration, by one sentence.  The kernel's log has the reason; the call has only the number.
fn explain_register(error: &io::Error, name: &str, kind: PortKind, wish: &Wish, link: Option<&dyn Watch>) -> RingError {
    let mtu = link.map_or(0, |link| link.interface().mtu);
    let exclusive = wish.flags & flag::EXCLUSIVE != 0;
    let (what, sentence) = match error.raw_os_error().unwrap_or(0) {
        libc::ENXIO => return unknown(name, kind),
        libc::EINVAL if mtu > 2048 => (
            Kind::Unsupported,
            format!("{name}: its MTU of {mtu} is over the 2048 octets of netmap's buffers; set a smaller one"),
        ),
        libc::EINVAL => (
            Kind::Unsupported,
            match kind {
                PortKind::Vale => format!(
                    "netmap refused {name:?} as invalid: a switch's port has no host rings; or there is no such ring or memory region"
                ),
                PortKind::Pipe => {
                    format!("netmap refused {name:?} as invalid: a pipe's name ends in a brace and an identifier, x{{1")
                }
                PortKind::Network => {
                    format!(
                        "netmap refused {name:?} as invalid: there is no such ring or memory region, or no way to the MTU"
                    )
                }
            },
        ),
        libc::EBUSY if exclusive => {
            (Kind::Busy, format!("{name} is busy: somebody has it, and it was asked for alone (exclusive=yes)"))
        }
        libc::EBUSY => (
            Kind::Busy,
            format!("{name} is busy: another program has it alone, or it belongs to a switch, a bridge or a macvlan"),
        ),
        libc::ENOMEM => (
            Kind::System,
            format!(
                "netmap got no memory for {name:?}: none is left, or the name of the switch is too long or lacks its port (valeS:P)"
            ),
        ),
        libc::EIO => (
            Kind::Unsupported,
            format!("{name} carries virtio-net headers before its frames, which this driver does not take"),
        ),
        libc::EOPNOTSUPP => (
            Kind::Unsupported,
            format!(
                "{name}: this module was built without an option that was asked for, or wants a native driver (admode=1)"
            ),
        ),
        libc::EFAULT => (Kind::System, format!("{name}: the module could not read the request")),
        libc::ENOTTY => (Kind::Unsupported, format!("{name}: the device answers no netmap request of API 14")),
        _ => return RingError::of_system(error, name, "registering the port"),
    };
    RingError::new(what, sentence)
}
