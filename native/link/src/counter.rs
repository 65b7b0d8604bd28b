//! Frame counters: what the next count says about the frames between.

/// What one count says, after the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// In sequence, or the first of its channel, or a channel whose counter does not count.
    InSequence,
    /// That many frames are missing; of an eight-bit counter, at least that many.
    Gap(u64),
    /// A little back: a frame that was overtaken.
    Late,
    /// Back: the counter was set anew.
    Reset,
}

/// Late frames that follow each other in sequence are a reset after this many.
const LATE_RUN: u32 = 4;

/// State of one counter.
#[derive(Debug, Clone, Default)]
pub struct FrameCounter {
    /// Last count in the order of the counter.
    last: Option<u64>,
    modulus_bits: u32,
    late_last: u64,
    late_run: u32,
}

impl FrameCounter {
    /// Judge a count of `bits` bits.  Back by at most `late_window` is late; an eight-bit counter
    /// comes around too often to tell back from forward, so it always goes forward.
    pub fn step(&mut self, count: u64, bits: u32, late_window: u32) -> Step {
        let mask = if bits >= 64 { u64::MAX } else { (1 << bits) - 1 };
        let changed = std::mem::replace(&mut self.modulus_bits, bits) != bits;
        let Some(last) = self.last else {
            self.last = Some(count);
            return Step::InSequence;
        };
        let mask = if changed { mask & 0xFF_FFFF } else { mask };
        let ahead = count.wrapping_sub(last).wrapping_sub(1) & mask;
        let back = last.wrapping_sub(count) & mask;
        if bits > 8 && ahead > mask / 2 {
            return self.step_back(count, back, late_window, mask);
        }
        self.late_run = 0;
        self.last = Some(count);
        if ahead == 0 { Step::InSequence } else { Step::Gap(ahead) }
    }

    fn step_back(&mut self, count: u64, back: u64, late_window: u32, mask: u64) -> Step {
        let follows = self.late_run > 0 && count & mask == self.late_last.wrapping_add(1) & mask;
        self.late_run = if follows { self.late_run + 1 } else { 1 };
        self.late_last = count;
        if back <= u64::from(late_window) && self.late_run < LATE_RUN {
            return Step::Late;
        }
        self.late_run = 0;
        self.last = Some(count);
        Step::Reset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(counts: &[u64], bits: u32) -> Vec<Step> {
        let mut counter = FrameCounter::default();
        counts.iter().map(|count| counter.step(*count, bits, 64)).collect()
    }

    #[test]
    fn gaps_and_wraps() {
        use Step::*;
        assert_eq!(steps(&[254, 255, 0, 3], 8), [InSequence, InSequence, InSequence, Gap(2)]);
        assert_eq!(steps(&[5, 4], 8), [InSequence, Gap(254)]);
        assert_eq!(steps(&[5, 5], 8), [InSequence, Gap(255)]);
        assert_eq!(steps(&[0xFF_FFFF, 0, 10], 24), [InSequence, InSequence, Gap(9)]);
    }

    #[test]
    fn back_is_late_or_reset_and_never_millions_lost() {
        use Step::*;
        assert_eq!(steps(&[10, 12, 11, 13], 24), [InSequence, Gap(1), Late, InSequence]);
        assert_eq!(steps(&[100_000, 0, 1], 24), [InSequence, Reset, InSequence]);
        let restarted = steps(&[30, 0, 1, 2, 3, 4], 24);
        assert_eq!(restarted, [InSequence, Late, Late, Late, Reset, InSequence]);
        assert_eq!(steps(&[0xFFF_FFFF, 0, 2], 28), [InSequence, InSequence, Gap(1)]);
    }

    #[test]
    fn the_cycle_may_come_into_use() {
        let mut counter = FrameCounter::default();
        assert_eq!(counter.step(7, 24, 64), Step::InSequence);
        assert_eq!(counter.step(0x300_0008, 28, 64), Step::InSequence);
        assert_eq!(counter.step(0x300_0009, 28, 64), Step::InSequence);
        assert_eq!(counter.step(10, 24, 64), Step::InSequence);
    }
}
