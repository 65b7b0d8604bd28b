//! Memory shared with the kernel side and its other users: slots and buffers, each access inside what was checked.
#![allow(unsafe_code)]
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use netmap_io_capture::batch::Batch;
use netmap_io_rings::memory::Mapping;

use crate::layout::MORE_FRAGMENTS;
use crate::layout::ring::SLOT_OCTETS;

/// Short frames are copied in this many octets, which needs no call to a copying routine.
const SHORT_OCTETS: usize = 64;
/// Slots whose buffers are asked for ahead of their use: buffers are too far apart for the processor to foresee them.
const AHEAD: usize = 16;
/// Buffers 0 and 1 are the module's own.
pub(crate) const FIRST_BUFFER: u32 = 2;

/// A slot's descriptor, copied once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) buffer: u32,
    pub(crate) length: u16,
    pub(crate) flags: u16,
}

impl Descriptor {
    #[inline(always)]
    fn of_word(word: u64) -> Self {
        let octets = word.to_ne_bytes();
        Self {
            buffer: u32::from_ne_bytes([octets[0], octets[1], octets[2], octets[3]]),
            length: u16::from_ne_bytes([octets[4], octets[5]]),
            flags: u16::from_ne_bytes([octets[6], octets[7]]),
        }
    }

    #[inline(always)]
    fn word(self) -> u64 {
        let (buffer, length, flags) = (self.buffer.to_ne_bytes(), self.length.to_ne_bytes(), self.flags.to_ne_bytes());
        u64::from_ne_bytes([buffer[0], buffer[1], buffer[2], buffer[3], length[0], length[1], flags[0], flags[1]])
    }
}

/// Where a region begins, so that loops need not look it up.
#[derive(Clone, Copy)]
struct Base(*mut u8);

// SAFETY: the address belongs to a mapping of the process, which whoever holds a `Base` holds beside it.
unsafe impl Send for Base {}
// SAFETY: as above; all accesses are through atomics or raw copies.
unsafe impl Sync for Base {}

/// The slots of one ring.
pub(crate) struct Slots {
    _memory: Arc<Mapping>,
    base: Base,
    start: usize,
    count: u32,
}

impl Slots {
    /// `count` slots at `start`.  None: not inside the region, or not aligned.
    pub(crate) fn new(memory: &Arc<Mapping>, start: usize, count: u32) -> Option<Self> {
        let end = start.checked_add((count as usize).checked_mul(SLOT_OCTETS)?)?;
        let aligned = (memory.address().addr() + start).is_multiple_of(8);
        (end <= memory.len() && aligned).then(|| Self {
            _memory: Arc::clone(memory),
            base: Base(memory.address()),
            start,
            count,
        })
    }

    /// Word 0 or 1 of a slot; of the first one where there is no such slot, which no caller asks for.
    #[inline(always)]
    fn word(&self, slot: u32, word: usize) -> &AtomicU64 {
        let slot = if slot < self.count { slot as usize } else { 0 };
        // SAFETY: `new` checked that all `count` slots of two words are inside the region and aligned, and callers pass
        // word 0 or 1; the region is mapped while `self` holds it; an atomic may be shared with other writers.
        unsafe { AtomicU64::from_ptr(self.base.0.add(self.start + slot * SLOT_OCTETS + word * 8).cast()) }
    }

    /// A copy of the descriptor, taken once.
    #[inline(always)]
    pub(crate) fn read(&self, slot: u32) -> Descriptor {
        Descriptor::of_word(self.word(slot, 0).load(Ordering::Relaxed))
    }

    #[inline(always)]
    pub(crate) fn write(&self, slot: u32, descriptor: Descriptor) {
        self.word(slot, 0).store(descriptor.word(), Ordering::Relaxed);
    }

    /// The slot's pointer word: where in the buffer the frame begins, where the ring has offsets.
    #[inline(always)]
    pub(crate) fn pointer(&self, slot: u32) -> u64 {
        self.word(slot, 1).load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(crate) fn set_pointer(&self, slot: u32, value: u64) {
        self.word(slot, 1).store(value, Ordering::Relaxed);
    }
}

/// The buffers of a region.
#[derive(Clone)]
pub(crate) struct Pool {
    memory: Arc<Mapping>,
    base: Base,
    region_octets: usize,
    start: usize,
    octets: usize,
    total: u32,
}

impl PartialEq for Pool {
    /// Whether a buffer has the same index in both.
    fn eq(&self, other: &Self) -> bool {
        (self.start, self.octets, self.total) == (other.start, other.octets, other.total)
    }
}

impl Pool {
    /// At most `total` buffers of `octets` octets at `start`.  None: there are none in the region.
    pub(crate) fn new(memory: &Arc<Mapping>, start: usize, octets: u32, total: u32) -> Option<Self> {
        let octets = octets as usize;
        if !(SHORT_OCTETS..=1 << 20).contains(&octets) {
            return None;
        }
        let there = memory.len().checked_sub(start)? / octets;
        let total = total.min(u32::try_from(there).unwrap_or(u32::MAX));
        (total > FIRST_BUFFER).then(|| Self {
            memory: Arc::clone(memory),
            base: Base(memory.address()),
            region_octets: memory.len(),
            start,
            octets,
            total,
        })
    }

    /// Octets of a buffer.
    #[inline(always)]
    pub(crate) fn buffer_octets(&self) -> usize {
        self.octets
    }

    /// Whether a slot may name this buffer.
    #[inline(always)]
    pub(crate) fn has(&self, buffer: u32) -> bool {
        buffer >= FIRST_BUFFER && buffer < self.total
    }

    /// Where `length` octets from `offset` on in a buffer lie in the region.  None: not in a buffer.
    #[inline(always)]
    pub(crate) fn place(&self, buffer: u32, offset: usize, length: usize) -> Option<usize> {
        if !self.has(buffer) || offset > self.octets || length > self.octets - offset {
            return None;
        }
        Some(self.start + buffer as usize * self.octets + offset)
    }

    /// Write `octets`, which begin `octets[..length]`, to the start of a buffer.  False: not in a buffer.
    ///
    /// `octets` may be longer than the frame: what follows it lets a short one be copied in a fixed number of octets.
    #[inline(always)]
    pub(crate) fn fill(&self, buffer: u32, octets: &[u8], length: usize) -> bool {
        let (Some(place), true) = (self.place(buffer, 0, length), length <= octets.len()) else { return false };
        let short = length <= SHORT_OCTETS && octets.len() >= SHORT_OCTETS;
        // SAFETY: `place` is the start of a buffer whose `self.octets` octets, at least SHORT_OCTETS (checked by `new`),
        // are inside the region, which is mapped while `self` holds it; `length` is not more than those, and the source
        // has as many as are copied; it is a borrowed slice, and no slice of the region exists.
        unsafe {
            let target = self.base.0.add(place);
            if short {
                target.copy_from_nonoverlapping(octets.as_ptr(), SHORT_OCTETS);
            } else {
                target.copy_from_nonoverlapping(octets.as_ptr(), length);
            }
        }
        true
    }

    /// Copy `length` octets at `place` in `from`'s region to `offset` in a buffer of this pool.  False: not in one.
    #[inline(always)]
    pub(crate) fn copy_from(&self, buffer: u32, offset: usize, from: &Pool, place: usize, length: usize) -> bool {
        let inside = place.checked_add(length).is_some_and(|end| end <= from.region_octets);
        let (Some(target), true) = (self.place(buffer, offset, length), inside) else { return false };
        // SAFETY: both spans were checked to be inside their regions, which are mapped while the pools hold them; `copy`
        // allows them to overlap.
        unsafe { self.base.0.add(target).copy_from(from.base.0.add(place), length) };
        true
    }

    /// Whether a frame of `length` octets at `offset` in a buffer can be copied in SHORT_OCTETS octets.
    #[inline(always)]
    pub(crate) fn short(&self, offset: usize, length: usize) -> bool {
        length <= SHORT_OCTETS && offset <= self.octets - SHORT_OCTETS
    }

    /// Have the processor fetch the start of a buffer; a hint only, of whatever number.
    #[inline(always)]
    pub(crate) fn expect(&self, buffer: u32) {
        #[cfg(target_arch = "x86_64")]
        if self.has(buffer) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let place = self.base.0.wrapping_add(self.start + buffer as usize * self.octets);
            // SAFETY: prefetching reads nothing and cannot fault, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast_const().cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = buffer;
    }

    /// Copy frames of one slot each, which begin with their buffers, from slot `first` on behind those of `batch`: octets,
    /// offsets and lengths.  How many: at most `most`, up to the first slot that is no whole good frame.
    ///
    /// Each descriptor is copied once; those read ahead of a slot that ends this are forgotten.
    pub(crate) fn copy_frames(&self, slots: &Slots, first: u32, most: usize, batch: &mut Batch) -> u32 {
        let before = batch.original_lengths.len();
        batch.offsets.resize(before + 1 + most, 0);
        batch.original_lengths.resize(before + most, 0);
        let out = &mut batch.octets;
        let cells = batch.offsets[before + 1..].iter_mut().zip(&mut batch.original_lengths[before..]);
        let (mut ahead, mut reading) = ([Descriptor { buffer: 0, length: 0, flags: 0 }; AHEAD], first);
        let mut read = || {
            let descriptor = slots.read(reading);
            reading = if reading + 1 >= slots.count { 0 } else { reading + 1 };
            self.expect(descriptor.buffer);
            descriptor
        };
        ahead.iter_mut().take(most).for_each(|place| *place = read());
        let (mut end, mut room, mut copied) = (out.len(), out.capacity(), 0);
        for (offset, original) in cells {
            let descriptor = ahead[copied % AHEAD];
            if copied + AHEAD < most {
                ahead[copied % AHEAD] = read();
            }
            let length = usize::from(descriptor.length);
            let Some(place) = self.place(descriptor.buffer, 0, length) else { break };
            if descriptor.flags & MORE_FRAGMENTS != 0 {
                break;
            }
            if room - end < length.max(SHORT_OCTETS) {
                // SAFETY: the octets up to `end` were initialised, inside of what was reserved.
                unsafe { out.set_len(end) };
                out.reserve((length.max(end.checked_div(copied).unwrap_or(0)) + 1) * (most - copied) + SHORT_OCTETS);
                room = out.capacity();
            }
            // SAFETY: `place` begins a buffer of at least SHORT_OCTETS octets (checked by `new`) and not less than `length`,
            // inside the region, which is mapped while `self` holds it; behind `end` the vector has room for as many.
            // Constant and variable lengths are apart so that the first needs no call.
            unsafe {
                let (from, to) = (self.base.0.add(place), out.as_mut_ptr().add(end));
                if length <= SHORT_OCTETS {
                    to.copy_from_nonoverlapping(from, SHORT_OCTETS);
                } else {
                    to.copy_from_nonoverlapping(from, length);
                }
            }
            end += length;
            *offset = end as u64;
            *original = u32::from(descriptor.length);
            copied += 1;
        }
        // SAFETY: as above.
        unsafe { out.set_len(end) };
        batch.offsets.truncate(before + 1 + copied);
        batch.original_lengths.truncate(before + copied);
        copied as u32
    }

    /// Write the frames between `offsets` to the buffers of slots from `first` on, one each, which then begin with them.
    /// How many: at most `most`, up to the first frame that does not fit, or slot that names no buffer.
    ///
    /// Each descriptor is copied once; those read ahead of a slot that ends this are forgotten.
    pub(crate) fn fill_frames(
        &self,
        slots: &Slots,
        first: u32,
        most: usize,
        octets: &[u8],
        offsets: &[u64],
        masked: bool,
    ) -> u32 {
        let most = most.min(offsets.len().saturating_sub(1));
        let capacity = self.octets.min(usize::from(u16::MAX));
        let after = |slot: u32| if slot + 1 >= slots.count { 0 } else { slot + 1 };
        let (mut ahead, mut reading) = ([0; AHEAD], first);
        let mut read = || {
            let buffer = slots.read(reading).buffer;
            reading = after(reading);
            self.expect(buffer);
            buffer
        };
        ahead.iter_mut().take(most).for_each(|place| *place = read());
        let (mut filled, mut slot) = (0, first);
        for pair in offsets.windows(2).take(most) {
            let (start, length) = (pair[0] as usize, pair[1].wrapping_sub(pair[0]) as usize);
            let buffer = ahead[filled % AHEAD];
            if filled + AHEAD < most {
                ahead[filled % AHEAD] = read();
            }
            let (true, Some(rest)) = (length <= capacity, octets.get(start..)) else { break };
            if !self.fill(buffer, rest, length) {
                break;
            }
            if masked {
                slots.set_pointer(slot, 0);
            }
            slots.write(slot, Descriptor { buffer, length: length as u16, flags: 0 });
            slot = after(slot);
            filled += 1;
        }
        filled as u32
    }

    /// Copy pieces back to back behind `out`; pieces that are not inside the region, which none from `place` is, are not
    /// copied.
    pub(crate) fn gather(&self, pieces: &[Piece], out: &mut Vec<u8>) {
        let octets: usize = pieces.iter().map(|piece| piece.length as usize).sum();
        out.reserve(octets + SHORT_OCTETS);
        let (base, limit) = (self.base, self.region_octets);
        let (mut target, begin) = (out.as_mut_ptr().wrapping_add(out.len()), out.len());
        let mut copied = 0;
        for piece in pieces {
            let length = piece.length as usize;
            let short = piece.short && length <= SHORT_OCTETS;
            let needed = if short { SHORT_OCTETS } else { length };
            if piece.place.checked_add(needed).is_none_or(|end| end > limit) {
                continue;
            }
            // SAFETY: `needed` octets at `place` are inside the region, as just compared, which is mapped while `self` holds
            // it; room for all pieces and SHORT_OCTETS more was reserved behind the vector's end, and `copied` of it are
            // used, no more than `octets` with this piece.  Constant and variable lengths are apart so that the first needs
            // no call.
            unsafe {
                let from = base.0.add(piece.place);
                if short {
                    target.copy_from_nonoverlapping(from, SHORT_OCTETS);
                } else {
                    target.copy_from_nonoverlapping(from, length);
                }
                target = target.add(length);
            }
            copied += length;
        }
        // SAFETY: so many octets behind the old end were just initialised, inside of what was reserved.
        unsafe { out.set_len(begin + copied) };
    }

    /// The first word of a buffer: in the list of extra buffers, the next one.
    pub(crate) fn first_word(&self, buffer: u32) -> Option<u32> {
        self.memory.load_acquire(self.place(buffer, 0, 4)?)
    }

    pub(crate) fn set_first_word(&self, buffer: u32, value: u32) {
        if let Some(place) = self.place(buffer, 0, 4) {
            self.memory.store_release(place, value);
        }
    }
}

/// Octets of a frame in the region, and whether the frame ends with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) place: usize,
    pub(crate) length: u32,
    pub(crate) last: bool,
    /// Whether SHORT_OCTETS from `place` on are in the same buffer, and enough.
    pub(crate) short: bool,
}
