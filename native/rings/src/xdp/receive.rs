//! Receiving on one queue: chunks go to the kernel by the fill ring and come back, with frames, by the receive ring.
use std::sync::Arc;

use crate::memory::Mapping;
use crate::slots::Slot;
use crate::xdp::chunks::Chunks;
use crate::xdp::ring::{Descriptor, Ring};

const CONTINUES: u32 = 1;

/// What was wrong with what the kernel said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Descriptors that name no chunk of the kernel's, or more octets than are in it: passed over.
    pub invalid_descriptors: u64,
    /// Pieces of frames that go over several chunks: passed over.
    pub pieces_of_long_frames: u64,
    /// Counters of rings that were where they cannot be.
    pub inconsistent_counters: u64,
}

/// The receiving half of a queue.
pub struct Receive {
    memory: Arc<Mapping>,
    filled: Ring<16>,
    fill: Ring<8>,
    chunks: Chunks,
    queue: u32,
    /// Where in `memory` the queue's addresses begin.
    base: usize,
    /// Chunks whose frames are out, to go back to the kernel.
    used: Vec<u32>,
    /// Whether the next descriptor belongs to a frame whose beginning was passed over.
    within_long_frame: bool,
    account: Account,
}

impl Receive {
    /// The half of queue number `queue`, whose addresses count from octet `base` of `memory` on; all of `chunks` are
    /// handed to the kernel at once.
    ///
    /// None: the fill ring has no room for all of them.
    pub fn new(
        memory: Arc<Mapping>,
        base: usize,
        filled: Ring<16>,
        fill: Ring<8>,
        chunks: Chunks,
        queue: u32,
    ) -> Option<Self> {
        let count = u32::try_from(chunks.count()).ok().filter(|&count| count <= fill.size())?;
        let used = (0..count).collect();
        let account = Account::default();
        let mut half = Self { memory, filled, fill, chunks, queue, base, used, within_long_frame: false, account };
        half.refill();
        Some(half)
    }

    /// The memory that slots are in.
    pub fn memory(&self) -> &Arc<Mapping> {
        &self.memory
    }

    /// What was wrong with what the kernel said.
    pub fn account(&self) -> Account {
        let inconsistent_counters = self.filled.inconsistent() + self.fill.inconsistent();
        Account { inconsistent_counters, ..self.account }
    }

    /// Whether the kernel asks to be called, to go on filling.
    pub fn needs_wakeup(&self) -> bool {
        self.fill.needs_wakeup()
    }

    /// Call `each` with at most `max_frames` frames that are there; how many.
    ///
    /// Their memory is ours until `refill`.
    pub fn take(&mut self, max_frames: usize, mut each: impl FnMut(&Mapping, Slot)) -> usize {
        let ready = self.filled.ready();
        let (mut looked_at, mut frames) = (0, 0);
        while looked_at < ready && frames < max_frames {
            let Some(octets) = self.filled.entry(looked_at) else { break };
            looked_at += 1;
            if let Some(slot) = self.slot(Descriptor::of(octets)) {
                each(&self.memory, slot);
                frames += 1;
            }
        }
        if looked_at > 0 {
            self.filled.consume(looked_at);
        }
        frames
    }

    fn slot(&mut self, descriptor: Descriptor) -> Option<Slot> {
        let Some(chunk) = self.chunks.take(descriptor.address, descriptor.length) else {
            self.account.invalid_descriptors += 1;
            return None;
        };
        self.used.push(chunk);
        let continues = descriptor.options & CONTINUES != 0;
        if continues || self.within_long_frame {
            self.within_long_frame = continues;
            self.account.pieces_of_long_frames += 1;
            return None;
        }
        Some(Slot {
            offset: self.base + descriptor.address as usize,
            length: descriptor.length as usize,
            original_length: descriptor.length,
            timestamp_ns: -1,
            interface: self.queue,
        })
    }

    /// Hand the chunks of all frames taken so far back to the kernel.
    pub fn refill(&mut self) {
        if self.used.is_empty() {
            return;
        }
        let room = self.fill.room() as usize;
        let keep = self.used.len().saturating_sub(room);
        let mut count = 0;
        for index in self.used.drain(keep..) {
            self.chunks.give(index);
            self.fill.fill(count, &self.chunks.start(index).to_ne_bytes());
            count += 1;
        }
        self.fill.submit(count);
    }
}
