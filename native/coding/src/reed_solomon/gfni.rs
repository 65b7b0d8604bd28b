//! Kernel for AVX-512 with GFNI: one affine instruction multiplies 64 symbols by field constants in any basis.
//!
//! The residues (`residues.rs`) are evaluated with a code word per octet and a point per eight octets.

use std::arch::x86_64::{
    __m512i, _mm512_gf2p8affine_epi64_epi8, _mm512_loadu_si512, _mm512_or_si512, _mm512_reduce_or_epi64,
    _mm512_set1_epi64, _mm512_setzero_si512, _mm512_storeu_si512, _mm512_xor_si512,
};

use super::correction::MAXIMUM_CHECK_SYMBOLS;
use super::field::{self, ORDER, beta, multiply};
use super::kernel::Syndromes;
use super::remainder::generator;
use super::residues::{BLOCK, REGISTER, RESIDUES, ROWS, WIDE, damaged, padded, piece, places};
use super::{Basis, ErrorCorrection};

const RESIDUE: usize = ROWS * WIDE + REGISTER;

type Block = [u8; BLOCK];
type Residue = [u8; RESIDUE];
/// Linear maps of an octet, one for every eight octets of a register.
type Maps = [u64; WIDE];

/// The constants of one code.
pub(crate) struct Constants {
    check_symbols: usize,
    /// Multiplication by the fifth root of unity that belongs to a residue.
    fold: [u64; RESIDUES],
    /// Multiplication by the points of a residue; the last point fills the places left.
    points: [Maps; RESIDUES],
    /// Which syndrome is where.
    places: [[u8; WIDE]; RESIDUES],
    /// parity[k][v]: what syndrome k of a frame adds to its check symbols 8 v to 8 v + 7.
    parity: [[Maps; MAXIMUM_CHECK_SYMBOLS / WIDE]; MAXIMUM_CHECK_SYMBOLS],
}

/// Multiplication by a constant, in a basis, as a matrix for the affine instruction.
fn map(basis: Basis, constant: u8) -> u64 {
    let mut rows = [0_u8; 8]; // of the most significant bit of the result first
    for column in 0..8 {
        let image = basis.octet(multiply(constant, basis.element(1 << column)));
        for (bit, row) in rows.iter_mut().rev().enumerate() {
            *row |= (image >> bit & 1) << column;
        }
    }
    u64::from_le_bytes(rows)
}

impl Constants {
    pub(crate) fn new(error_correction: ErrorCorrection, basis: Basis) -> Self {
        let (check_symbols, first_root) = (error_correction.check_symbols(), error_correction.first_root());
        let places: [[u8; WIDE]; RESIDUES] = std::array::from_fn(|residue| places(error_correction, residue));
        let points = places.map(|places| places.map(|k| map(basis, beta(first_root + usize::from(k)))));
        let mut parity = [[[0; WIDE]; MAXIMUM_CHECK_SYMBOLS / WIDE]; MAXIMUM_CHECK_SYMBOLS];
        for (k, maps) in parity.iter_mut().enumerate().take(check_symbols) {
            let symbols = interpolation(error_correction, k);
            for (map_, symbol) in maps.as_flattened_mut().iter_mut().zip(symbols) {
                *map_ = map(basis, symbol);
            }
        }
        let fold = std::array::from_fn(|residue| map(basis, beta(ROWS * residue)));
        Constants { check_symbols, fold, points, places, parity }
    }
}

/// Coefficients, highest power first, of the polynomial that is one at root k and zero at the others.
fn interpolation(error_correction: ErrorCorrection, k: usize) -> Vec<u8> {
    let root = beta(error_correction.first_root() + k);
    let mut quotient = vec![1]; // of the generator by x - root
    for coefficient in generator(error_correction) {
        let last = quotient[quotient.len() - 1];
        quotient.push(coefficient ^ multiply(last, root));
    }
    quotient.pop(); // remainder zero
    let value = quotient.iter().fold(0, |sum, &c| multiply(sum, root) ^ c);
    quotient.iter().map(|&c| multiply(c, field::inverse(value))).collect()
}

/// Whether this processor has the instructions used here.
pub(crate) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("gfni")
}

/// See `Kernel::check`.
pub(crate) fn check(constants: &Constants, block: &[u8], depth: usize, syndromes: &mut Syndromes) -> u8 {
    let block = padded(block, ORDER * depth);
    // SAFETY: a Kernel holds this variant only where `is_available`.
    unsafe { evaluate(constants, &block, depth, syndromes) }
}

/// See `Kernel::encode`.
pub(crate) fn encode(constants: &Constants, frame: &[u8], depth: usize, check_symbols: &mut [u8]) {
    let block = padded(frame, (ORDER - constants.check_symbols) * depth);
    let mut syndromes = [[0; 8]; MAXIMUM_CHECK_SYMBOLS];
    // SAFETY: a Kernel holds this variant only where `is_available`.
    let symbols = unsafe {
        evaluate(constants, &block, depth, &mut syndromes);
        interpolate(constants, &syndromes)
    };
    let mut interleaved = [0; MAXIMUM_CHECK_SYMBOLS * WIDE];
    for (i, symbol) in symbols.iter().enumerate() {
        // What is written past the depth is overwritten by the symbol that follows.
        interleaved[i * depth..i * depth + WIDE].copy_from_slice(symbol);
    }
    check_symbols.copy_from_slice(&interleaved[..check_symbols.len()]);
}

#[target_feature(enable = "avx512f,gfni")]
fn load(octets: &[u8; REGISTER]) -> __m512i {
    // SAFETY: the array has the octets that are read; the load needs no alignment.
    unsafe { _mm512_loadu_si512(octets.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,gfni")]
fn load_maps(maps: &Maps) -> __m512i {
    // SAFETY: the array has the 64 octets that are read; the load needs no alignment.
    unsafe { _mm512_loadu_si512(maps.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,gfni")]
fn store(octets: &mut [u8; REGISTER], register: __m512i) {
    // SAFETY: the array has room for what is written; the store needs no alignment.
    unsafe { _mm512_storeu_si512(octets.as_mut_ptr().cast(), register) }
}

#[target_feature(enable = "avx512f,gfni")]
fn broadcast(octets: &[u8; WIDE]) -> __m512i {
    _mm512_set1_epi64(i64::from_le_bytes(*octets))
}

/// All syndromes of a padded block, and a bit for every code word with one that is not zero.
#[target_feature(enable = "avx512f,gfni")]
fn evaluate(constants: &Constants, block: &Block, depth: usize, syndromes: &mut Syndromes) -> u8 {
    let mut residues = [[0; RESIDUE]; RESIDUES];
    fold(constants, block, depth, &mut residues);
    let points = constants.points.each_ref().map(|maps| load_maps(maps));
    let mut sums = [_mm512_setzero_si512(); RESIDUES];
    for row in 0..ROWS {
        for residue in 0..RESIDUES {
            let symbols = broadcast(piece(&residues[residue], row * depth));
            let shifted = _mm512_gf2p8affine_epi64_epi8::<0>(sums[residue], points[residue]);
            sums[residue] = _mm512_xor_si512(shifted, symbols);
        }
    }
    let any = sums.iter().fold(_mm512_setzero_si512(), |any, sum| _mm512_or_si512(any, *sum));
    let damaged = damaged(_mm512_reduce_or_epi64(any), depth);
    if damaged != 0 {
        for (sum, places) in sums.iter().zip(&constants.places) {
            let mut octets = [0; REGISTER];
            store(&mut octets, *sum);
            for (octets, place) in octets.chunks_exact(WIDE).zip(places) {
                syndromes[usize::from(*place)].copy_from_slice(octets);
            }
        }
    }
    damaged
}

/// The residues of all code words modulo x^51 - w, interleaved as the block is.
#[target_feature(enable = "avx512f,gfni")]
fn fold(constants: &Constants, block: &Block, depth: usize, residues: &mut [Residue; RESIDUES]) {
    let piece_octets = ROWS * depth;
    for at in (0..piece_octets).step_by(REGISTER) {
        let pieces: [__m512i; RESIDUES] = std::array::from_fn(|i| load(piece(block, i * piece_octets + at)));
        for (residue, map) in residues.iter_mut().zip(constants.fold) {
            let map = _mm512_set1_epi64(map.cast_signed());
            let mut sum = pieces[0];
            for piece in &pieces[1..] {
                sum = _mm512_xor_si512(_mm512_gf2p8affine_epi64_epi8::<0>(sum, map), *piece);
            }
            store(residue[at..].first_chunk_mut().expect("a register of room"), sum);
        }
    }
}

/// The check symbols whose syndromes are these, one code word per octet.
#[target_feature(enable = "avx512f,gfni")]
fn interpolate(constants: &Constants, syndromes: &Syndromes) -> [[u8; 8]; MAXIMUM_CHECK_SYMBOLS] {
    let mut sums = [_mm512_setzero_si512(); MAXIMUM_CHECK_SYMBOLS / WIDE];
    for (syndrome, maps) in syndromes.iter().zip(&constants.parity).take(constants.check_symbols) {
        let syndrome = broadcast(syndrome);
        for (sum, maps) in sums.iter_mut().zip(maps) {
            let term = _mm512_gf2p8affine_epi64_epi8::<0>(syndrome, load_maps(maps));
            *sum = _mm512_xor_si512(*sum, term);
        }
    }
    let mut symbols = [[0; 8]; MAXIMUM_CHECK_SYMBOLS];
    for (sum, octets) in sums.iter().zip(symbols.as_flattened_mut().as_chunks_mut().0) {
        store(octets, *sum);
    }
    symbols
}
