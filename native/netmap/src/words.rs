//! The words of a ring as we hold them: what the memory says is only a letter box.

/// Positions in a ring of `slots` slots.  Kept legal: synced <= head <= cur <= tail, round the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    slots: u32,
    /// `head` when the kernel side last looked: where it believes us to be.
    synced: u32,
    head: u32,
    cur: u32,
    tail: u32,
}

impl Words {
    /// The words of a ring that is taken over.  None: they contradict each other.
    pub fn new(slots: u32, head: u32, cur: u32, tail: u32) -> Option<Self> {
        let words = Self { slots, synced: head, head, cur, tail };
        words.legal().then_some(words)
    }

    /// Slots from `from` on to before `to`.
    #[inline(always)]
    fn distance(&self, from: u32, to: u32) -> u32 {
        if to >= from { to - from } else { to + (self.slots - from) }
    }

    /// The slot `count` slots after `from`; count < slots.
    #[inline(always)]
    fn after(&self, from: u32, count: u32) -> u32 {
        let left = self.slots - from;
        if count < left { from + count } else { count - left }
    }

    /// Whether `old head <= head <= cur <= tail`: looked at before every sync.
    pub fn legal(&self) -> bool {
        let all = [self.synced, self.head, self.cur, self.tail];
        if self.slots < 2 || all.iter().any(|&word| word >= self.slots) {
            return false;
        }
        let [head, cur, tail] = [self.head, self.cur, self.tail].map(|word| self.distance(self.synced, word));
        head <= cur && cur <= tail
    }

    /// Slots in the ring.
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// First slot that is ours.
    pub fn head(&self) -> u32 {
        self.head
    }

    /// First slot that we have not looked at.
    pub fn cur(&self) -> u32 {
        self.cur
    }

    /// First slot that is the kernel side's.
    pub fn tail(&self) -> u32 {
        self.tail
    }

    /// Where the kernel side believes `head` to be.
    pub fn synced(&self) -> u32 {
        self.synced
    }

    /// The slot `count` slots after `cur`; count <= room.
    pub(crate) fn after_cur(&self, count: u32) -> u32 {
        self.after(self.cur, count)
    }

    /// Slots that we have not looked at.
    pub fn room(&self) -> u32 {
        self.distance(self.cur, self.tail)
    }

    /// Slots that are ours or were let go since the last sync.
    pub fn held(&self) -> u32 {
        self.distance(self.synced, self.tail)
    }

    /// Slots looked at and not let go.
    pub fn kept(&self) -> u32 {
        self.distance(self.head, self.cur)
    }

    /// Slots let go since the last sync.
    pub fn unsynced(&self) -> u32 {
        self.distance(self.synced, self.head)
    }

    /// Look past `count` slots, no further than to the tail.
    #[inline(always)]
    pub fn pass(&mut self, count: u32) {
        self.cur = self.after(self.cur, count.min(self.room()));
    }

    /// Let go of all that was looked at.
    pub fn release(&mut self) {
        self.head = self.cur;
    }

    /// The kernel side has looked at `head`.
    pub fn mark_synced(&mut self) {
        self.synced = self.head;
    }

    /// Take over the tail that the memory shows.  False, and nothing done: no kernel side moves it so.
    pub fn accept(&mut self, tail: u32) -> bool {
        let good = tail < self.slots && self.distance(self.synced, tail) >= self.held();
        if good {
            self.tail = tail;
        }
        good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_contradict_each_other_are_refused() {
        for (head, cur, tail, good) in
            [(0, 0, 0, true), (0, 0, 3, true), (2, 3, 1, true), (0, 4, 3, false), (3, 2, 1, false), (1, 1, 4, false)]
        {
            assert_eq!(Words::new(4, head, cur, tail).is_some(), good, "{head} {cur} {tail}");
        }
        assert!(Words::new(0, 0, 0, 0).is_none() && Words::new(1, 0, 0, 0).is_none());
    }

    #[test]
    fn a_tail_moves_forward_only_and_never_past_the_head() {
        for slots in 2..7 {
            for head in 0..slots {
                for had in 0..slots {
                    let words = Words::new(slots, head, head, (head + had) % slots).unwrap();
                    for tail in 0..slots + 3 {
                        let mut moved = words;
                        let ahead = (tail + slots - head) % slots;
                        assert_eq!(moved.accept(tail), tail < slots && ahead >= had);
                        assert!(moved.legal());
                    }
                }
            }
        }
    }

    #[test]
    fn all_moves_keep_the_words_legal() {
        let mut state = 1_u64;
        let mut random = move |below: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % u64::from(below)) as u32
        };
        for _ in 0..2000 {
            let slots = 2 + random(9);
            let start = random(slots);
            let mut words = Words::new(slots, start, start, start).unwrap();
            for _ in 0..40 {
                match random(4) {
                    0 => words.pass(random(2 * slots)),
                    1 => words.release(),
                    2 => words.mark_synced(),
                    _ => drop(words.accept(random(slots + 2))),
                }
                assert!(words.legal(), "{words:?}");
                assert!(words.kept() + words.room() + words.unsynced() == words.held());
            }
        }
    }
}
