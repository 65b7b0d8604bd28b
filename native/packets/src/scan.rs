//! Whole files: offsets and header columns.

use crate::columns::{Column, Cutter, FIELDS, empty_columns};
use crate::lanes;
use crate::memory;
use crate::prefetch::prefetch;
use crate::step::{Refusal, Rules, Step, header_at, is_space_packet, space_packet_octets, step};

/// All packets of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// First octet of each packet, then the octet after the last one: one entry more than packets.
    pub offsets: Vec<u64>,
    /// One column for each of `FIELDS`; zeros, but for the version, where the packet is no space packet.
    pub columns: [Column; FIELDS.len()],
    /// Octets needed from the last offset on to see the next packet, or at least its length.
    pub needed: u64,
    /// Why the walk ended before the end of the buffer.
    pub refusal: Option<Refusal>,
}

/// Vectors of an earlier table, to be filled again: what they hold is forgotten.
#[derive(Debug)]
pub struct Spare {
    /// Memory for offsets.
    pub offsets: Vec<u64>,
    /// Memory for columns, each of the kind that `empty_columns` gives.
    pub columns: [Column; FIELDS.len()],
}

impl Default for Spare {
    fn default() -> Self {
        Spare { offsets: Vec::new(), columns: empty_columns() }
    }
}

/// Where packets go as they are found, in order.
pub(crate) struct Sink {
    offsets: Vec<u64>,
    cutter: Cutter,
}

impl Sink {
    fn new(mut spare: Spare) -> Self {
        spare.offsets.clear();
        Sink { offsets: spare.offsets, cutter: Cutter::new(spare.columns) }
    }

    pub(crate) fn append(&mut self, starts: &[u64], headers: &[u64]) {
        self.offsets.extend_from_slice(starts);
        self.cutter.append(headers);
    }

    pub(crate) fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Room for about this many packets more.  Memory that is never written costs address space only.
    pub(crate) fn reserve(&mut self, more: usize) {
        memory::reserve(&mut self.offsets, more + 1);
        for column in &mut self.cutter.columns {
            column.reserve(more);
        }
    }

    fn finish(mut self, end: u64, last: Step) -> Table {
        self.offsets.push(end);
        memory::trim(&mut self.offsets);
        for column in &mut self.cutter.columns {
            column.trim();
        }
        let (needed, refusal) = match last {
            Step::Refused(refusal) => (0, Some(refusal)),
            Step::Incomplete(needed) => (needed, None),
            Step::Packet { .. } => (0, None),
        };
        Table { offsets: self.offsets, columns: self.cutter.columns, needed, refusal }
    }
}

/// Packets in a block, before they are cut.
const BLOCK: usize = 512;

/// A walk that knows where it is: every packet it appends is a true one.
pub(crate) struct Walk<'a> {
    pub(crate) octets: &'a [u8],
    pub(crate) rules: &'a Rules,
    pub(crate) at: u64,
    pub(crate) sink: Sink,
    starts: [u64; BLOCK],
    headers: [u64; BLOCK],
    held: usize,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(octets: &'a [u8], rules: &'a Rules, spare: Spare) -> Self {
        Walk { octets, rules, at: 0, sink: Sink::new(spare), starts: [0; BLOCK], headers: [0; BLOCK], held: 0 }
    }

    /// Take one packet.  The error is what stands there instead.
    #[inline(always)]
    pub(crate) fn advance(&mut self) -> Result<(), Step> {
        let (octets, header) = self.look()?;
        self.starts[self.held] = self.at;
        self.headers[self.held] = header;
        self.held += 1;
        self.at += octets;
        if self.held == BLOCK {
            self.flush();
        }
        Ok(())
    }

    #[inline(always)]
    fn look(&self) -> Result<(u64, u64), Step> {
        if let Some(header) = header_at(self.octets, self.at) {
            let octets = space_packet_octets(header);
            let fits = octets <= self.octets.len() as u64 - self.at && octets <= self.rules.maximum_octets;
            if is_space_packet(header) && fits {
                return Ok((octets, header));
            }
        }
        match step(self.octets, self.at, self.rules) {
            Step::Packet { octets, header } => Ok((octets, header)),
            other => Err(other),
        }
    }

    pub(crate) fn left(&self) -> u64 {
        self.octets.len() as u64 - self.at
    }

    /// Room for what is left, if packets go on to be `spacing` octets long; more is found when needed.
    pub(crate) fn reserve(&mut self, spacing: u64) {
        let packets = self.left() / spacing.max(1);
        self.sink.reserve((packets + packets / 32) as usize + 64);
    }

    /// Hand the packets held so far to the sink; needed before anything else is appended to it.
    pub(crate) fn flush(&mut self) {
        self.sink.append(&self.starts[..self.held], &self.headers[..self.held]);
        self.held = 0;
    }

    /// Walk until `end` is reached or passed, asking for memory `AHEAD` octets before it is read.
    pub(crate) fn advance_to(&mut self, end: u64) -> Result<(), Step> {
        const LINE: u64 = 64;
        const AHEAD: u64 = 4096;
        let mut asked = self.at;
        while self.at < end {
            while asked < self.at.saturating_add(AHEAD) {
                prefetch(self.octets, asked);
                asked += LINE;
            }
            asked = asked.max(self.at);
            self.advance()?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self, last: Step) -> Table {
        self.flush();
        self.sink.finish(self.at, last)
    }
}

/// All packets from the front of `octets` on, until what stands there is no whole packet.
#[must_use]
pub fn scan(octets: &[u8], rules: &Rules, spare: Spare) -> Table {
    let mut walk = Walk::new(octets, rules, spare);
    let last = match lanes::walk(&mut walk) {
        Err(last) => last,
        Ok(()) => Step::Incomplete(1),
    };
    walk.finish(last)
}

/// The same by one dependent walk; what `scan` is tested against.
#[must_use]
pub fn scan_plainly(octets: &[u8], rules: &Rules, spare: Spare) -> Table {
    let mut walk = Walk::new(octets, rules, spare);
    let last = loop {
        if let Err(last) = walk.advance() {
            break last;
        }
    };
    walk.finish(last)
}
