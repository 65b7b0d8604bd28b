//! Frame synchronisation by attached sync marker (ASM; CSM since issue 6).
//! Source: CCSDS 131.0-B-5 section 9; procedures of CCSDS 130.1-G-3 section 9.
//!
//! What is decided depends on the bits alone: where bits are missing to decide, the synchroniser
//! waits for them or for the end of the stream.
//!
//! - *Search*: the first marker near enough, at any bit offset, is a candidate.  It is confirmed by
//!   another marker a whole number of periods later, not further than the flywheel reaches.  An
//!   unconfirmed candidate gives a frame too, so that a lone frame is not lost (the code or the FECF
//!   judges it), and the search goes on at the next bit.
//! - *Lock*: each marker is expected one period after the one before; a marker a few bits early or
//!   late is a slip.  A marker that is missing is bridged (flywheel) when one within reach follows in
//!   step; otherwise the lock is lost and the search resumes behind the last marker seen.

use crate::scan::{Marker, append_bits, find, prefetch};

/// Managed parameters of the synchroniser.
#[derive(Debug, Clone)]
pub struct Parameters {
    /// Marker, right-aligned.
    pub marker: u64,
    /// Bits of the marker, 8 to 64.
    pub marker_bits: u32,
    /// Octets between two markers.
    pub block_octets: usize,
    /// Bit errors tolerated in a marker.
    pub tolerated_errors: u32,
    /// Missing markers in a row that are bridged.
    pub flywheel_frames: u32,
    /// How many bits early or late a marker may come and still be a slip.
    pub maximum_slip_bits: u32,
    /// Take blocks of inverted polarity, and turn them.
    pub accept_inverted: bool,
}

/// A block as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Position of the marker's first bit in the stream.
    pub bit_position: u64,
    /// Bit errors in the marker; for a bridged block, zero.
    pub marker_errors: u32,
    /// The block came inverted and was turned.
    pub inverted: bool,
    /// The marker was missing and bridged.
    pub flywheel: bool,
    /// No second marker in step was seen.
    pub unconfirmed: bool,
}

/// Where a block lies, at any bit offset.
pub struct Source<'a> {
    octets: &'a [u8],
    from: usize,
    inverted: bool,
}

impl Source<'_> {
    /// Append the first `count` octets of the block, right way up; at most `block_octets`.
    pub fn append_to(&self, out: &mut Vec<u8>, count: usize) {
        append_bits(self.octets, self.from, count, self.inverted, out);
    }
}

/// What happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Blocks given.
    pub blocks: u64,
    /// Of these: bridged.
    pub flywheel_blocks: u64,
    /// Of these: inverted.
    pub inverted_blocks: u64,
    /// Of these: without a second marker in step.
    pub unconfirmed_blocks: u64,
    /// Markers without a second one in step, within an unconfirmed block: no block was given for them.
    pub rejected_markers: u64,
    /// Bit errors in the markers seen.
    pub marker_bit_errors: u64,
    /// Markers that came early or late by a few bits.
    pub bit_slips: u64,
    /// Times that the lock was lost.
    pub lock_losses: u64,
    /// Bits that belong to no block given, those after the last block included once finished.
    pub skipped_bits: u64,
    /// Bits after the last block, once finished.
    pub trailing_bits: u64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Search { from: u64 },
    Lock(Lock),
}

/// Frames follow each other in step.
#[derive(Debug, Clone, Copy)]
struct Lock {
    /// Where the next marker should be.
    expected: u64,
    /// Where the last one was.
    last_seen: u64,
    /// Markers missing since.
    misses: u32,
    inverted: bool,
}

/// What the stream holds at one place.
enum Sight {
    Marker { at: u64, errors: u32, inverted: bool },
    Nothing,
    Unknown,
}

/// The stretch of the stream that decisions are taken on: what is held, or the caller's octets in place.
#[derive(Clone, Copy)]
struct View<'a> {
    octets: &'a [u8],
    /// Stream position of the first bit; a multiple of eight.
    base: u64,
    /// Stream position behind the last bit, fill in the last octet not counted.
    end: u64,
}

/// The synchroniser; see the module.
pub struct Synchronizer {
    parameters: Parameters,
    marker: Marker,
    /// What decisions still need of the octets before.
    held: Vec<u8>,
    /// Stream position of the first bit held; a multiple of eight.
    base: u64,
    /// Bits held, not counting fill in the last octet.
    bits: u64,
    state: State,
    /// First bit behind the last block given.
    given_to: u64,
    /// First bit behind the last unconfirmed block given: another one that overlaps it is not given, so that a
    /// stream full of markers does not grow when it is decoded.
    unconfirmed_to: u64,
    statistics: Statistics,
}

/// Octets kept before they are moved to the front.
const COMPACT_OCTETS: u64 = 1 << 18;

/// Least octets by which what is held grows until the rest can be read in place.
const BRIDGE_OCTETS: usize = 1 << 12;

impl Synchronizer {
    /// A synchroniser, searching.  Errors name the parameter.
    pub fn new(parameters: Parameters) -> Result<Self, String> {
        let p = &parameters;
        if !(8..=64).contains(&p.marker_bits) {
            return Err(format!("marker of {} bits: 8 to 64 are supported", p.marker_bits));
        }
        if p.marker_bits < 64 && p.marker >> p.marker_bits != 0 {
            return Err("marker is wider than marker_bits".into());
        }
        if p.block_octets == 0 || p.block_octets > MAXIMUM_BLOCK_OCTETS {
            return Err(format!("block_octets is {}, not 1 to {MAXIMUM_BLOCK_OCTETS}", p.block_octets));
        }
        if p.tolerated_errors * 2 >= p.marker_bits {
            return Err("tolerated_errors must be less than half of the marker".into());
        }
        if p.flywheel_frames > 255 || p.maximum_slip_bits > 7 {
            return Err("flywheel_frames goes to 255, maximum_slip_bits to 7".into());
        }
        let marker = Marker {
            pattern: p.marker,
            bits: p.marker_bits,
            tolerated_errors: p.tolerated_errors,
            accept_inverted: p.accept_inverted,
        };
        Ok(Self {
            parameters,
            marker,
            held: Vec::new(),
            base: 0,
            bits: 0,
            state: State::Search { from: 0 },
            given_to: 0,
            unconfirmed_to: 0,
            statistics: Statistics::default(),
        })
    }

    /// Statistics so far.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Bits taken in so far.
    pub fn position(&self) -> u64 {
        self.base + self.bits
    }

    /// First bit that is still held.
    pub fn oldest(&self) -> u64 {
        self.base
    }

    /// Take in octets; give every block that can be decided on.
    ///
    /// Octets are read in place; copied is only what joins them to those before, and what is left over.
    pub fn feed(&mut self, octets: &[u8], give: &mut impl FnMut(Block, Source<'_>)) {
        if !self.bits.is_multiple_of(8) {
            self.append_shifted(octets);
            self.advance_held(false, give);
            return;
        }
        let start = self.position();
        let mut rest = octets;
        while !self.held.is_empty() && !rest.is_empty() {
            let step = (self.period() as usize / 8).max(BRIDGE_OCTETS).min(rest.len());
            self.held.extend_from_slice(&rest[..step]);
            self.bits += step as u64 * 8;
            rest = &rest[step..];
            self.advance_held(false, give);
            if self.needed() >= start {
                self.held.clear();
            }
        }
        if self.held.is_empty() {
            let end = start + octets.len() as u64 * 8;
            self.advance(View { octets, base: start, end }, false, give);
            let done = self.needed().min(end).saturating_sub(start) / 8;
            self.held.extend_from_slice(&octets[done as usize..]);
            self.base = start + done * 8;
            self.bits = end - self.base;
        }
    }

    /// Take in bits, one per octet (any non-zero octet is a one).
    pub fn feed_bits(&mut self, bits: &[u8], give: &mut impl FnMut(Block, Source<'_>)) {
        for bit in bits {
            let within = (self.bits % 8) as u32;
            if within == 0 {
                self.held.push(0);
            }
            if *bit != 0
                && let Some(last) = self.held.last_mut()
            {
                *last |= 0x80 >> within;
            }
            self.bits += 1;
        }
        self.advance_held(false, give);
    }

    /// The stream ends here: decide what is left.
    pub fn finish(&mut self, give: &mut impl FnMut(Block, Source<'_>)) {
        self.advance_held(true, give);
        let left = self.position().saturating_sub(self.given_to);
        self.statistics.skipped_bits += left;
        self.statistics.trailing_bits = left;
        self.given_to = self.position();
        self.state = State::Search { from: self.position() };
        self.base = self.position().div_ceil(8) * 8;
        self.held.clear();
        self.bits = 0;
    }

    /// Octets behind a last octet that is not full.
    fn append_shifted(&mut self, octets: &[u8]) {
        let within = (self.bits % 8) as u32;
        for octet in octets {
            if let Some(last) = self.held.last_mut() {
                *last |= octet >> within;
            }
            self.held.push(octet << (8 - within));
        }
        self.bits += octets.len() as u64 * 8;
    }

    fn period(&self) -> u64 {
        u64::from(self.parameters.marker_bits) + self.parameters.block_octets as u64 * 8
    }

    /// Decide on what is held, then forget what no decision can need any more.
    fn advance_held(&mut self, finish: bool, give: &mut impl FnMut(Block, Source<'_>)) {
        let held = std::mem::take(&mut self.held);
        self.advance(View { octets: &held, base: self.base, end: self.position() }, finish, give);
        self.held = held;
        let spare = (self.needed().min(self.position()).saturating_sub(self.base)) / 8;
        if spare >= COMPACT_OCTETS || spare as usize == self.held.len() {
            self.held.drain(..spare as usize);
            self.base += spare * 8;
            self.bits -= (spare * 8).min(self.bits);
        }
    }

    /// First bit that a decision can still need.
    fn needed(&self) -> u64 {
        let slip = u64::from(self.parameters.maximum_slip_bits);
        match self.state {
            State::Search { from } => from,
            State::Lock(Lock { expected, last_seen, .. }) => expected.saturating_sub(slip).min(last_seen + 1),
        }
    }

    fn advance(&mut self, view: View<'_>, finish: bool, give: &mut impl FnMut(Block, Source<'_>)) {
        loop {
            let moved = match self.state {
                State::Search { from } => self.search(view, from, finish, give),
                State::Lock(lock) => self.track(view, lock, finish, give),
            };
            if !moved {
                break;
            }
        }
    }

    /// One candidate.  False: nothing to decide with what is here.
    fn search(&mut self, view: View<'_>, from: u64, finish: bool, give: &mut impl FnMut(Block, Source<'_>)) -> bool {
        let Some(at) = self.find(view, from, view.end) else {
            let marker_bits = u64::from(self.parameters.marker_bits);
            self.state = State::Search { from: from.max((view.end + 1).saturating_sub(marker_bits)) };
            return false;
        };
        self.state = State::Search { from: at };
        if at + self.period() > view.end {
            if finish {
                self.state = State::Search { from: at + 1 };
            }
            return finish;
        }
        let Sight::Marker { errors, inverted, .. } = self.look(view, at) else {
            return false;
        };
        let confirmed = match self.marker_ahead(view, at, self.parameters.flywheel_frames + 1) {
            Sight::Marker { .. } => true,
            Sight::Nothing => false,
            Sight::Unknown if finish => true,
            Sight::Unknown => return false,
        };
        if !confirmed && at < self.unconfirmed_to {
            self.statistics.rejected_markers += 1;
            self.state = State::Search { from: at + 1 };
            return true;
        }
        let block =
            Block { bit_position: at, marker_errors: errors, inverted, flywheel: false, unconfirmed: !confirmed };
        self.give(view, block, give);
        if !confirmed {
            self.unconfirmed_to = at + self.period();
        }
        self.state = if confirmed {
            State::Lock(Lock { expected: at + self.period(), last_seen: at, misses: 0, inverted })
        } else {
            State::Search { from: at + 1 }
        };
        true
    }

    /// The next expected marker.  False: nothing to decide with what is here.
    fn track(&mut self, view: View<'_>, lock: Lock, finish: bool, give: &mut impl FnMut(Block, Source<'_>)) -> bool {
        let Lock { expected, last_seen, misses, inverted: polarity } = lock;
        let seen = match self.look_near(view, expected) {
            Sight::Unknown if !finish => return false,
            sight => sight,
        };
        if let Sight::Marker { at, errors, inverted } = seen {
            if at + self.period() > view.end {
                return self.stop_tracking(last_seen, finish);
            }
            self.statistics.bit_slips += u64::from(at != expected);
            let block =
                Block { bit_position: at, marker_errors: errors, inverted, flywheel: false, unconfirmed: false };
            self.give(view, block, give);
            self.state = State::Lock(Lock { expected: at + self.period(), last_seen: at, misses: 0, inverted });
            return true;
        }
        if finish && expected + u64::from(self.parameters.marker_bits) > view.end {
            return self.stop_tracking(last_seen, finish);
        }
        let reach = self.parameters.flywheel_frames - misses.min(self.parameters.flywheel_frames);
        let bridged = match self.marker_ahead(view, expected, reach) {
            _ if reach == 0 => false,
            Sight::Marker { .. } => true,
            Sight::Nothing => false,
            Sight::Unknown if finish => {
                let next_is_known = expected + self.period() + self.window_bits() <= view.end;
                !next_is_known && self.find(view, last_seen + 1, expected + self.period()).is_none()
            }
            Sight::Unknown => return false,
        };
        if !bridged {
            self.statistics.lock_losses += 1;
            self.state = State::Search { from: last_seen + 1 };
            return true;
        }
        if expected + self.period() > view.end {
            return self.stop_tracking(last_seen, finish);
        }
        let block =
            Block { bit_position: expected, marker_errors: 0, inverted: polarity, flywheel: true, unconfirmed: false };
        self.give(view, block, give);
        self.state = State::Lock(Lock { expected: expected + self.period(), misses: misses + 1, ..lock });
        true
    }

    /// The next block is not all here: wait, or at the end of the stream look once more behind the last marker.
    fn stop_tracking(&mut self, last_seen: u64, finish: bool) -> bool {
        if finish {
            self.state = State::Search { from: last_seen + 1 };
        }
        finish
    }

    /// Bits that must be there to judge a place with slips.
    fn window_bits(&self) -> u64 {
        u64::from(self.parameters.marker_bits + self.parameters.maximum_slip_bits)
    }

    /// Is there a marker in step, 1 to `periods` periods after `from`?
    fn marker_ahead(&self, view: View<'_>, from: u64, periods: u32) -> Sight {
        for step in 1..=u64::from(periods) {
            match self.look_near(view, from + step * self.period()) {
                Sight::Nothing => {}
                sight => return sight,
            }
        }
        Sight::Nothing
    }

    /// The marker at `expected`, or the nearest one within the slip; the early one of two.
    fn look_near(&self, view: View<'_>, expected: u64) -> Sight {
        if let marker @ Sight::Marker { .. } = self.look(view, expected) {
            return marker;
        }
        for slip in 1..=u64::from(self.parameters.maximum_slip_bits) {
            for at in [expected.saturating_sub(slip), expected + slip] {
                if let marker @ Sight::Marker { .. } = self.look(view, at) {
                    return marker;
                }
            }
        }
        if expected + self.window_bits() > view.end { Sight::Unknown } else { Sight::Nothing }
    }

    fn look(&self, view: View<'_>, at: u64) -> Sight {
        if at < view.base || at + u64::from(self.parameters.marker_bits) > view.end {
            return Sight::Unknown;
        }
        match self.marker.judge(self.marker.window(view.octets, (at - view.base) as usize)) {
            Some((errors, inverted)) => Sight::Marker { at, errors, inverted },
            None => Sight::Nothing,
        }
    }

    /// First marker from bit `from` on that starts before `limit` and is all here.
    fn find(&self, view: View<'_>, from: u64, limit: u64) -> Option<u64> {
        let last = (view.end + 1).saturating_sub(u64::from(self.parameters.marker_bits));
        let limit = limit.min(last).saturating_sub(view.base) as usize;
        let from = from.saturating_sub(view.base) as usize;
        find(view.octets, from, limit, &self.marker).map(|at| at as u64 + view.base)
    }

    fn give(&mut self, view: View<'_>, block: Block, give: &mut impl FnMut(Block, Source<'_>)) {
        let start = block.bit_position + u64::from(self.parameters.marker_bits);
        let statistics = &mut self.statistics;
        statistics.blocks += 1;
        statistics.flywheel_blocks += u64::from(block.flywheel);
        statistics.inverted_blocks += u64::from(block.inverted);
        statistics.unconfirmed_blocks += u64::from(block.unconfirmed);
        statistics.marker_bit_errors += u64::from(block.marker_errors);
        statistics.skipped_bits += block.bit_position.saturating_sub(self.given_to);
        self.given_to = self.given_to.max(block.bit_position + self.period());
        let from = (start - view.base) as usize;
        // While this block is decoded, the next one comes from memory.
        prefetch(view.octets, from + self.period() as usize, self.parameters.block_octets);
        give(block, Source { octets: view.octets, from, inverted: block.inverted });
    }
}

/// Largest block: well over any codeblock of the standards, small enough to buffer several.
pub const MAXIMUM_BLOCK_OCTETS: usize = 1 << 20;
