//! IP fragments put together, with bounded memory and a timeout in frames.  Source: RFC 791, RFC 5722, RFC 8200.
use std::collections::{BTreeMap, HashMap, VecDeque};

use super::ip::{Addresses, Fragment, Packet};

const MAXIMUM_DATAGRAMS: usize = 1024;
const MAXIMUM_OCTETS: usize = 16 << 20;
const DATAGRAM_OCTETS: usize = 65535;
/// Charged for each piece on top of its octets.
const PIECE_OCTETS: usize = 96;
/// Frames after which a datagram that is still not whole is given up.
pub(crate) const TIMEOUT_FRAMES: u64 = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    addresses: Addresses,
    protocol: u8,
    identification: u32,
}

#[derive(Debug)]
struct Datagram {
    birth: u64, // number of the frame that began it
    pieces: BTreeMap<usize, Vec<u8>>,
    octets: usize,
    end: Option<usize>,
}

/// Datagrams in pieces.
#[derive(Debug, Default)]
pub(crate) struct Fragments {
    datagrams: HashMap<Key, Datagram>,
    births: VecDeque<(u64, Key)>, // may name datagrams that are gone
    octets: usize,
    /// Fragments that were thrown away: late, overlapping, too many, or never joined.
    pub(crate) lost: u64,
}

impl Fragments {
    /// Take a fragment in; the whole datagram's transport part when this was the last one missing.
    pub(crate) fn add(&mut self, packet: &Packet<'_>, fragment: Fragment, now: u64) -> Option<Vec<u8>> {
        self.expire(now);
        let key = Key {
            addresses: packet.addresses,
            // in IPv6 only the first fragment knows the protocol for sure
            protocol: if packet.addresses.version_6 { 0 } else { packet.protocol },
            identification: fragment.identification,
        };
        let end = fragment.offset + packet.data.len();
        let ragged = fragment.more && !packet.data.len().is_multiple_of(8);
        if packet.data.len() < packet.length || packet.data.is_empty() || end > DATAGRAM_OCTETS || ragged {
            self.lost += 1;
            return None;
        }
        if !self.datagrams.contains_key(&key) {
            self.births.push_back((now, key));
        }
        let datagram = self.datagrams.entry(key).or_insert_with(|| Datagram {
            birth: now,
            pieces: BTreeMap::new(),
            octets: 0,
            end: None,
        });
        match datagram.place(fragment, packet.data) {
            Placed::Again => self.lost += 1,
            Placed::Clash => {
                self.lost += 1;
                self.give_up(&key);
            }
            Placed::New => {
                self.octets += packet.data.len() + PIECE_OCTETS;
                if datagram.whole() {
                    return self.take(&key);
                }
                self.shrink();
            }
        }
        None
    }

    /// Give up all that is not whole.
    pub(crate) fn finish(&mut self) {
        while let Some((_, key)) = self.births.pop_front() {
            self.give_up(&key);
        }
    }

    fn take(&mut self, key: &Key) -> Option<Vec<u8>> {
        let datagram = self.datagrams.remove(key)?;
        self.octets -= datagram.charge();
        let mut whole = Vec::with_capacity(datagram.octets);
        for piece in datagram.pieces.values() {
            whole.extend_from_slice(piece);
        }
        Some(whole)
    }

    fn give_up(&mut self, key: &Key) {
        if let Some(datagram) = self.datagrams.remove(key) {
            self.octets -= datagram.charge();
            self.lost += datagram.pieces.len() as u64;
        }
    }

    fn expire(&mut self, now: u64) {
        while let Some((birth, key)) = self.births.front().copied() {
            let current = self.datagrams.get(&key).map(|datagram| datagram.birth);
            if current == Some(birth) {
                if now - birth <= TIMEOUT_FRAMES {
                    return;
                }
                self.give_up(&key);
            }
            self.births.pop_front();
        }
    }

    fn shrink(&mut self) {
        while self.datagrams.len() > MAXIMUM_DATAGRAMS || self.octets > MAXIMUM_OCTETS {
            let Some((birth, key)) = self.births.pop_front() else {
                return;
            };
            if self.datagrams.get(&key).is_some_and(|datagram| datagram.birth == birth) {
                self.give_up(&key);
            }
        }
    }
}

enum Placed {
    New,
    Again,
    Clash,
}

impl Datagram {
    fn place(&mut self, fragment: Fragment, data: &[u8]) -> Placed {
        let (start, end) = (fragment.offset, fragment.offset + data.len());
        if self.pieces.get(&start).is_some_and(|piece| piece == data) {
            return Placed::Again;
        }
        let before = self.pieces.range(..=start).next_back();
        let clash = before.is_some_and(|(at, piece)| at + piece.len() > start)
            || self.pieces.range(start..end).next().is_some()
            || self.end.is_some_and(|known| end > known || (!fragment.more && end != known))
            || (!fragment.more && self.pieces.range(end..).next().is_some());
        if clash {
            return Placed::Clash;
        }
        if !fragment.more {
            self.end = Some(end);
        }
        self.octets += data.len();
        self.pieces.insert(start, data.to_vec());
        Placed::New
    }

    fn whole(&self) -> bool {
        self.end == Some(self.octets) // no overlaps, nothing past the end: then there is no hole
    }

    fn charge(&self) -> usize {
        self.octets + self.pieces.len() * PIECE_OCTETS
    }
}
