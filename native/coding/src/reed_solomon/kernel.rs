//! Check and encode a whole codeblock: the variants, chosen when the program runs.

use std::fmt;
use std::sync::LazyLock;

use super::correction::{self, Errors, MAXIMUM_CHECK_SYMBOLS};
use super::field::PRIMITIVE;
use super::points::Points;
use super::remainder::Table;
use super::{Basis, ErrorCorrection};
#[cfg(target_arch = "x86_64")]
use super::{avx2, gfni};

/// Syndrome k of code word c, as an octet in the basis of the code, at [k][c].
pub(crate) type Syndromes = [[u8; 8]; MAXIMUM_CHECK_SYMBOLS];

/// How the kernels compute; all of them give the same octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// Tables, any processor.
    Portable,
    /// Products by table look-up in 256-bit registers.
    Avx2,
    /// Affine maps of 64 symbols per instruction.
    Avx512Gfni,
}

impl Variant {
    /// All of them, the slowest first.
    pub const ALL: [Variant; 3] = [Variant::Portable, Variant::Avx2, Variant::Avx512Gfni];

    /// Whether this processor has the instructions.
    pub fn is_available(self) -> bool {
        match self {
            Variant::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Variant::Avx2 => avx2::is_available(),
            #[cfg(target_arch = "x86_64")]
            Variant::Avx512Gfni => Variant::Avx2.is_available() && gfni::is_available(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The fastest that this processor has.
    pub fn best() -> Variant {
        Variant::ALL.into_iter().rev().find(|variant| variant.is_available()).unwrap_or(Variant::Portable)
    }
}

/// Tables of one code, shared by every Code that needs them.
pub(crate) struct Tables {
    basis: Basis,
    rows: Rows,
    roots: Points,
    #[cfg(target_arch = "x86_64")]
    avx2: avx2::Constants,
    #[cfg(target_arch = "x86_64")]
    gfni: gfni::Constants,
}

enum Rows {
    E16(Table<4>),
    E8(Table<2>),
}

static E16_DUAL: LazyLock<Tables> = LazyLock::new(|| Tables::new(ErrorCorrection::E16, Basis::Dual));
static E16_CONVENTIONAL: LazyLock<Tables> = LazyLock::new(|| Tables::new(ErrorCorrection::E16, Basis::Conventional));
static E8_DUAL: LazyLock<Tables> = LazyLock::new(|| Tables::new(ErrorCorrection::E8, Basis::Dual));
static E8_CONVENTIONAL: LazyLock<Tables> = LazyLock::new(|| Tables::new(ErrorCorrection::E8, Basis::Conventional));

impl Tables {
    fn new(error_correction: ErrorCorrection, basis: Basis) -> Self {
        Tables {
            basis,
            rows: match error_correction {
                ErrorCorrection::E16 => Rows::E16(Table::new(error_correction, basis)),
                ErrorCorrection::E8 => Rows::E8(Table::new(error_correction, basis)),
            },
            roots: Points::new(|lane| (error_correction.first_root() + lane) * PRIMITIVE),
            #[cfg(target_arch = "x86_64")]
            avx2: avx2::Constants::new(error_correction, basis),
            #[cfg(target_arch = "x86_64")]
            gfni: gfni::Constants::new(error_correction, basis),
        }
    }

    fn encode(&self, frame: &[u8], depth: usize, check_symbols: &mut [u8]) {
        match &self.rows {
            Rows::E16(table) => encode(table, frame, depth, check_symbols),
            Rows::E8(table) => encode(table, frame, depth, check_symbols),
        }
    }

    fn check(&self, block: &[u8], depth: usize, syndromes: &mut Syndromes) -> u8 {
        match &self.rows {
            Rows::E16(table) => self.check_with(table, block, depth, syndromes),
            Rows::E8(table) => self.check_with(table, block, depth, syndromes),
        }
    }

    fn check_with<const W: usize>(
        &self,
        table: &Table<W>,
        block: &[u8],
        depth: usize,
        syndromes: &mut Syndromes,
    ) -> u8 {
        let (frame, received) = block.split_at(block.len() - 8 * W * depth);
        let mut damaged = 0;
        for codeword in 0..depth {
            let expected = table.check_symbols(frame, depth, codeword);
            let mut difference = [0; MAXIMUM_CHECK_SYMBOLS];
            for (i, octet) in difference[..8 * W].iter_mut().enumerate() {
                *octet = received[i * depth + codeword] ^ (expected[i / 8] >> (8 * (i % 8))) as u8;
            }
            if difference != [0; MAXIMUM_CHECK_SYMBOLS] {
                damaged |= 1 << codeword;
                let elements = difference[..8 * W].iter().map(|&octet| self.basis.element(octet));
                for (row, syndrome) in syndromes.iter_mut().zip(self.roots.evaluate(elements)).take(8 * W) {
                    row[codeword] = self.basis.octet(syndrome);
                }
            }
        }
        damaged
    }
}

fn encode<const W: usize>(table: &Table<W>, frame: &[u8], depth: usize, check_symbols: &mut [u8]) {
    for codeword in 0..depth {
        let words = table.check_symbols(frame, depth, codeword);
        for (i, symbol) in check_symbols.iter_mut().skip(codeword).step_by(depth).enumerate() {
            *symbol = (words[i / 8] >> (8 * (i % 8))) as u8;
        }
    }
}

/// A variant with the tables it works on.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    variant: Variant,
    tables: &'static Tables,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.variant.fmt(formatter)
    }
}

impl Kernel {
    /// An unavailable variant becomes the portable one.
    pub(crate) fn new(error_correction: ErrorCorrection, basis: Basis, variant: Variant) -> Self {
        let tables = match (error_correction, basis) {
            (ErrorCorrection::E16, Basis::Dual) => &E16_DUAL,
            (ErrorCorrection::E16, Basis::Conventional) => &E16_CONVENTIONAL,
            (ErrorCorrection::E8, Basis::Dual) => &E8_DUAL,
            (ErrorCorrection::E8, Basis::Conventional) => &E8_CONVENTIONAL,
        };
        let variant = if variant.is_available() { variant } else { Variant::Portable };
        Kernel { variant, tables: LazyLock::force(tables) }
    }

    /// Check symbols of a frame.  Lengths are those of the code.
    pub(crate) fn encode(&self, frame: &[u8], depth: usize, check_symbols: &mut [u8]) {
        match self.variant {
            #[cfg(target_arch = "x86_64")]
            Variant::Avx512Gfni => gfni::encode(&self.tables.gfni, frame, depth, check_symbols),
            _ => self.tables.encode(frame, depth, check_symbols),
        }
    }

    /// A bit for every code word that is not one of the code, and its syndromes.
    pub(crate) fn check(&self, block: &[u8], depth: usize, syndromes: &mut Syndromes) -> u8 {
        match self.variant {
            // With one code word the registers are too empty to be worth it.
            #[cfg(target_arch = "x86_64")]
            Variant::Avx2 if depth > 1 => avx2::check(&self.tables.avx2, block, depth, syndromes),
            #[cfg(target_arch = "x86_64")]
            Variant::Avx512Gfni => gfni::check(&self.tables.gfni, block, depth, syndromes),
            _ => self.tables.check(block, depth, syndromes),
        }
    }

    /// See `correction::errors`.
    pub(crate) fn errors(&self, syndromes: &[u8], first_root: usize, symbols: usize) -> Option<Errors> {
        match self.variant {
            #[cfg(target_arch = "x86_64")]
            Variant::Avx2 | Variant::Avx512Gfni => avx2::errors(syndromes, first_root, symbols),
            _ => correction::errors(syndromes, first_root, symbols),
        }
    }
}
