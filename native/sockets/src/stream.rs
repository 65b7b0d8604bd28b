//! A stream socket: what is there is read and cut, what waits is written.
use netmap_io_capture::batch::Batch;

use crate::SystemError;
use crate::records::{Cutter, Queue};
use crate::system::{now_ns, receive, send, would_block};

const READ_OCTETS: usize = 256 << 10;
/// Reads in one call: a fast peer must not keep its caller here.
const READS: usize = 16;

/// Where a stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// More may come.
    Open,
    /// The peer has said that no more will come.
    Ended,
    /// The peer sent a length that no record can have.
    Refused,
    /// The system gave this error: the connection is gone.
    Lost(SystemError),
}

/// Add what is there to `batch`, at most `max_frames` in all; `interface` names the stream.
pub fn read(descriptor: i32, cutter: &mut Cutter, batch: &mut Batch, max_frames: usize, interface: u32) -> State {
    cutter.cut(batch, max_frames, interface);
    for _ in 0..READS {
        if cutter.broken() {
            return State::Refused;
        }
        if batch.len() >= max_frames || cutter.holds() {
            return State::Open;
        }
        let room = cutter.room(READ_OCTETS.max(cutter.lacks().min(READ_OCTETS * 16)));
        let size = room.len();
        match receive(descriptor, room) {
            Ok(0) => {
                cutter.filled(size, -1);
                return State::Ended;
            }
            Ok(count) => {
                cutter.filled(size - count, now_ns());
                cutter.cut(batch, max_frames, interface);
                if count < size && !cutter.broken() {
                    return State::Open;
                }
            }
            Err(error) => {
                cutter.filled(size, -1);
                return if would_block(error) { State::Open } else { State::Lost(error) };
            }
        }
    }
    State::Open
}

/// Write what waits, as far as there is room.
pub fn write(descriptor: i32, queue: &mut Queue) -> State {
    while queue.octets() > 0 {
        match send(descriptor, queue.waiting()) {
            Ok(count) => queue.went(count),
            Err(error) if would_block(error) || error == libc::ENOBUFS => return State::Open,
            Err(error) => return State::Lost(error),
        }
    }
    State::Open
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Framing;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn records_cross_a_socket_that_is_full_at_times() {
        let framing = Framing::Prefixed { octets: 2, inclusive: false };
        let (near, far) = UnixStream::pair().unwrap();
        let mut frames = Batch::with_capacity(0, 0);
        for index in 0..2000u32 {
            frames.push(&vec![index as u8; (index % 1500) as usize], -1, index % 1500, 0);
        }
        let mut queue = Queue::new(framing, 1 << 20);
        let mut cutter = Cutter::new(framing, 1500);
        let mut given = Batch::with_capacity(0, 0);
        let mut put = 0;
        while given.len() < frames.len() {
            put += queue.put(&frames.frames(), put, usize::MAX, false);
            assert_eq!(write(near.as_raw_fd(), &mut queue), State::Open);
            let room = given.len() + 7;
            assert_eq!(read(far.as_raw_fd(), &mut cutter, &mut given, room, 0), State::Open);
        }
        assert_eq!((given.octets, given.offsets), (frames.octets, frames.offsets));
        assert_eq!(queue.sent().0, 2000);
        drop(near);
        let mut rest = Batch::with_capacity(0, 0);
        assert_eq!(read(far.as_raw_fd(), &mut cutter, &mut rest, 1, 0), State::Ended);
    }

    #[test]
    fn a_peer_that_has_gone_is_an_error_and_no_signal() {
        let (near, far) = UnixStream::pair().unwrap();
        drop(far);
        let mut queue = Queue::new(Framing::Stream, 100);
        let mut frames = Batch::with_capacity(0, 0);
        frames.push(b"abc", -1, 3, 0);
        assert_eq!(queue.put(&frames.frames(), 0, usize::MAX, false), 1);
        assert_eq!(write(near.as_raw_fd(), &mut queue), State::Lost(libc::EPIPE));
        assert_eq!(queue.drop_all(), 1);
    }
}
