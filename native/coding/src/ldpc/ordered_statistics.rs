//! Ordered statistics decoding: try the code words that differ little from what is best known of the word received.
//!
//! The k most reliable positions that determine a code word are taken as received, then with up to `order` of them
//! flipped; the candidate that contradicts the least reliability wins.

use super::generator::Generator;

/// Rows of the generator matrix as sent, to start each elimination from.
#[derive(Debug)]
pub(crate) struct OrderedStatistics {
    words: usize,
    systematic: Vec<Vec<u64>>,
}

const HIGHEST: u64 = 1 << 63;

fn bit(row: &[u64], place: usize) -> bool {
    row[place / 64] & HIGHEST >> (place % 64) != 0
}

fn add(row: &mut [u64], other: &[u64]) {
    for (word, other) in row.iter_mut().zip(other) {
        *word ^= other;
    }
}

fn words_of(octets: &[u8]) -> Vec<u64> {
    octets.chunks_exact(8).map(|eight| eight.iter().fold(0, |word, &octet| word << 8 | u64::from(octet))).collect()
}

impl OrderedStatistics {
    pub(crate) fn new(generator: &Generator) -> Self {
        let length = generator.information_octets;
        let systematic: Vec<_> = (0..8 * length)
            .map(|place| {
                let mut codeword = vec![0; length + generator.parity_octets()];
                codeword[place / 8] = 0x80 >> (place % 8);
                let (information, parity) = codeword.split_at_mut(length);
                generator.encode(information, parity);
                words_of(&codeword)
            })
            .collect();
        OrderedStatistics { words: (length + generator.parity_octets()) / 8, systematic }
    }

    /// The best candidate into `octets`, which holds the hard decisions; false, and nothing done, where known bits
    /// do not determine a code word.
    pub(crate) fn decode(&self, integers: &[i16], order: u32, octets: &mut [u8]) -> bool {
        let Some(basis) = self.basis(integers) else { return false };
        let received = words_of(octets);
        let mut nearest = received.clone();
        for (row, &pivot) in basis.rows.iter().zip(&basis.pivots) {
            if bit(&received, pivot) {
                add(&mut nearest, row);
            }
        }
        // `nearest` is received + candidate: where they differ.  Pivots not set above stay 0 there, so none differs.
        let mut search = Search { basis: &basis, weights: weights(integers), best: u32::MAX, difference: Vec::new() };
        search.consider(&nearest, 0, 0, order);
        for (octet, index) in octets.iter_mut().zip(0..) {
            *octet ^= (search.difference[index / 8] >> (56 - 8 * (index % 8))) as u8;
        }
        true
    }

    /// Eliminate at the most reliable positions; rows come in ascending order of the reliability of theirs.
    fn basis(&self, integers: &[i16]) -> Option<Basis> {
        let mut places: Vec<usize> = (0..64 * self.words).collect();
        places.sort_by_key(|&place| std::cmp::Reverse(integers[place].unsigned_abs()));
        let mut rows = self.systematic.clone();
        let mut pivots = Vec::with_capacity(rows.len());
        for place in places {
            let rank = pivots.len();
            let Some(found) = (rank..rows.len()).find(|&row| bit(&rows[row], place)) else { continue };
            if integers[place] == 0 {
                return None;
            }
            rows.swap(rank, found);
            let pivot = rows[rank].clone();
            for (index, row) in rows.iter_mut().enumerate() {
                if index != rank && bit(row, place) {
                    add(row, &pivot);
                }
            }
            pivots.push(place);
            if pivots.len() == rows.len() {
                break;
            }
        }
        rows.reverse();
        pivots.reverse();
        let costs = pivots.iter().map(|&place| u32::from(integers[place].unsigned_abs())).collect();
        Some(Basis { rows, pivots, costs })
    }
}

struct Basis {
    rows: Vec<Vec<u64>>,
    pivots: Vec<usize>,
    costs: Vec<u32>,
}

/// Reliability of the ones of an octet, for each octet of a word and each value of it.
fn weights(integers: &[i16]) -> Vec<[u32; 256]> {
    let table = |eight: &[i16]| {
        let mut table = [0; 256];
        for value in 1..256_usize {
            let lowest = value.trailing_zeros() as usize;
            table[value] = table[value & (value - 1)] + u32::from(eight[7 - lowest].unsigned_abs());
        }
        table
    };
    integers.chunks_exact(8).map(table).collect()
}

struct Search<'a> {
    basis: &'a Basis,
    weights: Vec<[u32; 256]>,
    best: u32,
    difference: Vec<u64>,
}

impl Search<'_> {
    /// Weigh one candidate, then those with up to `order` more of the rows from `first` on.
    fn consider(&mut self, difference: &[u64], first: usize, flipped: u32, order: u32) {
        let cost = self.cost(difference);
        if cost < self.best {
            self.best = cost;
            self.difference = difference.to_vec();
        }
        if order == 0 {
            return;
        }
        let mut next = difference.to_vec();
        for (row, &price) in self.basis.costs.iter().enumerate().skip(first) {
            let flipped = flipped + price;
            if flipped >= self.best {
                break; // what is flipped already costs as much, and further rows cost more
            }
            next.copy_from_slice(difference);
            add(&mut next, &self.basis.rows[row]);
            self.consider(&next, row + 1, flipped, order - 1);
        }
    }

    fn cost(&self, difference: &[u64]) -> u32 {
        let octets = difference.iter().flat_map(|word| word.to_be_bytes());
        self.weights.iter().zip(octets).map(|(table, octet)| table[usize::from(octet)]).sum()
    }
}
