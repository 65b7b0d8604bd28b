//! What leaves a port and how it is put on a receive ring: batches of frames, and network devices in emulated mode.
use crate::abi::{limit, slot_flag};
use crate::monitor::Showing;
use crate::ring::{Slot, distance, next, previous};
use crate::shared::Shared;
use crate::sync::Bound;
use crate::tables::{Kind, Port, Word};
use crate::vale;

/// A frame that passes more devices and switches than this goes in a circle.
const LONGEST_PATH: u32 = 8;

/// Where the octets of a piece are.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    /// At this offset of the shared file.
    File(u64),
    /// At this place of the batch's own memory.
    Held(usize),
}

/// One slot's worth of a frame.
#[derive(Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) source: Source,
    pub(crate) length: u32,
    /// In the sender's buffer.
    pub(crate) offset: u32,
}

/// Pieces `first` to before `end` of the batch.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) first: usize,
    pub(crate) end: usize,
}

/// Frames on their way within one sync.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) frames: Vec<Frame>,
    /// Octets that lie in no buffer: indirect slots, padding, frames from outside.
    pub(crate) held: Vec<u8>,
}

impl Batch {
    pub(crate) fn of_octets(frame: &[u8]) -> Self {
        let piece = Piece { source: Source::Held(0), length: frame.len() as u32, offset: 0 };
        Self { pieces: vec![piece], frames: vec![Frame { first: 0, end: 1 }], held: frame.to_vec() }
    }

    pub(crate) fn pieces_of(&self, frame: Frame) -> &[Piece] {
        self.pieces.get(frame.first..frame.end).unwrap_or_default()
    }

    pub(crate) fn octets_of(&self, frame: Frame) -> u32 {
        self.pieces_of(frame).iter().map(|piece| piece.length).sum()
    }

    /// The first N octets of a piece; zeros where it is shorter.
    pub(crate) fn start_of<const N: usize>(&self, shared: &Shared, piece: Piece) -> [u8; N] {
        match piece.source {
            Source::File(at) => shared.octets(at),
            Source::Held(at) => {
                let mut start = [0; N];
                let there = self.held.get(at..at + piece.length as usize).unwrap_or_default();
                start.iter_mut().zip(there).for_each(|(cell, &octet)| *cell = octet);
                start
            }
        }
    }

    /// Copy `octets` octets of a piece, from `skip` on, to `to` in the shared file.
    fn copy(&self, shared: &Shared, piece: Piece, skip: u32, octets: u32, to: u64) {
        match piece.source {
            Source::File(at) => shared.copy(at + u64::from(skip), to, octets.into()),
            Source::Held(at) => {
                let from = at + skip as usize;
                if let Some(found) = self.held.get(from..from + octets as usize) {
                    shared.write(to, found);
                }
            }
        }
    }

    /// Copy a piece to place `at` of a buffer, with all of the lines of the sender's buffer that hold it.
    fn copy_lines(&self, shared: &Shared, piece: Piece, buffer: u64, at: u32) {
        let before = piece.offset % LINE;
        let space = limit::BUFFER_OCTETS.saturating_sub(at);
        match piece.source {
            Source::File(from) => {
                let left = space.min(limit::BUFFER_OCTETS.saturating_sub(piece.offset));
                let octets = ((before + piece.length).next_multiple_of(LINE)).min(before + left);
                shared.copy(from - u64::from(before), buffer + u64::from(at - before), octets.into());
            }
            Source::Held(_) => self.copy(shared, piece, 0, piece.length.min(space), buffer + u64::from(at)),
        }
    }

    /// As a stream: what is left of a frame after `skip` octets, into room of `octets` at `to`; how many were copied.
    fn copy_stream(&self, shared: &Shared, frame: Frame, mut skip: u32, octets: u32, to: u64) -> u32 {
        let mut copied = 0;
        for &piece in self.pieces_of(frame) {
            if skip >= piece.length {
                skip -= piece.length;
                continue;
            }
            let now = (piece.length - skip).min(octets - copied);
            self.copy(shared, piece, skip, now, to + u64::from(copied));
            copied += now;
            skip = 0;
            if copied == octets {
                break;
            }
        }
        copied
    }
}

/// How frames are cut into slots.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// As the sender did, the number of slots in the high octet of the flags.
    AsSent,
    /// Buffers are filled one after the other: `skip` octets of the frame are left out, `prefix` zeros come first.
    Filled { skip: u32, prefix: u32, count: bool },
}

/// Put frames on a receive ring of `port`, as many as there is room for; the rest is dropped and counted.
pub(crate) fn place(
    shared: &Shared,
    ring_index: Option<usize>,
    port_index: usize,
    batch: &Batch,
    frames: impl Iterator<Item = Frame>,
    cut: Cut,
) {
    let Some(port) = shared.control().ports.get(port_index) else { return };
    let (mut placed, mut dropped) = (0u32, 0u64);
    if let Some(bound) = ring_index.and_then(|index| shared.bound(index)) {
        let _queue = bound.ring.queue.lock();
        // Looked at again: it may have been closed, and made anew for another port, before we had the lock.
        let still_there = bound.ring.used.is_set() && bound.ring.port.index() == Some(port_index);
        let first = bound.ring.hwtail.get();
        for frame in frames {
            if still_there && place_one(shared, bound, batch, frame, cut) {
                placed += 1;
            } else {
                dropped += 1;
            }
        }
        if placed != 0 {
            shared.show(bound, first, bound.ring.hwtail.get(), Showing::Copy);
        }
    } else {
        dropped = frames.count() as u64;
    }
    if dropped != 0 {
        port.rx_dropped.add(dropped);
    }
    if placed != 0 {
        shared.notify(port);
    }
}

fn place_one(shared: &Shared, bound: Bound<'_>, batch: &Batch, frame: Frame, cut: Cut) -> bool {
    let ring = bound.ring;
    let n = ring.slots.get();
    let (hwcur, start) = (ring.hwcur.get(), ring.hwtail.get());
    if hwcur >= n || start >= n {
        return false;
    }
    let room = distance(start, previous(hwcur, n), n);
    let end = match cut {
        Cut::AsSent => place_as_sent(shared, bound, batch, frame, room),
        Cut::Filled { skip, prefix, count } => {
            place_filled(shared, bound, batch, frame, room, Filling { skip, prefix, count })
        }
    };
    if let Some(end) = end {
        ring.hwtail.set(end);
    }
    end.is_some()
}

/// The high octet of a receive slot's flags on a switch: slots of the frame.
fn count_flag(slots: usize) -> u16 {
    (slots.min(255) as u16) << 8
}

fn place_as_sent(shared: &Shared, bound: Bound<'_>, batch: &Batch, frame: Frame, room: u32) -> Option<u32> {
    let pieces = batch.pieces_of(frame);
    if pieces.len() > room as usize {
        return None;
    }
    let n = bound.ring.slots.get();
    let mut index = bound.ring.hwtail.get();
    for (position, &piece) in pieces.iter().enumerate() {
        let mut slot = shared.slot(bound.ring, index);
        let at = shifted(bound.port, &mut slot, piece.offset);
        batch.copy_lines(shared, piece, bound.region.buffer(slot.buffer), at);
        let more = if position + 1 < pieces.len() { slot_flag::MORE_FRAGMENTS } else { 0 };
        slot.length = piece.length as u16;
        slot.flags = count_flag(pieces.len()) | more;
        shared.put_slot(bound.ring, index, slot);
        index = next(index, n);
    }
    Some(index)
}

/// A switch copies lines of so many octets.
const LINE: u32 = 64;

/// Where in its buffer a switch puts data: where the sender had it in a line, in the receiver's own line or the next one.
/// It is told in the slot where the receiver knows of offsets.
fn shifted(port: &Port, slot: &mut Slot, sender_offset: u32) -> u32 {
    let mask = port.offset_mask.get();
    let own = (slot.pointer & mask).min(port.offset_max.get().into()) as u32;
    let shift = sender_offset % LINE;
    let begin = if own % LINE < shift { own / LINE * LINE + LINE } else { own / LINE * LINE };
    if mask != 0 {
        slot.pointer = (begin + shift).into();
    }
    begin + shift
}

struct Filling {
    skip: u32,
    prefix: u32,
    count: bool,
}

fn place_filled(
    shared: &Shared,
    bound: Bound<'_>,
    batch: &Batch,
    frame: Frame,
    room: u32,
    filling: Filling,
) -> Option<u32> {
    let total = batch.octets_of(frame).saturating_sub(filling.skip) + filling.prefix;
    let n = bound.ring.slots.get();
    let first = bound.ring.hwtail.get();
    let (mut index, mut done, mut used) = (first, 0, 0);
    while done < total {
        if used == room {
            return None;
        }
        let slot = shared.slot(bound.ring, index);
        let (to, space) = shared.data(bound.region, bound.port, slot);
        let prefix = filling.prefix.saturating_sub(done).min(space);
        shared.write(to, &[0; 16][..prefix.min(16) as usize]);
        let skip = filling.skip + (done + prefix).saturating_sub(filling.prefix);
        let copied = prefix + batch.copy_stream(shared, frame, skip, space - prefix, to + u64::from(prefix));
        if copied == 0 {
            return None;
        }
        done += copied;
        used += 1;
        let more = if done < total { slot_flag::MORE_FRAGMENTS } else { 0 };
        shared.put_slot_but_pointer(bound.ring, index, Slot { length: copied as u16, flags: more, ..slot });
        index = next(index, n);
    }
    if filling.count {
        let mut at = first;
        for _ in 0..used {
            let slot = shared.slot(bound.ring, at);
            let flags = slot.flags | count_flag(used as usize);
            shared.put_slot_but_pointer(bound.ring, at, Slot { flags, ..slot });
            at = next(at, n);
        }
    }
    (used != 0).then_some(index)
}

/// A device's transmit ring, hardware or host: each slot is a frame.
pub(crate) fn transmit(shared: &Shared, bound: Bound<'_>, head: u32) {
    let (ring, port) = (bound.ring, bound.port);
    let n = ring.slots.get();
    let mut batch = Batch::default();
    let mut dropped = 0;
    let mut index = ring.hwcur.get();
    for _ in 0..distance(index, head, n) {
        let slot = shared.slot(ring, index);
        let (at, space) = shared.data(bound.region, port, slot);
        let length = u32::from(slot.length);
        let carried = (limit::SHORTEST_FRAME..=space.min(port.longest())).contains(&length);
        if carried && !port.down.is_set() {
            let first = batch.pieces.len();
            batch.pieces.push(Piece { source: Source::File(at), length, offset: 0 });
            pad(&mut batch, port.shortest.get().saturating_sub(length));
            batch.frames.push(Frame { first, end: batch.pieces.len() });
        } else {
            dropped += 1;
        }
        if slot.flags & (slot_flag::BUF_CHANGED | slot_flag::REPORT) != 0 {
            let flags = slot.flags & !(slot_flag::BUF_CHANGED | slot_flag::REPORT);
            shared.put_slot_but_pointer(ring, index, Slot { flags, ..slot });
        }
        index = next(index, n);
    }
    port.tx_dropped.add(dropped);
    carry(shared, bound.port_index, ring.is_host.is_set(), ring.number.get(), &batch, &batch.frames, 0);
    shared.complete_tx(bound, head);
}

impl Port {
    /// Octets of the longest frame that a device takes to its wire.
    fn longest(&self) -> u32 {
        self.mtu.get().saturating_add(limit::LINK_HEADER + limit::VLAN_TAG)
    }

    /// Whether a hardware ring of a device is bound: what the stack sends is then not sent by the device.
    pub(crate) fn is_in_netmap_mode(&self) -> bool {
        let hardware = |table: &[Word], count: u32| table.iter().take(count as usize).any(Word::is_set);
        hardware(&self.tx, self.tx_rings.get()) || hardware(&self.rx, self.rx_rings.get())
    }
}

fn pad(batch: &mut Batch, octets: u32) {
    if octets != 0 {
        let source = Source::Held(batch.held.len());
        batch.held.resize(batch.held.len() + octets as usize, 0);
        batch.pieces.push(Piece { source, length: octets, offset: 0 });
    }
}

/// Frames that leave the device `from` on its wire, or towards its host: to what is at the other end.
pub(crate) fn carry(
    shared: &Shared,
    from: usize,
    to_host: bool,
    ring: u32,
    batch: &Batch,
    frames: &[Frame],
    depth: u32,
) {
    let Some(port) = shared.control().ports.get(from) else { return };
    let (peer, arrives_at_host) =
        if to_host { (port.host_peer.index(), false) } else { (port.peer.index(), port.peer_is_host.is_set()) };
    match peer {
        Some(peer) if !frames.is_empty() && !port.down.is_set() => {
            arrive(shared, peer, arrives_at_host, ring, batch, frames, depth);
        }
        _ => port.tx_dropped.add(frames.len() as u64),
    }
}

/// Frames that come to a device from its wire (or, `from_host`, from its host stack).
pub(crate) fn arrive(
    shared: &Shared,
    at: usize,
    from_host: bool,
    ring: u32,
    batch: &Batch,
    frames: &[Frame],
    depth: u32,
) {
    let Some(port) = shared.control().ports.get(at) else { return };
    let is_device = Kind::of(port.kind.get()) == Some(Kind::Hardware);
    if !is_device || !port.used.is_set() || port.down.is_set() || port.vanished.is_set() || depth > LONGEST_PATH {
        port.rx_dropped.add(frames.len() as u64);
        return;
    }
    let rings = port.rx_rings.get().max(1);
    if let (Some(switch), false) = (port.switch.index(), from_host) {
        let origin = vale::Origin { switch, switch_port: port.switch_port.get(), ring, header_octets: 0 };
        vale::forward(shared, origin, batch, frames, depth + 1);
        return;
    }
    // Host rings get what the stack sends only while a hardware ring is in netmap mode too.
    if from_host && !port.is_in_netmap_mode() {
        let longest = port.longest();
        let passes = |frame: &&Frame| batch.octets_of(**frame) <= longest;
        let passing: Vec<Frame> = frames.iter().filter(passes).copied().collect();
        port.tx_dropped.add((frames.len() - passing.len()) as u64);
        carry(shared, at, false, ring, batch, &passing, depth + 1);
        return;
    }
    let number = if from_host { rings } else { ring % rings } as usize;
    let target = port.rx.get(number).and_then(Word::index);
    place(shared, target, at, batch, frames.iter().copied(), Cut::Filled { skip: 0, prefix: 0, count: false });
}
