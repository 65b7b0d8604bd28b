//! TCP streams put in order, with bounded memory.  Source: RFC 9293.
use std::collections::{BTreeMap, HashMap};

use super::ip::Addresses;

const MAXIMUM_FLOWS: usize = 4096;
/// Octets that one flow may hold back while it waits for what is missing.
pub(crate) const WINDOW_OCTETS: usize = 1 << 20;
const MAXIMUM_OCTETS: usize = 64 << 20;
/// Charged for each segment on top of its octets.
const SEGMENT_OCTETS: usize = 96;

/// One direction of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FlowKey {
    pub(crate) addresses: Addresses,
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
}

/// A segment, cut out of its packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    pub(crate) sequence: u32,
    pub(crate) syn: bool,
    pub(crate) closes: bool, // FIN or RST
    pub(crate) data: &'a [u8],
    pub(crate) timestamp_ns: i64,
}

/// A piece of a stream, given out in order.
pub(crate) type Piece = (u32, i64, Vec<u8>);

/// What the streams lost or had twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpCounters {
    /// Octets that never came.
    pub gap_octets: u64,
    /// How many holes they made.
    pub gaps: u64,
    /// Segments that brought nothing new.
    pub retransmitted_segments: u64,
    /// Octets that had come already.
    pub overlap_octets: u64,
    /// Segments that came before one that they follow.
    pub out_of_order_segments: u64,
    /// Streams that were under way when the capture began.
    pub streams_without_start: u64,
    /// Streams forgotten because there were too many at once.
    pub streams_evicted: u64,
}

#[derive(Debug)]
struct Flow {
    number: u32,
    used: u64,
    initial: u32, // sequence number of the first octet
    closed: bool,
    next: u64, // position of the next octet; its low 32 bits are the sequence number
    pending: BTreeMap<u64, (i64, Vec<u8>)>,
    pending_octets: usize,
}

/// All streams.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    flows: HashMap<FlowKey, Flow>,
    octets: usize,
    numbers: u32,
    pub(crate) counters: TcpCounters,
}

/// Somewhere in the middle, so that a stream may reach back behind its first octet seen.
const ORIGIN: u64 = 1 << 40;

impl Flows {
    /// Take a segment in and give out, through `out`, what is now in order.
    pub(crate) fn add(&mut self, key: FlowKey, segment: Segment<'_>, now: u64, out: &mut Vec<Piece>) {
        if segment.syn {
            self.restart(&key, segment.sequence, out);
        } else if segment.data.is_empty() && !segment.closes {
            return; // an acknowledgement
        }
        let first = segment.sequence.wrapping_add(u32::from(segment.syn));
        if !self.flows.contains_key(&key) {
            if segment.data.is_empty() && !segment.syn {
                return;
            }
            self.open(key, first, !segment.syn, out);
        }
        let Some(flow) = self.flows.get_mut(&key) else {
            return;
        };
        flow.used = now;
        flow.closed |= segment.closes; // kept all the same: its last segment may come again
        let before = flow.pending_octets;
        flow.take(first, segment, &mut self.counters, out);
        while flow.pending_octets > WINDOW_OCTETS {
            flow.skip_gap(&mut self.counters, out);
        }
        self.octets = self.octets + flow.pending_octets - before;
        while self.octets > MAXIMUM_OCTETS {
            self.evict(out);
        }
    }

    /// The flow numbers in use, with their ends.
    pub(crate) fn ends(&self) -> impl Iterator<Item = (u32, &FlowKey)> {
        self.flows.iter().map(|(key, flow)| (flow.number, key))
    }

    /// Give out all that is held back, holes counted.
    pub(crate) fn finish(&mut self, out: &mut Vec<Piece>) {
        let mut flows: Vec<Flow> = self.flows.drain().map(|(_, flow)| flow).collect();
        flows.sort_by_key(|flow| flow.number);
        for mut flow in flows {
            flow.drain(&mut self.counters, out);
        }
        self.octets = 0;
    }

    /// A SYN: the same one again, or a new connection between the same ends.
    fn restart(&mut self, key: &FlowKey, sequence: u32, out: &mut Vec<Piece>) {
        let next = sequence.wrapping_add(1);
        if self.flows.get(key).is_some_and(|flow| flow.initial != next) {
            self.close(key, out);
        }
    }

    fn open(&mut self, key: FlowKey, first: u32, without_start: bool, out: &mut Vec<Piece>) {
        if self.flows.len() >= MAXIMUM_FLOWS {
            self.evict(out);
        }
        self.counters.streams_without_start += u64::from(without_start);
        let flow = Flow {
            number: self.numbers,
            used: 0,
            initial: first,
            closed: false,
            next: ORIGIN + u64::from(first),
            pending: BTreeMap::new(),
            pending_octets: 0,
        };
        self.numbers = self.numbers.wrapping_add(1);
        self.flows.insert(key, flow);
    }

    #[cold]
    fn evict(&mut self, out: &mut Vec<Piece>) {
        let oldest = self.flows.iter().min_by_key(|(_, flow)| (!flow.closed, flow.used));
        if let Some((key, closed)) = oldest.map(|(key, flow)| (*key, flow.closed)) {
            self.counters.streams_evicted += u64::from(!closed);
            self.close(&key, out);
        }
    }

    fn close(&mut self, key: &FlowKey, out: &mut Vec<Piece>) {
        if let Some(mut flow) = self.flows.remove(key) {
            self.octets -= flow.pending_octets;
            flow.drain(&mut self.counters, out);
        }
    }
}

impl Flow {
    fn take(&mut self, first: u32, segment: Segment<'_>, counters: &mut TcpCounters, out: &mut Vec<Piece>) {
        if segment.data.is_empty() {
            return;
        }
        let distance = first.wrapping_sub(self.next as u32) as i32;
        let start = self.next.wrapping_add_signed(i64::from(distance));
        let ahead = start > self.next;
        let before = self.pending_octets;
        let new = self.place(start, segment.timestamp_ns, segment.data, out);
        let overlap = segment.data.len() - new;
        counters.overlap_octets += overlap as u64;
        counters.retransmitted_segments += u64::from(new == 0);
        counters.out_of_order_segments += u64::from(ahead && self.pending_octets > before);
        self.follow(out);
    }

    /// Give out or keep what of `data` is new; how many octets that was.
    fn place(&mut self, start: u64, timestamp_ns: i64, data: &[u8], out: &mut Vec<Piece>) -> usize {
        let end = start + data.len() as u64;
        let mut at = start.max(self.next);
        let mut new = 0;
        while at < end {
            // the kept segment that covers `at`, or else where the next one begins
            let covering = self.pending.range(..=at).next_back();
            let covered = covering.map_or(0, |(from, (_, octets))| from + octets.len() as u64);
            if covered > at {
                at = covered;
                continue;
            }
            let until = self.pending.range(at..end).next().map_or(end, |(from, _)| *from);
            let piece = data[(at - start) as usize..(until - start) as usize].to_vec();
            new += piece.len();
            if at == self.next {
                self.give(timestamp_ns, piece, out);
            } else {
                self.pending_octets += piece.len() + SEGMENT_OCTETS;
                self.pending.insert(at, (timestamp_ns, piece));
            }
            at = until;
        }
        new
    }

    fn give(&mut self, timestamp_ns: i64, piece: Vec<u8>, out: &mut Vec<Piece>) {
        self.next += piece.len() as u64;
        out.push((self.number, timestamp_ns, piece));
    }

    /// Give out the kept segments that now follow.
    fn follow(&mut self, out: &mut Vec<Piece>) {
        while let Some(entry) = self.pending.first_entry() {
            if *entry.key() != self.next {
                return;
            }
            let (timestamp_ns, piece) = entry.remove();
            self.pending_octets -= piece.len() + SEGMENT_OCTETS;
            self.give(timestamp_ns, piece, out);
        }
    }

    /// Count what is missing as lost and go on after it.
    fn skip_gap(&mut self, counters: &mut TcpCounters, out: &mut Vec<Piece>) {
        if let Some(start) = self.pending.keys().next() {
            counters.gaps += 1;
            counters.gap_octets += start - self.next;
            self.next = *start;
            self.follow(out);
        }
    }

    fn drain(&mut self, counters: &mut TcpCounters, out: &mut Vec<Piece>) {
        while !self.pending.is_empty() {
            self.skip_gap(counters, out);
        }
    }
}
