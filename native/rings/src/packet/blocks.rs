//! The receive ring, TPACKET_V3: blocks that the kernel fills with frames of any length and hands over whole.
//!
//! A block is ours from the moment its status says so until we write the status back.  Blocks go round in order.
use std::sync::Arc;

use crate::memory::Mapping;
use crate::packet::finish::{Account, finish};
use crate::slots::Slot;

/// Status of a block or slot: the kernel's.
const KERNEL: u32 = 0;
/// Status bit of a block: ours.
const USER: u32 = 1;
const BLOCK_STATUS: usize = 8;
const BLOCK_HEADER_OCTETS: usize = 48;
const FRAME_HEADER_OCTETS: usize = 48;
const STATUS_HARDWARE_TIME: u32 = 1 << 31;
const NANOSECONDS: i64 = 1_000_000_000;

/// A block that is being walked.
struct Cursor {
    block: usize,
    /// Of the next frame, from the start of the block.
    next: usize,
    left: u32,
}

/// Our side of a receive ring.
pub struct BlockRing {
    memory: Arc<Mapping>,
    block_octets: usize,
    blocks: usize,
    current: usize,
    cursor: Option<Cursor>,
    /// Blocks that are walked through and wait for the end of a lending: the last ones before `current`.
    held: usize,
    lendings: usize,
    /// Take only the card's times.
    hardware_times: bool,
    /// The greatest length of a frame without its VLAN tag that is not over the interface's MTU.
    usual_octets: usize,
    account: Account,
}

fn u32_at(octets: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
}

fn u16_at(octets: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([octets[at], octets[at + 1]])
}

impl BlockRing {
    /// The ring at the start of `memory`.  None: it does not fit in.
    pub fn new(
        memory: Arc<Mapping>,
        block_octets: usize,
        blocks: usize,
        usual_octets: usize,
        hardware_times: bool,
    ) -> Option<Self> {
        let fits = blocks > 0 && block_octets >= BLOCK_HEADER_OCTETS && block_octets.is_multiple_of(8);
        if !fits || block_octets.checked_mul(blocks)? > memory.len() {
            return None;
        }
        let account = Account::default();
        let (current, cursor, held, lendings) = (0, None, 0, 0);
        Some(Self {
            memory,
            block_octets,
            blocks,
            current,
            cursor,
            held,
            lendings,
            hardware_times,
            usual_octets,
            account,
        })
    }

    /// The memory that slots are in.
    pub fn memory(&self) -> &Arc<Mapping> {
        &self.memory
    }

    /// What was done to frames, or could not be.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The next frame, finished, in memory that stays ours until the block is returned: when the next call finds it
    /// walked through, and no lending is under way.
    #[inline]
    pub fn next_slot(&mut self) -> Option<Slot> {
        loop {
            let Some(cursor) = &mut self.cursor else {
                self.open_block()?;
                continue;
            };
            if cursor.left == 0 {
                self.end_block();
                continue;
            }
            cursor.left -= 1;
            let start = cursor.block * self.block_octets;
            let at = cursor.next;
            // each header is copied once, and nothing of it is believed
            let inside = at.checked_add(FRAME_HEADER_OCTETS).is_some_and(|end| end <= self.block_octets);
            let header = if inside { self.memory.read::<FRAME_HEADER_OCTETS>(start + at) } else { None };
            let Some(header) = header else {
                self.abandon();
                continue;
            };
            cursor.next = at.saturating_add(u32_at(&header, 0) as usize);
            if u32_at(&header, 0) == 0 && cursor.left > 0 {
                self.account.damaged_slots += u64::from(cursor.left);
                cursor.left = 0;
            }
            match self.slot(start, at, &header) {
                Some(slot) => return Some(slot),
                None => self.account.damaged_slots += 1,
            }
        }
    }

    fn slot(&mut self, start: usize, at: usize, header: &[u8; FRAME_HEADER_OCTETS]) -> Option<Slot> {
        let length = u32_at(header, 12) as usize;
        let status = u32_at(header, 20);
        let from = usize::from(u16_at(header, 24));
        let begin = at.checked_add(from)?;
        if from < FRAME_HEADER_OCTETS || begin.checked_add(length)? > self.block_octets {
            return None;
        }
        let timestamp_ns = if self.hardware_times && status & STATUS_HARDWARE_TIME == 0 {
            -1
        } else {
            i64::from(u32_at(header, 4)) * NANOSECONDS + i64::from(u32_at(header, 8))
        };
        let raw = Slot {
            offset: start + begin,
            length,
            original_length: u32_at(header, 16).max(length as u32),
            timestamp_ns,
            interface: 0,
        };
        let room = from - FRAME_HEADER_OCTETS;
        let tag = (u32_at(header, 32) as u16, u16_at(header, 36));
        Some(finish(&self.memory, raw, status, tag, room, self.usual_octets, &mut self.account))
    }

    fn open_block(&mut self) -> Option<()> {
        if self.held == self.blocks {
            return None;
        }
        let start = self.current * self.block_octets;
        if self.memory.load_acquire(start + BLOCK_STATUS)? & USER == 0 {
            return None;
        }
        let header = self.memory.read::<BLOCK_HEADER_OCTETS>(start)?;
        self.cursor =
            Some(Cursor { block: self.current, next: u32_at(&header, 16) as usize, left: u32_at(&header, 12) });
        Some(())
    }

    /// Pass over what is left of a block that contradicts itself.
    fn abandon(&mut self) {
        if let Some(cursor) = &mut self.cursor {
            self.account.damaged_slots += u64::from(cursor.left) + 1;
            cursor.left = 0;
        }
    }

    fn end_block(&mut self) {
        self.cursor = None;
        self.current = (self.current + 1) % self.blocks;
        self.held += 1;
        if self.lendings == 0 {
            self.return_held();
        }
    }

    fn return_held(&mut self) {
        for back in (1..=self.held).rev() {
            let block = (self.current + self.blocks - back) % self.blocks;
            self.memory.store_release(block * self.block_octets + BLOCK_STATUS, KERNEL);
        }
        self.held = 0;
    }

    /// Return the block that is walked through now rather than when the next frame is asked for.
    pub fn settle(&mut self) {
        if self.cursor.as_ref().is_some_and(|cursor| cursor.left == 0) {
            self.end_block();
        }
    }

    /// From now on keep blocks until as many `take_back`.
    pub fn lend(&mut self) {
        self.lendings += 1;
    }

    /// End a lending; with the last one blocks go back to the kernel.
    pub fn take_back(&mut self) {
        self.lendings = self.lendings.saturating_sub(1);
        if self.lendings == 0 {
            self.settle();
            self.return_held();
        }
    }

    /// Whether frames are lent.
    pub fn lending(&self) -> bool {
        self.lendings > 0
    }
}
