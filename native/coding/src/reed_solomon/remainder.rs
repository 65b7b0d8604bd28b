//! Portable kernel: the remainder modulo the code generator, eight symbols of a code word per step.
//!
//! Tables hold symbols as they are on the channel (dual or conventional basis), so nothing is converted:
//! multiplication by a constant is linear in any basis.

use super::field;
use super::{Basis, ErrorCorrection};

/// Symbols per step.
const SLICES: usize = 8;

/// rows[k][f]: check symbols of f x^(7 - k), as W words of eight octets, first octet least significant.
pub(crate) struct Table<const W: usize> {
    rows: Box<[[[u64; W]; 256]; SLICES]>,
}

/// Coefficients of the code generator without the leading one, highest power first.
pub(crate) fn generator(error_correction: ErrorCorrection) -> Vec<u8> {
    let mut product = vec![1_u8]; // highest power first
    for j in error_correction.first_root()..error_correction.first_root() + error_correction.check_symbols() {
        let root = field::beta(j);
        product.push(0);
        for i in (1..product.len()).rev() {
            product[i] ^= field::multiply(product[i - 1], root);
        }
    }
    product.split_off(1)
}

impl<const W: usize> Table<W> {
    pub(crate) fn new(error_correction: ErrorCorrection, basis: Basis) -> Self {
        let generator = generator(error_correction);
        let mut rows = Box::new([[[0; W]; 256]; SLICES]);
        let mut power = generator.clone(); // x^(2E + i) modulo the generator, i = 0
        for slice in rows.iter_mut().rev() {
            for (octet, row) in slice.iter_mut().enumerate() {
                let factor = basis.element(octet as u8);
                for (i, &coefficient) in power.iter().enumerate() {
                    let symbol = basis.octet(field::multiply(coefficient, factor));
                    row[i / 8] |= u64::from(symbol) << (8 * (i % 8));
                }
            }
            let leading = power.remove(0);
            power.push(0);
            for (p, &g) in power.iter_mut().zip(&generator) {
                *p ^= field::multiply(g, leading);
            }
        }
        Table { rows }
    }

    /// Check symbols of code word `codeword` of a frame interleaved to `depth`.
    pub(crate) fn check_symbols(&self, frame: &[u8], depth: usize, codeword: usize) -> [u64; W] {
        let mut state = [0; W];
        let head = (frame.len() / depth) % SLICES * depth;
        let (head, body) = frame.split_at(head);
        let skipped = SLICES - head.len() / depth; // symbols of virtual fill complete the first step
        for (slice, symbol) in self.rows[skipped % SLICES..].iter().zip(head.iter().skip(codeword).step_by(depth)) {
            add(&mut state, &slice[usize::from(*symbol)]);
        }
        for step in body.chunks_exact(SLICES * depth) {
            let mut symbols = state[0];
            for k in 0..SLICES {
                symbols ^= u64::from(step[codeword + k * depth]) << (8 * k);
            }
            state.copy_within(1.., 0);
            state[W - 1] = 0;
            for (k, slice) in self.rows.iter().enumerate() {
                add(&mut state, &slice[usize::from((symbols >> (8 * k)) as u8)]);
            }
        }
        state
    }
}

#[inline(always)]
fn add<const W: usize>(state: &mut [u64; W], row: &[u64; W]) {
    for (word, other) in state.iter_mut().zip(row) {
        *word ^= other;
    }
}
