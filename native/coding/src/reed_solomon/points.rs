//! Polynomials at many fixed points at once, in plain code that the compiler puts into registers.

use super::field::{EXPONENTS, ORDER};

/// Lanes of one evaluation.
pub(crate) const LANES: usize = 32;

/// products[b][lane] = x(lane) alpha^b: multiplies a vector by the fixed points x, one bit plane at a time.
pub(crate) struct Points {
    products: [[u8; LANES]; 8],
}

impl Points {
    /// Lane i evaluates at alpha^logarithm(i).
    pub(crate) fn new(logarithm: impl Fn(usize) -> usize) -> Self {
        Points {
            products: std::array::from_fn(|bit| std::array::from_fn(|lane| EXPONENTS[(logarithm(lane) + bit) % ORDER])),
        }
    }

    /// The polynomial with these coefficients, highest power first, at every point.
    #[inline(always)]
    pub(crate) fn evaluate(&self, mut coefficients: impl Iterator<Item = u8>) -> [u8; LANES] {
        let mut sum = [coefficients.next().unwrap_or(0); LANES];
        for coefficient in coefficients {
            let mut next = [coefficient; LANES];
            for products in self.products.iter().rev() {
                for lane in 0..LANES {
                    let selected = (sum[lane].cast_signed() >> 7).cast_unsigned(); // all ones or none
                    next[lane] ^= products[lane] & selected;
                    sum[lane] <<= 1;
                }
            }
            sum = next;
        }
        sum
    }
}
