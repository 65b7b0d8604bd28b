//! Sending on one queue: chunks with frames go to the kernel by the transmit ring and come back by the completion ring.
use std::sync::Arc;

use crate::memory::Mapping;
use crate::xdp::chunks::Chunks;
use crate::xdp::ring::{Descriptor, Ring};

/// The sending half of a queue.
pub struct Transmit {
    memory: Arc<Mapping>,
    /// Where in `memory` the queue's addresses begin.
    base: usize,
    requests: Ring<16>,
    completed: Ring<8>,
    chunks: Chunks,
    chunk_octets: usize,
    free: Vec<u32>,
    invalid_completions: u64,
}

impl Transmit {
    /// The half of a queue whose addresses count from octet `base` of `memory` on; all of `chunks` are ours.
    pub fn new(
        memory: Arc<Mapping>,
        base: usize,
        requests: Ring<16>,
        completed: Ring<8>,
        chunks: Chunks,
        chunk_octets: usize,
    ) -> Self {
        let free = (0..chunks.count() as u32).rev().collect();
        Self { memory, base, requests, completed, chunks, chunk_octets, free, invalid_completions: 0 }
    }

    /// Octets that a frame may have.
    pub fn room(&self) -> usize {
        self.chunk_octets
    }

    /// Completions that name no chunk of the kernel's, and counters that were where they cannot be.
    pub fn invalid_completions(&self) -> u64 {
        self.invalid_completions + self.requests.inconsistent() + self.completed.inconsistent()
    }

    /// Whether the kernel asks to be called.
    pub fn needs_wakeup(&self) -> bool {
        self.requests.needs_wakeup()
    }

    /// Frames that the kernel has not looked at.
    pub fn outstanding(&mut self) -> u32 {
        self.requests.outstanding()
    }

    /// Take back the chunks of frames that are sent.
    pub fn reap(&mut self) {
        let ready = self.completed.ready();
        for ahead in 0..ready {
            let address = self.completed.entry(ahead).map(u64::from_ne_bytes);
            match address.and_then(|address| self.chunks.take(address, 0)) {
                Some(index) => self.free.push(index),
                None => self.invalid_completions += 1,
            }
        }
        if ready > 0 {
            self.completed.consume(ready);
        }
    }

    /// Put frames from the front into the ring; how many there was room for.  A frame longer than `room` ends it.
    pub fn put<'a>(&mut self, frames: impl Iterator<Item = &'a [u8]>) -> usize {
        let room = self.requests.room();
        let mut count = 0;
        for frame in frames {
            if count == room || frame.len() > self.chunk_octets {
                break;
            }
            let Some(index) = self.free.pop() else { break };
            let address = self.chunks.start(index);
            self.memory.write(self.base + address as usize, frame);
            self.chunks.give(index);
            let descriptor = Descriptor { address, length: frame.len() as u32, options: 0 };
            self.requests.fill(count, &descriptor.octets());
            count += 1;
        }
        if count > 0 {
            self.requests.submit(count);
        }
        count as usize
    }
}
