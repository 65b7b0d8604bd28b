//! Start sequences looked for at any bit offset: sixteen bits in hard decisions, any number in soft symbols.
//! Source: CCSDS 231.0-B-4, section 5.

use std::sync::OnceLock;

const PATTERN: u16 = 0xEB90;
/// Errors that can be tolerated in the sixteen bits; with more, noise would start a CLTU every hundred bits.
pub const MAXIMUM_TOLERATED_ERRORS: u32 = 3;
const FILTERS: usize = 2 * (MAXIMUM_TOLERATED_ERRORS as usize + 1);

/// Finds the start sequence of BCH CLTUs.
#[derive(Clone, Copy)]
pub(crate) struct StartSequence {
    tolerated_errors: u32,
    accept_inverted: bool,
    /// Of each pair of octets: may a start sequence begin in the first of them?
    filter: &'static [bool],
}

/// A start sequence: the index of its first bit, its bits in error, and whether all of it is inverted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) at: usize,
    pub(crate) errors: u32,
    pub(crate) inverted: bool,
}

impl StartSequence {
    pub(crate) fn new(tolerated_errors: u32, accept_inverted: bool) -> Self {
        static CACHE: [OnceLock<Vec<bool>>; FILTERS] = [const { OnceLock::new() }; FILTERS];
        let tolerated_errors = tolerated_errors.min(MAXIMUM_TOLERATED_ERRORS);
        let filter = CACHE[2 * tolerated_errors as usize + usize::from(accept_inverted)]
            .get_or_init(|| (0..=u16::MAX).map(|pair| may_begin(pair, tolerated_errors, accept_inverted)).collect());
        StartSequence { tolerated_errors, accept_inverted, filter }
    }

    fn judge(&self, window: u16) -> Option<(u32, bool)> {
        let errors = (window ^ PATTERN).count_ones();
        if errors <= self.tolerated_errors {
            Some((errors, false))
        } else if self.accept_inverted && 16 - errors <= self.tolerated_errors {
            Some((16 - errors, true))
        } else {
            None
        }
    }

    /// The first start sequence that begins at bit `from` or later, among the first `bits` bits of `octets`.
    pub(crate) fn find(&self, octets: &[u8], bits: usize, from: usize) -> Option<Found> {
        let mut octet = from / 8;
        let mut least = from % 8;
        while 8 * octet + least + 16 <= bits {
            if least == 0 {
                // Whole windows of three octets are held as far as this reaches.
                octet += self.quiet(octets.get(octet..bits / 8)?);
            }
            let window = three(octets, octet);
            for shift in least..8 {
                let at = 8 * octet + shift;
                if at + 16 > bits {
                    return None;
                }
                if let Some((errors, inverted)) = self.judge((window << shift >> 8) as u16) {
                    return Some(Found { at, errors, inverted });
                }
            }
            octet += 1;
            least = 0;
        }
        None
    }

    /// Octets at the front in which no start sequence can begin; those that the last ones may hold are not looked at.
    fn quiet(&self, octets: &[u8]) -> usize {
        let pairs = octets.windows(2).take(octets.len().saturating_sub(2));
        let total = pairs.len();
        pairs
            .map(|pair| usize::from(u16::from_be_bytes([pair[0], pair[1]])))
            .position(|pair| self.filter[pair])
            .unwrap_or(total)
    }
}

/// Three octets from `octet` on in the upper bits of a word of 24; zeros where there are none.
fn three(octets: &[u8], octet: usize) -> u32 {
    (0..3).fold(0, |window, i| window << 8 | u32::from(octets.get(octet + i).copied().unwrap_or(0)))
}

fn may_begin(pair: u16, tolerated_errors: u32, accept_inverted: bool) -> bool {
    (0..8).any(|shift| {
        let mask = u16::MAX << shift; // the bits of the window that the pair holds
        let differing = ((pair << shift) ^ PATTERN) & mask;
        let errors = differing.count_ones();
        errors <= tolerated_errors || (accept_inverted && mask.count_ones() - errors <= tolerated_errors)
    })
}

/// The first place, from symbol `from` on, at which soft symbols look like `pattern` (true for a one), and whether
/// they are inverted.
///
/// `llr` holds ln P(0)/P(1).  Two vectors point in the same direction as far as the cosine of the angle between them
/// says; `least_cosine`, above 0, is what is asked for.  Hard decisions with e errors in n symbols have 1 - 2 e / n.
pub fn find_soft(
    llr: &[f32],
    pattern: &[bool],
    from: usize,
    least_cosine: f64,
    accept_inverted: bool,
) -> Option<(usize, bool)> {
    let signs: Vec<f32> = pattern.iter().map(|one| if *one { -1.0 } else { 1.0 }).collect();
    let least = least_cosine * least_cosine * signs.len() as f64;
    llr.get(from..)?.windows(signs.len().max(1)).enumerate().find_map(|(at, window)| {
        let (correlation, energy) = correlate(window, &signs);
        let near = energy > 0.0 && correlation * correlation >= least * energy;
        let inverted = correlation < 0.0;
        (near && (accept_inverted || !inverted)).then_some((from + at, inverted))
    })
}

/// The cosine of the angle between soft symbols and `pattern`, of the same length; 0 where the symbols say nothing.
pub fn cosine(llr: &[f32], pattern: &[bool]) -> f64 {
    let signs: Vec<f32> = pattern.iter().map(|one| if *one { -1.0 } else { 1.0 }).collect();
    let (correlation, energy) = correlate(llr, &signs);
    if energy > 0.0 { correlation / (energy * signs.len() as f64).sqrt() } else { 0.0 }
}

/// Sum of the products and sum of the squares; in lanes of eight, always in the same order.
fn correlate(window: &[f32], signs: &[f32]) -> (f64, f64) {
    let (mut products, mut squares) = ([0.0_f32; 8], [0.0_f32; 8]);
    for (symbols, signs) in window.chunks(8).zip(signs.chunks(8)) {
        for (i, (symbol, sign)) in symbols.iter().zip(signs).enumerate() {
            products[i] += symbol * sign;
            squares[i] += symbol * symbol;
        }
    }
    let total = |lanes: [f32; 8]| lanes.iter().map(|lane| f64::from(*lane)).sum();
    (total(products), total(squares))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(bits: &[bool], from: usize, tolerated: u32, inverted_too: bool) -> Option<Found> {
        (from..(bits.len() + 1).saturating_sub(16)).find_map(|at| {
            let errors = (0..16).filter(|i| bits[at + i] != (PATTERN >> (15 - i) & 1 == 1)).count() as u32;
            if errors <= tolerated {
                Some(Found { at, errors, inverted: false })
            } else if inverted_too && 16 - errors <= tolerated {
                Some(Found { at, errors: 16 - errors, inverted: true })
            } else {
                None
            }
        })
    }

    #[test]
    fn equals_the_search_bit_by_bit() {
        let mut state = 7_u64;
        let mut octets = Vec::new();
        for i in 0..4000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            octets.push((state >> 56) as u8);
            if i % 97 == 0 {
                octets.extend([0xEB, 0x90]);
            }
            if i % 101 == 0 {
                octets.extend([0x1D, 0x72, 0x00, 0x14, 0x6F]);
            }
        }
        let bits: Vec<bool> = octets.iter().flat_map(|o| (0..8).rev().map(move |i| o >> i & 1 == 1)).collect();
        for tolerated in 0..=3 {
            for inverted in [false, true] {
                let start = StartSequence::new(tolerated, inverted);
                for length in [0, 15, 16, 17, 23, 24, 25, 100, bits.len() - 3, bits.len()] {
                    let mut from = 0;
                    loop {
                        let found = start.find(&octets, length, from);
                        assert_eq!(found, slow(&bits[..length], from, tolerated, inverted));
                        let Some(found) = found else { break };
                        from = found.at + 1;
                    }
                }
            }
        }
    }

    #[test]
    fn soft_search_of_hard_decisions_counts_errors() {
        let pattern: Vec<bool> = (0..64).map(|i| 0x0347_76C7_2728_95B0_u64 >> (63 - i) & 1 == 1).collect();
        let mut llr: Vec<f32> = (0..300).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        for (i, one) in pattern.iter().enumerate() {
            llr[101 + i] = if *one != (i % 6 == 0) { -1.0 } else { 1.0 }; // eleven errors
        }
        let least = |errors: f64| 1.0 - 2.0 * errors / 64.0;
        assert_eq!(find_soft(&llr, &pattern, 0, least(11.0), false), Some((101, false)));
        assert_eq!(find_soft(&llr, &pattern, 101, least(11.0), true), Some((101, false)));
        assert_eq!(find_soft(&llr, &pattern, 0, least(10.0), true), None);
        assert!((cosine(&llr[101..165], &pattern) - least(11.0)).abs() < 1e-12);
        llr.iter_mut().for_each(|symbol| *symbol *= -3.0);
        assert_eq!(find_soft(&llr, &pattern, 0, least(11.0), true), Some((101, true)));
        assert_eq!(find_soft(&llr, &pattern, 0, least(11.0), false), None);
        assert_eq!(find_soft(&[0.0; 200], &pattern, 0, 0.1, true), None);
        assert_eq!(find_soft(&llr, &pattern, 1000, 0.1, true), None);
    }
}
