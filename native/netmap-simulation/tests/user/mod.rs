//! A user of the simulation: its own numbers, its own mapping, no code of the kernel side.
#![allow(unsafe_code, dead_code)]
use std::os::fd::AsRawFd;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use netmap_simulation::{Descriptor, Errno, Simulation};

pub(crate) const NIOCCTRL: u64 = 0xC058_6997;
pub(crate) const NIOCTXSYNC: u64 = 0x6994;
pub(crate) const NIOCRXSYNC: u64 = 0x6995;
pub(crate) const HEAD: u64 = 20;
pub(crate) const CUR: u64 = 24;
pub(crate) const TAIL: u64 = 28;

/// Answer of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) offset: u64,
    pub(crate) octets: u64,
    pub(crate) memory_id: u16,
    pub(crate) extra_buffers: u32,
}

/// What to register.
#[derive(Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) name: &'a str,
    pub(crate) mode: u32,
    pub(crate) flags: u64,
    pub(crate) slots: u32,
    pub(crate) ring: u16,
    pub(crate) memory_id: u16,
    pub(crate) extra_buffers: u32,
}

impl Default for Wish<'_> {
    fn default() -> Self {
        Self { name: "", mode: 1, flags: 0, slots: 0, ring: 0, memory_id: 0, extra_buffers: 0 }
    }
}

pub(crate) fn register(descriptor: &Descriptor, wish: Wish<'_>) -> Result<Registered, Errno> {
    let mut header = [0u8; 88];
    header[0] = 14;
    header[2] = 1;
    header[8..8 + wish.name.len()].copy_from_slice(wish.name.as_bytes());
    let mut body = [0u8; 56];
    body[16..20].copy_from_slice(&wish.slots.to_le_bytes());
    body[20..24].copy_from_slice(&wish.slots.to_le_bytes());
    body[32..34].copy_from_slice(&wish.memory_id.to_le_bytes());
    body[34..36].copy_from_slice(&wish.ring.to_le_bytes());
    body[36..40].copy_from_slice(&wish.mode.to_le_bytes());
    body[40..44].copy_from_slice(&wish.extra_buffers.to_le_bytes());
    body[48..56].copy_from_slice(&wish.flags.to_le_bytes());
    let body = &raw mut body;
    header[80..88].copy_from_slice(&(body as u64).to_le_bytes());
    // SAFETY: header and body are ours and live until the call returns.
    unsafe { descriptor.ioctl(NIOCCTRL, (&raw mut header).cast())? };
    // SAFETY: the body is ours.
    let body = unsafe { body.read() };
    let number = |range: std::ops::Range<usize>| {
        body[range].iter().rev().fold(0u64, |number, &octet| number << 8 | u64::from(octet))
    };
    Ok(Registered {
        offset: number(0..8),
        octets: number(8..16),
        memory_id: number(32..34) as u16,
        extra_buffers: number(40..44) as u32,
    })
}

pub(crate) fn sync(descriptor: &Descriptor, call: u64) {
    // SAFETY: the call takes no argument.
    unsafe { descriptor.ioctl(call, null_mut()).expect("sync") };
}

/// A registered port, mapped.
pub(crate) struct User {
    pub(crate) descriptor: Descriptor,
    pub(crate) registered: Registered,
    start: *mut u8,
}

// SAFETY: all accesses to the mapping are atomic or of octets that one test thread at a time owns.
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

impl User {
    pub(crate) fn open(simulation: &Simulation, wish: Wish<'_>) -> Result<Self, Errno> {
        let descriptor = simulation.open()?;
        let registered = register(&descriptor, wish)?;
        let mapping = descriptor.mapping()?;
        assert_eq!(mapping.octets, registered.octets);
        let file = descriptor.file().as_raw_fd();
        let (protection, octets) = (libc::PROT_READ | libc::PROT_WRITE, mapping.octets as usize);
        // SAFETY: a new mapping of our own.
        let start =
            unsafe { libc::mmap(null_mut(), octets, protection, libc::MAP_SHARED, file, mapping.offset as i64) };
        assert_ne!(start, libc::MAP_FAILED);
        Ok(Self { descriptor, registered, start: start.cast() })
    }

    pub(crate) fn named(simulation: &Simulation, name: &str) -> Self {
        Self::open(simulation, Wish { name, ..Wish::default() }).expect(name)
    }

    fn at(&self, offset: u64, octets: u64) -> *mut u8 {
        assert!(offset + octets <= self.registered.octets, "{offset}");
        // SAFETY: inside the mapping.
        unsafe { self.start.add(offset as usize) }
    }

    pub(crate) fn word(&self, offset: u64) -> &AtomicU32 {
        // SAFETY: inside the mapping, which lives as long as the user, aligned.
        unsafe { AtomicU32::from_ptr(self.at(offset, 4).cast()) }
    }

    pub(crate) fn long(&self, offset: u64) -> &AtomicU64 {
        // SAFETY: as above.
        unsafe { AtomicU64::from_ptr(self.at(offset, 8).cast()) }
    }

    pub(crate) fn get(&self, offset: u64) -> u32 {
        self.word(offset).load(Ordering::Acquire)
    }

    pub(crate) fn set(&self, offset: u64, value: u32) {
        self.word(offset).store(value, Ordering::Release);
    }

    /// Ring `number` of the record's table.
    pub(crate) fn ring(&self, number: u64) -> u64 {
        let relative = self.long(self.registered.offset + 56 + 8 * number).load(Ordering::Acquire);
        assert_ne!(relative, 0, "ring {number} is not bound");
        self.registered.offset.wrapping_add(relative)
    }

    pub(crate) fn tx(&self) -> u64 {
        self.ring(0)
    }

    pub(crate) fn rx(&self) -> u64 {
        let tx_rings = self.get(self.registered.offset + 24) + self.get(self.registered.offset + 36);
        self.ring(tx_rings.into())
    }

    pub(crate) fn slots(&self, ring: u64) -> u32 {
        self.get(ring + 8)
    }

    pub(crate) fn slot(&self, ring: u64, index: u32) -> (u32, u16, u16, u64) {
        let place = ring + 256 + 16 * u64::from(index);
        let word = self.long(place).load(Ordering::Acquire);
        (word as u32, (word >> 32) as u16, (word >> 48) as u16, self.long(place + 8).load(Ordering::Acquire))
    }

    pub(crate) fn put_slot(&self, ring: u64, index: u32, slot: (u32, u16, u16, u64)) {
        let place = ring + 256 + 16 * u64::from(index);
        self.long(place + 8).store(slot.3, Ordering::Release);
        let word = u64::from(slot.0) | u64::from(slot.1) << 32 | u64::from(slot.2) << 48;
        self.long(place).store(word, Ordering::Release);
    }

    pub(crate) fn buffer(&self, ring: u64, index: u32) -> u64 {
        let offset = self.long(ring).load(Ordering::Acquire);
        ring.wrapping_add(offset).wrapping_add(u64::from(index) * 2048)
    }

    pub(crate) fn room(&self, ring: u64) -> u32 {
        let (head, tail, n) = (self.get(ring + HEAD), self.get(ring + TAIL), self.slots(ring));
        (tail + n - head) % n
    }

    /// Put a frame into the next transmit slot, without a sync.  False: no room.
    pub(crate) fn put(&self, frame: &[u8], flags: u16) -> bool {
        let ring = self.tx();
        let (head, n) = (self.get(ring + HEAD), self.slots(ring));
        if self.room(ring) == 0 {
            return false;
        }
        let (index, _, _, pointer) = self.slot(ring, head);
        let place = self.at(self.buffer(ring, index), frame.len() as u64);
        // SAFETY: inside the mapping; the buffer is ours, between head and tail.
        unsafe { place.copy_from(frame.as_ptr(), frame.len()) };
        self.put_slot(ring, head, (index, frame.len() as u16, flags, pointer));
        self.set(ring + HEAD, (head + 1) % n);
        self.set(ring + CUR, (head + 1) % n);
        true
    }

    pub(crate) fn send(&self, frame: &[u8]) -> bool {
        let sent = self.put(frame, 0);
        sync(&self.descriptor, NIOCTXSYNC);
        sent
    }

    /// Take the next received slot, without a sync: its octets and flags.
    pub(crate) fn take(&self) -> Option<(Vec<u8>, u16)> {
        let ring = self.rx();
        let (head, n) = (self.get(ring + HEAD), self.slots(ring));
        if self.room(ring) == 0 {
            return None;
        }
        let (index, length, flags, _) = self.slot(ring, head);
        let mut octets = vec![0; length.into()];
        let place = self.at(self.buffer(ring, index), length.into());
        // SAFETY: inside the mapping.
        unsafe { place.copy_to(octets.as_mut_ptr(), octets.len()) };
        self.set(ring + HEAD, (head + 1) % n);
        self.set(ring + CUR, (head + 1) % n);
        Some((octets, flags))
    }

    pub(crate) fn receive(&self) -> Vec<(Vec<u8>, u16)> {
        sync(&self.descriptor, NIOCRXSYNC);
        std::iter::from_fn(|| self.take()).collect()
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // SAFETY: our own mapping, no longer used.
        unsafe { libc::munmap(self.start.cast(), self.registered.octets as usize) };
    }
}

/// A frame of `length` octets from address `from` to `to`, filled with `fill`.
pub(crate) fn frame(to: u8, from: u8, length: usize, fill: u8) -> Vec<u8> {
    let mut octets = vec![fill; length];
    octets[..12].copy_from_slice(&[2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from]);
    octets
}
