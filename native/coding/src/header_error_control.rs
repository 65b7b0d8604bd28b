//! AOS Frame Header Error Control: Reed-Solomon (10, 6) over GF(16).  Source: CCSDS 732.0-B-5, 4.1.2.6.
//!
//! Symbols are nibbles, first nibble first: header octets 0, 1 and 5 (identifiers and signalling field; the
//! virtual channel frame count is not covered), then the two octets of the field itself.  Roots of the
//! generator are a^6 to a^9 with a^4 + a + 1 = 0.

const SYMBOLS: usize = 10;
const FIRST_ROOT: usize = 6;
const EXPONENTS: [u8; 15] = exponents();
const LOGARITHMS: [u8; 16] = logarithms();

const fn exponents() -> [u8; 15] {
    let mut table = [0; 15];
    let mut value = 1;
    let mut i = 0;
    while i < 15 {
        table[i] = value;
        value = (value << 1) ^ (if value & 8 != 0 { 0b1_0011 } else { 0 });
        i += 1;
    }
    table
}

const fn logarithms() -> [u8; 16] {
    let mut table = [0; 16];
    let mut i = 0;
    while i < 15 {
        table[EXPONENTS[i] as usize] = i as u8;
        i += 1;
    }
    table
}

const fn multiply(a: u8, b: u8) -> u8 {
    if a == 0 || b == 0 {
        return 0;
    }
    EXPONENTS[((LOGARITHMS[a as usize] + LOGARITHMS[b as usize]) % 15) as usize]
}

/// `b` is not zero.
const fn divide(a: u8, b: u8) -> u8 {
    if a == 0 {
        return 0;
    }
    EXPONENTS[((LOGARITHMS[a as usize] + 15 - LOGARITHMS[b as usize]) % 15) as usize]
}

/// x^4 + a^3 x^3 + a x^2 + a^3 x + 1 without its leading coefficient, highest power first.
const GENERATOR: [u8; 4] = [EXPONENTS[3], EXPONENTS[1], EXPONENTS[3], 1];

/// Check symbols of one information octet at place 0 (octet 0 of the header), 1 or 2 (octet 5).
static CHECKS: [[u16; 256]; 3] = {
    let mut table = [[0; 256]; 3];
    let mut place = 0;
    while place < 3 {
        let mut octet = 0;
        while octet < 256 {
            let shifted = (octet as u32) << (8 * (2 - place));
            table[place][octet] = long_division(shifted);
            octet += 1;
        }
        place += 1;
    }
    table
};

const fn long_division(information: u32) -> u16 {
    let mut remainder = 0_u16;
    let mut symbol = 6;
    while symbol > 0 {
        symbol -= 1;
        let factor = ((information >> (4 * symbol)) & 15) as u8 ^ (remainder >> 12) as u8;
        remainder <<= 4;
        let mut i = 0;
        while i < 4 {
            remainder ^= (multiply(factor, GENERATOR[i]) as u16) << (4 * (3 - i));
            i += 1;
        }
    }
    remainder
}

/// The error control field for the first six octets of an AOS primary header.
pub fn compute(header: &[u8; 6]) -> u16 {
    checks(header[0], header[1], header[5])
}

fn checks(first: u8, second: u8, sixth: u8) -> u16 {
    CHECKS[0][usize::from(first)] ^ CHECKS[1][usize::from(second)] ^ CHECKS[2][usize::from(sixth)]
}

/// Correct up to two symbols of an AOS primary header of eight octets, in place.
///
/// Returns the number of symbols changed (those of the field itself count), or None, the header left as it
/// came, where the nearest code word is further away.  Three or more symbols in error may look like another
/// header's two.
pub fn correct(header: &mut [u8; 8]) -> Option<u32> {
    let received = u16::from_be_bytes([header[6], header[7]]);
    let remainder = checks(header[0], header[1], header[5]) ^ received;
    if remainder == 0 {
        return Some(0);
    }
    let errors = locate(syndromes(remainder))?;
    let mut corrected = 0;
    for (power, value) in errors.into_iter().flatten() {
        let symbol = SYMBOLS - 1 - power;
        let octet = [0, 1, 5, 6, 7][symbol / 2];
        header[octet] ^= if symbol.is_multiple_of(2) {
            value << 4
        } else {
            value
        };
        corrected += 1;
    }
    Some(corrected)
}

/// The remainder, a polynomial of degree 3, at a^6 to a^9.
fn syndromes(remainder: u16) -> [u8; 4] {
    std::array::from_fn(|i| {
        let root = EXPONENTS[FIRST_ROOT + i];
        (0..4).rev().fold(0, |sum, power| {
            multiply(sum, root) ^ ((remainder >> (4 * power)) & 15) as u8
        })
    })
}

type SymbolError = (usize, u8); // power of x, error value

fn locate(s: [u8; 4]) -> Option<[Option<SymbolError>; 2]> {
    let determinant = multiply(s[0], s[2]) ^ multiply(s[1], s[1]);
    if determinant == 0 {
        return locate_one(s);
    }
    // With locators X, Y: s[i+2] = (X + Y) s[i+1] + X Y s[i].
    let sum = divide(multiply(s[0], s[3]) ^ multiply(s[1], s[2]), determinant);
    let product = divide(multiply(s[1], s[3]) ^ multiply(s[2], s[2]), determinant);
    if sum == 0 {
        return None; // two errors at one place
    }
    let mut roots = (0..SYMBOLS).filter(|&power| {
        let x = EXPONENTS[power];
        multiply(x, x ^ sum) == product
    });
    let pair = [roots.next()?, roots.next()?];
    // s[0] = e x^6 + f y^6 and s[1] = e x^7 + f y^7, so e x^6 (x + y) = s[1] + y s[0].
    Some(pair.map(|power| {
        let y = EXPONENTS[power] ^ sum;
        let scaled = divide(s[1] ^ multiply(y, s[0]), sum);
        Some((power, divide(scaled, sixth_power(power))))
    }))
}

fn sixth_power(power: usize) -> u8 {
    EXPONENTS[power * FIRST_ROOT % 15]
}

fn locate_one(s: [u8; 4]) -> Option<[Option<SymbolError>; 2]> {
    if s[0] == 0 || s[1] == 0 {
        return None;
    }
    let x = divide(s[1], s[0]);
    let power = usize::from(LOGARITHMS[usize::from(x)]);
    let consistent = multiply(s[1], x) == s[2] && multiply(s[2], x) == s[3];
    (consistent && power < SYMBOLS).then(|| [Some((power, divide(s[0], sixth_power(power)))), None])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(octets: [u8; 6]) -> [u8; 8] {
        let mut header = [0; 8];
        header[..6].copy_from_slice(&octets);
        header[6..].copy_from_slice(&compute(&octets).to_be_bytes());
        header
    }

    fn invert_symbol(header: &mut [u8; 8], symbol: usize, value: u8) {
        header[[0, 1, 5, 6, 7][symbol / 2]] ^= if symbol.is_multiple_of(2) {
            value << 4
        } else {
            value
        };
    }

    #[test]
    fn published_fields() {
        assert_eq!(compute(&[0x12, 0x34, 9, 9, 9, 0x56]), 0x94DC);
        assert_eq!(compute(&[0x36, 0x9C, 0, 0, 0, 0xFA]), 0x457C);
        assert_eq!(compute(&[0x6A, 0xEA, 0x00, 0x01, 0x02, 0x43]), 0xCE8E);
        // A peer's test frame carries f2da here (trap 14).
        assert_eq!(compute(&[0x5E, 0xEA, 0xFE, 0xD1, 0x23, 0x4A]), 0xD377);
    }

    #[test]
    fn every_pattern_of_up_to_two_symbols_is_corrected() {
        let sent = header([0x6A, 0xEA, 0x11, 0x22, 0x33, 0x43]);
        for first in 0..SYMBOLS {
            for value in 1..16 {
                let mut received = sent;
                invert_symbol(&mut received, first, value);
                assert_eq!((correct(&mut received), received), (Some(1), sent));
                for second in 0..first {
                    for other in 1..16 {
                        let mut received = sent;
                        invert_symbol(&mut received, first, value);
                        invert_symbol(&mut received, second, other);
                        assert_eq!((correct(&mut received), received), (Some(2), sent));
                    }
                }
            }
        }
    }

    #[test]
    fn whatever_is_received_becomes_a_code_word_at_the_stated_distance_or_stays() {
        let mut accepted = 0;
        for field in 0..=u16::MAX {
            let mut received = [0; 8];
            received[6..].copy_from_slice(&field.to_be_bytes());
            let before = received;
            match correct(&mut received) {
                None => assert_eq!(received, before),
                Some(count) => {
                    accepted += 1;
                    let information = received[..6].try_into().expect("six octets");
                    assert_eq!(received[6..], compute(information).to_be_bytes());
                    let distance: u32 = (0..8)
                        .map(|i| received[i] ^ before[i])
                        .map(|d| u32::from(d & 0xF0 != 0) + u32::from(d & 0x0F != 0))
                        .sum();
                    assert_eq!(distance, count);
                }
            }
        }
        // One coset leader per syndrome: none, one symbol (10 x 15), two symbols (45 x 225).
        assert_eq!(accepted, 1 + 150 + 10_125);
    }
}
