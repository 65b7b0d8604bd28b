//! What races with a user: the peer's sync, which rewrites slots outside the user's [head, tail), and a second sync.
mod user;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use netmap_simulation::Simulation;
use user::{CUR, HEAD, NIOCRXSYNC, NIOCTXSYNC, User, frame, sync};

/// Frames carry their number; the receiver finds each once and whole, while slots behind its back are rewritten.
fn numbered(number: u32) -> Vec<u8> {
    let mut octets = frame(2, 1, 60, number as u8);
    octets[12..16].copy_from_slice(&number.to_be_bytes());
    octets
}

#[test]
fn a_pipe_loses_and_repeats_nothing_between_two_threads() {
    const FRAMES: u32 = 200_000;
    let simulation = Simulation::create().expect("shared memory");
    let (sender, receiver) = (User::named(&simulation, "x{1"), User::named(&simulation, "x}1"));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = 0;
            while next < FRAMES {
                while next < FRAMES && sender.put(&numbered(next), 0) {
                    next += 1;
                }
                sync(&sender.descriptor, NIOCTXSYNC);
            }
        });
        let mut expected = 0;
        while expected < FRAMES {
            sync(&receiver.descriptor, NIOCRXSYNC);
            while let Some((octets, _)) = receiver.take() {
                assert_eq!(octets, numbered(expected));
                expected += 1;
            }
        }
    });
}

#[test]
fn slots_between_head_and_tail_are_the_receivers_alone() {
    let simulation = Simulation::create().expect("shared memory");
    let (sender, receiver) = (User::named(&simulation, "vale0:a"), User::named(&simulation, "vale0:b"));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !done.load(Ordering::Relaxed) {
                while sender.put(&numbered(number), 0) {
                    number += 1;
                }
                sync(&sender.descriptor, NIOCTXSYNC);
            }
        });
        let ring = receiver.rx();
        let mut last = None;
        for _ in 0..3000 {
            sync(&receiver.descriptor, NIOCRXSYNC);
            let (head, room, n) = (receiver.get(ring + HEAD), receiver.room(ring), receiver.slots(ring));
            let mine: Vec<_> = (0..room).map(|step| receiver.slot(ring, (head + step) % n)).collect();
            thread::yield_now();
            let again: Vec<_> = (0..room).map(|step| receiver.slot(ring, (head + step) % n)).collect();
            assert_eq!(mine, again);
            while let Some((octets, flags)) = receiver.take() {
                let number = u32::from_be_bytes(octets[12..16].try_into().expect("four octets"));
                assert_eq!((octets, flags), (numbered(number), 0x0100));
                assert!(last.is_none_or(|last| number > last), "in order, with gaps where there was no room");
                last = Some(number);
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn two_syncs_at_once_on_one_ring_do_no_harm() {
    let simulation = Simulation::create().expect("shared memory");
    let (sender, receiver) = (User::named(&simulation, "x{1"), User::named(&simulation, "x}1"));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10_000).for_each(|_| sync(&sender.descriptor, NIOCTXSYNC)));
        }
        for number in 0..1000 {
            assert!(sender.put(&numbered(number), 0));
        }
    });
    sync(&sender.descriptor, NIOCTXSYNC);
    let got = receiver.receive();
    assert_eq!(got.len(), 1000);
    assert!((0..).zip(got).all(|(number, (octets, _))| octets == numbered(number)));
}

#[test]
fn a_user_that_scribbles_harms_only_himself() {
    let simulation = Simulation::create().expect("shared memory");
    let (scribbler, victim) = (User::named(&simulation, "vale0:a"), User::named(&simulation, "vale0:b"));
    let (good, reader) = (User::named(&simulation, "vale1:c"), User::named(&simulation, "vale1:d"));
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for turn in 0..2000u32 {
        for _ in 0..8 {
            let (ring, words) = ([scribbler.tx(), scribbler.rx()][random() as usize & 1], 64 + 4 * 1024);
            let place = ring + 4 * (random() % words);
            // The ring offsets that this user itself needs are left alone; the kernel side reads none of them.
            if place >= ring + 8 {
                scribbler.set(place, [random() as u32, random() as u32 % 1100, 0, u32::MAX][random() as usize & 3]);
            }
        }
        for call in [NIOCTXSYNC, NIOCRXSYNC] {
            sync(&scribbler.descriptor, call);
            sync(&victim.descriptor, call);
        }
        let _ready = scribbler.descriptor.poll(libc::POLLIN | libc::POLLOUT, Some(std::time::Duration::ZERO));
        victim.set(victim.rx() + HEAD, victim.get(victim.rx() + user::TAIL));
        victim.set(victim.rx() + CUR, victim.get(victim.rx() + user::TAIL));
        assert!(good.send(&numbered(turn)));
        assert_eq!(reader.receive(), [(numbered(turn), 0x0100)]);
    }
}
