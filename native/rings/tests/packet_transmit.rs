//! TPACKET_V2 transmit slots, emptied by a simulated kernel.
mod common;

use common::{Kernel, Random};
use netmap_io_rings::memory::Mapping;
use netmap_io_rings::packet::frames::FrameRing;

const SLOT: u64 = 256;
const BLOCK: u64 = 1024 + 64; // four slots, and room that is none
const BLOCKS: u64 = 2;
const SLOTS: u64 = 8;

struct Sim {
    kernel: Kernel,
    next: u64,
}

impl Sim {
    fn new() -> (Self, FrameRing) {
        let (memory, file) = Mapping::shared((BLOCK * BLOCKS) as usize).unwrap();
        let ring = FrameRing::new(memory, BLOCK as usize, BLOCKS as usize, SLOT as usize).unwrap();
        (Self { kernel: Kernel(file), next: 0 }, ring)
    }

    fn start(slot: u64) -> u64 {
        slot / 4 * BLOCK + slot % 4 * SLOT
    }

    /// Take at most `limit` frames, in order, as tpacket_snd does; a taken slot gets `status`.
    fn take(&mut self, limit: usize, status: u32) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        while taken.len() < limit && self.kernel.get(Self::start(self.next)) == 1 {
            let start = Self::start(self.next);
            taken.push(self.kernel.octets(start + 32, self.kernel.get(start + 4) as usize));
            self.kernel.set(start, status);
            self.next = (self.next + 1) % SLOTS;
        }
        taken
    }
}

#[test]
fn what_is_put_is_taken_in_order_over_many_rounds() {
    let (mut sim, mut ring) = Sim::new();
    assert_eq!((ring.slots(), ring.room()), (8, 224));
    let mut random = Random(5);
    let (mut expected, mut got) = (Vec::new(), Vec::new());
    for _ in 0..1000 {
        let mut put = Vec::new();
        for _ in 0..random.below(12) {
            let frame: Vec<u8> = (0..random.below(225)).map(|_| random.below(256) as u8).collect();
            if !ring.put(&frame) {
                break;
            }
            put.push(frame);
        }
        let taken = sim.take(random.below(12) as usize, 0);
        let back = ring.withdraw(put.len());
        put.truncate(put.len() - back);
        assert_eq!(taken, put);
        expected.extend(put);
        got.extend(taken);
    }
    assert!(got.len() > 1000);
    assert_eq!(got, expected);
    assert_eq!(ring.refused(), 0);
}

#[test]
fn a_full_ring_takes_no_more_until_the_kernel_is_through() {
    let (mut sim, mut ring) = Sim::new();
    for index in 0..8 {
        assert!(ring.put(&[index; 20]));
    }
    assert!(!ring.put(&[9; 20]));
    assert_eq!(sim.take(3, 2).len(), 3); // under way: neither ours nor to be withdrawn
    assert_eq!(ring.withdraw(8), 5);
    for index in 0..5 {
        assert!(ring.put(&[10 + index; 20]));
    }
    assert!(!ring.put(&[9; 20]));
    sim.kernel.set(0, 0);
    assert_eq!(sim.take(9, 0).len(), 5);
    assert!(ring.put(&[9; 20]));
}

#[test]
fn refused_frames_are_taken_back_and_counted() {
    let (mut sim, mut ring) = Sim::new();
    for index in 0..5 {
        assert!(ring.put(&[index; 20]));
    }
    assert_eq!(sim.take(2, 0).len(), 2);
    sim.kernel.set(Sim::start(2), 4);
    assert_eq!(ring.withdraw(5), 3);
    assert_eq!(ring.refused(), 1);
    assert!(ring.put(&[7; 20]));
    assert_eq!(sim.take(9, 0), [vec![7; 20]]);
}

#[test]
fn too_long_a_frame_and_unknown_states_are_not_touched() {
    let (sim, mut ring) = Sim::new();
    assert!(!ring.put(&[0; 225]));
    assert!(ring.put(&[0; 224]));
    for status in [2, 8, u32::MAX - 4] {
        sim.kernel.set(Sim::start(1), status);
        assert!(!ring.put(&[0; 20]), "{status:x}");
        assert_eq!(sim.kernel.get(Sim::start(1)), status);
    }
}

#[test]
fn a_ring_that_does_not_fit_is_refused() {
    for (block, blocks, slot) in [(4096, 3, 256), (4096, 2, 32), (4096, 2, 250), (4096, 2, 8192), (usize::MAX, 2, 16)] {
        let memory = Mapping::anonymous(8192).unwrap();
        assert!(FrameRing::new(memory, block, blocks, slot).is_none(), "{block} {blocks} {slot}");
    }
}
