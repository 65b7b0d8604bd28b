//! TPACKET_V3 blocks, filled by a simulated kernel.
mod common;

use std::sync::Arc;

use common::{Kernel, Random};
use netmap_io_rings::memory::Mapping;
use netmap_io_rings::packet::blocks::BlockRing;

const BLOCK: u64 = 4096;
const BLOCKS: u64 = 4;
const MTU_FRAME: usize = 1514;
const VLAN: u32 = 1 << 4;
const VLAN_TYPE: u32 = 1 << 6;
const AVAILABLE: u32 = 1;

/// A frame as the kernel puts it into a block.
#[derive(Clone, Default)]
struct Given {
    octets: Vec<u8>,
    status: u32,
    tag: (u16, u16),
    /// Start of the checksum and its place after it.
    checksum: Option<(u16, u16)>,
    wire: Option<u32>,
}

struct Sim {
    kernel: Kernel,
    next: u64,
}

impl Sim {
    fn new() -> (Self, BlockRing) {
        let (memory, file) = Mapping::shared((BLOCK * BLOCKS) as usize).unwrap();
        let ring = BlockRing::new(Arc::new(memory), BLOCK as usize, BLOCKS as usize, MTU_FRAME, false).unwrap();
        (Self { kernel: Kernel(file), next: 0 }, ring)
    }

    /// Fill the next block if it is the kernel's.
    fn fill(&mut self, frames: &[Given]) -> bool {
        let start = self.next * BLOCK;
        if self.kernel.get(start + 8) != 0 {
            return false;
        }
        let mut at = 48;
        for (index, frame) in frames.iter().enumerate() {
            let mac = 92_u64;
            let size = (mac + frame.octets.len() as u64).next_multiple_of(16);
            let next = if index + 1 == frames.len() { 0 } else { size as u32 };
            let here = start + at;
            self.kernel.set(here, next);
            self.kernel.set(here + 4, 1_700_000_000);
            self.kernel.set(here + 8, index as u32);
            self.kernel.set(here + 12, frame.octets.len() as u32);
            self.kernel.set(here + 16, frame.wire.unwrap_or(frame.octets.len() as u32));
            self.kernel.set(here + 20, frame.status | 1);
            self.kernel.put(here + 24, &(mac as u16).to_ne_bytes());
            self.kernel.set(here + 32, u32::from(frame.tag.0));
            self.kernel.put(here + 36, &frame.tag.1.to_ne_bytes());
            let (flag, (from, place)) = frame.checksum.map_or((0, (0, 0)), |given| (1, given));
            let mut offload = [0_u8; 10];
            offload[0] = flag;
            offload[6..8].copy_from_slice(&from.to_ne_bytes());
            offload[8..10].copy_from_slice(&place.to_ne_bytes());
            self.kernel.put(here + mac - 10, &offload);
            self.kernel.put(here + mac, &frame.octets);
            at += size;
        }
        assert!(at <= BLOCK);
        self.kernel.set(start + 12, frames.len() as u32);
        self.kernel.set(start + 16, 48);
        self.kernel.set(start + 8, AVAILABLE);
        self.next = (self.next + 1) % BLOCKS;
        true
    }
}

fn plain(octets: Vec<u8>) -> Given {
    Given { octets, ..Given::default() }
}

fn take(ring: &mut BlockRing) -> Option<Vec<u8>> {
    let slot = ring.next_slot()?;
    let mut out = Vec::new();
    assert!(ring.memory().append_to(slot.offset, slot.length, &mut out));
    Some(out)
}

#[test]
fn blocks_go_round_many_times_and_nothing_is_lost_or_torn() {
    let (mut sim, mut ring) = Sim::new();
    let mut random = Random(7);
    let (mut given, mut got) = (Vec::new(), Vec::new());
    for turn in 0..500 {
        for _ in 0..random.below(5) {
            let frames: Vec<Given> = (0..1 + random.below(6))
                .map(|_| plain((0..14 + random.below(300)).map(|_| random.below(256) as u8).collect()))
                .collect();
            if sim.fill(&frames) {
                given.extend(frames.into_iter().map(|frame| frame.octets));
            }
        }
        for _ in 0..random.below(20) {
            got.extend(take(&mut ring));
        }
        if turn % 3 == 0 {
            ring.settle();
        }
    }
    while let Some(frame) = take(&mut ring) {
        got.push(frame);
    }
    assert!(given.len() > 500);
    assert_eq!(got, given);
    assert_eq!(ring.account().damaged_slots, 0);
}

#[test]
fn a_full_ring_is_walked_once_and_then_empty() {
    let (mut sim, mut ring) = Sim::new();
    for index in 0..BLOCKS as u8 {
        assert!(sim.fill(&[plain(vec![index; 60])]));
    }
    assert!(!sim.fill(&[plain(vec![9; 60])]));
    for index in 0..BLOCKS as u8 {
        assert_eq!(take(&mut ring), Some(vec![index; 60]));
    }
    assert_eq!(take(&mut ring), None);
    assert!(sim.fill(&[plain(vec![9; 60])]));
    assert_eq!(take(&mut ring), Some(vec![9; 60]));
}

#[test]
fn lent_blocks_stay_ours_until_the_last_lending_ends() {
    let (mut sim, mut ring) = Sim::new();
    for index in 0..BLOCKS as u8 {
        sim.fill(&[plain(vec![index; 60])]);
    }
    ring.lend();
    ring.lend();
    for index in 0..BLOCKS as u8 {
        assert_eq!(take(&mut ring), Some(vec![index; 60]));
    }
    assert_eq!(take(&mut ring), None); // not the first block again, although its status still says that it is ours
    ring.take_back();
    assert!(!sim.fill(&[plain(vec![9; 60])]));
    assert!(ring.lending());
    ring.take_back();
    assert!(sim.fill(&[plain(vec![9; 60])]));
    assert_eq!(take(&mut ring), Some(vec![9; 60]));
}

#[test]
fn a_vlan_tag_is_put_back() {
    let (mut sim, mut ring) = Sim::new();
    let octets: Vec<u8> = (0..60).collect();
    let tagged = |kind: &[u8]| [&octets[..12], kind, &[0x20, 0x64], &octets[12..]].concat();
    sim.fill(&[
        Given { octets: octets.clone(), status: VLAN | VLAN_TYPE, tag: (0x2064, 0x88a8), ..Given::default() },
        Given { octets: octets.clone(), status: VLAN, tag: (0x2064, 0), ..Given::default() },
        Given { octets: octets.clone(), status: 0, tag: (0x2064, 0x8100), ..Given::default() },
    ]);
    assert_eq!(take(&mut ring), Some(tagged(&[0x88, 0xa8])));
    assert_eq!(take(&mut ring), Some(tagged(&[0x81, 0x00])));
    assert_eq!(take(&mut ring), Some(octets.clone()));
    assert_eq!(ring.account().vlan_tags_restored, 2);
}

/// Internet checksum, the slow way.
fn checksum(octets: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in octets.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low));
        if sum > 0xffff {
            sum = (sum & 0xffff) + 1;
        }
    }
    !(sum as u16)
}

#[test]
fn checksums_are_finished_at_any_place_and_length() {
    let (mut sim, mut ring) = Sim::new();
    let mut random = Random(3);
    for _ in 0..500 {
        let length = 60 + random.below(500) as usize;
        let octets: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        let from = 14 + random.below(30) as usize;
        let place = random.below(8) as usize * 2;
        let mut expected = octets.clone();
        let sum = match checksum(&octets[from..]) {
            0 => 0xffff,
            other => other,
        };
        expected[from + place..][..2].copy_from_slice(&sum.to_be_bytes());
        assert!(sim.fill(&[Given { octets, checksum: Some((from as u16, place as u16)), ..Given::default() }]));
        assert_eq!(take(&mut ring), Some(expected));
        ring.settle();
    }
    assert_eq!(ring.account().checksums_finished, 500);
}

#[test]
fn checksums_outside_or_of_cut_frames_are_left_and_counted() {
    let (mut sim, mut ring) = Sim::new();
    let octets = vec![1; 60];
    for (checksum, wire) in [((58, 2), None), ((60, 0), None), ((u16::MAX, u16::MAX), None), ((34, 6), Some(61))] {
        assert!(sim.fill(&[Given { octets: octets.clone(), checksum: Some(checksum), wire, ..Given::default() }]));
        assert_eq!(take(&mut ring), Some(octets.clone()));
        ring.settle();
    }
    assert_eq!((ring.account().checksums_unfinished, ring.account().frames_cut), (4, 1));
}

#[test]
fn long_frames_are_counted_but_a_tag_of_their_own_makes_none_long() {
    let (mut sim, mut ring) = Sim::new();
    let mut tagged = vec![0; MTU_FRAME + 4];
    tagged[12..14].copy_from_slice(&[0x81, 0]);
    for (octets, expected) in [(vec![0; MTU_FRAME], 0), (tagged, 0), (vec![0; MTU_FRAME + 1], 1), (vec![0; 3000], 2)] {
        assert!(sim.fill(&[plain(octets.clone())]));
        assert_eq!(take(&mut ring), Some(octets));
        ring.settle();
        assert_eq!(ring.account().frames_over_mtu, expected);
    }
}

#[test]
fn hostile_headers_are_passed_over_and_counted() {
    let hostile: [(u64, u32); 8] = [
        (12, u32::MAX),          // length
        (12, BLOCK as u32),      // length past the block
        (24, 0),                 // frame within its header
        (24, 0xffff),            // frame past the block
        (0, u32::MAX),           // next header far away
        (0, 1 << 20),            // next header past the block
        (0, 0),                  // no next header, although there are more frames
        (0, BLOCK as u32 - 100), // next header's end past the block
    ];
    for (at, value) in hostile {
        let (mut sim, mut ring) = Sim::new();
        sim.fill(&[plain(vec![1; 60]), plain(vec![2; 60])]);
        sim.kernel.set(48 + at, value);
        let mut frames = 0;
        while take(&mut ring).is_some() {
            frames += 1;
        }
        assert_eq!(frames + ring.account().damaged_slots, 2, "{at} {value:x}");
        assert!(ring.account().damaged_slots > 0, "{at} {value:x}");
        // the block went back, and the next one is read as ever
        assert_eq!(sim.kernel.get(8), 0);
        sim.fill(&[plain(vec![3; 60])]);
        assert_eq!(take(&mut ring), Some(vec![3; 60]));
    }
}

#[test]
fn any_octets_in_the_ring_end() {
    let mut random = Random(11);
    for _ in 0..200 {
        let (sim, mut ring) = Sim::new();
        for at in (0..BLOCK * BLOCKS).step_by(4) {
            let small = random.below(2) == 0;
            sim.kernel.set(at, random.below(if small { 200 } else { 1 << 32 }) as u32);
        }
        for block in 0..BLOCKS {
            sim.kernel.set(block * BLOCK + 8, AVAILABLE);
            sim.kernel.set(block * BLOCK + 12, random.below(50) as u32);
            sim.kernel.set(block * BLOCK + 16, random.below(BLOCK) as u32);
        }
        while let Some(slot) = ring.next_slot() {
            assert!(slot.offset + slot.length <= (BLOCK * BLOCKS) as usize);
        }
    }
}

#[test]
fn a_ring_that_does_not_fit_is_refused() {
    let memory = Arc::new(Mapping::anonymous(8192).unwrap());
    for (octets, blocks) in [(4096, 3), (8192, 2), (0, 1), (16, 1), (4097, 1), (4096, 0), (usize::MAX / 8 * 8, 8)] {
        assert!(BlockRing::new(Arc::clone(&memory), octets, blocks, MTU_FRAME, false).is_none(), "{octets} {blocks}");
    }
}
