//! Several walks at once through one buffer.
//!
//! A walk waits for memory at each packet: it cannot know where the next header is before it has read
//! this one.  So the buffer ahead is parted; in each part a guess is made where some packet begins, and
//! one walk per part goes on from there, all interleaved.  Then the parts are joined from the front: a
//! part counts only from the octet on where the true walk meets it, because from there on both are the
//! same.  A guess that was wrong costs time, never a packet.

use std::cell::Cell;

use crate::prefetch::prefetch;
use crate::scan::Walk;
use crate::step::{Rules, Step, header_at, is_space_packet, space_packet_octets, step};

/// Walks at a time.
const LANES: usize = 16;
/// Packets that a part should hold, and at most holds.
const PACKETS: u64 = 256;
const CAPACITY: usize = 512;
/// Packets that are walked plainly first, to learn what packets look like here.
const SAMPLE: usize = 256;
/// Headers in a row that must look familiar before a guess is believed.
const CHAIN: usize = 3;
/// Up to this many octets per packet one walk is as fast as memory: the processor's own prefetching suffices.
const DENSE: u64 = 128;
/// Octets walked densely before that is judged again.
const DENSE_RUN: u64 = 1 << 18;
/// Below this many octets the plain walk finishes alone.
const SMALL: u64 = 16 * 1024;

/// First two octets of the headers seen (version, type, flag, application process).
struct Familiar(Box<[u64; 1024]>);

impl Familiar {
    fn insert(&mut self, header: u64) {
        let id = (header >> 32) as usize & 0xffff;
        self.0[id / 64] |= 1 << (id % 64);
    }

    fn holds(&self, header: u64) -> bool {
        let id = (header >> 32) as usize & 0xffff;
        self.0[id / 64] >> (id % 64) & 1 == 1
    }
}

/// One walk through a part.
struct Lane {
    at: u64,
    end: u64,
    held: usize,
    starts: [u64; CAPACITY],
    headers: [u64; CAPACITY],
}

impl Lane {
    fn new() -> Self {
        Lane { at: 0, end: 0, held: 0, starts: [0; CAPACITY], headers: [0; CAPACITY] }
    }

    fn begin(&mut self, at: u64, end: u64) {
        self.at = at;
        self.end = end;
        self.held = 0;
    }

    /// One packet further; a lane that cannot go on ends here.
    #[inline(always)]
    fn advance(&mut self, octets: &[u8], rules: &Rules) {
        let (size, header) = match header_at(octets, self.at) {
            Some(header) if is_space_packet(header) => (space_packet_octets(header), header),
            _ => match step(octets, self.at, rules) {
                Step::Packet { octets, header } => (octets, header),
                _ => return self.end = self.at,
            },
        };
        let fits = size <= octets.len() as u64 - self.at && size <= rules.maximum_octets;
        if !fits || self.held == CAPACITY {
            return self.end = self.at;
        }
        self.starts[self.held] = self.at;
        self.headers[self.held] = header;
        self.held += 1;
        self.at += size;
        prefetch(octets, self.at);
        prefetch(octets, self.at + 7);
    }
}

thread_local! {
    /// Lanes of the last walk on this thread: their memory is worth keeping.
    static LANES_KEPT: Cell<Vec<Lane>> = const { Cell::new(Vec::new()) };
}

/// Walk `walk` to its end: the error is what stands there.
pub(crate) fn walk(walk: &mut Walk<'_>) -> Result<(), Step> {
    let mut lanes = LANES_KEPT.take();
    let last = walk_with(&mut lanes, walk);
    LANES_KEPT.set(lanes);
    last
}

fn walk_with(lanes: &mut Vec<Lane>, walk: &mut Walk<'_>) -> Result<(), Step> {
    let mut familiar = Familiar(Box::new([0; 1024]));
    let mut spacing = sample(walk, &mut familiar)?;
    walk.reserve(spacing);
    let mut penalty = 0;
    while walk.left() > SMALL {
        let before = (walk.at, walk.sink.len());
        if spacing <= DENSE {
            walk.advance_to(walk.at + DENSE_RUN)?;
        } else {
            lanes.resize_with(LANES, Lane::new);
            let part = (spacing * PACKETS).min(walk.left() / LANES as u64);
            let begun = begin_all(lanes, walk, &familiar, part);
            run_all(&mut lanes[..begun], walk.octets, walk.rules);
            let met = join_all(&lanes[..begun], walk, &mut familiar)?;
            // Where guesses fail, guess more seldom: at worst one window in 64.
            penalty = if 2 * met >= begun { 0 } else { (2 * penalty + 1).min(63) };
            walk.advance_to(walk.at + penalty * part * LANES as u64)?;
        }
        walk.flush();
        spacing = (walk.at - before.0) / (walk.sink.len() - before.1).max(1) as u64;
    }
    loop {
        walk.advance()?;
    }
}

/// Walk the first packets plainly; octets per packet among them.
fn sample(walk: &mut Walk<'_>, familiar: &mut Familiar) -> Result<u64, Step> {
    for _ in 0..SAMPLE {
        if let Some(header) = header_at(walk.octets, walk.at) {
            familiar.insert(header);
        }
        walk.advance()?;
    }
    walk.flush();
    Ok(walk.at / SAMPLE as u64)
}

/// Put the first lane where the true walk is, and the others at guesses, one in each part.
fn begin_all(lanes: &mut [Lane], walk: &Walk<'_>, familiar: &Familiar, part: u64) -> usize {
    let mut begun = 0;
    for number in 0..LANES as u64 {
        let border = walk.at + number * part;
        let guess = if number == 0 { Some(border) } else { guess(walk.octets, border, part, familiar) };
        if let Some(at) = guess {
            if begun > 0 {
                lanes[begun - 1].end = at;
            }
            lanes[begun].begin(at, at);
            begun += 1;
        }
    }
    lanes[begun - 1].end = walk.at + LANES as u64 * part;
    begun
}

/// The first octet from `border` on where a chain of headers looks familiar.
fn guess(octets: &[u8], border: u64, part: u64, familiar: &Familiar) -> Option<u64> {
    (border..border + part.min(8192)).find(|&at| {
        let mut at = at;
        (0..CHAIN).all(|_| match header_at(octets, at) {
            Some(header) if familiar.holds(header) => {
                at += space_packet_octets(header);
                true
            }
            _ => false,
        })
    })
}

fn run_all(lanes: &mut [Lane], octets: &[u8], rules: &Rules) {
    loop {
        let mut running = false;
        for lane in lanes.iter_mut() {
            if lane.at < lane.end {
                lane.advance(octets, rules);
                running = true;
            }
        }
        if !running {
            return;
        }
    }
}

/// Append what the lanes found as far as it is true; tell how many lanes the true walk met.
fn join_all(lanes: &[Lane], walk: &mut Walk<'_>, familiar: &mut Familiar) -> Result<usize, Step> {
    let mut met = 0;
    for lane in lanes {
        let starts = &lane.starts[..lane.held];
        let headers = &lane.headers[..lane.held];
        let mut first = 0;
        loop {
            while first < starts.len() && starts[first] < walk.at {
                first += 1;
            }
            if first == starts.len() {
                break;
            }
            if starts[first] == walk.at {
                walk.flush();
                walk.sink.append(&starts[first..], &headers[first..]);
                walk.at = lane.at;
                met += 1;
                familiar.insert(headers[first]);
                break;
            }
            walk.advance()?;
        }
    }
    walk.flush();
    Ok(met)
}
