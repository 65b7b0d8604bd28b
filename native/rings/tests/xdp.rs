//! The four rings of AF_XDP, with a simulated kernel on the other side.
mod common;

use std::collections::VecDeque;
use std::sync::Arc;

use common::{Kernel, Random};
use netmap_io_rings::memory::Mapping;
use netmap_io_rings::slots::Slot;
use netmap_io_rings::xdp::chunks::Chunks;
use netmap_io_rings::xdp::receive::Receive;
use netmap_io_rings::xdp::ring::{Layout, Ring};
use netmap_io_rings::xdp::transmit::Transmit;

const SIZE: u32 = 8;
const CHUNK: u32 = 256;
const LAYOUT: Layout = Layout { producer: 0, consumer: 64, flags: 128, entries: 192 };

fn ring<const N: usize>() -> (Kernel, Ring<N>) {
    let (memory, file) = Mapping::shared(192 + SIZE as usize * N).unwrap();
    (Kernel(file), Ring::new(memory, LAYOUT, SIZE).unwrap())
}

fn entry_at(counter: u32, octets: u64) -> u64 {
    192 + u64::from(counter % SIZE) * octets
}

/// The kernel's side of a receiving queue: takes chunks from the fill ring, puts frames into the receive ring.
struct ReceiveSim {
    received: Kernel,
    fill: Kernel,
    memory: Kernel,
    taken: u32,
    put: u32,
}

impl ReceiveSim {
    fn new() -> (Self, Receive) {
        let (received, receive_ring) = ring();
        let (fill, fill_ring) = ring();
        let (memory, file) = Mapping::shared((2 * SIZE * CHUNK) as usize).unwrap();
        let chunks = Chunks::new(0, CHUNK, SIZE);
        let base = (SIZE * CHUNK) as usize; // of a second queue
        let half = Receive::new(Arc::new(memory), base, receive_ring, fill_ring, chunks, 3).unwrap();
        (Self { received, fill, memory: Kernel(file), taken: 0, put: 0 }, half)
    }

    fn chunk(&mut self) -> Option<u64> {
        if self.fill.get(0) == self.taken {
            return None;
        }
        let octets = self.fill.octets(entry_at(self.taken, 8), 8);
        self.taken = self.taken.wrapping_add(1);
        self.fill.set(64, self.taken);
        Some(u64::from_ne_bytes(octets.try_into().unwrap()))
    }

    fn describe(&mut self, address: u64, length: u32, options: u32) {
        let at = entry_at(self.put, 16);
        self.received.put(at, &address.to_ne_bytes());
        self.received.set(at + 8, length);
        self.received.set(at + 12, options);
        self.put = self.put.wrapping_add(1);
        self.received.set(0, self.put);
    }

    /// A frame arrives; false: dropped for want of a chunk.
    fn arrive(&mut self, frame: &[u8]) -> bool {
        let Some(chunk) = self.chunk() else { return false };
        self.memory.put(u64::from(SIZE * CHUNK) + chunk + 32, frame);
        self.describe(chunk + 32, frame.len() as u32, 0);
        true
    }
}

fn take(half: &mut Receive, most: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    half.take(most, |memory: &Mapping, slot: Slot| {
        let mut octets = Vec::new();
        assert_eq!(slot.interface, 3);
        assert!(memory.append_to(slot.offset, slot.length, &mut octets));
        frames.push(octets);
    });
    frames
}

#[test]
fn frames_arrive_in_order_over_many_rounds() {
    let (mut sim, mut half) = ReceiveSim::new();
    let mut random = Random(9);
    let (mut given, mut got) = (Vec::new(), Vec::new());
    for _ in 0..2000 {
        for _ in 0..random.below(12) {
            let frame: Vec<u8> = (0..14 + random.below(200)).map(|_| random.below(256) as u8).collect();
            if sim.arrive(&frame) {
                given.push(frame);
            }
        }
        got.extend(take(&mut half, random.below(12) as usize));
        if random.below(3) > 0 {
            half.refill();
        }
    }
    got.extend(take(&mut half, 100));
    assert!(got.len() > 2000);
    assert_eq!(got, given);
    assert_eq!(half.account(), Default::default());
}

#[test]
fn without_refill_there_are_as_many_frames_as_chunks() {
    let (mut sim, mut half) = ReceiveSim::new();
    for _ in 0..SIZE {
        assert!(sim.arrive(&[1; 60]));
    }
    assert!(!sim.arrive(&[2; 60]));
    assert_eq!(take(&mut half, 100).len(), SIZE as usize);
    assert!(!sim.arrive(&[2; 60]));
    half.refill();
    assert!(sim.arrive(&[2; 60]));
    assert_eq!(take(&mut half, 100), [vec![2; 60]]);
}

#[test]
fn descriptors_that_name_nothing_of_the_kernels_are_passed_over() {
    let (mut sim, mut half) = ReceiveSim::new();
    let chunk = sim.chunk().unwrap();
    let free = {
        // a chunk that came back and was not refilled is ours, not the kernel's
        sim.describe(chunk, 60, 0);
        assert_eq!(take(&mut half, 1).len(), 1);
        chunk
    };
    let owned = sim.chunk().unwrap();
    let end = u64::from(SIZE * CHUNK);
    let hostile = [
        (free, 60),
        (end, 60),
        (u64::MAX, 60),
        (u64::MAX - 10, 60),
        (owned, CHUNK + 1),
        (owned + 200, 57),
        (owned, u32::MAX),
    ];
    for (address, length) in hostile {
        sim.describe(address, length, 0);
        assert!(take(&mut half, 100).is_empty(), "{address:x} {length}");
    }
    assert_eq!(half.account().invalid_descriptors, hostile.len() as u64);
    sim.describe(owned + 200, 56, 0); // still the kernel's, and just inside
    assert_eq!(take(&mut half, 100).len(), 1);
    sim.describe(owned + 200, 56, 0); // twice
    assert!(take(&mut half, 100).is_empty());
    half.refill();
    let mut seen = Vec::new();
    while let Some(chunk) = sim.chunk() {
        seen.push(chunk);
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), SIZE as usize); // none lost, none twice
}

#[test]
fn frames_over_several_chunks_are_passed_over_whole() {
    let (mut sim, mut half) = ReceiveSim::new();
    for options in [1, 1, 0, 0] {
        let chunk = sim.chunk().unwrap();
        sim.describe(chunk, 100, options);
    }
    assert_eq!(take(&mut half, 100).len(), 1);
    assert_eq!(half.account().pieces_of_long_frames, 3);
}

#[test]
fn counters_that_cannot_be_are_not_believed() {
    let (sim, mut half) = ReceiveSim::new();
    for producer in [SIZE + 1, u32::MAX, 1 << 31] {
        sim.received.set(0, producer);
        assert!(take(&mut half, 100).is_empty());
    }
    assert_eq!(half.account().inconsistent_counters, 3);
    sim.received.set(0, 0);
    assert!(take(&mut half, 100).is_empty());
    assert_eq!(half.account().inconsistent_counters, 3);
}

#[test]
fn a_ring_of_one_producer_and_one_consumer_counts_past_the_end_of_its_numbers() {
    let (near, mut produce) = ring::<8>();
    let mut consumed = 0_u32;
    for step in [1, SIZE, 3, SIZE] {
        assert_eq!(produce.room(), SIZE);
        for ahead in 0..step {
            produce.fill(ahead, &u64::from(ahead).to_ne_bytes());
        }
        produce.submit(step);
        assert_eq!(produce.room(), SIZE - step);
        assert_eq!(near.get(0), consumed.wrapping_add(step));
        consumed = consumed.wrapping_add(step);
        near.set(64, consumed);
    }
    // 2^32 is too many to count in steps: both counters jump together, once around
    let mut produced = consumed;
    for _ in 0..1 << 12 {
        let jump = 1 << 20;
        produced = produced.wrapping_add(jump);
        produce.submit(jump);
        near.set(64, produced);
        assert_eq!(produce.room(), SIZE);
    }
    near.set(64, produced.wrapping_sub(SIZE));
    assert_eq!(produce.room(), 0);
    near.set(64, produced.wrapping_add(1)); // took more than there was
    assert_eq!(produce.room(), 0);
    assert_eq!(produce.inconsistent(), 1);
}

/// The kernel's side of a sending queue.
struct TransmitSim {
    requests: Kernel,
    completed: Kernel,
    memory: Kernel,
    taken: u32,
    put: u32,
    under_way: VecDeque<u64>,
}

impl TransmitSim {
    fn new() -> (Self, Transmit) {
        let (requests, request_ring) = ring();
        let (completed, completion_ring) = ring();
        let (memory, file) = Mapping::shared((2 * SIZE * CHUNK) as usize).unwrap();
        let chunks = Chunks::new(u64::from(SIZE * CHUNK), CHUNK, SIZE);
        let half = Transmit::new(Arc::new(memory), 0, request_ring, completion_ring, chunks, CHUNK as usize);
        (Self { requests, completed, memory: Kernel(file), taken: 0, put: 0, under_way: VecDeque::new() }, half)
    }

    fn look(&mut self) -> Option<Vec<u8>> {
        if self.requests.get(0) == self.taken {
            return None;
        }
        let at = entry_at(self.taken, 16);
        let address = u64::from_ne_bytes(self.requests.octets(at, 8).try_into().unwrap());
        let length = self.requests.get(at + 8) as usize;
        self.taken = self.taken.wrapping_add(1);
        self.requests.set(64, self.taken);
        self.under_way.push_back(address);
        Some(self.memory.octets(address, length))
    }

    fn complete(&mut self, address: u64) {
        self.completed.put(entry_at(self.put, 8), &address.to_ne_bytes());
        self.put = self.put.wrapping_add(1);
        self.completed.set(0, self.put);
    }
}

#[test]
fn frames_leave_in_order_and_chunks_come_back() {
    let (mut sim, mut half) = TransmitSim::new();
    let mut random = Random(13);
    let (mut given, mut got) = (Vec::new(), Vec::new());
    for _ in 0..2000 {
        let frames: Vec<Vec<u8>> = (0..random.below(12))
            .map(|_| (0..14 + random.below(u64::from(CHUNK) - 13)).map(|_| random.below(256) as u8).collect())
            .collect();
        half.reap();
        let put = half.put(frames.iter().map(Vec::as_slice));
        given.extend(frames.into_iter().take(put));
        for _ in 0..random.below(12) {
            got.extend(sim.look());
        }
        for _ in 0..random.below(12) {
            // completions come in any order
            let index = random.below(sim.under_way.len().max(1) as u64) as usize;
            if let Some(address) = sim.under_way.remove(index) {
                sim.complete(address);
            }
        }
    }
    while let Some(frame) = sim.look() {
        got.push(frame);
    }
    assert!(got.len() > 2000);
    assert_eq!(got, given);
    assert_eq!((half.outstanding(), half.invalid_completions()), (0, 0));
}

#[test]
fn there_is_room_for_as_many_frames_as_chunks_and_none_too_long() {
    let (mut sim, mut half) = TransmitSim::new();
    let frame: &[u8] = &[1; 60];
    let long: &[u8] = &[2; CHUNK as usize + 1];
    assert_eq!(half.put([frame, long, frame].into_iter()), 1);
    assert_eq!(half.put(std::iter::repeat_n(frame, 20)), SIZE as usize - 1);
    assert_eq!(half.outstanding(), SIZE);
    assert_eq!(half.put([frame].into_iter()), 0);
    while sim.look().is_some() {}
    assert_eq!(half.outstanding(), 0);
    half.reap();
    assert_eq!(half.put([frame].into_iter()), 0); // the ring is empty, but every chunk is under way
    let address = sim.under_way.pop_front().unwrap();
    sim.complete(address);
    half.reap();
    assert_eq!(half.put([frame, frame].into_iter()), 1);
}

#[test]
fn completions_that_name_nothing_of_the_kernels_are_passed_over() {
    let (mut sim, mut half) = TransmitSim::new();
    let frame: &[u8] = &[1; 60];
    assert_eq!(half.put([frame].into_iter()), 1);
    sim.look();
    let address = sim.under_way[0];
    for wrong in [0, address ^ 1 << 40, address + u64::from(CHUNK), u64::MAX, address, address] {
        sim.complete(wrong);
        half.reap();
    }
    assert_eq!(half.invalid_completions(), 5);
    assert_eq!(half.put(std::iter::repeat_n(frame, 20)), SIZE as usize); // each chunk once
}

#[test]
fn the_wakeup_flag_is_read() {
    let (sim, half) = TransmitSim::new();
    assert!(!half.needs_wakeup());
    sim.requests.set(128, 1);
    assert!(half.needs_wakeup());
}

#[test]
fn rings_that_do_not_fit_are_refused() {
    let memory = || Mapping::anonymous(4096).unwrap();
    assert!(Ring::<16>::new(memory(), LAYOUT, 7).is_none());
    assert!(Ring::<16>::new(memory(), LAYOUT, 0).is_none());
    assert!(Ring::<16>::new(memory(), LAYOUT, 256).is_none());
    assert!(Ring::<16>::new(memory(), Layout { producer: 4094, ..LAYOUT }, 8).is_none());
    assert!(Ring::<16>::new(memory(), Layout { consumer: 1, ..LAYOUT }, 8).is_none());
    assert!(Ring::<16>::new(memory(), Layout { flags: usize::MAX, ..LAYOUT }, 8).is_none());
    assert!(Ring::<16>::new(memory(), Layout { entries: usize::MAX - 4, ..LAYOUT }, 8).is_none());
    assert!(Ring::<16>::new(memory(), LAYOUT, 128).is_some());
}
