//! The graph of parity checks and bits that decoders walk.

use super::Description;

/// Which bits each parity check adds.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    /// Bits of a code word, those not sent included.
    pub(crate) bits: usize,
    /// Bits of all checks, check after check.
    edges: Vec<u16>,
    /// Where each check ends in `edges`.
    ends: Vec<usize>,
}

impl Graph {
    /// None where a circulant stands outside, two of one block are equal, a check adds fewer than two bits,
    /// or the code is too long.
    pub(crate) fn new(description: &Description) -> Option<Graph> {
        let Description { block, rows, columns, ref circulants, .. } = *description;
        let bits = block * columns;
        u16::try_from(bits.checked_sub(1)?).ok()?;
        if circulants.iter().any(|c| c.row >= rows || c.column >= columns || c.shift >= block) {
            return None;
        }
        let (mut edges, mut ends) = (Vec::new(), Vec::new());
        for check in 0..rows * block {
            let start = edges.len();
            for circulant in circulants.iter().filter(|c| c.row == check / block) {
                edges.push((circulant.column * block + (check + circulant.shift) % block) as u16);
            }
            edges[start..].sort_unstable();
            let equal = edges[start..].windows(2).any(|pair| pair[0] == pair[1]);
            if equal || edges.len() < start + 2 {
                return None;
            }
            ends.push(edges.len());
        }
        Some(Graph { bits, edges, ends })
    }

    /// Ones of the matrix.
    pub(crate) fn edges(&self) -> usize {
        self.edges.len()
    }

    /// For each check, where its edges start and the bits that they lead to.
    pub(crate) fn checks(&self) -> impl Iterator<Item = (usize, &[u16])> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let from = std::mem::replace(&mut start, end);
            (from, &self.edges[from..end])
        })
    }
}
