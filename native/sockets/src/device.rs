//! A device that gives and takes one frame in each call: tap.
use netmap_io_capture::batch::{Batch, Frames};

use crate::SystemError;
use crate::checksum::complete;
use crate::datagrams::Sent;
use crate::system::{now_ns, read, would_block, write_frame};

/// The longest frame of a tap device: its largest MTU, both headers, a VLAN tag, to spare.
const ROOM_OCTETS: usize = 65_600;
/// virtio_net_hdr: flags, kind, header length, segment size, checksum start and offset.
pub const OFFLOAD_HEADER_OCTETS: usize = 10;
const NEEDS_CHECKSUM: u8 = 1;

/// What was met on the way in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceAccount {
    /// Checksums that the sender had left for its card, completed here.
    pub completed_checksums: u64,
    /// Frames whose offload header contradicts them, or that want to be cut: let go.
    pub malformed: u64,
}

/// The receiving half.
pub struct DeviceReader {
    offload_header: bool,
    room: Vec<u8>,
    account: DeviceAccount,
}

impl DeviceReader {
    /// `offload_header`: frames come behind a virtio_net_hdr.
    pub fn new(offload_header: bool) -> Self {
        Self { offload_header, room: vec![0; ROOM_OCTETS + OFFLOAD_HEADER_OCTETS], account: DeviceAccount::default() }
    }

    /// The account so far.
    pub fn account(&self) -> DeviceAccount {
        self.account
    }

    /// At most `max_frames` of what is there; the error that ended it, unless that was "not now".
    pub fn read(&mut self, descriptor: i32, max_frames: usize) -> (Batch, Option<SystemError>) {
        let mut batch = Batch::with_capacity(max_frames.min(256), 0);
        while batch.len() < max_frames {
            match read(descriptor, &mut self.room) {
                Ok(0) => return (batch, None),
                Ok(count) => self.give(&mut batch, count),
                Err(error) => return (batch, (!would_block(error)).then_some(error)),
            }
        }
        (batch, None)
    }

    fn give(&mut self, batch: &mut Batch, count: usize) {
        let there = &mut self.room[..count];
        let Some((header, frame)) =
            there.split_at_mut_checked(if self.offload_header { OFFLOAD_HEADER_OCTETS } else { 0 })
        else {
            self.account.malformed += 1;
            return;
        };
        if let [flags, kind, _, _, _, _, start_0, start_1, offset_0, offset_1] = *header {
            if kind != 0 {
                self.account.malformed += 1;
                return;
            }
            if flags & NEEDS_CHECKSUM != 0 {
                let start = u16::from_ne_bytes([start_0, start_1]);
                let offset = u16::from_ne_bytes([offset_0, offset_1]);
                if !complete(frame, usize::from(start), usize::from(offset)) {
                    self.account.malformed += 1;
                    return;
                }
                self.account.completed_checksums += 1;
            }
        }
        batch.push(frame, now_ns(), frame.len() as u32, 0);
    }
}

/// Write from the front until there is no room; the error that ended it, unless that was "not now".
pub fn write(descriptor: i32, frames: &Frames<'_>, offload_header: bool) -> (Sent, Option<SystemError>) {
    let header = [0; OFFLOAD_HEADER_OCTETS];
    let head = if offload_header { &header[..] } else { &[] };
    let mut sent = Sent::default();
    while sent.taken < frames.len() {
        let frame = frames.frame(sent.taken);
        match write_frame(descriptor, head, frame) {
            Ok(_) => {
                sent.taken += 1;
                sent.frames += 1;
                sent.octets += frame.len() as u64;
            }
            Err(error) => return (sent, (!would_block(error) && error != libc::ENOBUFS).then_some(error)),
        }
    }
    (sent, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixDatagram;

    fn read_all(near: UnixDatagram, offload_header: bool) -> (Batch, DeviceAccount) {
        near.set_nonblocking(true).unwrap();
        let mut reader = DeviceReader::new(offload_header);
        let (batch, error) = reader.read(near.as_raw_fd(), 100);
        assert_eq!(error, None);
        (batch, reader.account())
    }

    #[test]
    fn frames_cross_a_device_with_and_without_a_header() {
        for offload_header in [false, true] {
            let (near, far) = UnixDatagram::pair().unwrap();
            let mut frames = Batch::with_capacity(0, 0);
            frames.push(&[1; 60], -1, 60, 0);
            frames.push(&[2; 1514], -1, 1514, 0);
            let (sent, error) = write(far.as_raw_fd(), &frames.frames(), offload_header);
            assert_eq!((sent, error), (Sent { taken: 2, frames: 2, octets: 1574 }, None));
            let (given, _) = read_all(near, offload_header);
            assert_eq!((given.octets, given.offsets), (frames.octets, frames.offsets));
        }
    }

    #[test]
    fn partial_checksums_are_completed_and_wrong_headers_counted() {
        let (near, far) = UnixDatagram::pair().unwrap();
        let header = |flags: u8, kind: u8, start: u16, offset: u16| {
            let mut octets = vec![flags, kind, 0, 0, 0, 0];
            octets.extend(start.to_ne_bytes());
            octets.extend(offset.to_ne_bytes());
            octets.extend([9, 1, 2, 0, 0]);
            octets
        };
        for octets in [header(1, 0, 1, 2), header(1, 0, 4, 2), header(0, 4, 0, 0), vec![1, 2, 3]] {
            far.send(&octets).unwrap();
        }
        let (given, account) = read_all(near, true);
        assert_eq!(given.octets, [9, 1, 2, 0xFE, 0xFD]);
        assert_eq!(account, DeviceAccount { completed_checksums: 1, malformed: 3 });
    }

    #[test]
    fn an_error_in_mid_burst_tells_what_went() {
        let file = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut frames = Batch::with_capacity(0, 0);
        frames.push(&[1; 60], -1, 60, 0);
        let (sent, error) = write(file.as_raw_fd(), &frames.frames(), false);
        assert_eq!((sent.taken, error), (0, Some(libc::ENOSPC)));
        (&file).flush().unwrap();
    }
}
