//! Frames through rings moved by a script: order, wrap-around, partial syncs, fragments, lending, forwarding.
mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::{BUFFER, Kernel, Random};
use netmap_io_capture::batch::Batch;
use netmap_io_netmap::forward::{forward, shares_memory};
use netmap_io_rings::error::Kind;

fn batch_of(frames: &[Vec<u8>]) -> Batch {
    let mut batch = Batch::with_capacity(frames.len(), 0);
    frames.iter().for_each(|frame| batch.push(frame, -1, 0, 0));
    batch
}

fn frames_of(batch: &Batch) -> Vec<Vec<u8>> {
    (0..batch.len()).map(|index| batch.frames().frame(index).to_vec()).collect()
}

/// Frames as slots of at most a buffer each.
fn slots_of(frames: &[Vec<u8>], piece: usize) -> Vec<(Vec<u8>, u16)> {
    let mut slots = Vec::new();
    for frame in frames {
        let pieces: Vec<_> = frame.chunks(piece.max(1)).collect();
        for (index, part) in pieces.iter().enumerate() {
            slots.push((part.to_vec(), if index + 1 < pieces.len() { 0x20 } else { 0 }));
        }
    }
    slots
}

fn joined(slots: &[(Vec<u8>, u16)]) -> Vec<Vec<u8>> {
    let (mut frames, mut frame) = (Vec::new(), Vec::new());
    for (octets, flags) in slots {
        frame.extend_from_slice(octets);
        if flags & 0x20 == 0 {
            frames.push(std::mem::take(&mut frame));
        }
    }
    assert!(frame.is_empty(), "the last frame has no end");
    frames
}

fn assert_sound(kernel: &Kernel) {
    let ports = kernel.ports.lock().unwrap();
    assert!(ports.iter().all(|port| port.illegal == 0 && port.restarts == 0), "the driver showed illegal words");
    assert!(kernel.untouched());
}

#[test]
fn any_interleaving_delivers_every_frame_once_and_whole() {
    let mut random = Random(1);
    for round in 0..60 {
        let slots = 2 + random.below(12) as u32;
        let kernel = Kernel::new(slots, 0);
        let (mut receiver, mut transmitter, outcome) = kernel.open(0, 0).unwrap();
        let longest = outcome.longest.min(3 * BUFFER);
        assert_eq!(outcome.longest, BUFFER * (slots as usize - 1).min(64));
        let frames: Vec<_> = (0..150).map(|number| random.frame(14, longest, number)).collect();
        let (mut offered, mut taken, mut got) = (0, 0, Vec::new());
        let mut idle = 0;
        while taken < frames.len() || got.len() < frames.len() {
            let most: Vec<u32> = (0..4).map(|_| random.below(slots as usize + 1) as u32).collect();
            kernel.ports.lock().unwrap()[0].at_most.extend(most);
            match random.below(3) {
                0 if offered < frames.len() => {
                    let more = 1 + random.below(9).min(frames.len() - offered - 1);
                    let piece = 1 + random.below(BUFFER);
                    let piece = piece.max(longest.div_ceil(slots as usize - 1));
                    let new = slots_of(&frames[offered..offered + more], piece);
                    kernel.ports.lock().unwrap()[0].incoming.extend(new);
                    offered += more;
                }
                1 => {
                    let end = (taken + 1 + random.below(9)).min(frames.len());
                    let sent = transmitter.send(&batch_of(&frames[taken..end]).frames()).unwrap();
                    assert!(sent <= end - taken);
                    taken += sent;
                }
                _ => {
                    let most = 1 + random.below(20);
                    let batch = receiver.receive(most).unwrap();
                    assert!(batch.len() <= most && batch.frames().check().is_ok());
                    assert!(batch.timestamps_ns.iter().all(|&ns| ns == 1_700_000_000_000_042_000));
                    got.extend(frames_of(&batch));
                }
            }
            idle += 1;
            assert!(idle < 100_000, "round {round} with {slots} slots does not end: {taken}, {}", got.len());
        }
        assert!(got == frames, "round {round}");
        transmitter.flush().unwrap();
        assert!(joined(&kernel.ports.lock().unwrap()[0].sent) == frames, "round {round}");
        assert_sound(&kernel);
    }
}

#[test]
fn a_frame_that_the_port_cannot_carry_is_refused_before_any_is_sent() {
    let kernel = Kernel::new(4, 0);
    let (_receiver, mut transmitter, outcome) = kernel.open(0, 0).unwrap();
    for length in [0, 13, outcome.longest + 1] {
        let error = transmitter.send(&batch_of(&[vec![1; 60], vec![1; length]]).frames()).unwrap_err();
        assert!(error.kind == Kind::Frame && error.message.contains("frame 1 has"), "{error}");
    }
    assert!(kernel.ports.lock().unwrap()[0].sent.is_empty());
}

#[test]
fn a_full_ring_takes_what_it_has_room_for() {
    let kernel = Kernel::new(8, 0);
    let (_receiver, mut transmitter, _) = kernel.open(0, 0).unwrap();
    kernel.ports.lock().unwrap()[0].at_most.extend([0; 20]);
    let frames = batch_of(&vec![vec![5; 60]; 20]);
    assert_eq!(transmitter.send(&frames.frames()).unwrap(), 7);
    assert_eq!(transmitter.waiting(), 7);
    kernel.ports.lock().unwrap()[0].at_most.clear();
    assert_eq!(transmitter.send(&frames.frames()).unwrap(), 20);
    transmitter.flush().unwrap();
    assert_eq!(transmitter.waiting(), 0);
    assert_sound(&kernel);
}

#[test]
fn lent_slots_stay_ours_and_spare_buffers_take_their_place() {
    for extra in [0, 16] {
        let kernel = Kernel::new(8, extra);
        let (mut receiver, transmitter, outcome) = kernel.open(0, extra).unwrap();
        assert_eq!(outcome.extra_buffers, extra as usize);
        let mut random = Random(3);
        let frames: Vec<_> = (0..14).map(|number| random.frame(20, 100, number)).collect();
        kernel.ports.lock().unwrap()[0].incoming.extend(slots_of(&frames, BUFFER));
        let lent = receiver.lend(100).unwrap();
        assert!(lent.len() == 7 && !receiver.fragmented());
        let more = receiver.lend(100).unwrap();
        // without spare buffers the ring is full of what is lent; with them it takes the next frames
        assert_eq!(more.len(), if extra > 0 { 7 } else { 0 });
        for (slot, frame) in lent.iter().chain(&more).zip(&frames) {
            assert_eq!(kernel.memory.read::<20>(slot.offset).unwrap(), frame[..20], "{extra}");
        }
        receiver.take_back();
        receiver.take_back();
        let rest = frames_of(&receiver.receive(100).unwrap());
        assert_eq!(rest, frames[lent.len() + more.len()..]);
        drop((receiver, transmitter));
        let (mut list, mut next) = (BTreeSet::new(), kernel.word(32));
        while next != 0 {
            assert!(list.insert(next), "the list of extra buffers is a circle");
            next = kernel.word(kernel.buffers_at + next as usize * BUFFER);
        }
        assert_eq!(list.len(), extra as usize);
        let header = kernel.ports.lock().unwrap()[0].rx.header;
        let ring: BTreeSet<_> = (0..8).map(|slot| kernel.slot(header, slot).0).collect();
        assert!(ring.len() == 8 && ring.is_disjoint(&list), "a buffer is in two places");
        assert_sound(&kernel);
    }
}

#[test]
fn a_lend_stops_before_a_frame_in_several_slots() {
    let kernel = Kernel::new(8, 0);
    let (mut receiver, _transmitter, _) = kernel.open(0, 0).unwrap();
    let frames = [vec![1; 60], vec![2; 200], vec![3; 60]];
    kernel.ports.lock().unwrap()[0].incoming.extend(slots_of(&frames, BUFFER));
    assert!(receiver.lend(9).unwrap().len() == 1 && receiver.fragmented());
    receiver.take_back();
    assert_eq!(frames_of(&receiver.receive(1).unwrap()), frames[1..2]);
    assert_eq!(receiver.lend(9).unwrap().len(), 1);
    receiver.take_back();
}

#[test]
fn what_never_ends_and_what_is_damaged_is_counted_and_let_go() {
    let kernel = Kernel::new(4, 0);
    let (mut receiver, _transmitter, _) = kernel.open(0, 0).unwrap();
    kernel.ports.lock().unwrap()[0].incoming.extend(vec![(vec![9; 20], 0x20); 3]);
    assert!(receiver.receive(9).unwrap().is_empty());
    assert_eq!(receiver.account().endless_frames, 1);
    kernel.ports.lock().unwrap()[0].incoming.extend(slots_of(&[vec![7; 30], vec![8; 30]], BUFFER));
    let header = kernel.ports.lock().unwrap()[0].rx.header;
    for bad in [0, 1, kernel.total, u32::MAX] {
        let first = kernel.ports.lock().unwrap()[0].rx.hwtail;
        let good = kernel.slot(header, first).0;
        kernel.set(header + 256 + 16 * first as usize, bad);
        assert_eq!(frames_of(&receiver.receive(9).unwrap()), [vec![8; 30]]);
        kernel.set(header + 256 + 16 * first as usize, good);
        kernel.ports.lock().unwrap()[0].incoming.extend(slots_of(&[vec![7; 30], vec![8; 30]], BUFFER));
    }
    assert_eq!(receiver.account().damaged_frames, 4);
    assert_sound(&kernel);
}

fn all_buffers(kernel: &Arc<Kernel>) -> Vec<u32> {
    let headers: Vec<_> =
        kernel.ports.lock().unwrap().iter().flat_map(|port| [port.tx.header, port.rx.header]).collect();
    let mut all: Vec<_> = headers
        .iter()
        .flat_map(|&header| (0..kernel.slots).map(move |slot| (header, slot)))
        .map(|(h, s)| kernel.slot(h, s).0)
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn forwarding_swaps_buffers_and_loses_none() {
    let mut random = Random(5);
    for round in 0..40 {
        let slots = 4 + random.below(9) as u32;
        let kernel = Kernel::new(slots, 0);
        let (mut receiver, _out, _) = kernel.open(0, 0).unwrap();
        let (_in, mut transmitter, _) = kernel.open(1, 0).unwrap();
        assert!(shares_memory(&receiver, &transmitter));
        let before = all_buffers(&kernel);
        let frames: Vec<_> = (0..60).map(|number| random.frame(14, 2 * BUFFER, number)).collect();
        kernel.ports.lock().unwrap()[0].incoming.extend(slots_of(&frames, BUFFER));
        let mut moved = 0;
        for _ in 0..10_000 {
            let most: Vec<u32> = (0..4).map(|_| random.below(slots as usize + 1) as u32).collect();
            kernel.ports.lock().unwrap()[1].at_most.extend(most);
            let done = forward(&mut receiver, &mut transmitter, 1 + random.below(9)).unwrap();
            assert!(done.dropped == 0);
            moved += done.frames as usize;
            if moved == frames.len() {
                break;
            }
        }
        transmitter.flush().unwrap();
        assert!(joined(&kernel.ports.lock().unwrap()[1].sent) == frames, "round {round}");
        assert_eq!(all_buffers(&kernel), before, "buffers were lost or doubled");
        assert_sound(&kernel);
    }
}

#[test]
fn forwarding_between_regions_copies() {
    let mut random = Random(6);
    let (from, to) = (Kernel::new(9, 0), Kernel::new(5, 0));
    let (mut receiver, _out, _) = from.open(0, 0).unwrap();
    let (_in, mut transmitter, _) = to.open(1, 0).unwrap();
    assert!(!shares_memory(&receiver, &transmitter));
    let frames: Vec<_> = (0..60).map(|number| random.frame(14, 3 * BUFFER, number)).collect();
    from.ports.lock().unwrap()[0].incoming.extend(slots_of(&frames, 77));
    let before = (all_buffers(&from), all_buffers(&to));
    let mut moved = 0;
    for _ in 0..1000 {
        moved += forward(&mut receiver, &mut transmitter, 7).unwrap().frames;
    }
    assert_eq!(moved, 60);
    assert!(joined(&to.ports.lock().unwrap()[1].sent) == frames);
    assert_eq!((all_buffers(&from), all_buffers(&to)), before);
    assert_sound(&from);
    assert_sound(&to);
}

#[test]
fn forwarding_lets_go_of_what_the_target_cannot_take() {
    let kernel = Kernel::new(8, 0);
    let (mut receiver, _out, _) = kernel.open(0, 0).unwrap();
    let (_in, mut transmitter, _) = kernel.open(1, 0).unwrap();
    kernel.ports.lock().unwrap()[0].incoming.extend(slots_of(&[vec![1; 13], vec![2; 60]], BUFFER));
    let done = forward(&mut receiver, &mut transmitter, 9).unwrap();
    assert_eq!((done.frames, done.dropped, done.damaged), (1, 1, 0));
    let first = kernel.ports.lock().unwrap()[0].rx.clone();
    kernel.set(first.header + 256 + 16 * first.hwtail as usize, 1);
    kernel.ports.lock().unwrap()[0].incoming.extend(slots_of(&[vec![3; 60]], BUFFER));
    let done = forward(&mut receiver, &mut transmitter, 9).unwrap();
    assert_eq!((done.frames, done.dropped, done.damaged), (0, 1, 1));
    assert_eq!(receiver.account().damaged_frames, 1);
}

#[test]
fn a_device_that_is_gone_is_told_as_such_and_what_was_there_is_given_first() {
    let kernel = Kernel::new(8, 0);
    let (mut receiver, mut transmitter, _) = kernel.open(0, 0).unwrap();
    kernel.ports.lock().unwrap()[0].incoming.extend(slots_of(&vec![vec![1; 60]; 5], BUFFER));
    assert_eq!(receiver.receive(2).unwrap().len(), 2);
    kernel.ports.lock().unwrap()[0].fails_with = Some(5);
    assert_eq!(receiver.receive(9).unwrap().len(), 3);
    let error = receiver.receive(9).unwrap_err();
    assert!(error.kind == Kind::Vanished && error.message.contains("vale0:a"), "{error}");
    assert_eq!(receiver.check().unwrap_err().kind, Kind::Vanished);
    assert_eq!(transmitter.send(&batch_of(&[vec![1; 60]]).frames()).unwrap_err().kind, Kind::Vanished);
}

#[test]
fn a_lost_transmit_buffer_is_replaced_by_a_spare_one_or_told() {
    for extra in [0, 1] {
        let kernel = Kernel::new(4, extra);
        let (_receiver, mut transmitter, _) = kernel.open(0, extra).unwrap();
        let header = kernel.ports.lock().unwrap()[0].tx.header;
        kernel.set(header + 256 + 16, 0);
        let frames = batch_of(&vec![vec![6; 60]; 3]);
        assert_eq!(transmitter.send(&frames.frames()).unwrap(), if extra > 0 { 3 } else { 1 });
        if extra == 0 {
            let error = transmitter.send(&frames.frames()).unwrap_err();
            assert!(error.message.contains("has lost its buffer"), "{error}");
        }
        assert_eq!(transmitter.account().buffers_replaced, u64::from(extra));
        assert_sound(&kernel);
    }
}
