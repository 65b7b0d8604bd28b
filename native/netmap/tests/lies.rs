//! A ring whose memory lies, any word, any time: nothing outside of the buffers is read or written, nothing panics.
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{BUFFER, FORBIDDEN, Kernel, Random};
use netmap_io_capture::batch::Batch;
use netmap_io_netmap::forward::forward;
use netmap_io_netmap::{Receiver, Transmitter};

fn batch(frames: usize, length: usize) -> Batch {
    let mut batch = Batch::with_capacity(frames, 0);
    (0..frames).for_each(|_| batch.push(&vec![0x11; length], -1, 0, 0));
    batch
}

/// Any word of a port's rings, mostly to values near what is right.
fn lie(kernel: &Kernel, random: &mut Random) {
    let headers: Vec<_> =
        kernel.ports.lock().unwrap().iter().flat_map(|port| [port.tx.header, port.rx.header]).collect();
    let header = headers[random.below(4)];
    let words = (256 + 16 * kernel.slots as usize) / 4;
    let place = if random.below(3) == 0 { 20 + 4 * random.below(4) } else { 4 * random.below(words) };
    let value = match random.below(6) {
        0 => u32::MAX,
        1 => kernel.total + random.below(3) as u32,
        2 => 0x0020_0000 | random.below(300) as u32,
        _ => random.below(kernel.slots as usize + 2) as u32,
    };
    kernel.set(header + place, value);
}

fn use_all(ports: &mut [(Receiver, Transmitter)], kernel: &Kernel, random: &mut Random) {
    let which = random.below(2);
    let incoming: Vec<_> = (0..random.below(6)).map(|_| (vec![0x22; random.below(BUFFER)], 0)).collect();
    let mut state = kernel.ports.lock().unwrap();
    if state[which].incoming.len() < 50 {
        state[which].incoming.extend(incoming);
    }
    drop(state);
    let (receiver, transmitter) = &mut ports[which];
    let clean = |octets: &[u8]| assert!(!octets.contains(&FORBIDDEN), "octets from outside of the buffers");
    match random.below(4) {
        0 => {
            if let Ok(batch) = receiver.receive(1 + random.below(40)) {
                assert!(batch.frames().check().is_ok());
                clean(&batch.octets);
            }
        }
        1 => {
            if let Ok(slots) = receiver.lend(1 + random.below(40)) {
                for slot in slots {
                    let mut octets = Vec::new();
                    assert!(kernel.memory.append_to(slot.offset, slot.length, &mut octets));
                    clean(&octets);
                }
                receiver.take_back();
            }
        }
        2 => drop(transmitter.send(&batch(1 + random.below(20), 14 + random.below(3 * BUFFER)).frames())),
        _ => {
            let [near, far] = ports else { unreachable!() };
            let (source, target) = if which == 0 { (near, far) } else { (far, near) };
            let _ = forward(&mut source.0, &mut target.1, 1 + random.below(40));
        }
    }
}

fn open_both(kernel: &Arc<Kernel>, extra: u32) -> Vec<(Receiver, Transmitter)> {
    [(0, extra), (1, 0)].map(|(port, extra)| kernel.open(port, extra).map(|(r, t, _)| (r, t)).unwrap()).into()
}

#[test]
fn lies_between_the_calls() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let kernel = Kernel::new(3 + random.below(14) as u32, 6);
        let mut ports = open_both(&kernel, 6);
        for _ in 0..1500 {
            use_all(&mut ports, &kernel, &mut random);
            if random.below(3) == 0 {
                lie(&kernel, &mut random);
            }
        }
        drop(ports);
        assert!(kernel.untouched(), "seed {seed}: something outside of the buffers was written");
    }
}

#[test]
fn lies_of_another_thread_at_any_time() {
    for seed in 0..4 {
        let kernel = Kernel::new(16, 6);
        let mut ports = open_both(&kernel, 6);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut random = Random(1000 + seed);
                while !over.load(Ordering::Relaxed) {
                    lie(&kernel, &mut random);
                }
            });
            let mut random = Random(seed);
            for _ in 0..4000 {
                use_all(&mut ports, &kernel, &mut random);
            }
            over.store(true, Ordering::Relaxed);
        });
        drop(ports);
        assert!(kernel.untouched(), "seed {seed}: something outside of the buffers was written");
    }
}

#[test]
fn lies_before_registering_are_refused_or_harmless() {
    for seed in 0..3000 {
        let mut random = Random(seed);
        let kernel = Kernel::new(4, 0);
        for _ in 0..=random.below(3) {
            let header = kernel.ports.lock().unwrap()[0].rx.header;
            let place = if random.below(2) == 0 { 4 * random.below(40) } else { header + 4 * random.below(16) };
            let value = if random.below(2) == 0 { random.below(1 << 31) as u32 } else { random.below(4096) as u32 };
            kernel.set(place, value);
        }
        if let Ok((mut receiver, mut transmitter, _)) = kernel.open(0, 0) {
            let _ = receiver.receive(10);
            let _ = transmitter.send(&batch(2, 60).frames());
        }
    }
}

#[test]
fn a_ring_whose_words_were_written_over_loses_nothing() {
    let mut random = Random(9);
    for round in 0..300 {
        let kernel = Kernel::new(4 + random.below(9) as u32, 0);
        let mut ports = open_both(&kernel, 0);
        let (receiver, transmitter) = &mut ports[0];
        let headers = {
            let state = kernel.ports.lock().unwrap();
            [state[0].tx.header, state[0].rx.header]
        };
        let (mut sent, mut got) = (0, Vec::new());
        let frames: Vec<_> = (0..60_u32).map(|number| random.frame(20, 100, number)).collect();
        kernel.ports.lock().unwrap()[0].incoming.extend(frames.iter().map(|frame| (frame.clone(), 0)));
        let mut turns = 0;
        while sent < frames.len() || got.len() < frames.len() {
            let header = headers[random.below(2)];
            kernel.set(header + 20 + 4 * random.below(3), random.below(40) as u32); // head, cur or tail
            let mut out = Batch::with_capacity(1, 0);
            if sent < frames.len() {
                out.push(&frames[sent], -1, 0, 0);
                sent += transmitter.send(&out.frames()).unwrap();
            }
            let batch = receiver.receive(1 + random.below(5)).unwrap();
            got.extend((0..batch.len()).map(|index| batch.frames().frame(index).to_vec()));
            turns += 1;
            assert!(turns < 10_000, "round {round} does not end");
        }
        assert!(got == frames, "round {round}");
        let state = kernel.ports.lock().unwrap();
        let sent: Vec<_> = state[0].sent.iter().map(|(octets, _)| octets.clone()).collect();
        assert!(sent == frames, "round {round}");
        assert!(state[0].illegal == 0, "illegal words were shown");
        assert_eq!(receiver.trouble().positions_lost + transmitter.trouble().positions_lost, 0);
    }
}
