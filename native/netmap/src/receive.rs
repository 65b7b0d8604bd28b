//! The receiving half: frames copied out of the rings, or lent in them.
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use netmap_io_capture::batch::Batch;
use netmap_io_rings::error::RingError;
use netmap_io_rings::memory::Mapping;
use netmap_io_rings::slots::Slot;

use crate::layout::{BUFFER_CHANGED, MORE_FRAGMENTS};
use crate::link::Wake;
use crate::port::{Shared, Stop};
use crate::region::{Descriptor, Piece};
use crate::ring::{Ring, Trouble};

/// How long a wait is put off where the ring holds the beginning of a frame and polls readable for it.
const FOR_THE_REST: Duration = Duration::from_millis(1);

/// What came and was let go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveAccount {
    /// Frames a slot of which named no buffer of the region, or more octets than a buffer has.
    pub damaged_frames: u64,
    /// Frames that filled the whole ring and went on.
    pub endless_frames: u64,
}

/// The receiving half of a port.
pub struct Receiver {
    pub(crate) shared: Arc<Shared>,
    /// The rings of each registration.
    pub(crate) groups: Vec<Vec<Ring>>,
    first: usize,
    lendings: usize,
    /// Whether slots are lent in the rings, which then keep them.
    slots_lent: bool,
    /// Buffers that are lent outside of the rings.
    lent: Vec<u32>,
    account: ReceiveAccount,
    found: Found,
    unfinished: bool,
}

/// What a look at the rings found; kept for its memory.
#[derive(Default)]
struct Found {
    pieces: Vec<Piece>,
    slots: Vec<(u32, Descriptor)>,
    /// For each ring looked at: frames, their time, number of the ring.
    runs: Vec<(usize, i64, u32)>,
    fragmented: bool,
}

impl Found {
    fn clear(&mut self) {
        self.pieces.clear();
        self.slots.clear();
        self.runs.clear();
        self.fragmented = false;
    }

    /// Copy at most `most` frames of one ring behind those of `batch`, and pass their slots; how many.
    fn take(
        &mut self,
        ring: &mut Ring,
        batch: &mut Batch,
        most: usize,
        account: &mut ReceiveAccount,
        unfinished: &mut bool,
    ) -> usize {
        let mut count = 0;
        if ring.offset_mask() == 0 {
            let room = most.min(ring.words.room() as usize);
            let copied = ring.pool.copy_frames(&ring.slots, ring.words.cur(), room, batch);
            ring.words.pass(copied);
            count = copied as usize;
        }
        if count < most && ring.words.room() > 0 {
            self.clear();
            count += scan(ring, self, Look { frames: most - count, whole: false }, account, unfinished);
            ring.pool.gather(&self.pieces, &mut batch.octets);
            let mut end = batch.offsets.last().copied().unwrap_or(0);
            let mut begin = end;
            for piece in &self.pieces {
                end += u64::from(piece.length);
                if piece.last {
                    batch.offsets.push(end);
                    batch.original_lengths.push((end - begin) as u32);
                    begin = end;
                }
            }
        }
        batch.timestamps_ns.resize(batch.timestamps_ns.len() + count, ring.stamp);
        batch.interfaces.resize(batch.interfaces.len() + count, ring.number);
        count
    }
}

/// How to look at a ring.
#[derive(Clone, Copy)]
struct Look {
    frames: usize,
    /// Stop before a frame of several slots, and say which slots the frames are in.
    whole: bool,
}

impl Receiver {
    pub(crate) fn new(shared: Arc<Shared>, mut groups: Vec<Vec<Ring>>, timestamps: bool) -> Self {
        for ring in groups.iter_mut().flatten() {
            ring.stamped = timestamps;
            if timestamps {
                ring.ask_for_timestamps();
            }
        }
        Self {
            shared,
            groups,
            first: 0,
            lendings: 0,
            slots_lent: false,
            lent: Vec::new(),
            account: ReceiveAccount::default(),
            found: Found::default(),
            unfinished: false,
        }
    }

    /// What polls readable when there are frames, or news of the network device.
    pub fn descriptor(&self) -> Result<BorrowedFd<'_>, RingError> {
        Ok(self.shared.waiter()?.descriptor())
    }

    /// The memory that slots are in.
    pub fn memory(&self) -> &Arc<Mapping> {
        &self.shared.memory
    }

    /// At most `max_frames` frames that are there, copied.  Err only when none is.
    pub fn receive(&mut self, max_frames: usize) -> Result<Batch, RingError> {
        let state = self.begin_look();
        let (rings, mut left) = (self.groups.len(), max_frames);
        let room = self.groups.iter().flatten().map(|ring| ring.words.room() as usize).sum::<usize>();
        let mut batch = Batch::with_capacity(room.min(max_frames), 0);
        for turn in 0..rings {
            for ring in &mut self.groups[(self.first + turn) % rings] {
                let count = self.found.take(ring, &mut batch, left, &mut self.account, &mut self.unfinished);
                left -= count;
            }
        }
        self.next_first(false);
        if batch.octets.capacity() / 2 > batch.octets.len() {
            batch.octets.shrink_to_fit(); // frames shorter than the first one
        }
        self.release();
        if batch.is_empty() { state.map(|()| batch) } else { Ok(batch) }
    }

    /// At most `max_frames` frames that are there and in one slot each; they are ours until `take_back`.
    pub fn lend(&mut self, max_frames: usize) -> Result<Vec<Slot>, RingError> {
        let state = self.look(Look { frames: max_frames, whole: true });
        let mut slots = Vec::with_capacity(self.found.pieces.len());
        let mut pieces = self.found.pieces.iter();
        for &(count, timestamp_ns, interface) in &self.found.runs {
            slots.extend(pieces.by_ref().take(count).map(|piece| Slot {
                offset: piece.place,
                length: piece.length as usize,
                original_length: piece.length,
                timestamp_ns,
                interface,
            }));
        }
        if slots.is_empty() {
            state?;
        }
        self.lendings += 1;
        if !self.swap_out() {
            self.slots_lent = true;
        }
        self.release();
        Ok(slots)
    }

    /// Whether the last `lend` stopped before a frame in several slots, which `receive` puts together.
    pub fn fragmented(&self) -> bool {
        self.found.fragmented
    }

    /// Put spare buffers into the slots of the frames just found, so that these outlive their slots.  False: too few.
    fn swap_out(&mut self) -> bool {
        let mut spares = self.shared.spares();
        if spares.len() < self.found.slots.len() {
            return false;
        }
        let mut slots = self.found.slots.iter();
        let rings = self.groups.len();
        let ordered = (0..rings).flat_map(|turn| {
            let at = (self.first + turn) % rings;
            self.groups[at].iter()
        });
        for (ring, &(count, ..)) in ordered.zip(&self.found.runs) {
            for &(slot, descriptor) in slots.by_ref().take(count) {
                let Some(spare) = spares.pop() else { return false };
                let flags = descriptor.flags | BUFFER_CHANGED;
                ring.slots.write(slot, Descriptor { buffer: spare, flags, ..descriptor });
                self.lent.push(descriptor.buffer);
            }
        }
        true
    }

    /// End a `lend`; with the last one the slots go back.
    pub fn take_back(&mut self) {
        self.lendings = self.lendings.saturating_sub(1);
        if self.lendings == 0 {
            self.slots_lent = false;
            self.shared.spares().append(&mut self.lent);
            self.release();
        }
    }

    /// Let go of what was looked at, unless slots are lent; show our words.
    pub(crate) fn release(&mut self) {
        for ring in self.groups.iter_mut().flatten() {
            if !self.slots_lent {
                ring.words.release();
            }
            ring.show();
        }
        for (registered, rings) in self.shared.registered.iter().zip(&self.groups) {
            registered.device.looked(rings.iter().any(|ring| ring.words.room() > 0));
        }
    }

    /// Whether slots are lent in the rings: their buffers must stay in them.
    pub(crate) fn keeps_slots(&self) -> bool {
        self.slots_lent
    }

    /// Sync the registrations whose rings have nothing more, or have half a ring to give back.
    pub(crate) fn sync_due(&mut self) -> Result<(), Stop> {
        let unfinished = self.unfinished;
        let mut state = Ok(());
        for (index, rings) in self.groups.iter_mut().enumerate() {
            let empty = unfinished || rings.iter().all(|ring| ring.words.room() == 0);
            if empty || rings.iter().any(|ring| 2 * ring.words.unsynced() >= ring.words.slots()) {
                state = state.and(self.shared.sync(index, false, rings));
            }
        }
        state
    }

    /// Sync, and forget what was found before.
    fn begin_look(&mut self) -> Result<(), RingError> {
        let state = match self.sync_due() {
            Err(Stop::Error(error)) => Err(error),
            Ok(()) | Err(Stop::Down(_)) => Ok(()), // `check` tells of it
        };
        self.found.clear();
        self.unfinished = false;
        state
    }

    fn look(&mut self, look: Look) -> Result<(), RingError> {
        let state = self.begin_look();
        let found = &mut self.found;
        let (groups, mut left) = (self.groups.len(), look.frames);
        for turn in 0..groups {
            for ring in &mut self.groups[(self.first + turn) % groups] {
                let count = scan(ring, found, Look { frames: left, ..look }, &mut self.account, &mut self.unfinished);
                found.runs.push((count, ring.stamp, ring.number));
                left -= count;
            }
        }
        self.next_first(look.whole);
        state
    }

    /// Another registration first the next time; a lend needs the order once more, and leaves it.
    fn next_first(&mut self, stay: bool) {
        if !stay {
            self.first = (self.first + 1) % self.groups.len().max(1);
        }
    }

    /// Wait at most `timeout`, at first turning round for `busy`, until there may be frames or there is news.
    pub fn wait(&mut self, timeout: Duration, busy: Duration) -> Result<Wake, RingError> {
        let begun = Instant::now();
        if self.unfinished {
            sleep(FOR_THE_REST.min(timeout));
            return Ok(Wake { frames: true, look: false });
        }
        while begun.elapsed() < busy.min(timeout) {
            match self.sync_due() {
                Err(Stop::Error(error)) => return Err(error),
                Err(Stop::Down(_)) => break,
                Ok(()) if self.groups.iter().flatten().any(|ring| ring.words.room() > 0) => {
                    return Ok(Wake { frames: true, look: false });
                }
                Ok(()) => std::hint::spin_loop(),
            }
        }
        self.shared.wait(timeout.saturating_sub(begun.elapsed()))
    }

    /// Err when the network device is down or gone.
    pub fn check(&self) -> Result<(), RingError> {
        Ok(self.shared.check()?)
    }

    /// What was let go.
    pub fn account(&self) -> ReceiveAccount {
        self.account
    }

    /// What the rings said that cannot be.
    pub fn trouble(&self) -> Trouble {
        let mut all = Trouble::default();
        self.groups.iter().flatten().for_each(|ring| all += ring.trouble());
        all
    }

    /// After another's look at the rings: what it left there is, if `all` was looked at, the beginning of a frame.
    pub(crate) fn mark_unfinished(&mut self, all: bool) {
        self.unfinished = all && self.groups.iter().flatten().any(|ring| ring.words.room() > 0);
    }

    pub(crate) fn count_damaged(&mut self, frames: u64) {
        self.account.damaged_frames += frames;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.spares().append(&mut self.lent);
    }
}

/// Find the frames of one ring, and pass their slots; how many.
///
/// A frame whose end is not there stays, unless it already fills the ring.
fn scan(ring: &mut Ring, found: &mut Found, look: Look, account: &mut ReceiveAccount, unfinished: &mut bool) -> usize {
    let (room, count, mask) = (ring.words.room(), ring.words.slots(), ring.offset_mask());
    found.pieces.reserve((room as usize).min(look.frames.saturating_add(1)));
    let mut slot = ring.words.cur();
    let (mut seen, mut passed, mut frames, mut begin, mut good) = (0, 0, 0, found.pieces.len(), true);
    while seen < room && frames < look.frames {
        let descriptor = ring.slots.read(slot);
        let more = descriptor.flags & MORE_FRAGMENTS != 0;
        if look.whole && more && seen == passed {
            found.fragmented = true;
            break;
        }
        let offset = if mask == 0 { 0 } else { usize::try_from(ring.slots.pointer(slot) & mask).unwrap_or(usize::MAX) };
        match ring.pool.place(descriptor.buffer, offset, usize::from(descriptor.length)) {
            Some(place) => {
                let length = usize::from(descriptor.length);
                let short = ring.pool.short(offset, length);
                found.pieces.push(Piece { place, length: length as u32, last: !more, short });
                if look.whole {
                    found.slots.push((slot, descriptor));
                }
            }
            None => good = false,
        }
        slot = if slot + 1 == count { 0 } else { slot + 1 };
        seen += 1;
        if more {
            continue;
        }
        passed = seen;
        if good {
            frames += 1;
            begin = found.pieces.len();
        } else {
            found.pieces.truncate(begin);
            account.damaged_frames += 1;
            good = true;
        }
    }
    found.pieces.truncate(begin);
    if frames < look.frames && passed < room && !found.fragmented {
        if passed == 0 && room == count - 1 {
            passed = room;
            account.endless_frames += 1;
        } else {
            *unfinished = true;
        }
    }
    ring.words.pass(passed);
    frames
}
