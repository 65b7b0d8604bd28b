//! One ring: its words in the memory, its slots, and the syncs around them.
use std::io;
use std::sync::Arc;

use netmap_io_rings::memory::Mapping;

use crate::layout::{RING_TIMESTAMP, ring};
use crate::region::{Pool, Slots};
use crate::words::Words;

/// No ring has so many slots: a head of this makes the kernel side put its own words in.
const OUT_OF_RANGE: u32 = u32::MAX;
/// No module makes larger rings.
const MOST_SLOTS: u32 = 1 << 20;

/// What a ring said that cannot be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// Somebody else wrote head or cur; the kernel side was asked for its position.
    pub words_changed: u64,
    /// The kernel side's tail could not be; it was asked again.
    pub wrong_tails: u64,
    /// The kernel side was elsewhere than where we had left it; its position was taken over.
    pub positions_lost: u64,
}

impl std::ops::AddAssign for Trouble {
    fn add_assign(&mut self, other: Self) {
        self.words_changed += other.words_changed;
        self.wrong_tails += other.wrong_tails;
        self.positions_lost += other.positions_lost;
    }
}

/// Where a ring stands when the words that it shows contradict each other even after the kernel side wrote them anew.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contradiction;

/// Our side of one ring.
pub(crate) struct Ring {
    memory: Arc<Mapping>,
    header: usize,
    pub(crate) slots: Slots,
    pub(crate) pool: Pool,
    pub(crate) words: Words,
    /// Number among the rings of its direction; host rings come after the hardware's.
    pub(crate) number: u32,
    /// Whether frames get the time of the sync that brought them; and that of the last one that did, -1 unknown.
    pub(crate) stamped: bool,
    pub(crate) stamp: i64,
    shown: (u32, u32),
    trouble: Trouble,
    broken: bool,
}

impl Ring {
    /// The ring whose header is at `header`.  `total`: one more than the greatest buffer index, where known.
    pub(crate) fn attach(memory: &Arc<Mapping>, header: usize, number: u32, total: u32) -> Result<Self, String> {
        let wrong = |what: &str| format!("ring {number} of the registration {what}");
        let inside = header.checked_add(ring::HEADER_OCTETS).is_some_and(|end| end <= memory.len());
        if !inside || !(memory.address().addr() + header).is_multiple_of(8) {
            return Err(wrong("is not inside the memory region"));
        }
        let word = |offset| memory.load_acquire(header + offset).unwrap_or(0);
        let (count, octets) = (word(ring::SLOTS), word(ring::BUFFER_OCTETS));
        if !(2..=MOST_SLOTS).contains(&count) {
            return Err(wrong(&format!("has {count} slots; a ring is usable from 2 on")));
        }
        let buffers = i64::from_ne_bytes(memory.read(header + ring::BUFFER_OFFSET).unwrap_or_default());
        let start = i64::try_from(header).ok().and_then(|header| header.checked_add(buffers));
        let start = start.and_then(|start| usize::try_from(start).ok());
        let pool = start.and_then(|start| Pool::new(memory, start, octets, total));
        let pool = pool.ok_or_else(|| wrong("has no buffers inside the memory region"))?;
        let slots = Slots::new(memory, header + ring::HEADER_OCTETS, count);
        let slots = slots.ok_or_else(|| wrong("has slots outside the memory region"))?;
        let (head, cur, tail) = (word(ring::HEAD), word(ring::CUR), word(ring::TAIL));
        let fresh = Words::new(count, head, head, tail);
        let mut trouble = Trouble::default();
        trouble.words_changed += u64::from(fresh.is_none());
        let words = fresh.or_else(|| Words::new(count, 0, 0, 0)).ok_or_else(|| wrong("has no slots"))?;
        Ok(Self {
            memory: Arc::clone(memory),
            header,
            slots,
            pool,
            words,
            number,
            stamped: false,
            stamp: -1,
            shown: (head, cur),
            trouble,
            broken: fresh.is_none(),
        })
    }

    fn load(&self, offset: usize) -> u32 {
        self.memory.load_acquire(self.header + offset).unwrap_or(OUT_OF_RANGE)
    }

    fn store(&self, offset: usize, value: u32) {
        self.memory.store_release(self.header + offset, value);
    }

    /// Ask for time stamps at each sync.
    pub(crate) fn ask_for_timestamps(&self) {
        self.store(ring::FLAGS, self.load(ring::FLAGS) | RING_TIMESTAMP);
    }

    /// Nanoseconds since 1970 of the last sync, -1 where the ring does not say.
    pub(crate) fn timestamp_ns(&self) -> i64 {
        let number = |offset| i64::from_ne_bytes(self.memory.read(self.header + offset).unwrap_or_default());
        let (seconds, microseconds) = (number(ring::SECONDS), number(ring::MICROSECONDS));
        let good = seconds > 0 && (0..1_000_000).contains(&microseconds);
        let nanoseconds = seconds.checked_mul(1_000_000_000).and_then(|all| all.checked_add(microseconds * 1000));
        nanoseconds.filter(|_| good).unwrap_or(-1)
    }

    /// Which bits of a slot's pointer word say where its frame begins; 0: frames begin with their buffers.
    pub(crate) fn offset_mask(&self) -> u64 {
        u64::from_ne_bytes(self.memory.read(self.header + ring::OFFSET_MASK).unwrap_or_default())
    }

    /// Write our words into the memory, where the kernel side finds them in the next sync, ours or one within a poll.
    ///
    /// `cur` goes first: who looks in between sees the old head before it, which is legal too.
    pub(crate) fn show(&mut self) {
        if self.words.legal() && !self.broken {
            self.shown = (self.words.head(), self.words.cur());
            self.store(ring::CUR, self.words.cur());
            self.store(ring::HEAD, self.words.head());
        }
    }

    /// Whether the words in the memory are those that we wrote there.
    pub(crate) fn untouched(&self) -> bool {
        !self.broken && (self.load(ring::HEAD), self.load(ring::CUR)) == self.shown
    }

    /// After a sync: take over the new tail.  False: it cannot be.
    pub(crate) fn collect(&mut self) -> bool {
        self.words.mark_synced();
        let before = self.words.tail();
        let good = self.words.accept(self.load(ring::TAIL));
        if self.stamped && self.words.tail() != before {
            self.stamp = self.timestamp_ns();
        }
        self.trouble.wrong_tails += u64::from(!good);
        good
    }

    /// Find the kernel side's position again.
    ///
    /// A head out of range makes its next sync write its own words over all three.  Where that is the position that we
    /// had last told it, ours still holds and nothing is lost; else somebody else moved the ring, and we go on from there.
    pub(crate) fn recover(
        &mut self,
        mut sync: impl FnMut() -> io::Result<()>,
    ) -> Result<Result<(), Contradiction>, io::Error> {
        self.store(ring::CUR, OUT_OF_RANGE);
        self.store(ring::HEAD, OUT_OF_RANGE);
        sync()?;
        let (head, cur, tail) = (self.load(ring::HEAD), self.load(ring::CUR), self.load(ring::TAIL));
        let told = Words::new(self.words.slots(), head, cur, tail).filter(|_| head == cur);
        let Some(told) = told else {
            self.broken = true;
            return Ok(Err(Contradiction));
        };
        let same_place = head == self.words.synced() && !self.broken && self.words.accept(tail);
        if !same_place {
            self.trouble.positions_lost += 1;
            self.words = told;
        }
        self.broken = false;
        self.show();
        Ok(Ok(()))
    }

    /// That somebody else wrote our words, for the account.
    pub(crate) fn count_words_changed(&mut self) {
        self.trouble.words_changed += 1;
    }

    pub(crate) fn trouble(&self) -> Trouble {
        self.trouble
    }
}
