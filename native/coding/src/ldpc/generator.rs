//! The systematic encoder, derived from the parity check matrix by elimination.

use super::graph::Graph;

/// What each four information bits contribute to the parity bits.
#[derive(Clone, Debug)]
pub(crate) struct Generator {
    /// Octets of information.
    pub(crate) information_octets: usize,
    /// 64-bit words of parity that are sent, the first bit being the highest.
    words: usize,
    /// Sixteen rows of `words` for each half octet.
    table: Vec<u64>,
}

const HIGHEST: u64 = 1 << 63;

fn bit(row: &[u64], place: usize) -> bool {
    row[place / 64] & HIGHEST >> (place % 64) != 0
}

fn set(row: &mut [u64], place: usize) {
    row[place / 64] |= HIGHEST >> (place % 64);
}

fn add(row: &mut [u64], other: &[u64]) {
    for (word, other) in row.iter_mut().zip(other) {
        *word ^= other;
    }
}

impl Generator {
    /// None where the last columns of the matrix cannot be solved for, or bits make no whole words.
    pub(crate) fn new(graph: &Graph, sent_bits: usize) -> Option<Generator> {
        let checks = graph.checks().count();
        let information_bits = graph.bits.checked_sub(checks)?;
        let parity_bits = sent_bits.checked_sub(information_bits)?;
        if information_bits == 0 || !information_bits.is_multiple_of(64) || !parity_bits.is_multiple_of(64) {
            return None;
        }
        let rows = solved(graph, checks, information_bits)?;
        let words = parity_bits / 64;
        let mut table = vec![0; information_bits / 4 * 16 * words];
        for (half_octet, sixteen) in table.chunks_exact_mut(16 * words).enumerate() {
            for (value, entry) in sixteen.chunks_exact_mut(words).enumerate() {
                for (parity, row) in rows.iter().take(parity_bits).enumerate() {
                    let ones = (0..4).filter(|i| value & 8 >> i != 0 && bit(row, 4 * half_octet + i)).count();
                    entry[parity / 64] ^= if ones % 2 == 1 { HIGHEST >> (parity % 64) } else { 0 };
                }
            }
        }
        Some(Generator { information_octets: information_bits / 8, words, table })
    }

    /// Octets of parity.
    pub(crate) fn parity_octets(&self) -> usize {
        8 * self.words
    }

    /// The parity of `information`, into `parity`.
    pub(crate) fn encode(&self, information: &[u8], parity: &mut [u8]) {
        match self.words {
            1 => self.encode_words(information, parity, [0; 1]),
            4 => self.encode_words(information, parity, [0; 4]),
            words => self.encode_words(information, parity, vec![0; words]),
        }
    }

    #[inline(always)]
    fn encode_words(&self, information: &[u8], parity: &mut [u8], mut sum: impl AsMut<[u64]>) {
        let sum = sum.as_mut();
        let words = sum.len();
        for (tables, &octet) in self.table.chunks_exact(32 * words).zip(information) {
            let (high, low) = (usize::from(octet >> 4), usize::from(octet & 15));
            add(sum, &tables[high * words..][..words]);
            add(sum, &tables[(16 + low) * words..][..words]);
        }
        for (octets, word) in parity.chunks_exact_mut(8).zip(sum) {
            octets.copy_from_slice(&word.to_be_bytes());
        }
    }
}

/// The matrix with the identity in its last columns: row i tells which information bits make parity bit i.
fn solved(graph: &Graph, checks: usize, information_bits: usize) -> Option<Vec<Vec<u64>>> {
    let mut rows = Vec::with_capacity(checks);
    for (_, bits) in graph.checks() {
        let mut row = vec![0; graph.bits.div_ceil(64)];
        bits.iter().for_each(|&place| set(&mut row, usize::from(place)));
        rows.push(row);
    }
    for step in 0..checks {
        let column = information_bits + step;
        let pivot = (step..checks).find(|&row| bit(&rows[row], column))?;
        rows.swap(step, pivot);
        let pivot = rows[step].clone();
        for (index, row) in rows.iter_mut().enumerate() {
            if index != step && bit(row, column) {
                add(row, &pivot);
            }
        }
    }
    Some(rows)
}
