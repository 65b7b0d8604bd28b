//! The program that sends a queue's frames to its socket: made of instructions here, loaded by bpf(2).
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::system::{bpf, bpf_descriptor};

const MAP_CREATE: u32 = 0;
const MAP_UPDATE: u32 = 2;
const PROGRAM_LOAD: u32 = 5;
const LINK_CREATE: u32 = 28;
const MAP_OF_SOCKETS: u32 = 17;
const PROGRAM_KIND: u32 = 6;
const ATTACH_KIND: u32 = 37;
const LICENCE: &[u8] = b"Apache-2.0\0";

/// `struct xdp_md`: octet of the receive queue's number.
const QUEUE_NUMBER: i16 = 16;
/// What a frame of a queue without a socket gets: the way it would have gone.
const PASS: i32 = 2;
const CALL_REDIRECT_MAP: i32 = 51;

/// Which hook of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// In the driver, before the stack has a buffer for the frame.
    Driver,
    /// In the stack: any interface, slower.
    Generic,
}

impl Hook {
    fn flags(self) -> u32 {
        match self {
            Hook::Generic => 1 << 1,
            Hook::Driver => 1 << 2,
        }
    }
}

/// Two fields of 32 bits as one word.
fn pair(first: u32, second: u32) -> u64 {
    let [a, b, c, d] = first.to_ne_bytes();
    let [e, f, g, h] = second.to_ne_bytes();
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

fn address_of<T>(cells: &[T]) -> u64 {
    cells.as_ptr().expose_provenance() as u64
}

/// An instruction: operation, target and source register, offset, number.
fn instruction(operation: u8, target: u8, source: u8, offset: i16, number: i32) -> u64 {
    let registers = if cfg!(target_endian = "little") { source << 4 | target } else { target << 4 | source };
    let [a, b] = offset.to_ne_bytes();
    let [c, d, e, f] = number.to_ne_bytes();
    u64::from_ne_bytes([operation, registers, a, b, c, d, e, f])
}

/// `return redirect_map(sockets, context->rx_queue_index, PASS)`
fn instructions(map: i32) -> [u64; 6] {
    [
        instruction(0x61, 2, 1, QUEUE_NUMBER, 0), // r2 = 32 bits at r1 + 16
        instruction(0x18, 1, 1, 0, map),          // r1 = the map of this descriptor, in two words
        instruction(0x00, 0, 0, 0, 0),
        instruction(0xb7, 3, 0, 0, PASS), // r3 = PASS
        instruction(0x85, 0, 0, 0, CALL_REDIRECT_MAP),
        instruction(0x95, 0, 0, 0, 0), // exit
    ]
}

/// A loaded program and its map of sockets.  Gone, and off its interface, when dropped.
pub struct Program {
    link: Option<OwnedFd>, // dropped first
    program: OwnedFd,
    sockets: OwnedFd,
}

impl Program {
    /// Load a program for queues below `queues`.
    pub fn load(queues: u32) -> io::Result<Self> {
        let mut map = [pair(MAP_OF_SOCKETS, 4), pair(4, queues), 0, 0, 0, 0, 0, 0];
        let sockets = bpf_descriptor(MAP_CREATE, &mut map)?;
        let code = instructions(sockets.as_raw_fd());
        let mut load = [
            pair(PROGRAM_KIND, code.len() as u32),
            address_of(&code),
            address_of(LICENCE),
            0,
            0,
            0,
            0,
            0,
            pair(0, ATTACH_KIND),
        ];
        let program = bpf_descriptor(PROGRAM_LOAD, &mut load)?;
        Ok(Self { link: None, program, sockets })
    }

    /// Put the program on an interface.  It comes off with `self`, and with the process.
    pub fn attach(&mut self, interface: u32, hook: Hook) -> io::Result<()> {
        let program = self.program.as_raw_fd() as u32;
        let mut link = [pair(program, interface), pair(ATTACH_KIND, hook.flags()), 0, 0];
        self.link = Some(bpf_descriptor(LINK_CREATE, &mut link)?);
        Ok(())
    }

    /// From now on the frames of `queue` go to `socket`.
    pub fn direct(&self, queue: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        let (key, value) = ([queue], [socket.as_raw_fd() as u32]);
        let map = self.sockets.as_fd().as_raw_fd() as u32;
        let mut update = [pair(map, 0), address_of(&key), address_of(&value), 0];
        bpf(MAP_UPDATE, &mut update).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_program_is_what_an_assembler_makes_of_it() {
        let octets: Vec<u8> = instructions(5).iter().flat_map(|word| word.to_ne_bytes()).collect();
        let expected = [
            [0x61, 0x12, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00],
            [0x18, 0x11, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00],
            [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
            [0xb7, 0x03, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00],
            [0x85, 0x00, 0x00, 0x00, 0x33, 0x00, 0x00, 0x00],
            [0x95, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
        ];
        assert_eq!(octets, expected.concat());
    }
}
