//! From the receive rings of one port into the transmit ring of another, without a copy where both share a region.
use netmap_io_rings::error::RingError;

use crate::layout::{BUFFER_CHANGED, MORE_FRAGMENTS};
use crate::port::{PortKind, Stop};
use crate::receive::Receiver;
use crate::region::Descriptor;
use crate::ring::Ring;
use crate::transmit::{ETHERNET_HEADER_OCTETS, TransmitAccount, Transmitter, own_buffer, receives_only};

/// Slots that a frame may take: what a switch carries.
const MOST_FRAGMENTS: usize = 64;

/// What a call of `forward` did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Frames handed on.
    pub frames: u64,
    /// Their octets.
    pub octets: u64,
    /// Frames let go: damaged, or of a length that the target does not take.
    pub dropped: u64,
    /// Octets of those that were not damaged.
    pub dropped_octets: u64,
    /// Those of them that were damaged.
    pub damaged: u64,
    /// Whether the target had no room for a frame that is there.
    pub full: bool,
}

/// Whether buffers can be swapped between the two: one region, frames at the start of their buffers.
pub fn shares_memory(receiver: &Receiver, transmitter: &Transmitter) -> bool {
    let Some((_, target)) = &transmitter.ring else { return false };
    let (source, sink) = (&receiver.shared, &transmitter.shared);
    source.memory_id == sink.memory_id
        && source.memory_id != 0
        && source.memory.len() == sink.memory.len()
        && receiver.groups.iter().flatten().all(|ring| ring.pool == target.pool)
}

/// Hand on at most `max_frames` frames that are there, as far as the target has room.
pub fn forward(
    receiver: &mut Receiver,
    transmitter: &mut Transmitter,
    max_frames: usize,
) -> Result<Forwarded, RingError> {
    let shared = shares_memory(receiver, transmitter);
    let state = receiver.sync_due();
    let Some((index, target)) = &mut transmitter.ring else { return Err(receives_only(&transmitter.shared)) };
    let sink = &transmitter.shared;
    sink.verify(*index, target)?;
    let whole = sink.kind == PortKind::Network;
    let mut done = Forwarded::default();
    let swap = shared && !receiver.keeps_slots();
    let mut trouble = Ok(());
    for turn in 0..2 {
        done.full = false;
        for source in receiver.groups.iter_mut().flatten() {
            let swap = swap && source.offset_mask() == 0 && target.offset_mask() == 0;
            let account = &mut transmitter.account;
            let mut mover = Mover { sink, account, swap, whole, longest: sink.longest, done: &mut done };
            trouble = mover.run(source, target, max_frames);
            if trouble.is_err() || done.full {
                break;
            }
        }
        if turn == 0 && done.full && trouble.is_ok() {
            target.words.release(); // what it has sent meanwhile is room
            sink.sync(*index, true, std::slice::from_mut(target))?;
        } else {
            break;
        }
    }
    target.words.release();
    receiver.release();
    receiver.count_damaged(done.damaged);
    receiver.mark_unfinished(!done.full && trouble.is_ok() && done.frames < max_frames as u64);
    if done.frames > 0 {
        sink.sync(*index, true, std::slice::from_mut(target))?;
    }
    if done.frames + done.dropped == 0 {
        trouble?;
        if let Err(Stop::Error(error)) = state {
            return Err(error);
        }
    }
    Ok(done)
}

/// One frame's slots, copied once.
struct Frame {
    slots: [Descriptor; MOST_FRAGMENTS],
    count: usize,
    octets: usize,
    good: bool,
}

struct Mover<'a> {
    sink: &'a crate::port::Shared,
    account: &'a mut TransmitAccount,
    swap: bool,
    /// The target takes a frame in one slot only.
    whole: bool,
    longest: usize,
    done: &'a mut Forwarded,
}

impl Mover<'_> {
    fn run(&mut self, source: &mut Ring, target: &mut Ring, max_frames: usize) -> Result<(), RingError> {
        let empty = Descriptor { buffer: 0, length: 0, flags: 0 };
        let mut frame = Frame { slots: [empty; MOST_FRAGMENTS], count: 0, octets: 0, good: true };
        while self.done.frames < max_frames as u64 {
            if self.swap {
                self.exchange_singles(source, target, max_frames as u64);
                if self.done.frames >= max_frames as u64 {
                    break;
                }
            }
            let slots = read_frame(source, &mut frame);
            if slots == 0 {
                break;
            }
            if !frame.good || !(ETHERNET_HEADER_OCTETS..=self.longest).contains(&frame.octets) {
                self.done.dropped += 1;
                self.done.damaged += u64::from(!frame.good);
                self.done.dropped_octets += if frame.good { frame.octets as u64 } else { 0 };
                source.words.pass(slots);
                continue;
            }
            let moved = if self.swap && (frame.count == 1 || !self.whole) {
                self.exchange(source, target, &frame)?
            } else {
                self.copy(source, target, &frame)?
            };
            if !moved {
                self.done.full = true;
                break;
            }
            source.words.pass(slots);
            self.done.frames += 1;
            self.done.octets += frame.octets as u64;
        }
        Ok(())
    }

    /// The frames in one slot each, as long as nothing is the matter with them or with the target's slots.
    fn exchange_singles(&mut self, source: &mut Ring, target: &mut Ring, max_frames: u64) {
        let left = max_frames - self.done.frames;
        let most = u64::from(source.words.room().min(target.words.room())).min(left) as u32;
        let (from_count, into_count) = (source.words.slots(), target.words.slots());
        let (mut from, mut into) = (source.words.cur(), target.words.cur());
        let (mut moved, mut octets) = (0, 0);
        while moved < most {
            let theirs = source.slots.read(from);
            let own = target.slots.read(into).buffer;
            let length = usize::from(theirs.length);
            let good = theirs.flags & MORE_FRAGMENTS == 0
                && source.pool.place(theirs.buffer, 0, length).is_some()
                && length >= ETHERNET_HEADER_OCTETS
                && length <= self.longest
                && target.pool.has(own);
            if !good {
                break;
            }
            target.slots.write(into, Descriptor { flags: BUFFER_CHANGED, ..theirs });
            source.slots.write(from, Descriptor { buffer: own, flags: BUFFER_CHANGED, ..theirs });
            from = if from + 1 == from_count { 0 } else { from + 1 };
            into = if into + 1 == into_count { 0 } else { into + 1 };
            moved += 1;
            octets += length as u64;
        }
        source.words.pass(moved);
        target.words.pass(moved);
        self.done.frames += u64::from(moved);
        self.done.octets += octets;
    }

    /// Buffers for buffers, slot by slot.  False: no room.
    fn exchange(&mut self, source: &Ring, target: &mut Ring, frame: &Frame) -> Result<bool, RingError> {
        if target.words.room() < frame.count as u32 {
            return Ok(false);
        }
        for (index, &theirs) in frame.slots[..frame.count].iter().enumerate() {
            let slot = after(target, index as u32);
            // a buffer is asked for before one is given away: an error leaves both rings with all of theirs
            let (buffer, _) = own_buffer(self.sink, target, self.account, slot)?;
            let more = theirs.flags & MORE_FRAGMENTS;
            target.slots.write(slot, Descriptor { flags: BUFFER_CHANGED | more, ..theirs });
            source.slots.write(after(source, index as u32), Descriptor { buffer, flags: BUFFER_CHANGED, ..theirs });
        }
        target.words.pass(frame.count as u32);
        Ok(true)
    }

    /// The octets, packed into as few slots as they need.  False: no room.
    fn copy(&mut self, source: &Ring, target: &mut Ring, frame: &Frame) -> Result<bool, RingError> {
        let capacity = target.pool.buffer_octets().min(usize::from(u16::MAX));
        let needed = frame.octets.div_ceil(capacity);
        if (target.words.room() as usize) < needed || (self.whole && needed > 1) {
            return Ok(false);
        }
        let (mask, masked) = (source.offset_mask(), target.offset_mask() != 0);
        let (mut filled, mut used, mut own) = (0, 0, None);
        let mut left = frame.octets;
        for (index, &theirs) in frame.slots[..frame.count].iter().enumerate() {
            let offset = offset_of(source, after(source, index as u32), mask);
            let length = usize::from(theirs.length);
            let Some(mut place) = source.pool.place(theirs.buffer, offset, length) else { continue };
            let end = place + length;
            while place < end {
                let (buffer, flags) = match own {
                    Some(own) => own,
                    None => own_buffer(self.sink, target, self.account, after(target, used))?,
                };
                own = Some((buffer, flags));
                let part = (end - place).min(capacity - filled);
                target.pool.copy_from(buffer, filled, &source.pool, place, part);
                (place, filled, left) = (place + part, filled + part, left - part);
                if filled == capacity || left == 0 {
                    let slot = after(target, used);
                    if masked {
                        target.slots.set_pointer(slot, 0);
                    }
                    let flags = flags | if left > 0 { MORE_FRAGMENTS } else { 0 };
                    target.slots.write(slot, Descriptor { buffer, length: filled as u16, flags });
                    (filled, own, used) = (0, None, used + 1);
                }
            }
        }
        target.words.pass(used);
        Ok(true)
    }
}

fn after(ring: &Ring, count: u32) -> u32 {
    let (cur, slots) = (ring.words.cur(), ring.words.slots());
    if cur + count >= slots { cur + count - slots } else { cur + count }
}

fn offset_of(ring: &Ring, slot: u32, mask: u64) -> usize {
    if mask == 0 { 0 } else { usize::try_from(ring.slots.pointer(slot) & mask).unwrap_or(usize::MAX) }
}

/// Copy the descriptors of the next frame; its slots, 0: no whole one is there.
#[inline(always)]
fn read_frame(ring: &Ring, frame: &mut Frame) -> u32 {
    let (room, mask) = (ring.words.room(), ring.offset_mask());
    (frame.count, frame.octets, frame.good) = (0, 0, true);
    for seen in 0..room {
        let slot = after(ring, seen);
        let descriptor = ring.slots.read(slot);
        let length = usize::from(descriptor.length);
        frame.good &= ring.pool.place(descriptor.buffer, offset_of(ring, slot, mask), length).is_some();
        if frame.count < MOST_FRAGMENTS {
            frame.slots[frame.count] = descriptor;
            frame.count += 1;
            frame.octets += length;
        } else {
            frame.good = false;
        }
        if descriptor.flags & MORE_FRAGMENTS == 0 {
            return seen + 1;
        }
    }
    if room == ring.words.slots() - 1 {
        frame.good = false;
        return room; // it fills the ring and goes on: nothing will ever end it
    }
    0
}
