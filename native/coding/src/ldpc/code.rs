//! A code: encode, check and decode any number of code words that stand end to end.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use super::Description;
use super::generator::Generator;
use super::graph::Graph;
use super::min_sum::{LANES, State};
use super::ordered_statistics::OrderedStatistics;
use super::quantise::{Decide, DecideSoft, Quantise, TYPICAL};
use super::sum_product::SumProduct;
use super::variant::Variant;

/// More iterations than any word gains from.
pub const MAXIMUM_ITERATIONS: u32 = 1000;
/// Most positions that ordered statistics flips at once.
pub const MAXIMUM_ORDER: u32 = 4;

/// How beliefs are passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Normalised min-sum, layered, many words at once; indifferent to the scale of the ratios.
    MinSum,
    /// Sum-product, flooding, one word at a time in double precision; wants true log-likelihood ratios.
    SumProduct,
}

/// How to decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// How beliefs are passed.
    pub algorithm: Algorithm,
    /// A word that has not converged after that many is given up.
    pub maximum_iterations: u32,
    /// Words given up are tried with ordered statistics of this order.
    pub ordered_statistics: Option<u32>,
    /// How min-sum is computed; without effect on what comes out.
    pub variant: Variant,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            algorithm: Algorithm::MinSum,
            maximum_iterations: 50,
            ordered_statistics: None,
            variant: Variant::best(),
        }
    }
}

/// What was received of code words that stand end to end.
#[derive(Clone, Copy, Debug)]
pub enum Received<'a> {
    /// ln P(0)/P(1) of each bit.
    Soft(&'a [f32]),
    /// Bits, the first one highest.
    Hard(&'a [u8]),
}

/// What became of one code word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Word {
    /// The information octets are those of a word of the code; else they are as received.
    pub converged: bool,
    /// Ordered statistics found it.
    pub ordered_statistics: bool,
    /// Iterations of message passing; 0 where a word of the code was received.
    pub iterations: u32,
    /// Bits sent that differ from the hard decision on them; 0 where not converged.
    pub corrected_bits: u32,
}

/// Octets or ratios that are not a whole number of units, or a result of another size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongLength;

impl fmt::Display for WrongLength {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not a whole number of code words, or no room for as many")
    }
}

impl std::error::Error for WrongLength {}

/// One LDPC code.
#[derive(Debug)]
pub struct Code {
    graph: Graph,
    generator: Generator,
    ordered_statistics: OnceLock<OrderedStatistics>,
}

impl Code {
    /// None where the description is of no code whose last bits check the first ones, in words of 64.
    pub fn new(description: &Description) -> Option<Code> {
        let graph = Graph::new(description)?;
        let sent = graph.bits.checked_sub(description.punctured * description.block)?;
        let generator = Generator::new(&graph, sent)?;
        Some(Code { graph, generator, ordered_statistics: OnceLock::new() })
    }

    /// Octets that one code word carries.
    pub fn information_octets(&self) -> usize {
        self.generator.information_octets
    }

    /// Octets of a code word as sent.
    pub fn codeword_octets(&self) -> usize {
        self.generator.information_octets + self.generator.parity_octets()
    }

    /// The code words of `information`, into `codewords`.
    pub fn encode(&self, information: &[u8], codewords: &mut [u8]) -> Result<(), WrongLength> {
        let count = whole(information.len(), self.information_octets())?;
        if codewords.len() != count * self.codeword_octets() {
            return Err(WrongLength);
        }
        let blocks = information.chunks_exact(self.information_octets());
        for (codeword, block) in codewords.chunks_exact_mut(self.codeword_octets()).zip(blocks) {
            let (start, parity) = codeword.split_at_mut(self.information_octets());
            start.copy_from_slice(block);
            self.generator.encode(block, parity);
        }
        Ok(())
    }

    /// For each code word whether all its parity checks hold.
    pub fn syndromes_are_zero(&self, codewords: &[u8]) -> Result<Vec<bool>, WrongLength> {
        whole(codewords.len(), self.codeword_octets())?;
        let mut parity = vec![0; self.generator.parity_octets()];
        let words = codewords.chunks_exact(self.codeword_octets());
        Ok(words.map(|word| self.is_codeword(word, &mut parity)).collect())
    }

    /// The systematic code has one word for each information: it checks when its parity is that of the encoder.
    fn is_codeword(&self, word: &[u8], parity: &mut [u8]) -> bool {
        let (information, received) = word.split_at(self.information_octets());
        self.generator.encode(information, parity);
        parity == received
    }

    /// Decode all that was received; the octets of word i go to place i of `information`.
    pub fn decode(
        &self,
        received: Received<'_>,
        options: &Options,
        information: &mut [u8],
    ) -> Result<Vec<Word>, WrongLength> {
        let count = match received {
            Received::Soft(llr) => whole(llr.len(), 8 * self.codeword_octets())?,
            Received::Hard(octets) => whole(octets.len(), self.codeword_octets())?,
        };
        if information.len() != count * self.information_octets() {
            return Err(WrongLength);
        }
        let mut decoding = Decoding {
            code: self,
            received,
            options,
            information,
            words: vec![Word::default(); count],
            hard: Cow::Owned(Vec::new()),
            found: vec![0; self.codeword_octets()],
            integers: vec![0; 8 * self.codeword_octets()],
        };
        let damaged = decoding.take_clean();
        match options.algorithm {
            Algorithm::MinSum => decoding.min_sum(&damaged),
            Algorithm::SumProduct => decoding.sum_product(&damaged),
        }
        Ok(decoding.words)
    }

    fn ordered_statistics(&self) -> &OrderedStatistics {
        self.ordered_statistics.get_or_init(|| OrderedStatistics::new(&self.generator))
    }
}

fn whole(length: usize, unit: usize) -> Result<usize, WrongLength> {
    if length.is_multiple_of(unit) { Ok(length / unit) } else { Err(WrongLength) }
}

/// One call of `decode`.
struct Decoding<'a> {
    code: &'a Code,
    received: Received<'a>,
    options: &'a Options,
    information: &'a mut [u8],
    words: Vec<Word>,
    /// Hard decisions on all words.
    hard: Cow<'a, [u8]>,
    /// What a decoder made of one word.
    found: Vec<u8>,
    integers: Vec<i16>,
}

impl Decoding<'_> {
    /// Settle words that are of the code as received; the others' numbers.
    fn take_clean(&mut self) -> Vec<usize> {
        let (code, length) = (self.code, self.found.len());
        let mut silent = vec![];
        self.hard = match self.received {
            Received::Hard(octets) => Cow::Borrowed(octets),
            Received::Soft(llr) => {
                let mut hard = vec![0; llr.len() / 8];
                for (index, octets) in hard.chunks_exact_mut(length).enumerate() {
                    let llr = &llr[8 * length * index..][..8 * length];
                    if !self.options.variant.run(DecideSoft { llr, octets }) {
                        silent.push(index);
                    }
                }
                Cow::Owned(hard)
            }
        };
        let mut silent = silent.into_iter().peekable();
        let mut damaged = Vec::new();
        let parity = &mut self.found[..code.generator.parity_octets()];
        let blocks = self.information.chunks_exact_mut(code.information_octets());
        for (index, (octets, block)) in self.hard.chunks_exact(length).zip(blocks).enumerate() {
            block.copy_from_slice(&octets[..block.len()]);
            let decided = silent.next_if_eq(&index).is_none();
            self.words[index].converged = decided && code.is_codeword(octets, parity);
            if !self.words[index].converged {
                damaged.push(index);
            }
        }
        damaged
    }

    fn hard(&self, index: usize) -> &[u8] {
        &self.hard[index * self.found.len()..][..self.found.len()]
    }

    fn integers(&mut self, index: usize) {
        let length = self.found.len();
        match self.received {
            Received::Hard(octets) => {
                let octets = &octets[index * length..][..length];
                for (eight, &octet) in self.integers.chunks_exact_mut(8).zip(octets) {
                    for (place, integer) in eight.iter_mut().enumerate() {
                        *integer = if octet & 0x80 >> place != 0 { -TYPICAL } else { TYPICAL };
                    }
                }
            }
            Received::Soft(llr) => {
                let (llr, integers) = (&llr[8 * index * length..][..8 * length], &mut self.integers[..]);
                self.options.variant.run(Quantise { llr, integers });
            }
        }
    }

    /// Write down word `index`, which is in `found` where it converged.
    fn finish(&mut self, index: usize, iterations: u32, converged: bool) {
        self.words[index].iterations = iterations;
        if converged {
            self.accept(index, false);
        } else if let Some(order) = self.options.ordered_statistics {
            self.integers(index);
            let length = self.found.len();
            self.found.copy_from_slice(&self.hard[index * length..][..length]);
            let order = order.min(MAXIMUM_ORDER);
            if self.code.ordered_statistics().decode(&self.integers, order, &mut self.found) {
                self.accept(index, true);
            }
        }
    }

    fn accept(&mut self, index: usize, ordered_statistics: bool) {
        let differing = self.hard(index).iter().zip(&self.found).map(|(octet, found)| (octet ^ found).count_ones());
        let corrected_bits = differing.sum();
        let word = &mut self.words[index];
        *word = Word { converged: true, ordered_statistics, corrected_bits, iterations: word.iterations };
        let length = self.code.information_octets();
        self.information[index * length..][..length].copy_from_slice(&self.found[..length]);
    }

    fn sum_product(&mut self, damaged: &[usize]) {
        let code = self.code;
        let mut decoder = SumProduct::new(&code.graph);
        let mut ratios = vec![0.0; self.integers.len()];
        for &index in damaged {
            match self.received {
                Received::Soft(llr) => {
                    ratios.copy_from_slice(&llr[index * self.integers.len()..][..self.integers.len()])
                }
                Received::Hard(_) => {
                    self.integers(index);
                    let signs = self.integers.iter().map(|&integer| f32::from(integer.signum()) * HARD);
                    ratios.iter_mut().zip(signs).for_each(|(ratio, sign)| *ratio = sign);
                }
            }
            let (iterations, converged) = decoder.decode(&ratios, self.options.maximum_iterations);
            decoder.decide(&mut self.found);
            self.finish(index, iterations, converged);
        }
    }

    /// A lane whose word is done takes the next one at once: a stubborn word delays no other.
    fn min_sum(&mut self, damaged: &[usize]) {
        let code = self.code;
        let mut state = State::new(&code.graph);
        let mut waiting = damaged.iter().copied();
        let mut lanes: [Option<(usize, u32)>; LANES] = [None; LANES];
        loop {
            for (lane, place) in lanes.iter_mut().enumerate().filter(|(_, place)| place.is_none()) {
                let Some(index) = waiting.next() else { break };
                self.integers(index);
                state.enter(lane, &self.integers);
                *place = Some((index, 0));
            }
            if lanes.iter().all(Option::is_none) {
                return;
            }
            let done = state.iterate(&code.graph, self.options.variant);
            for (lane, place) in lanes.iter_mut().enumerate() {
                let Some((index, iterations)) = place else { continue };
                *iterations += 1;
                let converged = done.0[lane] != 0;
                if converged || *iterations >= self.options.maximum_iterations {
                    state.leave(lane, &mut self.integers);
                    let (integers, found) = (&self.integers[..], &mut self.found[..]);
                    self.options.variant.run(Decide { integers, octets: found });
                    self.finish(*index, *iterations, converged);
                    *place = None;
                }
            }
        }
    }
}

/// Log-likelihood ratio that sum-product is given for a bit known only by its hard decision: one in twenty is wrong.
const HARD: f32 = 2.944_439;
