//! Two rings of frames in memory shared with another process, one each way; one producer and one consumer for each.
//!
//! The other side is hostile.  Of what it can write, each index, length and field is read once, checked and copied once;
//! where a frame lies is never read but computed, from lengths that were checked.  A consumer that lends is the one
//! exception: what it lends can be changed by the other side meanwhile.
//!
//! The file: a page of `MAGIC`, version and sizes; then two lanes.  A lane: indices in cache lines of their own, a
//! descriptor for each frame, octets.  Frames lie back to back; one that would cross the end begins at the start.
#![allow(unsafe_code)]
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use netmap_io_capture::batch::{Batch, Frames};

use crate::system;

const MAGIC: u64 = u64::from_be_bytes(*b"netmapio");
const VERSION: u64 = 1;
const PAGE: usize = 4096;
const HEAD: usize = 0;
const TAIL: usize = 64;
const WANTED: usize = 128;
const LANE_HEADER: usize = 192;
const DESCRIPTOR: usize = 32;
/// More than anybody's memory; keeps all sums below 2^48.
const LARGEST: u64 = 1 << 40;

/// Sizes of a lane; both lanes are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Frames that a lane can hold.
    pub frames: u64,
    /// Octets that a lane can hold, and so the longest frame.
    pub octets: u64,
}

impl Sizes {
    /// Sizes that can be mapped: at least one of each, octets in whole cache lines.
    pub fn new(frames: u64, octets: u64) -> Option<Self> {
        let fits = (1..=LARGEST / DESCRIPTOR as u64).contains(&frames) && (1..=LARGEST).contains(&octets);
        fits.then(|| Self { frames, octets: octets.next_multiple_of(64) })
    }

    fn lane_octets(&self) -> usize {
        (LANE_HEADER + self.frames as usize * DESCRIPTOR + self.octets as usize).next_multiple_of(64)
    }

    /// Octets of the file.
    pub fn file_octets(&self) -> usize {
        PAGE + 2 * self.lane_octets()
    }
}

/// What the other side did wrong, in a sentence.
pub type Fault = String;

/// A mapped file.
pub struct Map {
    start: *mut u8,
    octets: usize,
    sizes: Sizes,
}

// SAFETY: the mapping is plain memory; all access to what both sides write goes through atomics or copies.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: start and octets are those of a mapping that we made and that nobody else unmaps.
        unsafe { libc::munmap(self.start.cast(), self.octets) };
    }
}

impl Map {
    /// Map a file of ours, sized by `Sizes::file_octets` and sealed against shrinking, and write its first page.
    pub fn create(descriptor: i32, sizes: Sizes) -> Result<Arc<Self>, Fault> {
        let map = Self::open(descriptor, sizes)?;
        for (index, value) in [MAGIC, VERSION, sizes.frames, sizes.octets].into_iter().enumerate() {
            map.atomic(index * 8).store(value, Ordering::Release);
        }
        for lane in [map.lane(0), map.lane(1)] {
            map.atomic_32(lane + WANTED).store(1, Ordering::Release);
        }
        Ok(Arc::new(map))
    }

    /// Map a file that somebody handed over.
    pub fn attach(descriptor: i32) -> Result<Arc<Self>, Fault> {
        let smallest = Sizes { frames: 1, octets: 64 };
        let page = Self::open(descriptor, smallest)?;
        let [magic, version, frames, octets] = [0, 8, 16, 24].map(|at| page.atomic(at).load(Ordering::Acquire));
        if magic != MAGIC {
            return Err("the memory handed over holds no rings".into());
        }
        if version != VERSION {
            return Err(format!("the rings are of version {version}, not {VERSION}"));
        }
        match Sizes::new(frames, octets) {
            Some(sizes) if sizes.octets == octets => Ok(Arc::new(Self::open(descriptor, sizes)?)),
            _ => Err(format!("rings of {frames} frames and {octets} octets cannot be")),
        }
    }

    fn open(descriptor: i32, sizes: Sizes) -> Result<Self, Fault> {
        let wanted = sizes.file_octets();
        // SAFETY: asks for the seals of a descriptor; touches no memory of ours.
        let seals = unsafe { libc::fcntl(descriptor, libc::F_GET_SEALS) };
        if seals < 0 || seals & libc::F_SEAL_SHRINK == 0 {
            return Err("the memory handed over is not sealed against shrinking: it could be pulled away".into());
        }
        // SAFETY: a stat of zeros is a valid one.
        let mut status: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: `status` is alive and ours alone for the call.
        let answer = unsafe { libc::fstat(descriptor, &mut status) };
        let there = usize::try_from(status.st_size).unwrap_or(0);
        if answer < 0 || there < wanted {
            return Err(format!("the memory handed over has {there} octets, its rings need {wanted}"));
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, placed by the kernel: it aliases nothing of ours.
        let start = unsafe { libc::mmap(ptr::null_mut(), wanted, access, libc::MAP_SHARED, descriptor, 0) };
        if start == libc::MAP_FAILED {
            return Err(format!("{wanted} octets cannot be mapped: {}", std::io::Error::last_os_error()));
        }
        Ok(Self { start: start.cast(), octets: wanted, sizes })
    }

    /// The sizes of its lanes.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Where the octets at `at` lie in this process.  For lending; valid while the map lives.
    pub fn address(&self, at: usize, length: usize) -> Option<*const u8> {
        // SAFETY: within the mapping.
        (at.checked_add(length)? <= self.octets).then(|| unsafe { self.start.add(at) }.cast_const())
    }

    fn lane(&self, number: usize) -> usize {
        PAGE + number * self.sizes.lane_octets()
    }

    fn atomic(&self, at: usize) -> &AtomicU64 {
        assert!(at.is_multiple_of(8) && at + 8 <= self.octets);
        // SAFETY: aligned (the mapping begins at a page) and within the mapping, which lives as long as `self`; every
        // access of ours to this place is atomic.
        unsafe { AtomicU64::from_ptr(self.start.add(at).cast()) }
    }

    fn atomic_32(&self, at: usize) -> &AtomicU32 {
        assert!(at.is_multiple_of(4) && at + 4 <= self.octets);
        // SAFETY: as in `atomic`.
        unsafe { AtomicU32::from_ptr(self.start.add(at).cast()) }
    }

    fn copy_in(&self, at: usize, octets: &[u8]) {
        assert!(at + octets.len() <= self.octets);
        // SAFETY: within the mapping (asserted), and no memory of ours otherwise; no reference into it exists.  The other
        // side may read meanwhile: what it then sees is its own affair.
        unsafe { ptr::copy_nonoverlapping(octets.as_ptr(), self.start.add(at), octets.len()) };
    }

    fn copy_out(&self, at: usize, length: usize, out: &mut Vec<u8>) {
        assert!(at + length <= self.octets);
        out.reserve(length);
        // SAFETY: the source is within the mapping (asserted), the target is reserved and ours alone, every octet of the
        // new length is written.  The other side may write meanwhile: the octets are then whatever it wrote, and all
        // values are valid octets.
        unsafe {
            ptr::copy_nonoverlapping(self.start.add(at), out.as_mut_ptr().add(out.len()), length);
            out.set_len(out.len() + length);
        }
    }
}

/// Where a frame of `length` octets goes that follows position `after`: back to back, or past the end at the start.
fn place(after: u64, length: u64, sizes: Sizes) -> u64 {
    if after % sizes.octets + length > sizes.octets { after.next_multiple_of(sizes.octets) } else { after }
}

struct Lane {
    map: Arc<Map>,
    base: usize,
    event: i32,
}

impl Lane {
    fn new(map: &Arc<Map>, number: usize, event: i32) -> Self {
        Self { map: Arc::clone(map), base: map.lane(number), event }
    }

    fn sizes(&self) -> Sizes {
        self.map.sizes
    }

    fn index(&self, which: usize) -> &AtomicU64 {
        self.map.atomic(self.base + which)
    }

    fn wanted(&self) -> &AtomicU32 {
        self.map.atomic_32(self.base + WANTED)
    }

    fn descriptor(&self, frame: u64) -> usize {
        self.base + LANE_HEADER + (frame % self.sizes().frames) as usize * DESCRIPTOR
    }

    fn octets_at(&self, position: u64) -> usize {
        let octets = self.base + LANE_HEADER + self.sizes().frames as usize * DESCRIPTOR;
        octets + (position % self.sizes().octets) as usize
    }

    fn signal(&self) {
        // a full eventfd is readable already; a closed one has nobody who waits
        let _ = system::write_frame(self.event, &[], &1u64.to_ne_bytes());
    }
}

/// The end of a lane that puts frames in.
pub struct Producer {
    lane: Lane,
    head: u64,
    tail: u64,
    position: u64,
    starts: Vec<u64>,
}

impl Producer {
    /// Of lane `number` (0 or 1); `event`: an eventfd that the other side waits for.
    pub fn new(map: &Arc<Map>, number: usize, event: i32) -> Self {
        let starts = vec![0; map.sizes.frames as usize];
        Self { lane: Lane::new(map, number.min(1), event), head: 0, tail: 0, position: 0, starts }
    }

    /// Frames put that have not been taken.
    pub fn untaken(&mut self) -> Result<u64, Fault> {
        let tail = self.lane.index(TAIL).load(Ordering::Acquire);
        if tail < self.tail || tail > self.head {
            return Err(format!("the other end says that it took {tail} frames of {}", self.head));
        }
        self.tail = tail;
        Ok(self.head - tail)
    }

    /// Put frames from the front while there is room; how many.
    pub fn put(&mut self, frames: &Frames<'_>, link_types: &[u16], interfaces: &[u32]) -> Result<usize, Fault> {
        let sizes = self.lane.sizes();
        let mut held = self.untaken()?;
        let mut taken = 0;
        while taken < frames.len() && held < sizes.frames {
            let frame = frames.frame(taken);
            let length = frame.len() as u64;
            let start = place(self.position, length, sizes);
            let oldest = if held == 0 { start } else { self.starts[(self.tail % sizes.frames) as usize] };
            if length > sizes.octets || start + length - oldest > sizes.octets {
                break;
            }
            self.lane.map.copy_in(self.lane.octets_at(start), frame);
            let fields = [
                length | u64::from(frames.original_lengths[taken]) << 32,
                frames.timestamps_ns[taken] as u64,
                u64::from(link_types.get(taken).copied().unwrap_or(0))
                    | u64::from(interfaces.get(taken).copied().unwrap_or(0)) << 32,
            ];
            let descriptor = self.lane.descriptor(self.head);
            for (index, field) in fields.into_iter().enumerate() {
                self.lane.map.atomic(descriptor + index * 8).store(field, Ordering::Relaxed);
            }
            self.starts[(self.head % sizes.frames) as usize] = start;
            self.position = start + length;
            self.head += 1;
            held += 1;
            taken += 1;
        }
        if taken > 0 {
            self.lane.index(HEAD).store(self.head, Ordering::Release);
            // pairs with the one in `arm`: either we see that the other side waits, or it sees our frames
            fence(Ordering::SeqCst);
            if self.lane.wanted().swap(0, Ordering::AcqRel) == 1 {
                self.lane.signal();
            }
        }
        Ok(taken)
    }
}

/// Frames in the ring itself.
pub struct Lent {
    /// Where they lie in the map.
    pub at: usize,
    /// Octets of all of them.
    pub octets: usize,
    /// Their columns; `columns.octets` is empty.
    pub columns: Batch,
    /// LINKTYPE numbers.
    pub link_types: Vec<u16>,
}

/// The end of a lane that takes frames out.
pub struct Consumer {
    lane: Lane,
    /// What the other side knows as taken.
    tail: u64,
    /// The next frame to give; ahead of `tail` while frames are lent.
    next: u64,
    position: u64,
    lent: usize,
}

impl Consumer {
    /// Of lane `number` (0 or 1); `event`: an eventfd of this end's own.
    pub fn new(map: &Arc<Map>, number: usize, event: i32) -> Self {
        Self { lane: Lane::new(map, number.min(1), event), tail: 0, next: 0, position: 0, lent: 0 }
    }

    /// Frames to take.
    pub fn waiting(&self) -> Result<u64, Fault> {
        let head = self.lane.index(HEAD).load(Ordering::Acquire);
        if head < self.next || head - self.tail > self.lane.sizes().frames {
            return Err(format!("the other end says that it put {head} frames when {} had been taken", self.tail));
        }
        Ok(head - self.next)
    }

    /// Take at most `max_frames`, copied; and their LINKTYPE numbers.
    pub fn take(&mut self, max_frames: u64) -> Result<(Batch, Vec<u16>), Fault> {
        let copied = self.walk(max_frames, false)?;
        self.publish();
        Ok((copied.columns, copied.link_types))
    }

    /// Lend at most `max_frames`, as many as lie back to back; they stay in the ring until `give_back`.
    pub fn lend(&mut self, max_frames: u64) -> Result<Lent, Fault> {
        let lent = self.walk(max_frames, true)?;
        self.lent += 1;
        Ok(lent)
    }

    /// What one `lend` gave is done with.  Room is made when the last of them is.
    pub fn give_back(&mut self) {
        self.lent = self.lent.saturating_sub(1);
        self.publish();
    }

    fn publish(&mut self) {
        if self.lent == 0 && self.tail != self.next {
            self.tail = self.next;
            self.lane.index(TAIL).store(self.tail, Ordering::Release);
        }
    }

    fn walk(&mut self, max_frames: u64, in_place: bool) -> Result<Lent, Fault> {
        let sizes = self.lane.sizes();
        let count = self.waiting()?.min(max_frames);
        let mut columns = Batch::with_capacity(count as usize, 0);
        let mut link_types = Vec::with_capacity(count as usize);
        let mut position = self.position;
        let mut first = None;
        for frame in self.next..self.next + count {
            let descriptor = self.lane.descriptor(frame);
            let [lengths, timestamp, kinds] =
                [0, 8, 16].map(|at| self.lane.map.atomic(descriptor + at).load(Ordering::Relaxed));
            let length = lengths & 0xFFFF_FFFF;
            if length > sizes.octets {
                return Err(format!("the other end put a frame of {length} octets into a ring of {}", sizes.octets));
            }
            let start = place(position, length, sizes);
            let at = self.lane.octets_at(start);
            let before = columns.offsets.last().copied().unwrap_or(0);
            if in_place {
                if at != *first.get_or_insert(at) + before as usize {
                    break; // this one lies at the start again
                }
            } else {
                self.lane.map.copy_out(at, length as usize, &mut columns.octets);
            }
            columns.offsets.push(before + length);
            columns.timestamps_ns.push((timestamp as i64).max(-1));
            columns.original_lengths.push(((lengths >> 32) as u32).max(length as u32));
            columns.interfaces.push((kinds >> 32) as u32);
            link_types.push(kinds as u16);
            position = start + length;
        }
        self.next += columns.len() as u64;
        self.position = position;
        let octets = columns.offsets.last().copied().unwrap_or(0) as usize;
        Ok(Lent { at: first.unwrap_or(self.lane.base), octets, columns, link_types })
    }

    /// Nothing is there: make the eventfd unreadable until something is.
    pub fn arm(&mut self) -> Result<(), Fault> {
        if self.waiting()? > 0 || self.lane.wanted().load(Ordering::Acquire) == 1 {
            return Ok(());
        }
        let _ = system::read(self.lane.event, &mut [0; 8]); // unreadable already: as good
        self.lane.wanted().store(1, Ordering::Release);
        fence(Ordering::SeqCst); // pairs with the one in `put`
        if self.waiting()? > 0 && self.lane.wanted().swap(0, Ordering::AcqRel) == 1 {
            self.lane.signal();
        }
        Ok(())
    }
}
