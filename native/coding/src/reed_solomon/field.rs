//! GF(256) of CCSDS 131.0-B-5 (4.3.3): F(x) = x^8 + x^7 + x^2 + x + 1, and Berlekamp's dual basis (annex F).

/// x^8 + x^7 + x^2 + x + 1 without its leading term.
const REDUCTION: u8 = 0x87;
/// Non-zero elements.
pub(crate) const ORDER: usize = 255;
/// Roots of the code are powers of alpha^11.
pub(crate) const PRIMITIVE: usize = 11;

/// Powers of alpha, twice around: sums of two logarithms index it without a reduction.
pub(crate) static EXPONENTS: [u8; 2 * ORDER] = exponents();
/// Logarithms to the base alpha; the entry of zero has no meaning.
static LOGARITHMS: [u8; 256] = logarithms();
/// PRODUCTS[a][b] = a b.
pub(crate) static PRODUCTS: [[u8; 256]; 256] = products();

const fn exponents() -> [u8; 2 * ORDER] {
    let mut table = [0; 2 * ORDER];
    let mut value = 1_u8;
    let mut i = 0;
    while i < 2 * ORDER {
        table[i] = value;
        value = (value << 1) ^ (if value & 0x80 != 0 { REDUCTION } else { 0 });
        i += 1;
    }
    table
}

const fn logarithms() -> [u8; 256] {
    let exponents = exponents();
    let mut table = [0; 256];
    let mut i = 0;
    while i < ORDER {
        table[exponents[i] as usize] = i as u8;
        i += 1;
    }
    table
}

const fn products() -> [[u8; 256]; 256] {
    let (exponents, logarithms) = (exponents(), logarithms());
    let mut table = [[0; 256]; 256];
    let mut a = 1;
    while a < 256 {
        let mut b = 1;
        while b < 256 {
            table[a][b] = exponents[logarithms[a] as usize + logarithms[b] as usize];
            b += 1;
        }
        a += 1;
    }
    table
}

pub(crate) fn multiply(a: u8, b: u8) -> u8 {
    PRODUCTS[usize::from(a)][usize::from(b)]
}

/// `a` is not zero.
pub(crate) fn inverse(a: u8) -> u8 {
    EXPONENTS[ORDER - logarithm(a)]
}

/// Logarithm to the base alpha of a non-zero element.
pub(crate) fn logarithm(element: u8) -> usize {
    usize::from(LOGARITHMS[usize::from(element)])
}

/// (alpha^11)^power.
pub(crate) fn beta(power: usize) -> u8 {
    EXPONENTS[PRIMITIVE * power % ORDER]
}

/// Row r is the dual-basis octet of alpha^(7 - r) (matrix T of annex F).
const DUAL_OF_POWERS: [u8; 8] = [0x8D, 0xEF, 0xEC, 0x86, 0xFA, 0x99, 0xAF, 0x7B];

/// Octet on the channel (dual basis) of a field element.
pub(crate) static TO_DUAL: [u8; 256] = to_dual();
/// Field element of an octet on the channel (dual basis).
pub(crate) static FROM_DUAL: [u8; 256] = from_dual();

const fn to_dual() -> [u8; 256] {
    let mut table = [0; 256];
    let mut element = 0;
    while element < 256 {
        let mut row = 0;
        while row < 8 {
            if element >> (7 - row) & 1 == 1 {
                table[element] ^= DUAL_OF_POWERS[row];
            }
            row += 1;
        }
        element += 1;
    }
    table
}

const fn from_dual() -> [u8; 256] {
    let dual = to_dual();
    let mut table = [0; 256];
    let mut element = 0;
    while element < 256 {
        table[dual[element] as usize] = element as u8;
        element += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_examples_of_annex_f() {
        assert_eq!((FROM_DUAL[0xB9], EXPONENTS[213]), (0x2A, 0x2A));
        assert_eq!((TO_DUAL[0x59], EXPONENTS[152]), (0xE8, 0x59));
        for (dual, element) in [(0x80, 0xC5), (0x40, 0x42), (0x20, 0x2E), (0x01, 0xCC)] {
            assert_eq!(FROM_DUAL[dual], element);
        }
    }

    #[test]
    fn products_are_those_of_the_polynomial() {
        for a in 0..=255_u8 {
            for b in 0..=255_u8 {
                let (mut sum, mut shifted) = (0, a);
                for bit in 0..8 {
                    if b >> bit & 1 == 1 {
                        sum ^= shifted;
                    }
                    shifted = (shifted << 1) ^ (if shifted & 0x80 != 0 { REDUCTION } else { 0 });
                }
                assert_eq!(multiply(a, b), sum);
            }
            assert!(a == 0 || multiply(a, inverse(a)) == 1);
        }
    }
}
