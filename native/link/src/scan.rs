//! Marker search at every bit offset, and octets cut out at a bit offset.
//!
//! One portable body, compiled a second time with the wide instructions that most machines have.

/// First bit position from `from` to before `limit` whose marker distance is tolerable, either polarity.
///
/// Positions count from the first bit of `octets`; every window read lies inside `octets`.
pub(crate) fn find(octets: &[u8], from: usize, limit: usize, marker: &Marker) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    {
        if x86::is_available() {
            return x86::find(octets, from, limit, marker);
        }
    }
    find_body(octets, from, limit, marker)
}

/// Append `count` octets that start at bit `from`, straight into memory that was never filled.
pub(crate) fn append_bits(octets: &[u8], from: usize, count: usize, invert: bool, out: &mut Vec<u8>) {
    let start = from / 8;
    let shift = from % 8;
    let mask = if invert { 0xFF } else { 0 };
    let high = &octets[start..start + count];
    if shift == 0 {
        let begin = out.len();
        out.extend_from_slice(high);
        if invert {
            out[begin..].iter_mut().for_each(|octet| *octet ^= mask);
        }
        return;
    }
    let low = &octets[start + 1..start + 1 + count];
    out.extend(high.iter().zip(low).map(|(high, low)| ((high << shift) | (low >> (8 - shift))) ^ mask));
}

/// Tell the processor that `count` octets from bit `from` on will be read soon; what lies outside is left out.
pub(crate) fn prefetch(octets: &[u8], from: usize, count: usize) {
    let start = (from / 8).min(octets.len());
    let end = (start + count).min(octets.len());
    #[cfg(target_arch = "x86_64")]
    x86::prefetch(&octets[start..end]);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (start, end); // the processor's own guess has to do
}

/// A marker of up to 64 bits and what of it may be wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marker {
    pub(crate) pattern: u64,
    pub(crate) bits: u32,
    pub(crate) tolerated_errors: u32,
    pub(crate) accept_inverted: bool,
}

impl Marker {
    /// Errors and polarity of a window that is near enough.
    #[inline(always)]
    pub(crate) fn judge(&self, window: u64) -> Option<(u32, bool)> {
        let errors = (window ^ self.pattern).count_ones();
        if errors <= self.tolerated_errors {
            Some((errors, false))
        } else if self.accept_inverted && self.bits - errors <= self.tolerated_errors {
            Some((self.bits - errors, true))
        } else {
            None
        }
    }

    /// The window at bit `at`, which must lie inside `octets`.
    #[inline(always)]
    pub(crate) fn window(&self, octets: &[u8], at: usize) -> u64 {
        let first = at / 8;
        let last = (at + self.bits as usize).div_ceil(8);
        let mut wide = 0u128;
        for octet in &octets[first..last] {
            wide = (wide << 8) | u128::from(*octet);
        }
        let spare = last * 8 - (at + self.bits as usize);
        ((wide >> spare) as u64) & self.mask()
    }

    #[inline(always)]
    fn mask(&self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }
}

#[inline(always)]
fn find_body(octets: &[u8], from: usize, limit: usize, marker: &Marker) -> Option<usize> {
    let mut at = from;
    while at < limit {
        let eight = marker.bits <= 32 && at.is_multiple_of(8) && at + 8 <= limit && at / 8 + 8 <= octets.len();
        if eight && !any_of_eight(&octets[at / 8..at / 8 + 8], marker) {
            at += 8;
            continue;
        }
        if marker.judge(marker.window(octets, at)).is_some() {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Does any of the eight windows that start in the first of these eight octets come near a short marker?
#[inline(always)]
fn any_of_eight(octets: &[u8], marker: &Marker) -> bool {
    let pattern = (marker.pattern as u32) << (32 - marker.bits);
    let mask = u32::MAX << (32 - marker.bits);
    let mut word = [0u8; 8];
    word.copy_from_slice(octets);
    let word = u64::from_be_bytes(word);
    let mut hit = false;
    for shift in 0..8 {
        let errors = ((((word << shift) >> 32) as u32 ^ pattern) & mask).count_ones();
        hit |= errors <= marker.tolerated_errors;
        hit |= marker.accept_inverted & (errors + marker.tolerated_errors >= marker.bits);
    }
    hit
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![allow(unsafe_code)]
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

    use super::{Marker, find_body};

    const LINE_OCTETS: usize = 64;

    pub(super) fn prefetch(octets: &[u8]) {
        for line in octets.chunks(LINE_OCTETS) {
            // SAFETY: the pointer is that of a slice; a prefetch reads nothing that a program could see, and SSE is
            // part of x86-64.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
    }

    /// Whether this processor has every instruction that `find` is compiled for; a hypervisor may hide any of them.
    pub(super) fn is_available() -> bool {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
    }

    pub(super) fn find(octets: &[u8], from: usize, limit: usize, marker: &Marker) -> Option<usize> {
        #[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
        fn inner(octets: &[u8], from: usize, limit: usize, marker: &Marker) -> Option<usize> {
            find_body(octets, from, limit, marker)
        }
        // SAFETY: the caller has asked `is_available`, which checks each of the features above.
        unsafe { inner(octets, from, limit, marker) }
    }
}
