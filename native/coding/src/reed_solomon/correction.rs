//! From the syndromes of one code word to its errors: Berlekamp and Massey, Chien, Forney.

use std::sync::LazyLock;

use super::field::{self, EXPONENTS, ORDER, PRIMITIVE, PRODUCTS, inverse, multiply};
use super::remainder::{LANES, Points, logarithm};

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
    for i in 0..errors.count {
        errors.values[i] = value(
            &locator[..=degree],
            &evaluator[..degree],
            first_root,
            errors.powers[i],
        )?;
    }
    explains(&errors, syndromes, first_root).then_some(errors)
}

/// Berlekamp and Massey: the shortest recurrence of the syndromes, lowest power first, and its length.
fn locator(syndromes: &[u8]) -> ([u8; COEFFICIENTS], usize) {
    let mut locator = [0; COEFFICIENTS];
    let mut previous = [0; COEFFICIENTS]; // multiplied by x once per step
    (locator[0], previous[0]) = (1, 1);
    let (mut length, mut previous_discrepancy) = (0, 1);
    for r in 0..syndromes.len() {
        previous.copy_within(..COEFFICIENTS - 1, 1);
        previous[0] = 0;
        let terms = locator[..=length].iter().zip(syndromes[..=r].iter().rev());
        let discrepancy = terms.fold(0, |sum, (&l, &s)| sum ^ multiply(l, s));
        if discrepancy == 0 {
            continue;
        }
        let factor = &PRODUCTS[usize::from(multiply(discrepancy, inverse(previous_discrepancy)))];
        let before = locator;
        let grows = 2 * length <= r;
        let used = (if grows { r + 1 - length } else { length }) + 1;
        for (l, &p) in locator[..used].iter_mut().zip(&previous) {
            *l ^= factor[usize::from(p)];
        }
        if grows {
            length = r + 1 - length;
            previous = before;
            previous_discrepancy = discrepancy;
        }
    }
    (locator, length)
}

/// All roots of the locator as powers below `symbols`; None unless there are as many as its degree.
#[inline(always)]
fn roots(locator: &[u8], symbols: usize) -> Option<Errors> {
    let mut errors = Errors {
        powers: [0; MAXIMUM_ERRORS],
        values: [0; MAXIMUM_ERRORS],
        count: 0,
    };
    for (block, points) in INVERSE_LOCATORS
        .iter()
        .enumerate()
        .take(symbols.div_ceil(LANES))
    {
        let values = points.evaluate(locator.iter().rev().copied());
        // Lanes past the word (virtual fill; the last one repeats the first) hold no symbol to correct.
        let sent = symbols - block * LANES;
        let zeros = values
            .iter()
            .take(sent)
            .enumerate()
            .filter(|(_, value)| **value == 0);
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

/// Forney: X^(1 - first_root) evaluator(1/X) / locator'(1/X), or None where the derivative vanishes.
fn value(locator: &[u8], evaluator: &[u8], first_root: usize, power: u8) -> Option<u8> {
    let x = PRIMITIVE * usize::from(power) % ORDER; // logarithm of X
    let inverse_x = &PRODUCTS[usize::from(EXPONENTS[ORDER - x])];
    let numerator = evaluator
        .iter()
        .rev()
        .fold(0, |sum: u8, &c| inverse_x[usize::from(sum)] ^ c);
    let inverse_x_squared = &PRODUCTS[usize::from(EXPONENTS[2 * (ORDER - x) % ORDER])];
    let odd = locator.iter().skip(1).step_by(2).rev();
    let denominator = odd.fold(0, |sum: u8, &c| inverse_x_squared[usize::from(sum)] ^ c);
    if numerator == 0 || denominator == 0 {
        return None;
    }
    let scale = (ORDER + 1 - first_root % ORDER) * x;
    Some(EXPONENTS[(scale + logarithm(numerator) + ORDER - logarithm(denominator)) % ORDER])
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
