//! Ticks of a capture's clock to nanoseconds since 1970.  Source: pcapng draft, if_tsresol and if_tsoffset.

const NS: i128 = 1_000_000_000;

/// How an interface counts time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    resolution: u8,
    offset_s: i64,
    /// Nanoseconds per tick when that is a whole number and there is no offset: the common case.
    whole_ns: Option<u64>,
}

impl Clock {
    /// `resolution` as in if_tsresol: a negative power of ten, or of two with the top bit set.
    pub(crate) fn new(resolution: u8, offset_s: i64) -> Self {
        let whole_ns = (resolution <= 9 && offset_s == 0).then(|| 10u64.pow(9 - u32::from(resolution)));
        Self { resolution, offset_s, whole_ns }
    }

    /// Nanoseconds since 1970, or None where that is negative or more than an int64 holds.
    #[inline(always)]
    pub(crate) fn nanoseconds(&self, ticks: u64) -> Option<i64> {
        if let Some(each) = self.whole_ns {
            return ticks.checked_mul(each).and_then(|ns| i64::try_from(ns).ok());
        }
        self.nanoseconds_slowly(ticks)
    }

    #[cold]
    fn nanoseconds_slowly(&self, ticks: u64) -> Option<i64> {
        let ticks = i128::from(ticks);
        let power = u32::from(self.resolution & 0x7F);
        let since = if self.resolution & 0x80 != 0 {
            (ticks * NS) >> power // 64 + 30 bits: fits, and power is at most 127
        } else if power <= 9 {
            ticks * 10i128.pow(9 - power)
        } else {
            10i128.checked_pow(power - 9).map_or(0, |each| ticks / each)
        };
        let ns = since + i128::from(self.offset_s) * NS;
        i64::try_from(ns).ok().filter(|ns| *ns >= 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bases_and_the_offset() {
        assert_eq!(Clock::new(6, 0).nanoseconds(1_500_000), Some(1_500_000_000));
        assert_eq!(Clock::new(9, 0).nanoseconds(7), Some(7));
        assert_eq!(Clock::new(0, 0).nanoseconds(3), Some(3_000_000_000));
        assert_eq!(Clock::new(12, 0).nanoseconds(1_999), Some(1));
        assert_eq!(Clock::new(127, 0).nanoseconds(u64::MAX), Some(0));
        assert_eq!(Clock::new(0x80 | 10, 0).nanoseconds(512), Some(500_000_000));
        assert_eq!(Clock::new(0xFF, 0).nanoseconds(u64::MAX), Some(0));
        assert_eq!(Clock::new(6, -1).nanoseconds(1_000_001), Some(1_000));
    }

    #[test]
    fn out_of_range_is_unknown() {
        assert_eq!(Clock::new(6, 0).nanoseconds(u64::MAX), None);
        assert_eq!(Clock::new(6, -2).nanoseconds(1_000_000), None);
        assert_eq!(Clock::new(9, i64::MAX).nanoseconds(0), None);
    }
}
