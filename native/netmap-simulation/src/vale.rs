//! A learning switch: what is known goes to one port, what is not to all others, what finds no room is lost.
use crate::abi::{limit, slot_flag};
use crate::ring::{Slot, distance, next};
use crate::shared::Shared;
use crate::sync::Bound;
use crate::tables::{Kind, LEARNT, Switch, Word};
use crate::user::Address;
use crate::wire::{self, Batch, Cut, Frame, Piece, Source};

/// Where frames enter a switch.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) switch: usize,
    pub(crate) switch_port: u32,
    pub(crate) ring: u32,
    pub(crate) header_octets: u32,
}

/// Where a frame goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Port(u32),
    All,
    Nowhere,
}

/// A switch port's transmit ring: slots make frames, all that are there are sent, whole or cut short.
pub(crate) fn transmit(shared: &Shared, bound: Bound<'_>, head: u32) {
    let batch = collect(shared, bound, head);
    match bound.port.switch.index() {
        Some(switch) => {
            let origin = Origin {
                switch,
                switch_port: bound.port.switch_port.get(),
                ring: bound.ring.number.get(),
                header_octets: bound.port.header_octets.get(),
            };
            forward(shared, origin, &batch, &batch.frames, 0);
        }
        None => bound.port.tx_dropped.add(batch.frames.len() as u64),
    }
    shared.complete_tx(bound, head);
}

fn collect(shared: &Shared, bound: Bound<'_>, head: u32) -> Batch {
    let ring = bound.ring;
    let n = ring.slots.get();
    let count = distance(ring.hwcur.get(), head, n);
    let mut batch = Batch::default();
    batch.pieces.reserve(count as usize);
    batch.frames.reserve(count as usize);
    let (mut first, mut sound) = (0, true);
    let mut index = ring.hwcur.get();
    for left in (0..count).rev() {
        let (at_slot, slot) = (index, shared.slot(ring, index));
        index = next(index, n);
        let (at, space) = shared.data(bound.region, bound.port, slot);
        let offset = limit::BUFFER_OCTETS - space;
        let length = u32::from(slot.length);
        let mask = bound.port.offset_mask.get();
        sound &= length <= space && slot.pointer & mask <= u64::from(bound.port.offset_max.get());
        if slot.flags & slot_flag::BUF_CHANGED != 0 {
            let taken = Slot { flags: slot.flags & !slot_flag::BUF_CHANGED, ..slot };
            shared.put_slot_but_pointer(ring, at_slot, taken);
        }
        if sound {
            let source = if slot.flags & slot_flag::INDIRECT == 0 {
                Some(Source::File(at))
            } else {
                held_copy(&mut batch.held, slot.pointer, length)
            };
            sound = source.is_some();
            batch.pieces.extend(source.map(|source| Piece { source, length, offset }));
        }
        if slot.flags & slot_flag::MORE_FRAGMENTS == 0 || left == 0 {
            if sound {
                batch.frames.push(Frame { first, end: batch.pieces.len() });
            } else {
                bound.port.tx_dropped.add(1);
            }
            (first, sound) = (batch.pieces.len(), true);
        }
    }
    batch
}

/// An indirect slot's data, from the caller's memory.
fn held_copy(held: &mut Vec<u8>, address: u64, length: u32) -> Option<Source> {
    let at = held.len();
    held.resize(at + length as usize, 0);
    Address(address).read(held.get_mut(at..)?).ok()?;
    Some(Source::Held(at))
}

/// Learn from frames and pass them on.
pub(crate) fn forward(shared: &Shared, origin: Origin, batch: &Batch, frames: &[Frame], depth: u32) {
    let Some(switch) = shared.control().switches.get(origin.switch).filter(|switch| switch.used.is_set()) else {
        return;
    };
    let mut ways = Vec::with_capacity(frames.len());
    let mut wanted = [false; 256];
    let mut flooded = false;
    for &frame in frames {
        let way = look_up(shared, switch, origin, batch, frame);
        match way {
            Way::Port(port) => wanted[port as usize & 255] = true,
            Way::All => flooded = true,
            Way::Nowhere => {}
        }
        ways.push(way);
    }
    for (switch_port, port) in (0u32..).zip(&switch.ports) {
        let asked = flooded || wanted[switch_port as usize & 255];
        let (true, Some(port)) = (asked && switch_port != origin.switch_port, port.index()) else { continue };
        let is_device =
            shared.control().ports.get(port).is_some_and(|port| Kind::of(port.kind.get()) == Some(Kind::Hardware));
        if is_device {
            let to_here = |way: Way| way == Way::All || way == Way::Port(switch_port);
            let chosen = std::iter::zip(frames, &ways).filter(|&(_, &way)| to_here(way));
            let chosen: Vec<Frame> = chosen.map(|(&frame, _)| frame).collect();
            wire::carry(shared, port, false, origin.ring, batch, &chosen, depth + 1);
        } else {
            deliver(shared, origin, port, batch, frames, &ways, switch_port);
        }
    }
}

/// To a port's rings: frames for all to the first one, those for this port alone to the one of the sender's number.
fn deliver(shared: &Shared, origin: Origin, to: usize, batch: &Batch, frames: &[Frame], ways: &[Way], number: u32) {
    let Some(port) = shared.control().ports.get(to) else { return };
    let own = origin.ring % port.rx_rings.get().max(1);
    let header = port.header_octets.get();
    let cut = if header == origin.header_octets {
        Cut::AsSent
    } else {
        Cut::Filled { skip: origin.header_octets, prefix: header, count: true }
    };
    let of = |for_all: bool, for_it: bool| {
        let wanted = move |way: Way| (for_all && way == Way::All) || (for_it && way == Way::Port(number));
        std::iter::zip(frames, ways).filter(move |&(_, &way)| wanted(way)).map(|(&frame, _)| frame)
    };
    let ring = |number: u32| port.rx.get(number as usize).and_then(Word::index);
    if own == 0 {
        wire::place(shared, ring(0), to, batch, of(true, true), cut);
        return;
    }
    wire::place(shared, ring(0), to, batch, of(true, false), cut);
    wire::place(shared, ring(own), to, batch, of(false, true), cut);
}

fn look_up(shared: &Shared, switch: &Switch, origin: Origin, batch: &Batch, frame: Frame) -> Way {
    let Some(&piece) = batch.pieces_of(frame).first() else { return Way::Nowhere };
    let skip = origin.header_octets;
    if piece.length < skip + limit::SHORTEST_FRAME {
        return Way::Nowhere;
    }
    let start: [u8; 28] = batch.start_of(shared, piece);
    let Some(addresses) = start.get(skip as usize..skip as usize + 12) else { return Way::Nowhere };
    let (destination, source) = (address(&addresses[..6]), address(&addresses[6..]));
    if !is_group(source) {
        switch.learnt[place_of(source)].set(source | u64::from(origin.switch_port + 1) << 48);
    }
    if is_group(destination) {
        return Way::All;
    }
    let entry = switch.learnt[place_of(destination)].get();
    if entry == 0 || entry & 0xffff_ffff_ffff != destination {
        return Way::All;
    }
    match ((entry >> 48) as u32).checked_sub(1) {
        None => Way::All,
        Some(port) if port == origin.switch_port => Way::Nowhere,
        Some(port) => Way::Port(port),
    }
}

fn address(octets: &[u8]) -> u64 {
    octets.iter().fold(0, |number, &octet| number << 8 | u64::from(octet))
}

fn is_group(address: u64) -> bool {
    address >> 40 & 1 != 0
}

/// A multiplicative hash: the table is small and a collision only floods.
fn place_of(address: u64) -> usize {
    (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize % LEARNT
}
