//! One ring of AF_XDP: a power of two of entries between two counters that only grow, modulo 2^32.
//!
//! Each side writes one counter and reads the other, once for each burst; what lies between belongs to the reader.
use crate::memory::Mapping;

/// Flag in the flags word: the kernel wants to be called.
const NEED_WAKEUP: u32 = 1;

/// Where the parts of a ring are in its mapping, as the kernel tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Of the producer's counter.
    pub producer: usize,
    /// Of the consumer's counter.
    pub consumer: usize,
    /// Of the flags.
    pub flags: usize,
    /// Of the entries.
    pub entries: usize,
}

/// A ring whose entries have `N` octets.  What the other side's counter says is never trusted beyond the ring's size.
pub struct Ring<const N: usize> {
    memory: Mapping,
    layout: Layout,
    size: u32,
    /// Our own counter; the copy in the memory is for the other side.
    own: u32,
    /// The other side's counter as last read.
    seen: u32,
    inconsistent: u64,
}

impl<const N: usize> Ring<N> {
    /// A ring of `size` entries that neither side has used.  None: no power of two, or not inside the memory.
    pub fn new(memory: Mapping, layout: Layout, size: u32) -> Option<Self> {
        let end = layout.entries.checked_add((size as usize).checked_mul(N)?)?;
        let words = [layout.producer, layout.consumer, layout.flags];
        let inside = words.iter().all(|&at| at.is_multiple_of(4) && at < memory.len() && memory.len() - at >= 4);
        if !size.is_power_of_two() || end > memory.len() || !inside {
            return None;
        }
        Some(Self { memory, layout, size, own: 0, seen: 0, inconsistent: 0 })
    }

    /// Entries in the ring.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// How often the other side's counter was where it cannot be.
    pub fn inconsistent(&self) -> u64 {
        self.inconsistent
    }

    /// Whether the kernel asks to be called.
    #[inline]
    pub fn needs_wakeup(&self) -> bool {
        self.memory.load_acquire(self.layout.flags).is_some_and(|flags| flags & NEED_WAKEUP != 0)
    }

    fn place(&self, counter: u32) -> usize {
        self.layout.entries + (counter & (self.size - 1)) as usize * N
    }

    /// As consumer: entries that are there.  Reads the producer's counter once.
    pub fn ready(&mut self) -> u32 {
        let producer = self.memory.load_acquire(self.layout.producer).unwrap_or(self.own);
        let ready = producer.wrapping_sub(self.own);
        if ready > self.size {
            self.inconsistent += 1;
            return 0;
        }
        ready
    }

    /// As consumer: a copy of the entry that is `ahead` of our counter; `ahead` is less than `ready` said.
    #[inline]
    pub fn entry(&self, ahead: u32) -> Option<[u8; N]> {
        self.memory.read(self.place(self.own.wrapping_add(ahead)))
    }

    /// As consumer: give `count` entries back.  Writes our counter once.
    pub fn consume(&mut self, count: u32) {
        self.own = self.own.wrapping_add(count);
        self.memory.store_release(self.layout.consumer, self.own);
    }

    /// As producer: entries that may be filled.  Reads the consumer's counter once.
    pub fn room(&mut self) -> u32 {
        self.size - self.outstanding()
    }

    /// As producer: entries that the consumer has not taken.
    pub fn outstanding(&mut self) -> u32 {
        let consumer = self.memory.load_acquire(self.layout.consumer).unwrap_or(self.seen);
        if self.own.wrapping_sub(consumer) > self.size {
            self.inconsistent += 1;
            return self.own.wrapping_sub(self.seen);
        }
        self.seen = consumer;
        self.own.wrapping_sub(consumer)
    }

    /// As producer: fill the entry that is `ahead` of our counter; `ahead` is less than `room` said.
    #[inline]
    pub fn fill(&mut self, ahead: u32, entry: &[u8; N]) {
        let place = self.place(self.own.wrapping_add(ahead));
        self.memory.write(place, entry);
    }

    /// As producer: hand `count` filled entries over.  Writes our counter once.
    pub fn submit(&mut self, count: u32) {
        self.own = self.own.wrapping_add(count);
        self.memory.store_release(self.layout.producer, self.own);
    }
}

/// A descriptor of a frame.  Copied out of the ring once; nothing in it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Octets from the start of the shared memory.
    pub address: u64,
    /// Octets of the frame.
    pub length: u32,
    /// Flags; bit 0 says that the frame goes on in the next descriptor.
    pub options: u32,
}

impl Descriptor {
    /// From the ring.
    #[inline]
    pub fn of(octets: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = octets;
        Self {
            address: u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
            length: u32::from_ne_bytes([i, j, k, l]),
            options: u32::from_ne_bytes([m, n, o, p]),
        }
    }

    /// For the ring.
    #[inline]
    pub fn octets(&self) -> [u8; 16] {
        let mut octets = [0; 16];
        octets[..8].copy_from_slice(&self.address.to_ne_bytes());
        octets[8..12].copy_from_slice(&self.length.to_ne_bytes());
        octets[12..].copy_from_slice(&self.options.to_ne_bytes());
        octets
    }
}
