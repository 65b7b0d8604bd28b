//! The transmit ring, TPACKET_V2: slots of one size that the kernel empties in order, and only while it is called.
use crate::memory::Mapping;

/// Status of a slot: ours, to be filled.
const AVAILABLE: u32 = 0;
/// Status of a slot: filled, not yet looked at by the kernel.
const SEND_REQUEST: u32 = 1;
/// Status of a slot: the kernel does not take this frame.
const WRONG_FORMAT: u32 = 4;
const LENGTH: usize = 4;
/// Octets of a slot before the frame.
pub const HEADER_OCTETS: usize = 32;

/// Our side of a transmit ring.
pub struct FrameRing {
    memory: Mapping,
    block_octets: usize,
    slot_octets: usize,
    slots_per_block: usize,
    slots: usize,
    head: usize,
    refused: u64,
}

impl FrameRing {
    /// The ring at the start of `memory`.  None: it does not fit in.
    pub fn new(memory: Mapping, block_octets: usize, blocks: usize, slot_octets: usize) -> Option<Self> {
        if slot_octets <= HEADER_OCTETS || !slot_octets.is_multiple_of(16) {
            return None;
        }
        let slots_per_block = block_octets / slot_octets;
        let slots = slots_per_block.checked_mul(blocks)?;
        if slots == 0 || block_octets.checked_mul(blocks)? > memory.len() {
            return None;
        }
        Some(Self { memory, block_octets, slot_octets, slots_per_block, slots, head: 0, refused: 0 })
    }

    /// Frames that one round of the ring holds.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Frames that the kernel refused for their form.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Octets that a frame may have.
    pub fn room(&self) -> usize {
        self.slot_octets - HEADER_OCTETS
    }

    fn start(&self, slot: usize) -> usize {
        slot / self.slots_per_block * self.block_octets + slot % self.slots_per_block * self.slot_octets
    }

    /// Put a frame into the next slot.  False: the kernel has not emptied it yet, or the frame is too long for it.
    #[inline]
    pub fn put(&mut self, frame: &[u8]) -> bool {
        let start = self.start(self.head);
        if frame.len() > self.room() || self.memory.load_acquire(start) != Some(AVAILABLE) {
            return false;
        }
        self.memory.write(start + LENGTH, &(frame.len() as u32).to_ne_bytes());
        self.memory.write(start + HEADER_OCTETS, frame);
        self.memory.store_release(start, SEND_REQUEST);
        self.head = if self.head + 1 == self.slots { 0 } else { self.head + 1 };
        true
    }

    /// Take back what the kernel did not take of the last `put` frames; how many that are.
    ///
    /// The kernel looks at the ring only within a call of ours and in order, so what is still requested after it
    /// is the end of what we put, and begins at the slot where the kernel will look next.
    pub fn withdraw(&mut self, put: usize) -> usize {
        let mut taken_back = 0;
        while taken_back < put {
            let last = if self.head == 0 { self.slots - 1 } else { self.head - 1 };
            let start = self.start(last);
            match self.memory.load_acquire(start) {
                Some(SEND_REQUEST) => {}
                Some(status) if status & WRONG_FORMAT != 0 => self.refused += 1,
                _ => break,
            }
            self.memory.store_release(start, AVAILABLE);
            self.head = last;
            taken_back += 1;
        }
        taken_back
    }
}
