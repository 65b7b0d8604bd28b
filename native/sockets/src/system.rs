//! System calls.  All of this crate's calls into C are here, and in `shared`, which maps memory.
#![allow(unsafe_code)]
use std::io;
use std::ptr;

use crate::SystemError;

fn last_error() -> SystemError {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// Whether an error only says "not now".
pub fn would_block(error: SystemError) -> bool {
    error == libc::EAGAIN || error == libc::EWOULDBLOCK
}

/// Repeat a call that a signal broke off.
fn retry(mut call: impl FnMut() -> isize) -> Result<usize, SystemError> {
    loop {
        let answer = call();
        if answer >= 0 {
            return Ok(answer as usize);
        }
        match last_error() {
            libc::EINTR => {}
            error => return Err(error),
        }
    }
}

/// Read once, at most `room.len()` octets.
pub(crate) fn read(descriptor: i32, room: &mut [u8]) -> Result<usize, SystemError> {
    // SAFETY: the pointer and length are those of a slice that is ours alone for the call.
    retry(|| unsafe { libc::read(descriptor, room.as_mut_ptr().cast(), room.len()) })
}

/// Receive once from a stream, without waiting.
pub(crate) fn receive(descriptor: i32, room: &mut [u8]) -> Result<usize, SystemError> {
    // SAFETY: the pointer and length are those of a slice that is ours alone for the call.
    retry(|| unsafe { libc::recv(descriptor, room.as_mut_ptr().cast(), room.len(), libc::MSG_DONTWAIT) })
}

/// Send once into a stream, without waiting and without a signal where the peer has gone.
pub(crate) fn send(descriptor: i32, octets: &[u8]) -> Result<usize, SystemError> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the pointer and length are those of a slice that lives for the call; the kernel only reads.
    retry(|| unsafe { libc::send(descriptor, octets.as_ptr().cast(), octets.len(), flags) })
}

/// Write `head` and `body` as one frame.
pub(crate) fn write_frame(descriptor: i32, head: &[u8], body: &[u8]) -> Result<usize, SystemError> {
    let pieces = [piece(head), piece(body)];
    let (start, count) = if head.is_empty() { (1, 1) } else { (0, 2) };
    // SAFETY: each piece names a slice that lives for the call; the kernel only reads.
    retry(|| unsafe { libc::writev(descriptor, pieces.as_ptr().add(start), count) })
}

fn piece(octets: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() }
}

/// Nanoseconds since 1970 by the system's clock.
pub(crate) fn now_ns() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(-1, |time| i64::try_from(time.as_nanos()).unwrap_or(-1))
}

/// Octets for the control messages of one datagram: time, drops, segment size, each with its header, and to spare.
pub(crate) const CONTROL_OCTETS: usize = 192;
/// Octets of a socket address of any family.
pub(crate) const ADDRESS_OCTETS: usize = size_of::<libc::sockaddr_storage>();

/// Control messages are read and written at their natural alignment.
#[repr(C, align(8))]
#[derive(Clone)]
pub(crate) struct Control(pub(crate) [u8; CONTROL_OCTETS]);

/// What came with a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// Octets that the datagram has, more than its slot if cut.
    pub(crate) length: usize,
    /// Nanoseconds since 1970, -1 when not told.
    pub(crate) timestamp_ns: i64,
    /// The socket's count of datagrams dropped for want of room.
    pub(crate) dropped: Option<u32>,
    /// Size of the datagrams that the kernel joined into this one; 0: it is one.
    pub(crate) segment: usize,
    /// Octets of the sender's address.
    pub(crate) address_octets: usize,
}

/// Room for datagrams: `slots` of `slot_octets` each.
pub(crate) struct Slots {
    pub(crate) octets: Vec<u8>,
    pub(crate) slot_octets: usize,
    pub(crate) controls: Vec<Control>,
    pub(crate) addresses: Vec<[u8; ADDRESS_OCTETS]>,
    pub(crate) received: Vec<Received>,
}

impl Slots {
    pub(crate) fn new(slots: usize, slot_octets: usize) -> Self {
        Self {
            octets: vec![0; slots * slot_octets],
            slot_octets,
            controls: vec![Control([0; CONTROL_OCTETS]); slots],
            addresses: vec![[0; ADDRESS_OCTETS]; slots],
            received: Vec::with_capacity(slots),
        }
    }

    /// Fill the first slots, at most `wanted`, with what is there.
    pub(crate) fn receive(&mut self, descriptor: i32, wanted: usize) -> Result<(), SystemError> {
        self.received.clear();
        let wanted = wanted.min(self.controls.len());
        let mut pieces: Vec<libc::iovec> = self
            .octets
            .chunks_exact_mut(self.slot_octets)
            .take(wanted)
            .map(|slot| libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() })
            .collect();
        let mut headers: Vec<libc::mmsghdr> = Vec::with_capacity(wanted);
        for (index, piece) in pieces.iter_mut().enumerate() {
            let mut header = empty_header();
            header.msg_hdr.msg_name = self.addresses[index].as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = ADDRESS_OCTETS as u32;
            header.msg_hdr.msg_iov = ptr::from_mut(piece);
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = self.controls[index].0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_OCTETS as _;
            headers.push(header);
        }
        // with MSG_TRUNC the kernel tells the true length of a datagram that it cut
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        // SAFETY: each header points at a slot, an address and a control buffer of its own, all alive and ours alone
        // for the call, with their true sizes; the count is that of the headers.
        let count = retry(|| unsafe {
            libc::recvmmsg(descriptor, headers.as_mut_ptr(), wanted as u32, flags as _, ptr::null_mut()) as isize
        })?;
        for (header, control) in headers.iter().zip(&self.controls).take(count) {
            let mut received = Received {
                length: header.msg_len as usize,
                timestamp_ns: -1,
                address_octets: (header.msg_hdr.msg_namelen as usize).min(ADDRESS_OCTETS),
                ..Received::default()
            };
            #[allow(clippy::unnecessary_cast)] // musl has a u32 here
            let told = header.msg_hdr.msg_controllen as usize;
            read_control(&control.0[..told.min(CONTROL_OCTETS)], &mut received);
            self.received.push(received);
        }
        Ok(())
    }

    /// The octets of slot `index` that are there.
    pub(crate) fn slot(&self, index: usize) -> &[u8] {
        let start = index * self.slot_octets;
        &self.octets[start..start + self.received[index].length.min(self.slot_octets)]
    }

    /// The address of who sent slot `index`.
    pub(crate) fn address(&self, index: usize) -> &[u8] {
        &self.addresses[index][..self.received[index].address_octets]
    }
}

fn empty_header() -> libc::mmsghdr {
    // SAFETY: a header of zeros is valid: no name, no pieces, no control.
    unsafe { std::mem::zeroed() }
}

const ALIGNMENT: usize = size_of::<usize>();
/// A control message's header: its length (of a size_t), level and type.
pub(crate) const CONTROL_HEADER_OCTETS: usize = size_of::<usize>() + 8;

fn integer(octets: &[u8], at: usize) -> Option<i32> {
    octets.get(at..at + 4)?.try_into().ok().map(i32::from_ne_bytes)
}

/// Take what we asked for out of the control messages; pass over all else.
pub(crate) fn read_control(mut rest: &[u8], received: &mut Received) {
    while let Some(head) = rest.first_chunk::<{ size_of::<usize>() }>() {
        let length = usize::from_ne_bytes(*head);
        let (Some(level), Some(kind)) = (integer(rest, ALIGNMENT), integer(rest, ALIGNMENT + 4)) else { return };
        if length < CONTROL_HEADER_OCTETS || length > rest.len() {
            return;
        }
        let data = &rest[CONTROL_HEADER_OCTETS..length];
        match (level, kind) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                let seconds = data.first_chunk::<8>().map(|octets| i64::from_ne_bytes(*octets));
                let nanoseconds = data.get(8..16).and_then(|octets| octets.try_into().ok()).map(i64::from_ne_bytes);
                if let (Some(seconds), Some(nanoseconds)) = (seconds, nanoseconds) {
                    received.timestamp_ns = seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds);
                }
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => received.dropped = integer(data, 0).map(|count| count as u32),
            (libc::SOL_UDP, libc::UDP_GRO) => {
                received.segment = integer(data, 0).and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
            }
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
    }
}

/// One message to send: octets, and the size of the datagrams to cut them into (0: one datagram).
#[derive(Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) octets: &'a [u8],
    pub(crate) segment: u16,
}

/// Send `messages` to `destination` (empty: to where the socket is connected); how many from the front went.
pub(crate) fn send_messages(
    descriptor: i32,
    messages: &[Outgoing<'_>],
    destination: &[u8],
) -> Result<usize, SystemError> {
    let pieces: Vec<libc::iovec> = messages.iter().map(|message| piece(message.octets)).collect();
    let mut controls: Vec<Control> = Vec::with_capacity(messages.len());
    let mut headers: Vec<libc::mmsghdr> = Vec::with_capacity(messages.len());
    for (message, piece) in messages.iter().zip(&pieces) {
        let mut header = empty_header();
        header.msg_hdr.msg_iov = ptr::from_ref(piece).cast_mut();
        header.msg_hdr.msg_iovlen = 1;
        if !destination.is_empty() {
            header.msg_hdr.msg_name = destination.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = destination.len() as u32;
        }
        if message.segment > 0 {
            controls.push(segment_control(message.segment)); // within its capacity: it never moves
            if let Some(control) = controls.last_mut() {
                header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
                header.msg_hdr.msg_controllen = SEGMENT_CONTROL_OCTETS as _;
            }
        }
        headers.push(header);
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: each header points at a piece, an address and a control buffer that live for the call (the vectors do not
    // grow past the capacity they were made with), with their true sizes; the kernel only reads what they point at.
    retry(|| unsafe { libc::sendmmsg(descriptor, headers.as_mut_ptr(), headers.len() as u32, flags as _) as isize })
}

const SEGMENT_CONTROL_OCTETS: usize = (CONTROL_HEADER_OCTETS + 2).next_multiple_of(ALIGNMENT);

fn segment_control(segment: u16) -> Control {
    let mut control = Control([0; CONTROL_OCTETS]);
    control.0[..ALIGNMENT].copy_from_slice(&(CONTROL_HEADER_OCTETS + 2).to_ne_bytes());
    control.0[ALIGNMENT..ALIGNMENT + 4].copy_from_slice(&libc::SOL_UDP.to_ne_bytes());
    control.0[ALIGNMENT + 4..ALIGNMENT + 8].copy_from_slice(&libc::UDP_SEGMENT.to_ne_bytes());
    control.0[CONTROL_HEADER_OCTETS..CONTROL_HEADER_OCTETS + 2].copy_from_slice(&segment.to_ne_bytes());
    control
}

#[cfg(test)]
pub(crate) mod tests_support {
    /// Switch UDP_GRO on.
    pub(crate) fn set_joined(descriptor: i32) {
        let on = 1i32;
        // SAFETY: the value is an integer that lives for the call.
        let status =
            unsafe { libc::setsockopt(descriptor, libc::SOL_UDP, libc::UDP_GRO, std::ptr::from_ref(&on).cast(), 4) };
        assert_eq!(status, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut octets = (CONTROL_HEADER_OCTETS + data.len()).to_ne_bytes().to_vec();
        octets.extend(level.to_ne_bytes());
        octets.extend(kind.to_ne_bytes());
        octets.extend(data);
        octets.resize(octets.len().next_multiple_of(ALIGNMENT), 0);
        octets
    }

    #[test]
    fn control_messages_are_read_and_others_passed_over() {
        let mut octets = message(99, 1, &[1, 2, 3]);
        octets.extend(message(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &7u32.to_ne_bytes()));
        octets.extend(message(libc::SOL_UDP, libc::UDP_GRO, &1000i32.to_ne_bytes()));
        let time = [3i64.to_ne_bytes(), 5i64.to_ne_bytes()].concat();
        octets.extend(message(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &time));
        let mut received = Received::default();
        read_control(&octets, &mut received);
        assert_eq!(received.dropped, Some(7));
        assert_eq!((received.segment, received.timestamp_ns), (1000, 3_000_000_005));
    }

    #[test]
    fn control_messages_cut_anywhere_are_no_panic() {
        let octets = message(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &[255; 16]);
        for end in 0..=octets.len() {
            read_control(&octets[..end], &mut Received::default());
        }
        let mut lying = octets;
        lying[..8].copy_from_slice(&usize::MAX.to_ne_bytes());
        read_control(&lying, &mut Received::default());
    }
}
