//! Kernel for AVX2: products by looking up both halves of 32 symbols at once, in any basis.

use std::arch::x86_64::{
    __m256i, _mm_cvtsi128_si64, _mm_unpackhi_epi64, _mm_xor_si128, _mm256_and_si256, _mm256_castsi128_si256,
    _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_set_epi64x, _mm256_set1_epi8,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_storeu_si256, _mm256_xor_si256,
};

use super::correction::{self, Errors};
use super::field::{beta, multiply};
use super::kernel::Syndromes;
use super::residues::{BLOCK, REGISTER, RESIDUES, ROWS, WIDE, damaged, padded, piece, places};
use super::{Basis, ErrorCorrection};

const LANES: usize = 32;
/// Symbols of one code word that a register holds.
const SYMBOLS: usize = LANES / WIDE;
/// Most points of a residue: 32 or 16, shared among five.
const POINTS: usize = 7;
const POINTS_E8: usize = 4;
/// Zeros before a residue complete its first register.
const RESIDUE: usize = WIDE + ROWS * WIDE + REGISTER;

/// Products of a constant with the lower and the upper half of a symbol, once for each half of a register.
#[derive(Clone, Copy)]
struct Products {
    lower: [u8; LANES],
    upper: [u8; LANES],
}

impl Products {
    fn new(basis: Basis, constant: u8) -> Self {
        let product = |octet| basis.octet(multiply(constant, basis.element(octet)));
        Products {
            lower: std::array::from_fn(|i| product((i % 16) as u8)),
            upper: std::array::from_fn(|i| product((i % 16 * 16) as u8)),
        }
    }
}

/// A point where a residue is evaluated.
#[derive(Clone, Copy)]
struct Point {
    first_power: Products,
    second_power: Products,
    fourth_power: Products,
    /// Which syndrome this is.
    place: u8,
}

/// The constants of one code.
pub(crate) struct Constants {
    error_correction: ErrorCorrection,
    fold: [Products; RESIDUES],
    points: [[Point; POINTS]; RESIDUES],
}

impl Constants {
    pub(crate) fn new(error_correction: ErrorCorrection, basis: Basis) -> Self {
        let point = |place: u8| {
            let power = error_correction.first_root() + usize::from(place);
            Point {
                first_power: Products::new(basis, beta(power)),
                second_power: Products::new(basis, beta(2 * power)),
                fourth_power: Products::new(basis, beta(SYMBOLS * power)),
                place,
            }
        };
        Constants {
            error_correction,
            fold: std::array::from_fn(|residue| Products::new(basis, beta(ROWS * residue))),
            points: std::array::from_fn(|residue| places(error_correction, residue).map(point)),
        }
    }
}

/// Whether this processor has the instructions used here.
pub(crate) fn is_available() -> bool {
    is_x86_feature_detected!("avx2")
}

/// See `Kernel::check`.
pub(crate) fn check(constants: &Constants, block: &[u8], depth: usize, syndromes: &mut Syndromes) -> u8 {
    let block = padded(block, RESIDUES * ROWS * depth);
    // SAFETY: a Kernel holds this variant only where `is_available`.
    unsafe {
        match constants.error_correction {
            ErrorCorrection::E16 => evaluate::<POINTS>(constants, &block, depth, syndromes),
            ErrorCorrection::E8 => evaluate::<POINTS_E8>(constants, &block, depth, syndromes),
        }
    }
}

/// See `correction::errors`: the portable search for roots, compiled for registers twice as wide.
pub(crate) fn errors(syndromes: &[u8], first_root: usize, symbols: usize) -> Option<Errors> {
    #[target_feature(enable = "avx2")]
    fn compiled(syndromes: &[u8], first_root: usize, symbols: usize) -> Option<Errors> {
        correction::errors(syndromes, first_root, symbols)
    }
    // SAFETY: a Kernel holds this variant, or one that needs more, only where `is_available`.
    unsafe { compiled(syndromes, first_root, symbols) }
}

#[target_feature(enable = "avx2")]
fn load(octets: &[u8; LANES]) -> __m256i {
    // SAFETY: the array has the octets that are read; the load needs no alignment.
    unsafe { _mm256_loadu_si256(octets.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn store(octets: &mut [u8; LANES], register: __m256i) {
    // SAFETY: the array has room for what is written; the store needs no alignment.
    unsafe { _mm256_storeu_si256(octets.as_mut_ptr().cast(), register) }
}

#[target_feature(enable = "avx2")]
fn product(symbols: __m256i, products: &Products) -> __m256i {
    let half = _mm256_set1_epi8(0x0F);
    let lower = _mm256_and_si256(symbols, half);
    let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(symbols), half);
    _mm256_xor_si256(
        _mm256_shuffle_epi8(load(&products.lower), lower),
        _mm256_shuffle_epi8(load(&products.upper), upper),
    )
}

/// All syndromes of a padded block with at most N to a residue; a bit for every code word with one not zero.
#[target_feature(enable = "avx2")]
fn evaluate<const N: usize>(constants: &Constants, block: &[u8; BLOCK], depth: usize, syndromes: &mut Syndromes) -> u8 {
    let mut residues = [[0; RESIDUE]; RESIDUES];
    fold(constants, block, depth, &mut residues);
    let mut any = 0;
    for (residue, points) in residues.iter().zip(&constants.points) {
        let mut sums = [_mm256_setzero_si256(); N];
        for at in (0..ROWS + 1).step_by(SYMBOLS).map(|row| WIDE + row * depth - depth) {
            let [a, b, c, d]: [i64; SYMBOLS] =
                std::array::from_fn(|i| i64::from_le_bytes(*piece(residue, at + i * depth)));
            let symbols = _mm256_set_epi64x(d, c, b, a);
            for (sum, point) in sums.iter_mut().zip(points) {
                *sum = _mm256_xor_si256(product(*sum, &point.fourth_power), symbols);
            }
        }
        for (sum, point) in sums.into_iter().zip(points) {
            let syndrome = joined(sum, point);
            syndromes[usize::from(point.place)] = syndrome.to_le_bytes();
            any |= syndrome;
        }
    }
    damaged(any, depth)
}

/// a x^3 + b x^2 + c x + d for the symbols a, b, c, d of a register.
#[target_feature(enable = "avx2")]
fn joined(sum: __m256i, point: &Point) -> i64 {
    let upper = _mm256_castsi256_si128(product(sum, &point.second_power)); // a x^2, b x^2
    let lower = _mm256_extracti128_si256::<1>(sum); // c, d
    let pair = _mm_xor_si128(upper, lower);
    let last = _mm_cvtsi128_si64(_mm_unpackhi_epi64(pair, pair));
    let first = product(_mm256_castsi128_si256(pair), &point.first_power);
    _mm_cvtsi128_si64(_mm256_castsi256_si128(first)) ^ last
}

/// The residues of all code words modulo x^51 - w, interleaved as the block is.
#[target_feature(enable = "avx2")]
fn fold(constants: &Constants, block: &[u8; BLOCK], depth: usize, residues: &mut [[u8; RESIDUE]; RESIDUES]) {
    let piece_octets = ROWS * depth;
    for at in (0..piece_octets).step_by(LANES) {
        let pieces: [__m256i; RESIDUES] = std::array::from_fn(|i| load(piece(block, i * piece_octets + at)));
        for (residue, products) in residues.iter_mut().zip(&constants.fold) {
            let mut sum = pieces[0];
            for piece in &pieces[1..] {
                sum = _mm256_xor_si256(product(sum, products), *piece);
            }
            store(residue[WIDE + at..].first_chunk_mut().expect("a register of room"), sum);
        }
    }
}
