//! From what a demodulator gives to the small integers that the decoders compute with.

use super::variant::Work;

/// What a bit of typical reliability becomes.
pub(crate) const TYPICAL: i16 = 128;
/// The most that a finite ratio becomes.
const GREATEST: f64 = 4095.0;
/// What an infinite ratio becomes.
const CERTAIN: i16 = 16383;
const MAGNITUDE: u32 = 0x7FFF_FFFF;
/// Added to a number below 2^51, it rounds it to the nearest integer and leaves that in the lowest bits.
const ROUND: f64 = (1_u64 << 52) as f64;
const INFINITE: u32 = 0x7F80_0000;

/// See [`quantise`].
pub(crate) struct Quantise<'a> {
    pub(crate) llr: &'a [f32],
    pub(crate) integers: &'a mut [i16],
}

impl Work for Quantise<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        quantise(self.llr, self.integers);
    }
}

/// See [`decide_soft`].
pub(crate) struct DecideSoft<'a> {
    pub(crate) llr: &'a [f32],
    pub(crate) octets: &'a mut [u8],
}

impl Work for DecideSoft<'_> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        decide_soft(self.llr, self.octets)
    }
}

/// See [`decide`].
pub(crate) struct Decide<'a> {
    pub(crate) integers: &'a [i16],
    pub(crate) octets: &'a mut [u8],
}

impl Work for Decide<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        decide(self.integers, self.octets);
    }
}

/// Whether a magnitude is zero or no number.
#[inline(always)]
fn says_nothing(magnitude: u32) -> bool {
    magnitude.wrapping_sub(1) >= INFINITE
}

/// Scale one code word so that the geometric mean of its finite magnitudes becomes [`TYPICAL`].
///
/// Zeros and NaN, which say nothing, become zero; everything else keeps its sign.  The mean is taken over the bit
/// patterns, which grow nearly with the logarithm: it is exact, whatever the order, and a few large values hardly move it.
#[inline(always)]
fn quantise(llr: &[f32], integers: &mut [i16]) {
    let (mut sum, mut count) = (0_u64, 0_u32);
    for value in llr {
        let bits = value.to_bits() & MAGNITUDE;
        let counts = bits != 0 && bits < INFINITE;
        sum += if counts { u64::from(bits) } else { 0 };
        count += u32::from(counts);
    }
    let typical = sum.checked_div(u64::from(count)).map_or(1.0, |mean| f32::from_bits(mean as u32));
    let scale = f64::from(TYPICAL) / f64::from(typical);
    for (integer, &value) in integers.iter_mut().zip(llr) {
        let bits = value.to_bits() & MAGNITUDE;
        let scaled = ((f64::from(f32::from_bits(bits)) * scale).min(GREATEST) + ROUND).to_bits() as i16;
        let magnitude = if bits == INFINITE { CERTAIN } else { scaled.max(1) };
        let signed = if value < 0.0 { -magnitude } else { magnitude };
        *integer = if says_nothing(bits) { 0 } else { signed };
    }
}

/// Hard decisions on one word, first bit highest; whether every ratio says something.  What says nothing counts as 0.
#[inline(always)]
fn decide_soft(llr: &[f32], octets: &mut [u8]) -> bool {
    let mut silent = 0;
    for (octets, values) in octets.chunks_exact_mut(8).zip(llr.chunks_exact(64)) {
        let mut ones = [0; 64];
        for (one, value) in ones.iter_mut().zip(values) {
            *one = u8::from(*value < 0.0);
            silent |= u8::from(says_nothing(value.to_bits() & MAGNITUDE));
        }
        pack(&ones, octets);
    }
    silent == 0
}

/// Hard decisions on what decoders compute with, first bit highest.  A zero counts as 0.
#[inline(always)]
fn decide(integers: &[i16], octets: &mut [u8]) {
    for (octets, integers) in octets.chunks_exact_mut(8).zip(integers.chunks_exact(64)) {
        let mut ones = [0; 64];
        for (one, integer) in ones.iter_mut().zip(integers) {
            *one = u8::from(*integer < 0);
        }
        pack(&ones, octets);
    }
}

/// Bits that stand alone in octets, packed: the product moves the bit of octet i to place 63 - i.
#[inline(always)]
fn pack(ones: &[u8; 64], octets: &mut [u8]) {
    for (octet, eight) in octets.iter_mut().zip(ones.as_chunks::<8>().0) {
        *octet = (u64::from_le_bytes(*eight).wrapping_mul(0x8040_2010_0804_0201) >> 56) as u8;
    }
}
