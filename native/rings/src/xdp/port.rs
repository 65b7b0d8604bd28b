//! Several queues of one interface, one of which also sends.
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use netmap_io_capture::batch::{Batch, Frames};

use crate::error::{Kind, RingError};
use crate::lengths::{self, ETHERNET_HEADER_OCTETS, VLAN_TAG_OCTETS};
use crate::memory::Mapping;
use crate::slots::{Slot, gather};
use crate::system::{self, Interface};
use crate::xdp::chunks::Chunks;
use crate::xdp::program::{Hook, Program};
use crate::xdp::receive::{Account, Receive};
use crate::xdp::socket::{Buffers, Shape, Socket, Statistics};
use crate::xdp::transmit::Transmit;

const SMALL_CHUNK: u32 = 2048;
const RETRY_EVERY: Duration = Duration::from_millis(10);

/// Octets that the kernel keeps free in a chunk before a received frame, besides the headroom.
pub const KERNEL_HEADROOM: u32 = 256;

/// Frames that the kernel takes from a transmit ring in a call, in copy mode.
const FRAMES_PER_KICK: u32 = 32;

/// How to open a port.
#[derive(Clone, Debug)]
pub struct Options {
    /// Numbers of the queues; the first one sends.
    pub queues: Vec<u32>,
    /// The hook; None: the driver's, else the generic one.
    pub hook: Option<Hook>,
    /// Who moves the frames.
    pub buffers: Buffers,
    /// The chunks of the first queue; the others have none for sending.
    pub shape: Shape,
    /// How long to wait for what a port closed before still holds.
    pub retry: Duration,
}

/// What came of the options.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The interface as it was.
    pub interface: Interface,
    /// The hook that was taken.
    pub hook: Hook,
    /// Why the driver's hook was not.
    pub driver_refusal: Option<String>,
    /// Whether the card moves the frames, on all queues.
    pub zero_copy: bool,
    /// Octets of a chunk.
    pub chunk_octets: u32,
}

/// What both halves hold, and the kernel as long as one does.  Dropped in this order.
struct Held {
    _program: Program,
    control: OwnedFd,
    interface: Interface,
}

impl Held {
    /// Err when the interface is down or gone.
    fn check_up(&self) -> Result<(), RingError> {
        system::check_up(self.control.as_fd(), &self.interface)
    }
}

/// The receiving half.
pub struct Receiver {
    held: Arc<Held>,
    epoll: Option<OwnedFd>,
    queues: Vec<(Arc<Socket>, Receive)>,
    memory: Arc<Mapping>,
    next: usize,
    lendings: usize,
}

/// The sending half.
pub struct Transmitter {
    held: Arc<Held>,
    socket: Arc<Socket>,
    half: Transmit,
    longest: usize,
    device_drops: u64,
}

/// Open `options.queues` of the interface called `name`.
pub fn open(name: &str, options: &Options) -> Result<(Receiver, Transmitter, Outcome), RingError> {
    let first = Socket::open().map_err(|error| privileged(&error, name, "opening an AF_XDP socket"))?;
    let control = system::control_socket().map_err(|error| RingError::of_system(&error, name, "opening a socket"))?;
    let interface = system::interface(control.as_fd(), name)?;
    system::check_up(control.as_fd(), &interface)?;
    let count = options.queues.iter().max().map_or(1, |most| most.saturating_add(1));
    let mut program =
        Program::load(count).map_err(|error| privileged(&error, name, "loading a program that redirects frames"))?;
    let until = Instant::now() + options.retry;
    let (hook, driver_refusal) = attach(&mut program, &interface, options.hook, until)?;
    let buffers = match (hook, options.buffers) {
        (Hook::Generic, Buffers::ZeroCopy) => {
            let message = format!("{name}: there is no zero copy in generic mode");
            return Err(RingError::new(Kind::Unsupported, message));
        }
        (Hook::Generic, _) => Buffers::Copy,
        (Hook::Driver, buffers) => buffers,
    };
    let shape = sized(options.shape, interface.mtu);
    let plan = Plan { interface: &interface, program: &program, shape, buffers, until };
    let (memory, opened, (socket, half)) = plan.open_queues(&options.queues, first)?;
    let zero_copy = opened.iter().all(|(socket, _)| socket.zero_copy());
    let epoll = if opened.len() > 1 {
        let members: Vec<_> = opened.iter().map(|(socket, _)| socket.descriptor()).collect();
        let epoll = system::epoll_of(&members);
        Some(epoll.map_err(|error| RingError::of_system(&error, name, "watching several queues"))?)
    } else {
        None
    };
    let outcome =
        Outcome { interface: interface.clone(), hook, driver_refusal, zero_copy, chunk_octets: shape.chunk_octets };
    let longest = half.room().min(interface.mtu + ETHERNET_HEADER_OCTETS);
    let held = Arc::new(Held { _program: program, control, interface });
    let receiver = Receiver { held: Arc::clone(&held), epoll, queues: opened, memory, next: 0, lendings: 0 };
    Ok((receiver, Transmitter { held, socket, half, longest, device_drops: 0 }, outcome))
}

type Opened = (Arc<Mapping>, Vec<(Arc<Socket>, Receive)>, (Arc<Socket>, Transmit));

/// What all queues of a port have in common.
struct Plan<'a> {
    interface: &'a Interface,
    program: &'a Program,
    shape: Shape,
    buffers: Buffers,
    until: Instant,
}

impl Plan<'_> {
    /// The memory, the receiving halves, and the sending half of the first queue, which is on the socket `first`.
    fn open_queues(&self, queues: &[u32], first: Socket) -> Result<Opened, RingError> {
        let name = &self.interface.name;
        let silent = Shape { transmit_chunks: 0, ..self.shape };
        let others = queues.len().saturating_sub(1);
        let memory = Mapping::anonymous(self.shape.octets() + silent.octets() * others);
        let memory = Arc::new(memory.map_err(|error| RingError::of_system(&error, name, "getting memory"))?);
        let (mut opened, mut sending, mut base, mut spare) = (Vec::new(), None, 0, Some(first));
        for &queue in queues {
            let shape = if base == 0 { &self.shape } else { &silent };
            let socket = spare.take().map_or_else(Socket::open, Ok);
            let socket = socket.map_err(|error| privileged(&error, name, "opening an AF_XDP socket"))?;
            let (receive, transmit) = set_up(&socket, &memory, base, shape, queue)
                .map_err(|error| RingError::of_system(&error, name, "making the rings"))?;
            bind(&socket, self.interface, queue, self.buffers, self.until)?;
            let directed = self.program.direct(queue, socket.descriptor());
            directed.map_err(|error| RingError::of_system(&error, name, "directing frames to a socket"))?;
            let socket = Arc::new(socket);
            sending = sending.or(transmit.map(|half| (Arc::clone(&socket), half)));
            opened.push((socket, receive));
            base += shape.octets();
        }
        let none = || RingError::new(Kind::System, format!("{name}: no queue to send on"));
        Ok((memory, opened, sending.ok_or_else(none)?))
    }
}

/// `shape` with chunks for the greatest frame, where it leaves their size open and a page is enough.
fn sized(shape: Shape, mtu: usize) -> Shape {
    let longest = mtu + ETHERNET_HEADER_OCTETS + VLAN_TAG_OCTETS + (KERNEL_HEADROOM + shape.headroom) as usize;
    match shape.chunk_octets {
        0 if longest <= SMALL_CHUNK as usize => Shape { chunk_octets: SMALL_CHUNK, ..shape },
        0 => Shape { chunk_octets: 2 * SMALL_CHUNK, ..shape },
        _ => shape,
    }
}

fn privileged(error: &io::Error, name: &str, doing: &str) -> RingError {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => RingError::new(
            Kind::Privilege,
            format!(
                "AF_XDP on {name} needs the capabilities CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF, which this process has not"
            ),
        ),
        _ => RingError::of_system(error, name, doing),
    }
}

/// Put the program on the interface, by the hook asked for or the best there is.
fn attach(
    program: &mut Program,
    interface: &Interface,
    wanted: Option<Hook>,
    until: Instant,
) -> Result<(Hook, Option<String>), RingError> {
    let name = &interface.name;
    let mut attach = |hook| patiently(until, || program.attach(interface.index, hook));
    let busy = || {
        let message = format!("{name} is busy: another port or program has its XDP hook");
        RingError::new(Kind::Busy, message)
    };
    let first = wanted.unwrap_or(Hook::Driver);
    let error = match attach(first) {
        Ok(()) => return Ok((first, None)),
        Err(error) => error,
    };
    match error.raw_os_error() {
        _ if held_by_another(&error) => return Err(busy()),
        Some(libc::EPERM | libc::EACCES) => return Err(privileged(&error, name, "attaching")),
        Some(libc::ENODEV) => return Err(RingError::vanished(name)),
        _ => {}
    }
    let refusal = RingError::of_system(&error, name, "attaching a program in the driver").message;
    if wanted.is_some() {
        return Err(RingError::new(Kind::Unsupported, refusal));
    }
    match attach(Hook::Generic) {
        Ok(()) => Ok((Hook::Generic, Some(refusal))),
        Err(error) if held_by_another(&error) => Err(busy()),
        Err(error) => Err(RingError::of_system(&error, name, "attaching a program in the stack")),
    }
}

/// Try until `until` while somebody else, perhaps a port that is being closed, holds what is needed.
fn patiently<T>(until: Instant, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if held_by_another(&error) && Instant::now() < until => sleep(RETRY_EVERY),
            result => return result,
        }
    }
}

fn held_by_another(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST))
}

fn bind(socket: &Socket, interface: &Interface, queue: u32, buffers: Buffers, until: Instant) -> Result<(), RingError> {
    let name = &interface.name;
    let bound = patiently(until, || socket.bind(interface.index, queue, buffers));
    bound.map_err(|error| match error.raw_os_error() {
        Some(libc::EBUSY) => {
            RingError::new(Kind::Busy, format!("queue {queue} of {name} is busy: another AF_XDP socket has it"))
        }
        Some(libc::EINVAL) => RingError::new(Kind::Unsupported, format!("{name} has no queue {queue}")),
        Some(libc::EOPNOTSUPP) if buffers == Buffers::ZeroCopy => {
            RingError::new(Kind::Unsupported, format!("{name}: its driver offers no zero copy"))
        }
        _ => RingError::of_system(&error, name, "binding an AF_XDP socket"),
    })
}

fn set_up(
    socket: &Socket,
    memory: &Arc<Mapping>,
    base: usize,
    shape: &Shape,
    queue: u32,
) -> io::Result<(Receive, Option<Transmit>)> {
    let rings = socket.make_rings(memory, base, shape)?;
    let receive_chunks = Chunks::new(0, shape.chunk_octets, shape.receive_chunks);
    let receive = Receive::new(Arc::clone(memory), base, rings.received, rings.fill, receive_chunks, queue)
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let transmit = rings.transmit.map(|(requests, completed)| {
        let from = u64::from(shape.receive_chunks) * u64::from(shape.chunk_octets);
        let chunks = Chunks::new(from, shape.chunk_octets, shape.transmit_chunks);
        Transmit::new(Arc::clone(memory), base, requests, completed, chunks, shape.chunk_octets as usize)
    });
    Ok((receive, transmit))
}

impl Receiver {
    /// What polls readable when there are frames.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        match &self.epoll {
            Some(epoll) => epoll.as_fd(),
            None => self.queues[0].0.descriptor(),
        }
    }

    /// The memory that slots are in.
    pub fn memory(&self) -> &Arc<Mapping> {
        &self.memory
    }

    /// Ask each queue in turn, another one first each time; `each` gets at most `max_frames` frames.
    fn take(&mut self, max_frames: usize, mut each: impl FnMut(&Mapping, Slot)) {
        let mut left = max_frames;
        for turn in 0..self.queues.len() {
            let at = (self.next + turn) % self.queues.len();
            let (socket, half) = &mut self.queues[at];
            left -= half.take(left, &mut each);
            if half.needs_wakeup() {
                system::kick_receive(socket.descriptor());
            }
        }
        self.next = (self.next + 1) % self.queues.len();
    }

    fn refill(&mut self) {
        if self.lendings == 0 {
            self.queues.iter_mut().for_each(|(_, half)| half.refill());
        }
    }

    /// At most `max_frames` frames that are there, copied.
    pub fn receive(&mut self, max_frames: usize) -> Batch {
        let slots = self.lend(max_frames);
        let batch = gather(&self.memory, &slots);
        self.take_back();
        batch
    }

    /// At most `max_frames` frames that are there; their memory is ours until `take_back`.
    pub fn lend(&mut self, max_frames: usize) -> Vec<Slot> {
        let mut slots = Vec::new();
        self.lendings += 1;
        self.take(max_frames, |_, slot| slots.push(slot));
        slots
    }

    /// End a `lend`; with the last one the memory goes back to the kernel.
    pub fn take_back(&mut self) {
        self.lendings = self.lendings.saturating_sub(1);
        self.refill();
    }

    /// What was wrong with what the kernel said, all queues together.
    pub fn account(&self) -> Account {
        let mut all = Account::default();
        for (_, half) in &self.queues {
            let one = half.account();
            all.invalid_descriptors += one.invalid_descriptors;
            all.pieces_of_long_frames += one.pieces_of_long_frames;
            all.inconsistent_counters += one.inconsistent_counters;
        }
        all
    }

    /// What the kernel dropped, all queues together.
    pub fn statistics(&self) -> Statistics {
        let mut all = Statistics::default();
        for (socket, _) in &self.queues {
            let one = socket.statistics();
            all.dropped += one.dropped;
            all.invalid_receive += one.invalid_receive;
            all.invalid_transmit += one.invalid_transmit;
            all.ring_full += one.ring_full;
            all.fill_empty += one.fill_empty;
            all.transmit_empty += one.transmit_empty;
        }
        all
    }

    /// Err when the interface is down or gone.
    pub fn check(&self) -> Result<(), RingError> {
        for (socket, _) in &self.queues {
            // the only error that waits on such a socket is that of an interface that has gone
            let _ = system::take_error(socket.descriptor());
        }
        self.held.check_up()
    }
}

impl Transmitter {
    /// Put frames from the front into the ring and let the kernel send them; how many there was room for.
    pub fn send(&mut self, frames: &Frames<'_>) -> Result<usize, RingError> {
        lengths::check(frames, &self.held.interface.name, self.longest)?;
        self.held.check_up()?;
        let mut taken = 0;
        while taken < frames.len() {
            self.half.reap();
            let rest = taken..frames.len();
            let put = self.half.put(rest.map(|index| frames.frame(index)));
            if put == 0 {
                break;
            }
            taken += put;
            self.kick();
        }
        Ok(taken)
    }

    /// Let the kernel send what it has not looked at.
    pub fn flush(&mut self) -> Result<(), RingError> {
        self.kick();
        if self.half.outstanding() > 0 {
            self.held.check_up()?;
        }
        Ok(())
    }

    /// Call the kernel as long as it asks for it and gets on.
    ///
    /// In copy mode it takes `FRAMES_PER_KICK` a call and says EAGAIN.  Older kernels (seen on 6.1) move the ring's
    /// consumer only when they have taken all that they saw in it, so that a call may get on without our seeing it.
    fn kick(&mut self) {
        let mut before = self.half.outstanding();
        let mut unseen = before / FRAMES_PER_KICK;
        while before > 0 && self.half.needs_wakeup() {
            let refusal = system::kick_transmit(self.socket.descriptor()).err().and_then(|error| error.raw_os_error());
            if refusal == Some(libc::EBUSY) {
                self.device_drops += 1; // so copy mode says that the device refused the frame, which is lost
            }
            let now = self.half.outstanding();
            if now == before {
                if refusal != Some(libc::EAGAIN) || unseen == 0 {
                    break;
                }
                unseen -= 1;
            }
            before = now;
        }
    }

    /// Frames in the ring that the kernel has not looked at.
    pub fn waiting(&mut self) -> u32 {
        self.half.outstanding()
    }

    /// Frames that the kernel took and the device refused.
    pub fn device_drops(&self) -> u64 {
        self.device_drops
    }

    /// Completions and counters that cannot be.
    pub fn invalid_completions(&self) -> u64 {
        self.half.invalid_completions()
    }
}
