//! Rings in shared memory: any interleaving, the end of the ring, and an other side that lies.
#![allow(unsafe_code)]
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use netmap_io_capture::batch::Batch;
use netmap_io_sockets::shared::{Consumer, Map, Producer, Sizes};

fn memory(octets: usize, sealed: bool) -> File {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is a C string; the descriptor is new and ours.
    let file = unsafe { File::from_raw_fd(libc::memfd_create(c"test".as_ptr(), flags)) };
    file.set_len(octets as u64).unwrap();
    if sealed {
        // SAFETY: sets seals of a descriptor of ours.
        assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_SHRINK) }, 0);
    }
    file
}

fn event() -> File {
    // SAFETY: the descriptor is new and ours.
    unsafe { File::from_raw_fd(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK)) }
}

fn readable(event: &File) -> bool {
    let mut poll = libc::pollfd { fd: event.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one record, ours alone for the call.
    unsafe { libc::poll(&mut poll, 1, 0) == 1 }
}

struct Ring {
    file: File,
    event: File,
    map: Arc<Map>,
    producer: Producer,
    consumer: Consumer,
}

fn ring(frames: u64, octets: u64) -> Ring {
    let sizes = Sizes::new(frames, octets).unwrap();
    let (file, event) = (memory(sizes.file_octets(), true), event());
    let near = Map::create(file.as_raw_fd(), sizes).unwrap();
    let map = Map::attach(file.as_raw_fd()).unwrap();
    let producer = Producer::new(&near, 0, event.as_raw_fd());
    let consumer = Consumer::new(&map, 0, event.as_raw_fd());
    Ring { file, event, map, producer, consumer }
}

fn batch(first: u64, lengths: &[usize]) -> Batch {
    let mut batch = Batch::with_capacity(lengths.len(), 0);
    for (index, &length) in lengths.iter().enumerate() {
        let number = first + index as u64;
        let octets: Vec<u8> = (0..length).map(|at| (number as usize * 7 + at) as u8).collect();
        batch.push(&octets, number as i64, length as u32 + 1, number as u32);
    }
    batch
}

fn put(ring: &mut Ring, batch: &Batch) -> usize {
    let links: Vec<u16> = batch.interfaces.iter().map(|&number| number as u16).collect();
    ring.producer.put(&batch.frames(), &links, &batch.interfaces).unwrap()
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[test]
fn any_interleaving_gives_every_frame_once_and_whole() {
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let mut ring = ring(1 + dice.below(9), 64 * (1 + dice.below(4)));
        let longest = ring.map.sizes().octets + 1;
        let (mut sent, mut received) = (0, 0);
        for _ in 0..200 {
            let lengths: Vec<usize> = (0..dice.below(6)).map(|_| dice.below(longest) as usize).collect();
            sent += put(&mut ring, &batch(sent, &lengths)) as u64;
            // what is sent must be remembered by its number: lengths come back from the frame itself
            let most = 1 + dice.below(5);
            let (columns, octets) = if dice.below(2) == 0 {
                let (columns, links) = ring.consumer.take(most).unwrap();
                assert_eq!(links, columns.interfaces.iter().map(|&number| number as u16).collect::<Vec<_>>());
                let octets = columns.octets.clone();
                (columns, octets)
            } else {
                let lent = ring.consumer.lend(most).unwrap();
                let start = ring.map.address(lent.at, lent.octets).unwrap();
                // SAFETY: `address` checked the bounds; nobody writes there while it is lent.
                let octets = unsafe { std::slice::from_raw_parts(start, lent.octets) }.to_vec();
                ring.consumer.give_back();
                (lent.columns, octets)
            };
            for index in 0..columns.len() {
                let frame = &octets[columns.offsets[index] as usize..columns.offsets[index + 1] as usize];
                let expected = batch(received, &[frame.len()]);
                assert_eq!(frame, expected.octets);
                assert_eq!(columns.timestamps_ns[index], received as i64);
                assert_eq!(columns.original_lengths[index], frame.len() as u32 + 1);
                received += 1;
            }
            ring.consumer.arm().unwrap();
            assert_eq!(ring.producer.untaken().unwrap(), sent - received);
            assert_eq!(readable(&ring.event), sent > received);
        }
        assert!(sent > 50);
    }
}

#[test]
fn lent_frames_keep_their_room() {
    let mut ring = ring(4, 64);
    assert_eq!(put(&mut ring, &batch(0, &[40, 20])), 2);
    assert_eq!(ring.consumer.lend(9).unwrap().octets, 60);
    assert_eq!(put(&mut ring, &batch(2, &[40])), 0);
    assert_eq!(put(&mut ring, &batch(2, &[4])), 1);
    assert_eq!(ring.consumer.take(9).unwrap().0.len(), 1); // not the lent ones again
    assert_eq!(put(&mut ring, &batch(3, &[40])), 0); // nothing is given back out of order
    ring.consumer.give_back();
    assert_eq!(put(&mut ring, &batch(3, &[40])), 1);
}

#[test]
fn two_threads_race_and_nothing_is_lost() {
    let mut ring = ring(64, 4096);
    let total = 200_000u64;
    let mut producer = ring.producer;
    let thread = std::thread::spawn(move || {
        let mut sent = 0;
        while sent < total {
            let lengths: Vec<usize> = (sent..total.min(sent + 16)).map(|number| (number % 100) as usize).collect();
            let batch = batch(sent, &lengths);
            sent += producer.put(&batch.frames(), &[], &[]).unwrap() as u64;
        }
    });
    let mut received = 0;
    while received < total {
        let (columns, _) = ring.consumer.take(100).unwrap();
        let lengths: Vec<usize> = (received..received + columns.len() as u64).map(|n| (n % 100) as usize).collect();
        assert_eq!(columns.octets, batch(received, &lengths).octets);
        received += columns.len() as u64;
        if columns.is_empty() {
            ring.consumer.arm().unwrap();
            let mut poll = libc::pollfd { fd: ring.event.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one record, ours alone for the call.
            let woken = unsafe { libc::poll(&mut poll, 1, 10_000) };
            assert!(woken == 1 || received == total, "asleep with {received} of {total}");
        }
    }
    thread.join().unwrap();
}

#[test]
fn lies_are_told_and_never_followed() {
    const HEAD: u64 = 4096;
    const TAIL: u64 = HEAD + 64;
    const LENGTH: u64 = HEAD + 192;
    for (at, value) in [(HEAD, u64::MAX), (HEAD, 9), (LENGTH, 65), (LENGTH, u64::from(u32::MAX))] {
        let mut ring = ring(4, 64);
        put(&mut ring, &batch(0, &[10]));
        ring.file.write_all_at(&value.to_ne_bytes(), at).unwrap();
        assert!(ring.consumer.take(9).unwrap_err().contains("the other end"));
        assert!(ring.consumer.lend(9).is_err());
    }
    for value in [2, u64::MAX] {
        let mut ring = ring(4, 64);
        put(&mut ring, &batch(0, &[10]));
        ring.file.write_all_at(&value.to_ne_bytes(), TAIL).unwrap();
        let frame = batch(1, &[1]);
        assert!(ring.producer.put(&frame.frames(), &[], &[]).unwrap_err().contains("the other end"));
    }
}

#[test]
fn any_octets_in_the_lane_are_a_fault_or_frames_within_it() {
    let mut dice = Dice(7);
    for _ in 0..3000 {
        let mut ring = ring(4, 64);
        put(&mut ring, &batch(0, &[10, 20, 5]));
        for _ in 0..=dice.below(3) {
            let at = 4096 + dice.below(192 + 4 * 32);
            ring.file.write_all_at(&[dice.below(256) as u8], at).unwrap();
        }
        if let Ok((columns, _)) = ring.consumer.take(9) {
            assert_eq!(columns.frames().check(), Ok(()));
            assert!(columns.octets.len() <= 4 * 64);
        }
        let _ = ring.consumer.arm();
        let _ = ring.producer.put(&batch(3, &[60, 60]).frames(), &[], &[]);
    }
}

#[test]
fn memory_that_holds_no_rings_is_refused() {
    let sizes = Sizes::new(4, 64).unwrap();
    let short = memory(sizes.file_octets() - 1, true);
    assert!(Map::create(short.as_raw_fd(), sizes).err().unwrap().contains("octets"));
    let open = memory(sizes.file_octets(), false);
    assert!(Map::create(open.as_raw_fd(), sizes).err().unwrap().contains("sealed"));
    let empty = memory(1 << 20, true);
    assert!(Map::attach(empty.as_raw_fd()).err().unwrap().contains("no rings"));
    assert!(Map::attach(-1).is_err());
    for (frames, octets) in [(0u64, 64u64), (4, 63), (u64::MAX, 64), (4, u64::MAX), (1 << 30, 1 << 30), (4, 1 << 20)] {
        let file = memory(1 << 16, true);
        drop(Map::create(file.as_raw_fd(), sizes).unwrap());
        file.write_all_at(&frames.to_ne_bytes(), 16).unwrap();
        file.write_all_at(&octets.to_ne_bytes(), 24).unwrap();
        assert!(Map::attach(file.as_raw_fd()).is_err(), "{frames} {octets}");
    }
}
