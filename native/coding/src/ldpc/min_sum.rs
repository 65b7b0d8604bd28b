//! Normalised min-sum with a layered schedule: 32 code words at a time, one in each lane.
//!
//! A lane never sees another, so a word decodes alike wherever it stands; integers make the variants equal bit for bit.

use super::graph::Graph;
use super::variant::{Variant, Work};

/// Code words decoded together.
pub(crate) const LANES: usize = 32;

/// One value for each of the words.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Lanes(pub(crate) [i16; LANES]);

impl Lanes {
    pub(crate) const ZERO: Lanes = Lanes([0; LANES]);
}

/// What 32 words have come to.
pub(crate) struct State {
    /// Sum of all that is known of each bit; negative favours 1.
    totals: Vec<Lanes>,
    /// Last message from each check to each of its bits.
    messages: Vec<Lanes>,
    /// Zero where a word has just come in, whose messages are those of its predecessor; else all ones.
    keep: Lanes,
}

impl State {
    pub(crate) fn new(graph: &Graph) -> State {
        State { totals: vec![Lanes::ZERO; graph.bits], messages: vec![Lanes::ZERO; graph.edges()], keep: Lanes::ZERO }
    }

    /// One iteration; all ones for each word that is one of the code now, every bit being decided, else zero.
    pub(crate) fn iterate(&mut self, graph: &Graph, variant: Variant) -> Lanes {
        let done = variant.run(Iteration { state: self, graph });
        self.keep.0 = [-1; LANES];
        done
    }

    /// Put a word into a lane; bits that were not sent are unknown.
    pub(crate) fn enter(&mut self, lane: usize, sent: &[i16]) {
        let (totals, punctured) = self.totals.split_at_mut(sent.len());
        totals.iter_mut().zip(sent).for_each(|(total, integer)| total.0[lane] = *integer);
        punctured.iter_mut().for_each(|total| total.0[lane] = 0);
        self.keep.0[lane] = 0;
    }

    /// What became of the bits sent of the word in a lane.
    pub(crate) fn leave(&self, lane: usize, sent: &mut [i16]) {
        sent.iter_mut().zip(&self.totals).for_each(|(integer, total)| *integer = total.0[lane]);
    }
}

struct Iteration<'a> {
    state: &'a mut State,
    graph: &'a Graph,
}

impl Work for Iteration<'_> {
    type Output = Lanes;

    #[inline(always)]
    fn run(self) -> Lanes {
        iterate(self.state, self.graph)
    }
}

#[inline(always)]
fn iterate(state: &mut State, graph: &Graph) -> Lanes {
    let State { totals, messages, keep } = state;
    for (start, bits) in graph.checks() {
        // Eight is the weight of every check of telecommand: known to the compiler, all stays in registers.
        match (<&[u16; 8]>::try_from(bits), messages[start..].first_chunk_mut::<8>()) {
            (Ok(bits), Some(messages)) => check(totals, bits, messages, keep, &mut [Lanes::ZERO; 8]),
            _ => {
                let scratch = &mut vec![Lanes::ZERO; bits.len()];
                check(totals, bits, &mut messages[start..start + bits.len()], keep, scratch);
            }
        }
    }
    codewords(totals, graph)
}

/// Take back what a check has said to its bits, and let it say it anew.
#[inline(always)]
fn check(totals: &mut [Lanes], bits: &[u16], messages: &mut [Lanes], keep: &Lanes, known: &mut [Lanes]) {
    for (known, &bit) in known.iter_mut().zip(bits) {
        *known = totals[usize::from(bit)];
    }
    for lane in 0..LANES {
        let (mut least, mut second, mut sign) = (i16::MAX, i16::MAX, 0);
        for (known, message) in known.iter_mut().zip(messages.iter()) {
            let other = symmetric(known.0[lane].saturating_sub(message.0[lane] & keep.0[lane]));
            let magnitude = other.wrapping_abs();
            second = second.min(least.max(magnitude));
            least = least.min(magnitude);
            sign ^= other;
            known.0[lane] = other;
        }
        let (to_others, to_least) = (normalised(least), normalised(second));
        for (known, message) in known.iter_mut().zip(messages.iter_mut()) {
            let other = known.0[lane];
            let magnitude = if other.wrapping_abs() == least { to_least } else { to_others };
            let negative = (sign ^ other) >> 15;
            let said = (magnitude ^ negative) - negative;
            message.0[lane] = said;
            known.0[lane] = symmetric(other.saturating_add(said));
        }
    }
    for (known, &bit) in known.iter().zip(bits) {
        totals[usize::from(bit)] = *known;
    }
}

/// Min-sum believes too much; three quarters of it is about what sum-product would say.
#[inline(always)]
fn normalised(magnitude: i16) -> i16 {
    magnitude - (magnitude >> 2)
}

/// Keep clear of the one value whose negative does not exist.
#[inline(always)]
fn symmetric(value: i16) -> i16 {
    value.max(-i16::MAX)
}

#[inline(always)]
fn codewords(totals: &[Lanes], graph: &Graph) -> Lanes {
    let mut wrong = Lanes::ZERO;
    for total in totals {
        for lane in 0..LANES {
            wrong.0[lane] |= if total.0[lane] == 0 { -1 } else { 0 };
        }
    }
    for (_, bits) in graph.checks() {
        let mut sign = Lanes::ZERO;
        for &bit in bits {
            for lane in 0..LANES {
                sign.0[lane] ^= totals[usize::from(bit)].0[lane];
            }
        }
        for lane in 0..LANES {
            wrong.0[lane] |= sign.0[lane];
        }
    }
    Lanes(wrong.0.map(|wrong| !(wrong >> 15)))
}
