//! From the syndromes of one code word to its errors: Berlekamp and Massey, Chien, Forney.

use std::sync::LazyLock;

use super::field::{self, EXPONENTS, ORDER, PRIMITIVE, PRODUCTS, inverse, logarithm, multiply};
use super::points::{LANES, Points};

/// Most check symbols a code word has.
pub(crate) const MAXIMUM_CHECK_SYMBOLS: usize = 32;
const MAXIMUM_ERRORS: usize = MAXIMUM_CHECK_SYMBOLS / 2;
/// One more coefficient than Berlekamp and Massey can make.
const COEFFICIENTS: usize = MAXIMUM_CHECK_SYMBOLS + 1;

/// Points beta^-d for d = 0 to 255, where the locator polynomial is searched for roots.
static INVERSE_LOCATORS: LazyLock<Box<[Points]>> = LazyLock::new(|| {
    (0..ORDER.div_ceil(LANES))
        .map(|block| Points::new(|lane| (ORDER - (block * LANES + lane) % ORDER) * PRIMITIVE))
        .collect()
});

/// Errors of one code word: the power of x each belongs to, and what to add to the symbol there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errors {
    powers: [u8; MAXIMUM_ERRORS],
    values: [u8; MAXIMUM_ERRORS],
    count: usize,
}

impl Errors {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, u8)> + '_ {
        let pairs = self.powers.iter().zip(&self.values).take(self.count);
        pairs.map(|(&power, &value)| (usize::from(power), value))
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

/// The errors that explain the syndromes, at most half as many as there are syndromes.
///
/// `syndromes[k]` is the received word at beta^(first_root + k); a code word has `symbols` symbols, the
/// powers of x below that.  None: no such pattern.
#[inline(always)]
pub(crate) fn errors(syndromes: &[u8], first_root: usize, symbols: usize) -> Option<Errors> {
    let (locator, degree) = locator(syndromes);
    if degree > syndromes.len() / 2 || locator[degree] == 0 {
        return None;
    }
    let mut errors = roots(&locator[..=degree], symbols)?;
    let evaluator = evaluator(&locator[..=degree], syndromes);
    values(&locator[..=degree], &evaluator[..degree], first_root, &mut errors)?;
    explains(&errors, syndromes, first_root).then_some(errors)
}

/// Berlekamp and Massey: the shortest recurrence of the syndromes, lowest power first, and its length.
fn locator(syndromes: &[u8]) -> ([u8; COEFFICIENTS], usize) {
    let mut locator = [0; COEFFICIENTS];
    let mut previous = [0; COEFFICIENTS]; // as it was before the length last grew
    (locator[0], previous[0]) = (1, 1);
    let (mut length, mut previous_length, mut previous_discrepancy) = (0, 0, 1);
    let mut shift = 1; // steps since then
    for r in 0..syndromes.len() {
        let terms = locator[..=length].iter().zip(syndromes[..=r].iter().rev());
        let discrepancy = terms.fold(0, |sum, (&l, &s)| sum ^ multiply(l, s));
        if discrepancy != 0 {
            let factor = multiply(discrepancy, inverse(previous_discrepancy));
            let factor = &PRODUCTS[usize::from(factor)];
            let before = locator;
            for (l, &p) in locator[shift..].iter_mut().zip(&previous[..=previous_length]) {
                *l ^= factor[usize::from(p)];
            }
            if 2 * length <= r {
                (previous, previous_length, previous_discrepancy) = (before, length, discrepancy);
                length = r + 1 - length;
                shift = 0;
            }
        }
        shift += 1;
    }
    (locator, length)
}

/// All roots of the locator as powers below `symbols`; None unless there are as many as its degree.
#[inline(always)]
fn roots(locator: &[u8], symbols: usize) -> Option<Errors> {
    let mut errors = Errors { powers: [0; MAXIMUM_ERRORS], values: [0; MAXIMUM_ERRORS], count: 0 };
    for (block, points) in INVERSE_LOCATORS.iter().enumerate().take(symbols.div_ceil(LANES)) {
        let values = points.evaluate(locator.iter().rev().copied());
        // Lanes past the word (virtual fill; the last one repeats the first) hold no symbol to correct.
        let sent = symbols - block * LANES;
        let zeros = values.iter().take(sent).enumerate().filter(|(_, value)| **value == 0);
        for (lane, _) in zeros {
            if errors.count == MAXIMUM_ERRORS {
                return None;
            }
            errors.powers[errors.count] = (block * LANES + lane) as u8;
            errors.count += 1;
        }
    }
    (errors.count == locator.len() - 1).then_some(errors)
}

/// Syndromes times locator, below the degree of the locator.
fn evaluator(locator: &[u8], syndromes: &[u8]) -> [u8; MAXIMUM_ERRORS] {
    let mut product = [0; MAXIMUM_ERRORS];
    for (i, &l) in locator[..locator.len() - 1].iter().enumerate() {
        let row = &PRODUCTS[usize::from(l)];
        for (p, &s) in product[i..locator.len() - 1].iter_mut().zip(syndromes) {
            *p ^= row[usize::from(s)];
        }
    }
    product
}

/// Forney: X^(1 - first_root) evaluator(1/X) / locator'(1/X).  None: one of them vanishes.
fn values(locator: &[u8], evaluator: &[u8], first_root: usize, errors: &mut Errors) -> Option<()> {
    let count = errors.count;
    let mut inverses = [0; MAXIMUM_ERRORS]; // logarithms of 1/X
    for (inverse, power) in inverses[..count].iter_mut().zip(errors.powers) {
        *inverse = (ORDER - usize::from(power)) * PRIMITIVE % ORDER;
    }
    let inverses = &inverses[..count];
    let numerators = evaluate(inverses, 1, evaluator.iter().rev());
    let denominators = evaluate(inverses, 2, locator.iter().skip(1).step_by(2).rev());
    for i in 0..count {
        if numerators[i] == 0 || denominators[i] == 0 {
            return None;
        }
        let scale = (first_root - 1) * inverses[i];
        let ratio = logarithm(numerators[i]) + ORDER - logarithm(denominators[i]);
        errors.values[i] = EXPONENTS[(scale + ratio) % ORDER];
    }
    Some(())
}

/// The polynomial with these coefficients, highest power first, at alpha^(times logarithm): all points advance
/// together, because each step of one of them waits for a table.
fn evaluate<'a>(
    logarithms: &[usize],
    times: usize,
    coefficients: impl Iterator<Item = &'a u8>,
) -> [u8; MAXIMUM_ERRORS] {
    let mut points = [&PRODUCTS[0]; MAXIMUM_ERRORS];
    for (point, logarithm) in points.iter_mut().zip(logarithms) {
        *point = &PRODUCTS[usize::from(EXPONENTS[times * logarithm % ORDER])];
    }
    let points = &points[..logarithms.len()];
    let mut sums = [0; MAXIMUM_ERRORS];
    for coefficient in coefficients {
        for (sum, point) in sums.iter_mut().zip(points) {
            *sum = point[usize::from(*sum)] ^ coefficient;
        }
    }
    sums
}

/// Whether the errors alone have these syndromes, that is, whether the corrected word is a code word.
fn explains(errors: &Errors, syndromes: &[u8], first_root: usize) -> bool {
    let mut steps = [&PRODUCTS[0]; MAXIMUM_ERRORS];
    let mut terms = [0; MAXIMUM_ERRORS];
    for (i, (power, value)) in errors.iter().enumerate() {
        steps[i] = &PRODUCTS[usize::from(field::beta(power))];
        terms[i] = multiply(value, field::beta(power * first_root));
    }
    let (steps, terms) = (&steps[..errors.count], &mut terms[..errors.count]);
    syndromes.iter().all(|&syndrome| {
        let mut sum = 0;
        for (term, step) in terms.iter_mut().zip(steps) {
            sum ^= *term;
            *term = step[usize::from(*term)];
        }
        sum == syndrome
    })
}
