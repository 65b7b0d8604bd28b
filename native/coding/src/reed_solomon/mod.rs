//! Reed-Solomon codes (255, 223) and (255, 239) over GF(256), interleaved and shortened.
//! Source: CCSDS 131.0-B-5, section 4 (131.0-B-6, section 5).
//!
//! A codeblock is the frame, then the check symbols; octet i of either belongs to code word i modulo the
//! interleaving depth.  Virtual fill stands before the frame and is never sent.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx2;
mod correction;
mod field;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod gfni;
mod kernel;
mod points;
mod remainder;
#[cfg(target_arch = "x86_64")]
mod residues;

use std::error;
use std::fmt;

use correction::MAXIMUM_CHECK_SYMBOLS;
pub use kernel::Variant;
use kernel::{Kernel, Syndromes};

/// Symbols a code word corrects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCorrection {
    /// (255, 223).
    E16,
    /// (255, 239).
    E8,
}

impl ErrorCorrection {
    pub(crate) const fn check_symbols(self) -> usize {
        match self {
            ErrorCorrection::E16 => 32,
            ErrorCorrection::E8 => 16,
        }
    }

    /// The first root of the generator is this power of alpha^11.
    pub(crate) const fn first_root(self) -> usize {
        128 - self.check_symbols() / 2
    }
}

/// What the bits of a symbol stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// Berlekamp's, the one of the standard (annex F).
    Dual,
    /// Powers of alpha.
    Conventional,
}

impl Basis {
    /// Field element of an octet on the channel.
    pub(crate) fn element(self, octet: u8) -> u8 {
        match self {
            Basis::Dual => field::FROM_DUAL[usize::from(octet)],
            Basis::Conventional => octet,
        }
    }

    /// Octet on the channel of a field element.
    pub(crate) fn octet(self, element: u8) -> u8 {
        match self {
            Basis::Dual => field::TO_DUAL[usize::from(element)],
            Basis::Conventional => element,
        }
    }
}

/// A code that does not exist, or octets that are not its frame or block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not 1, 2, 3, 4, 5 or 8 (4.3.5.1).
    InterleavingDepth(usize),
    /// Not a multiple of the interleaving depth, or nothing is left of the frame (4.3.7).
    VirtualFill {
        /// Octets of fill asked for.
        virtual_fill: usize,
        /// Code words it is spread over.
        interleaving_depth: usize,
    },
    /// A frame, block or check symbol buffer of another length than the code has.
    Length {
        /// Octets the code has there.
        expected: usize,
        /// Octets given.
        given: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::InterleavingDepth(depth) => {
                write!(formatter, "interleaving depth is 1, 2, 3, 4, 5 or 8, not {depth}")
            }
            Error::VirtualFill { virtual_fill, interleaving_depth } => write!(
                formatter,
                "virtual fill of {virtual_fill} octets is not a multiple of the interleaving depth \
                 {interleaving_depth} that leaves a frame"
            ),
            Error::Length { expected, given } => {
                write!(formatter, "{expected} octets expected, {given} given")
            }
        }
    }
}

impl error::Error for Error {}

/// What decoding one codeblock found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Symbols changed, over all code words.
    pub corrected_symbols: u32,
    /// Code words with more errors than the code corrects, left as they were received.
    pub uncorrectable_codewords: u32,
}

/// One code with its tables; cheap to clone.
#[derive(Clone, Debug)]
pub struct Code {
    error_correction: ErrorCorrection,
    basis: Basis,
    depth: usize,
    symbols: usize, // per code word, sent
    kernel: Kernel,
}

impl Code {
    /// A code of `interleaving_depth` code words with `virtual_fill` octets of fill in all.
    pub fn new(
        error_correction: ErrorCorrection,
        interleaving_depth: usize,
        virtual_fill: usize,
        basis: Basis,
    ) -> Result<Code, Error> {
        if !matches!(interleaving_depth, 1..=5 | 8) {
            return Err(Error::InterleavingDepth(interleaving_depth));
        }
        let information = field::ORDER - error_correction.check_symbols();
        let fill = virtual_fill / interleaving_depth;
        if !virtual_fill.is_multiple_of(interleaving_depth) || fill >= information {
            return Err(Error::VirtualFill { virtual_fill, interleaving_depth });
        }
        Ok(Code {
            error_correction,
            basis,
            depth: interleaving_depth,
            symbols: field::ORDER - fill,
            kernel: Kernel::new(error_correction, basis, Variant::best()),
        })
    }

    /// The same code computed by another variant of the kernel; None where this processor lacks it.  For tests
    /// and measurements: `new` takes the fastest.
    pub fn with_variant(&self, variant: Variant) -> Option<Code> {
        let kernel = Kernel::new(self.error_correction, self.basis, variant);
        variant.is_available().then(|| Code { kernel, ..self.clone() })
    }

    /// Octets of the frame that a codeblock carries.
    pub fn frame_octets(&self) -> usize {
        self.block_octets() - self.check_octets()
    }

    /// Octets of a codeblock: frame and check symbols.
    pub fn block_octets(&self) -> usize {
        self.symbols * self.depth
    }

    fn check_octets(&self) -> usize {
        self.error_correction.check_symbols() * self.depth
    }

    /// Write the check symbols that follow `frame`.  Err: a buffer of another length.
    pub fn encode(&self, frame: &[u8], check_symbols: &mut [u8]) -> Result<(), Error> {
        require(self.frame_octets(), frame.len())?;
        require(self.check_octets(), check_symbols.len())?;
        self.kernel.encode(frame, self.depth, check_symbols);
        Ok(())
    }

    /// Correct a codeblock in place, allocating nothing.  Err: `block` has another length.
    ///
    /// A code word is either corrected into one of the code or left as it was received.
    pub fn decode(&self, block: &mut [u8]) -> Result<Outcome, Error> {
        require(self.block_octets(), block.len())?;
        let mut syndromes: Syndromes = [[0; 8]; MAXIMUM_CHECK_SYMBOLS];
        let mut damaged = self.kernel.check(block, self.depth, &mut syndromes);
        let mut outcome = Outcome::default();
        while damaged != 0 {
            let codeword = damaged.trailing_zeros() as usize;
            damaged &= damaged - 1;
            match self.correct(block, codeword, &syndromes) {
                Some(count) => outcome.corrected_symbols += count,
                None => outcome.uncorrectable_codewords += 1,
            }
        }
        Ok(outcome)
    }

    fn correct(&self, block: &mut [u8], codeword: usize, syndromes: &Syndromes) -> Option<u32> {
        let mut elements = [0; MAXIMUM_CHECK_SYMBOLS];
        for (element, octets) in elements.iter_mut().zip(syndromes) {
            *element = self.basis.element(octets[codeword]);
        }
        let elements = &elements[..self.error_correction.check_symbols()];
        let errors = self.kernel.errors(elements, self.error_correction.first_root(), self.symbols)?;
        for (power, value) in errors.iter() {
            block[(self.symbols - 1 - power) * self.depth + codeword] ^= self.basis.octet(value);
        }
        Some(errors.count() as u32)
    }
}

fn require(expected: usize, given: usize) -> Result<(), Error> {
    if expected == given { Ok(()) } else { Err(Error::Length { expected, given }) }
}
