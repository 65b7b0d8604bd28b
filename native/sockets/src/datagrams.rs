//! Datagrams: many in one call, joined ones split, equal ones joined.
use netmap_io_capture::batch::{Batch, Frames};

use crate::SystemError;
use crate::system::{Outgoing, Slots, send_messages, would_block};

/// The kernel cuts one message into at most this many datagrams.
const MAXIMUM_SEGMENTS: usize = 64;
/// Octets of UDP payload that one message can hold, cut or not (IPv4 with its shortest header).
const MAXIMUM_MESSAGE_OCTETS: usize = 65_507;
const MESSAGES_AT_ONCE: usize = 64;
/// Errors about earlier frames that one `send` passes over before it takes them for its own.
const COMPLAINTS: usize = 4;
/// A joined datagram needs all of this.
const JOINED_OCTETS: usize = 65_536;

/// What was met on the way in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveAccount {
    /// Datagrams longer than the port takes: cut.
    pub truncated: u64,
    /// Dropped by the kernel since the socket was opened, as far as it told.
    pub dropped_by_kernel: u64,
    /// Datagrams that the kernel handed over joined with others.
    pub joined: u64,
    /// Errors that the network reported about what we had sent (ICMP).
    pub network_errors: u64,
    /// The last of them.
    pub last_network_error: SystemError,
}

/// The receiving half of a datagram socket.
pub struct Receiver {
    slots: Slots,
    maximum_frame_octets: usize,
    /// The first slot, and the octet in it, that has not been given yet.
    next: (usize, usize),
    last_dropped: u32,
    last_sender: Vec<u8>,
    account: ReceiveAccount,
}

/// Errors that say something about a peer or the way to it, not about this socket.
pub fn is_network_error(error: SystemError) -> bool {
    [
        libc::ECONNREFUSED,
        libc::EHOSTUNREACH,
        libc::ENETUNREACH,
        libc::EHOSTDOWN,
        libc::ENETDOWN,
        libc::ENOPROTOOPT,
        libc::EPROTO,
    ]
    .contains(&error)
}

impl Receiver {
    /// Room for `slots` datagrams at once; `joined`: the socket has UDP_GRO.
    pub fn new(slots: usize, maximum_frame_octets: usize, joined: bool) -> Self {
        let slot_octets = if joined { JOINED_OCTETS } else { maximum_frame_octets.clamp(1, JOINED_OCTETS) };
        Self {
            slots: Slots::new(slots.clamp(1, 1024), slot_octets.next_multiple_of(64)),
            maximum_frame_octets,
            next: (0, 0),
            last_dropped: 0,
            last_sender: Vec::new(),
            account: ReceiveAccount::default(),
        }
    }

    /// The account so far.
    pub fn account(&self) -> ReceiveAccount {
        self.account
    }

    /// Address of who sent the last frame given, as the system writes it; empty before the first.
    pub fn last_sender(&self) -> &[u8] {
        &self.last_sender
    }

    /// Whether frames are held that the socket no longer shows.
    pub fn holds(&self) -> bool {
        self.next.0 < self.slots.received.len()
    }

    /// At most `max_frames` of what is there; none when there is nothing.
    pub fn receive(&mut self, descriptor: i32, max_frames: usize) -> Result<Batch, SystemError> {
        let mut batch = Batch::with_capacity(max_frames.min(1024), 0);
        self.give(&mut batch, max_frames);
        let mut complaints = 0;
        while batch.len() < max_frames && !self.holds() {
            match self.slots.receive(descriptor, max_frames - batch.len()) {
                Ok(()) => self.begin(),
                Err(error) if would_block(error) => break,
                Err(error) if is_network_error(error) && complaints < MESSAGES_AT_ONCE => {
                    complaints += 1;
                    self.account.network_errors += 1;
                    self.account.last_network_error = error;
                    continue;
                }
                // what has been taken is given first; the error comes again or was of the moment
                Err(error) if batch.is_empty() => return Err(error),
                Err(_) => break,
            }
            let filled = self.slots.received.len() == self.slots.controls.len();
            self.give(&mut batch, max_frames);
            if !filled {
                break;
            }
        }
        Ok(batch)
    }

    fn begin(&mut self) {
        self.next = (0, 0);
        for told in self.slots.received.iter().filter_map(|received| received.dropped) {
            self.account.dropped_by_kernel += u64::from(told.wrapping_sub(self.last_dropped));
            self.last_dropped = told;
        }
    }

    fn give(&mut self, batch: &mut Batch, max_frames: usize) {
        while self.holds() && batch.len() < max_frames {
            let (index, at) = self.next;
            let received = self.slots.received[index];
            let there = self.slots.slot(index);
            let joined = received.segment > 0 && received.segment < there.len();
            let end = if joined { (at + received.segment).min(there.len()) } else { there.len() };
            let frame = &there[at..end];
            let original = if joined { frame.len() } else { received.length };
            let kept = &frame[..frame.len().min(self.maximum_frame_octets)];
            self.account.truncated += u64::from(kept.len() < original);
            self.account.joined += u64::from(joined);
            batch.push(kept, received.timestamp_ns, original as u32, 0);
            if end == there.len() {
                self.last_sender.clear();
                self.last_sender.extend_from_slice(self.slots.address(index));
                self.next = (index + 1, 0);
            } else {
                self.next.1 = end;
            }
        }
    }
}

/// What was met on the way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendAccount {
    /// Frames that the network refused as too long for the way: let go.
    pub too_long: u64,
    /// Frames that were given to the kernel joined with others.
    pub joined: u64,
    /// Times that the kernel would not cut a joined message; from then on each frame goes alone.
    pub joining_refused: u64,
    /// Errors that the network reported about what we had sent before (ICMP).
    pub network_errors: u64,
    /// The last of them.
    pub last_network_error: SystemError,
}

/// What became of a burst: frames from the front that are done with, and those of them that were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Frames from the front that need not be offered again.
    pub taken: usize,
    /// Frames that went.
    pub frames: usize,
    /// Their octets.
    pub octets: u64,
}

/// The sending half of a datagram socket.
pub struct Sender {
    joining: bool,
    account: SendAccount,
}

impl Sender {
    /// `joining`: hand frames of equal size over joined (UDP_SEGMENT), for the kernel or the card to cut.
    pub fn new(joining: bool) -> Self {
        Self { joining, account: SendAccount::default() }
    }

    /// The account so far.
    pub fn account(&self) -> SendAccount {
        self.account
    }

    /// Send from the front until there is no room.
    pub fn send(&mut self, descriptor: i32, frames: &Frames<'_>, destination: &[u8]) -> Result<Sent, SystemError> {
        let mut sent = Sent::default();
        let mut complaints = 0;
        while sent.taken < frames.len() {
            let (messages, counts) = self.messages(frames, sent.taken);
            match send_messages(descriptor, &messages, destination) {
                Ok(count) => {
                    for (message, frames) in messages.iter().zip(&counts).take(count) {
                        sent.taken += frames;
                        sent.frames += frames;
                        sent.octets += message.octets.len() as u64;
                        self.account.joined += if message.segment > 0 { *frames as u64 } else { 0 };
                    }
                }
                Err(error) if would_block(error) || error == libc::ENOBUFS => break,
                // an error that waited in the socket: it is about frames sent before, and is told once
                Err(error) if is_network_error(error) && complaints < COMPLAINTS => {
                    complaints += 1;
                    self.account.network_errors += 1;
                    self.account.last_network_error = error;
                }
                Err(_) if messages[0].segment > 0 => {
                    self.joining = false;
                    self.account.joining_refused += 1;
                }
                Err(libc::EMSGSIZE) => {
                    sent.taken += 1;
                    self.account.too_long += 1;
                }
                Err(error) if sent.taken == 0 => return Err(error),
                Err(_) => break, // what went is told first; the next call meets the error again
            }
        }
        Ok(sent)
    }

    /// The next messages from frame `first` on, and the frames in each.
    fn messages<'a>(&self, frames: &Frames<'a>, first: usize) -> (Vec<Outgoing<'a>>, Vec<usize>) {
        let mut messages = Vec::with_capacity(MESSAGES_AT_ONCE);
        let mut counts = Vec::with_capacity(MESSAGES_AT_ONCE);
        let mut index = first;
        while index < frames.len() && messages.len() < MESSAGES_AT_ONCE {
            let count = if self.joining { equal_run(frames, index) } else { 1 };
            let (start, end) = (frames.offsets[index] as usize, frames.offsets[index + count] as usize);
            let segment = if count > 1 { frames.frame(index).len() as u16 } else { 0 };
            messages.push(Outgoing { octets: &frames.octets[start..end], segment });
            counts.push(count);
            index += count;
        }
        (messages, counts)
    }
}

/// Frames from `first` on that can go as one message: equal in size, the last perhaps shorter, none empty.
fn equal_run(frames: &Frames<'_>, first: usize) -> usize {
    let size = frames.frame(first).len();
    if size == 0 || size * 2 > MAXIMUM_MESSAGE_OCTETS {
        return 1;
    }
    let most = MAXIMUM_SEGMENTS.min(MAXIMUM_MESSAGE_OCTETS / size).min(frames.len() - first);
    for count in 1..most {
        let length = frames.frame(first + count).len();
        if length != size {
            return if length > 0 && length < size { count + 1 } else { count };
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;

    fn frames(lengths: &[usize]) -> Batch {
        let mut batch = Batch::with_capacity(lengths.len(), 0);
        for (index, &length) in lengths.iter().enumerate() {
            batch.push(&vec![index as u8; length], -1, length as u32, 0);
        }
        batch
    }

    #[test]
    fn runs_are_of_equal_size_with_a_shorter_last() {
        let run = |lengths: &[usize]| equal_run(&frames(lengths).frames(), 0);
        assert_eq!(run(&[10, 10, 10, 4, 10]), 4);
        assert_eq!(run(&[10, 11]), 1);
        assert_eq!(run(&[10, 0, 10]), 1);
        assert_eq!(run(&[0, 0]), 1);
        assert_eq!(run(&[40_000, 40_000]), 1);
        assert_eq!(run(&[20_000; 5]), 3);
        assert_eq!(run(&[10; 100]), 64);
        assert_eq!(run(&[10]), 1);
    }

    fn carry(lengths: &[usize], joining: bool, joined: bool, at_once: usize, maximum: usize) -> Vec<(Vec<u8>, u32)> {
        let far = UdpSocket::bind("127.0.0.1:0").unwrap();
        let near = UdpSocket::bind("127.0.0.1:0").unwrap();
        near.connect(far.local_addr().unwrap()).unwrap();
        if joined {
            crate::system::tests_support::set_joined(far.as_raw_fd());
        }
        let batch = frames(lengths);
        let mut sender = Sender::new(joining);
        let sent = sender.send(near.as_raw_fd(), &batch.frames(), &[]).unwrap();
        assert_eq!((sent.taken, sent.frames, sent.octets as usize), (lengths.len(), lengths.len(), batch.octets.len()));
        let mut receiver = Receiver::new(8, maximum, joined);
        let mut given = Vec::new();
        loop {
            let batch = receiver.receive(far.as_raw_fd(), at_once).unwrap();
            assert!(batch.len() <= at_once);
            if batch.is_empty() {
                assert!(!receiver.holds());
                return given;
            }
            for index in 0..batch.len() {
                given.push((batch.frames().frame(index).to_vec(), batch.original_lengths[index]));
            }
        }
    }

    #[test]
    fn what_is_sent_arrives_joined_or_not() {
        let lengths: Vec<usize> = (0..40).map(|index| [1000, 1000, 1000, 7, 0, 1000][index % 6]).collect();
        let expected: Vec<(Vec<u8>, u32)> =
            lengths.iter().enumerate().map(|(i, &length)| (vec![i as u8; length], length as u32)).collect();
        for (joining, joined) in [(false, false), (true, false), (false, true), (true, true)] {
            for at_once in [1, 3, 1000] {
                assert_eq!(carry(&lengths, joining, joined, at_once, 65_535), expected, "{joining} {joined} {at_once}");
            }
        }
    }

    #[test]
    fn long_datagrams_are_cut_and_their_length_told() {
        for joined in [false, true] {
            let given = carry(&[100, 100, 5], true, joined, 10, 64);
            let lengths: Vec<(usize, u32)> = given.iter().map(|(octets, length)| (octets.len(), *length)).collect();
            assert_eq!(lengths, [(64, 100), (64, 100), (5, 5)]);
        }
    }
}
