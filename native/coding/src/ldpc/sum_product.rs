//! Sum-product with a flooding schedule, in double precision: what the performance of a code is quoted for.

use super::graph::Graph;

/// The most that is believed of a bit, so that sums stay finite.
const CERTAIN: f64 = 1e6;
const GREATEST: f64 = 1e9;

/// Decodes one word at a time.
pub(crate) struct SumProduct<'a> {
    graph: &'a Graph,
    received: Vec<f64>,
    totals: Vec<f64>,
    messages: Vec<f64>,
}

impl<'a> SumProduct<'a> {
    pub(crate) fn new(graph: &'a Graph) -> Self {
        SumProduct {
            graph,
            received: vec![0.0; graph.bits],
            totals: vec![0.0; graph.bits],
            messages: vec![0.0; graph.edges()],
        }
    }

    /// Iterations used, and whether they ended at a word of the code; bits that were not sent count as unknown.
    pub(crate) fn decode(&mut self, llr: &[f32], maximum_iterations: u32) -> (u32, bool) {
        self.received.fill(0.0);
        for (received, &value) in self.received.iter_mut().zip(llr) {
            *received = if value.is_nan() { 0.0 } else { f64::from(value).clamp(-CERTAIN, CERTAIN) };
        }
        self.totals.copy_from_slice(&self.received);
        self.messages.fill(0.0);
        for iteration in 1..=maximum_iterations {
            self.iterate();
            if self.is_codeword() {
                return (iteration, true);
            }
        }
        (maximum_iterations, false)
    }

    /// Hard decisions, first bit highest.
    pub(crate) fn decide(&self, octets: &mut [u8]) {
        for (octet, eight) in octets.iter_mut().zip(self.totals.chunks_exact(8)) {
            *octet = eight.iter().fold(0, |octet, &total| octet << 1 | u8::from(total < 0.0));
        }
    }

    fn iterate(&mut self) {
        let mut others = Vec::new();
        for (start, bits) in self.graph.checks() {
            let messages = &mut self.messages[start..start + bits.len()];
            others.clear();
            let known = bits.iter().zip(messages.iter());
            others.extend(known.map(|(&bit, said)| (self.totals[usize::from(bit)] - said).clamp(-GREATEST, GREATEST)));
            let mut before = f64::INFINITY; // the sum of no bits is a certain zero
            for (message, &other) in messages.iter_mut().zip(&others) {
                *message = before;
                before = sum_of_bits(before, other);
            }
            let mut after = f64::INFINITY;
            for (message, &other) in messages.iter_mut().zip(&others).rev() {
                *message = sum_of_bits(*message, after);
                after = sum_of_bits(other, after);
            }
        }
        self.totals.copy_from_slice(&self.received);
        for (start, bits) in self.graph.checks() {
            for (&bit, message) in bits.iter().zip(&self.messages[start..]) {
                self.totals[usize::from(bit)] += message;
            }
        }
    }

    fn is_codeword(&self) -> bool {
        self.totals.iter().all(|&total| total != 0.0)
            && self.graph.checks().all(|(_, bits)| {
                bits.iter().filter(|&&bit| self.totals[usize::from(bit)] < 0.0).count().is_multiple_of(2)
            })
    }
}

/// The log-likelihood ratio of the sum of two bits: 2 atanh(tanh(a/2) tanh(b/2)), in a form that keeps its precision.
fn sum_of_bits(a: f64, b: f64) -> f64 {
    let least = a.abs().min(b.abs());
    if a.is_infinite() || b.is_infinite() {
        return least * a.signum() * b.signum();
    }
    let correction = (1.0 + (-(a + b).abs()).exp()) / (1.0 + (-(a - b).abs()).exp());
    least * a.signum() * b.signum() + correction.ln()
}
