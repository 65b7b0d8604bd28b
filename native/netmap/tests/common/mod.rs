//! A scripted kernel side: rings in a memory file, moved only by the tests' own words.  Its numbers are its own.
#![allow(unsafe_code, dead_code)]
use std::collections::VecDeque;
use std::ffi::{CStr, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};

use netmap_io_netmap::device::{Device, Opener};
use netmap_io_netmap::link::Watch;
use netmap_io_netmap::port::{Options, Outcome, open};
use netmap_io_netmap::{Mode, Receiver, Transmitter};
use netmap_io_rings::error::RingError;
use netmap_io_rings::memory::Mapping;

pub(crate) const BUFFER: usize = 128;
/// What lies where the driver has no business.
pub(crate) const FORBIDDEN: u8 = 0xEE;
/// A name that the driver takes for a switch's port: nothing is watched, frames may be in several slots.
pub(crate) const NAMES: [&str; 2] = ["vale0:a", "vale0:b"];

pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    pub(crate) fn frame(&mut self, low: usize, high: usize, number: u32) -> Vec<u8> {
        let length = low + self.below(high - low + 1);
        let mut frame: Vec<u8> = (0..length).map(|_| self.below(0xE0) as u8).collect();
        frame[..4].copy_from_slice(&number.to_be_bytes());
        frame
    }
}

/// What a ring of the scripted kernel knows by itself.
#[derive(Clone, Default)]
pub(crate) struct Side {
    pub(crate) header: usize,
    pub(crate) hwcur: u32,
    pub(crate) hwtail: u32,
}

#[derive(Default)]
pub(crate) struct Port {
    pub(crate) tx: Side,
    pub(crate) rx: Side,
    /// Slots to come: octets, flags.
    pub(crate) incoming: VecDeque<(Vec<u8>, u16)>,
    /// Slots that went: octets, flags.
    pub(crate) sent: Vec<(Vec<u8>, u16)>,
    /// Slots that one sync may move, by turns; empty: all.
    pub(crate) at_most: VecDeque<u32>,
    pub(crate) illegal: u32,
    pub(crate) restarts: u32,
    pub(crate) fails_with: Option<i32>,
}

pub(crate) struct Kernel {
    pub(crate) memory: Mapping,
    file: File,
    pub(crate) slots: u32,
    pub(crate) buffers_at: usize,
    pub(crate) total: u32,
    pub(crate) ports: Mutex<Vec<Port>>,
    pub(crate) extra: u32,
}

const RECORD: usize = 512;
const RINGS_AT: usize = 4096;

impl Kernel {
    /// Two ports with a ring each way; `extra` buffers for whoever asks.
    pub(crate) fn new(slots: u32, extra: u32) -> Arc<Self> {
        let ring = 256 + 16 * slots as usize + 64; // with a gap behind each
        let buffers_at = RINGS_AT + 4 * ring;
        let total = 2 + 4 * slots + extra;
        let octets = buffers_at + total as usize * BUFFER;
        let (memory, file) = Mapping::shared(octets).unwrap();
        memory.write(0, &vec![FORBIDDEN; octets]);
        let mut ports = Vec::new();
        for index in 0..2 {
            let mut port = Port::default();
            let record = index * RECORD;
            for (offset, value) in [(24, 1_u32), (28, 1), (32, 0), (36, 1), (40, 1)] {
                memory.write(record + offset, &value.to_ne_bytes());
            }
            let headers = [0, 1].map(|which| RINGS_AT + (2 * index + which) * ring);
            for (place, header) in [(0, headers[0]), (1, 0), (2, headers[1]), (3, 0)] {
                let offset = if header == 0 { 0 } else { (header - record) as i64 };
                memory.write(record + 56 + 8 * place, &offset.to_ne_bytes());
            }
            (port.tx.header, port.rx.header) = (headers[0], headers[1]);
            port.tx.hwtail = slots - 1;
            for (which, header) in headers.into_iter().enumerate() {
                memory.write(header, &[0; 256]);
                memory.write(header, &((buffers_at - header) as i64).to_ne_bytes());
                memory.write(header + 8, &slots.to_ne_bytes());
                memory.write(header + 12, &(BUFFER as u32).to_ne_bytes());
                memory.write(header + 28, &(if which == 0 { slots - 1 } else { 0 }).to_ne_bytes());
                for slot in 0..slots {
                    let buffer = 2 + (2 * index + which) as u32 * slots + slot;
                    memory.write(header + 256 + 16 * slot as usize, &buffer.to_ne_bytes());
                    memory.write(header + 260 + 16 * slot as usize, &[0; 12]);
                }
            }
            ports.push(port);
        }
        memory.write(buffers_at + 2 * BUFFER, &vec![0; (total as usize - 2) * BUFFER]);
        Arc::new(Self { memory, file, slots, buffers_at, total, ports: Mutex::new(ports), extra })
    }

    pub(crate) fn open(
        self: &Arc<Self>,
        port: usize,
        extra: u32,
    ) -> Result<(Receiver, Transmitter, Outcome), RingError> {
        let wish =
            netmap_io_netmap::port::Wish { flags: 0, slots: (0, 0), rings: (0, 0), memory_id: 0, extra_buffers: extra };
        let modes = vec![Mode::Hardware];
        let options = Options { modes, wish, timestamps: true, send_ring: 0 };
        open(&Scripted(Arc::clone(self)), NAMES[port], &options)
    }

    pub(crate) fn word(&self, place: usize) -> u32 {
        self.memory.load_acquire(place).unwrap()
    }

    pub(crate) fn set(&self, place: usize, value: u32) {
        assert!(self.memory.store_release(place, value));
    }

    pub(crate) fn slot(&self, header: usize, slot: u32) -> (u32, u16, u16) {
        let place = header + 256 + 16 * slot as usize;
        let [a, b, c, d, e, f, g, h] = self.memory.read(place).unwrap();
        (u32::from_ne_bytes([a, b, c, d]), u16::from_ne_bytes([e, f]), u16::from_ne_bytes([g, h]))
    }

    fn set_slot(&self, header: usize, slot: u32, length: u16, flags: u16) {
        let place = header + 256 + 16 * slot as usize;
        self.memory.write(place + 4, &length.to_ne_bytes());
        self.memory.write(place + 6, &flags.to_ne_bytes());
    }

    fn buffer(&self, index: u32) -> Option<usize> {
        (2..self.total).contains(&index).then(|| self.buffers_at + index as usize * BUFFER)
    }

    pub(crate) fn octets(&self, index: u32, length: u16) -> Option<Vec<u8>> {
        let (place, mut out) = (self.buffer(index)?, Vec::new());
        (usize::from(length) <= BUFFER && self.memory.append_to(place, usize::from(length), &mut out)).then_some(out)
    }

    /// The user's head, or None after a ring error, as the module treats it.
    fn head(&self, side: &Side, illegal: &mut u32, restarts: &mut u32) -> Option<u32> {
        let [head, cur] = [20, 24].map(|offset| self.word(side.header + offset));
        if head >= self.slots || cur >= self.slots {
            *restarts += 1;
            self.set(side.header + 20, side.hwcur);
            self.set(side.header + 24, side.hwcur);
            self.set(side.header + 28, side.hwtail);
            return None;
        }
        let ahead = |to: u32| (to + self.slots - side.hwcur) % self.slots;
        if !(ahead(head) <= ahead(cur) && ahead(cur) <= ahead(side.hwtail)) {
            *illegal += 1;
            return None;
        }
        Some(head)
    }

    fn transmit(&self, port: &mut Port) {
        let Some(head) = self.head(&port.tx, &mut port.illegal, &mut port.restarts) else { return };
        while port.tx.hwcur != head {
            let (buffer, length, flags) = self.slot(port.tx.header, port.tx.hwcur);
            if let Some(octets) = self.octets(buffer, length) {
                port.sent.push((octets, flags & 0x20));
            }
            port.tx.hwcur = (port.tx.hwcur + 1) % self.slots;
        }
        let mut most = port.at_most.pop_front().unwrap_or(self.slots);
        while most > 0 && (port.tx.hwtail + 1) % self.slots != port.tx.hwcur {
            port.tx.hwtail = (port.tx.hwtail + 1) % self.slots;
            most -= 1;
        }
        self.set(port.tx.header + 28, port.tx.hwtail);
    }

    fn receive(&self, port: &mut Port) {
        let Some(head) = self.head(&port.rx, &mut port.illegal, &mut port.restarts) else { return };
        port.rx.hwcur = head;
        let mut most = port.at_most.pop_front().unwrap_or(self.slots);
        while most > 0 && (port.rx.hwtail + 1) % self.slots != port.rx.hwcur {
            let Some((octets, flags)) = port.incoming.pop_front() else { break };
            let (buffer, ..) = self.slot(port.rx.header, port.rx.hwtail);
            if let Some(place) = self.buffer(buffer) {
                self.memory.write(place, &octets);
            }
            self.set_slot(port.rx.header, port.rx.hwtail, octets.len() as u16, flags);
            port.rx.hwtail = (port.rx.hwtail + 1) % self.slots;
            most -= 1;
        }
        self.set(port.rx.header + 28, port.rx.hwtail);
        self.memory.write(port.rx.header + 40, &1_700_000_000_i64.to_ne_bytes());
        self.memory.write(port.rx.header + 48, &42_i64.to_ne_bytes());
    }

    /// Octets where the driver has no business: all but its rings, its buffers and the head of the extra list.
    pub(crate) fn untouched(&self) -> bool {
        let ring = 256 + 16 * self.slots as usize;
        let gaps = (0..4).map(|index| (RINGS_AT + index * (ring + 64) + ring, 64));
        let spans = gaps.chain([(self.buffers_at, 2 * BUFFER), (2 * RECORD, RINGS_AT - 2 * RECORD)]);
        spans.into_iter().all(|(start, length)| {
            let mut out = Vec::new();
            self.memory.append_to(start, length, &mut out) && out.iter().all(|&octet| octet == FORBIDDEN)
        })
    }
}

pub(crate) struct Scripted(pub(crate) Arc<Kernel>);

struct Open {
    kernel: Arc<Kernel>,
    port: Mutex<Option<usize>>,
    poll: File,
}

impl Opener for Scripted {
    fn open(&self) -> io::Result<Box<dyn Device>> {
        let poll = File::open("/dev/null")?;
        Ok(Box::new(Open { kernel: Arc::clone(&self.0), port: Mutex::new(None), poll }))
    }

    fn watch(&self, name: &str) -> Result<Box<dyn Watch>, RingError> {
        Err(RingError::vanished(name))
    }
}

impl Device for Open {
    unsafe fn control(&self, request: u64, argument: *mut c_void) -> io::Result<()> {
        let fail = |code| Err(io::Error::from_raw_os_error(code));
        let mut own = self.port.lock().unwrap();
        let mut ports = self.kernel.ports.lock().unwrap();
        if let Some(code) = own.and_then(|own| ports[own].fails_with) {
            return fail(code);
        }
        match (request, *own) {
            (0x6994, Some(port)) => self.kernel.transmit(&mut ports[port]),
            (0x6995, Some(port)) => self.kernel.receive(&mut ports[port]),
            (0xC058_6997, _) => {
                // SAFETY: the driver passes a header of 88 octets, whose name is terminated and whose body (at 80) is as
                // long as the request (at 2) says; nothing else uses them during the call.
                let (kind, name, body) = unsafe {
                    let header = argument.cast::<u8>();
                    let name = CStr::from_ptr(header.add(8).cast()).to_string_lossy().into_owned();
                    let body = header.add(80).cast::<u64>().read_unaligned();
                    (
                        header.add(2).cast::<u16>().read(),
                        name,
                        std::ptr::with_exposed_provenance_mut::<u8>(body as usize),
                    )
                };
                let Some(port) = NAMES.iter().position(|&known| known == name) else { return fail(libc::ENXIO) };
                // SAFETY: as above; a REGISTER body has 56 octets, that of POOLS_INFO_GET 64.
                unsafe {
                    if kind == 1 {
                        let extra = body.add(40).cast::<u32>().read().min(self.kernel.extra);
                        body.cast::<u64>().write((port * RECORD) as u64);
                        body.add(8).cast::<u64>().write(self.kernel.memory.len() as u64);
                        body.add(32).cast::<u16>().write(7);
                        body.add(40).cast::<u32>().write(extra);
                        let first = 2 + 4 * self.kernel.slots;
                        for index in 0..extra {
                            let next = if index + 1 < extra { first + index + 1 } else { 0 };
                            self.kernel.set(self.kernel.buffer(first + index).unwrap(), next);
                        }
                        self.kernel.set(port * RECORD + 32, if extra > 0 { first } else { 0 });
                        *own = Some(port);
                    } else if kind == 12 {
                        body.add(56).cast::<u32>().write(self.kernel.total);
                    } else {
                        return fail(libc::EINVAL);
                    }
                }
            }
            (_, None) => return fail(libc::ENXIO),
            _ => return fail(libc::EOPNOTSUPP),
        }
        Ok(())
    }

    fn map(&self, octets: usize) -> io::Result<Mapping> {
        Mapping::of_device(self.kernel.file.as_fd(), octets, 0)
    }

    fn poll(&self, _events: i16, _timeout_ms: i32) -> io::Result<i16> {
        Ok(0)
    }

    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        Ok(self.poll.as_fd())
    }
}
