//! What the SIMD kernels share: the block as five pieces, and which syndromes a residue gives.
//!
//! Code words have 255 = 5 x 51 symbols, padded with virtual fill.  Modulo x^51 - w, w one of the five fifth
//! roots of unity, a word keeps its values at the points with x^51 = w: a fifth of the syndromes, computed
//! from a fifth of the symbols.  The first stage of a kernel makes the five residues of all interleaved code
//! words at once, straight from the block; the second evaluates each at its points, at most seven.

use super::ErrorCorrection;
use super::field::ORDER;

pub(super) const RESIDUES: usize = 5;
/// Symbols of a residue.
pub(super) const ROWS: usize = ORDER / RESIDUES;
/// Octets side by side for one symbol of up to eight code words; those past the depth are never looked at.
pub(super) const WIDE: usize = 8;
/// Octets of the widest register: what a load may read, or a store write, past the end.
pub(super) const REGISTER: usize = 64;
/// A padded block.
pub(super) const BLOCK: usize = ORDER * WIDE + REGISTER;

/// Octets that end at `end`, virtual fill and all before them zero.
pub(super) fn padded(octets: &[u8], end: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[end - octets.len()..end].copy_from_slice(octets);
    block
}

/// The N octets at `at`.
#[inline(always)]
pub(super) fn piece<const N: usize>(octets: &[u8], at: usize) -> &[u8; N] {
    octets[at..at + N].first_chunk().expect("N octets")
}

/// Indexes of the syndromes that residue `residue` gives; the last one fills the places left.
pub(super) fn places<const N: usize>(error_correction: ErrorCorrection, residue: usize) -> [u8; N] {
    let first_root = error_correction.first_root();
    let mut syndromes =
        (0..error_correction.check_symbols() as u8).filter(|k| (first_root + usize::from(*k)) % RESIDUES == residue);
    let mut last = 0;
    std::array::from_fn(|_| {
        last = syndromes.next().unwrap_or(last);
        last
    })
}

/// A bit for every code word below `depth` whose octet of `any` is not zero.
pub(super) fn damaged(any: i64, depth: usize) -> u8 {
    let octets = any.to_le_bytes();
    (0..depth).fold(0, |bits, codeword| bits | u8::from(octets[codeword] != 0) << codeword)
}
