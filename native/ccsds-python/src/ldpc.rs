//! LDPC codes.

use ccsds_coding::ldpc::{
    Algorithm, Code, MAXIMUM_ITERATIONS, MAXIMUM_ORDER, Options, Received, TC_128_64, TC_512_256, Variant, Word,
    WrongLength,
};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyBufferError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PySlice};

use crate::buffer::Input;
use crate::coding::{filled, released, whole};

const VARIANTS: [(&str, Variant); Variant::ALL.len()] =
    [("portable", Variant::Portable), ("avx2", Variant::Avx2), ("avx512", Variant::Avx512)];

/// Code words decoded at once: few enough that what is copied of them stays in a cache, many enough to fill all lanes.
const PIECE: usize = 2048;

/// Variants of the LDPC kernel that this processor has, the slowest first.
#[pyfunction]
pub(crate) fn ldpc_variants() -> Vec<&'static str> {
    VARIANTS.iter().filter(|(_, variant)| variant.is_available()).map(|(name, _)| *name).collect()
}

/// One LDPC code; methods take any number of code words or information blocks, end to end.
#[pyclass(frozen, module = "ccsds._native")]
pub(crate) struct Ldpc {
    code: &'static Code,
    variant: Variant,
}

/// Information octets, then for each word: converged, found by ordered statistics (octets), iterations, corrected bits
/// (32-bit unsigned).
type Decoded<'py> =
    (Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

#[pymethods]
impl Ldpc {
    #[new]
    #[pyo3(signature = (name, variant=None))]
    fn new(name: &str, variant: Option<&str>) -> PyResult<Self> {
        let code: &'static Code = match name {
            "tc-128-64" => &TC_128_64,
            "tc-512-256" => &TC_512_256,
            _ => return Err(PyValueError::new_err(format!("no code {name:?}"))),
        };
        let variant = match variant {
            None => Variant::best(),
            Some(name) => VARIANTS
                .iter()
                .find(|(known, variant)| *known == name && variant.is_available())
                .map(|(_, variant)| *variant)
                .ok_or_else(|| PyValueError::new_err(format!("no variant {name:?} on this processor")))?,
        };
        Ok(Ldpc { code, variant })
    }

    #[getter]
    fn information_octets(&self) -> usize {
        self.code.information_octets()
    }

    #[getter]
    fn codeword_octets(&self) -> usize {
        self.code.codeword_octets()
    }

    fn encode<'py>(&self, py: Python<'py>, information: Input<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let information = information.octets();
        let count = whole(information.len(), self.code.information_octets())?;
        let mut result = Ok(());
        let codewords = filled(py, count * self.code.codeword_octets(), |codewords| {
            result = self.code.encode(information, codewords);
        })?;
        result.map_err(refused)?;
        Ok(codewords)
    }

    /// An octet for each code word: 1 where all parity checks hold.
    fn syndromes_are_zero<'py>(&self, py: Python<'py>, codewords: Input<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let octets = codewords.octets();
        let result = released(py, octets.len(), || self.code.syndromes_are_zero(octets));
        let zero = result.map_err(refused)?;
        Ok(column(py, &zero, |&zero| [u8::from(zero)]))
    }

    /// `ratios`: ln P(0)/P(1), native float32.
    fn decode_soft<'py>(
        &self,
        py: Python<'py>,
        ratios: Bound<'py, PyAny>,
        algorithm: &str,
        maximum_iterations: u32,
        ordered_statistics_order: Option<u32>,
    ) -> PyResult<Decoded<'py>> {
        let options = self.options(algorithm, maximum_iterations, ordered_statistics_order)?;
        let buffer = PyBuffer::<f32>::get(&ratios)?;
        if buffer.dimensions() != 1 || !buffer.is_c_contiguous() {
            return Err(PyBufferError::new_err("ratios must be contiguous, of one dimension"));
        }
        let length = 8 * self.code.codeword_octets();
        let count = whole(buffer.item_count(), length)?;
        let view = PyMemoryView::from(&ratios)?;
        let mut copied = vec![0.0; length * count.min(PIECE)];
        self.decode(py, count, |first, words, information| {
            // Somebody could write the ratios meanwhile: they are copied while nobody else has the interpreter.
            let (start, end) = ((first * length).cast_signed(), ((first + words) * length).cast_signed());
            let piece = view.get_item(PySlice::new(py, start, end, 1))?;
            let copied = &mut copied[..words * length];
            PyBuffer::<f32>::get(&piece)?.copy_to_slice(py, copied)?;
            py.detach(|| self.code.decode(Received::Soft(copied), &options, information)).map_err(refused)
        })
    }

    fn decode_hard<'py>(
        &self,
        py: Python<'py>,
        codewords: Input<'py>,
        algorithm: &str,
        maximum_iterations: u32,
        ordered_statistics_order: Option<u32>,
    ) -> PyResult<Decoded<'py>> {
        let options = self.options(algorithm, maximum_iterations, ordered_statistics_order)?;
        let octets = codewords.octets();
        let count = whole(octets.len(), self.code.codeword_octets())?;
        self.decode(py, count, |first, words, information| {
            let length = self.code.codeword_octets();
            let piece = Received::Hard(&octets[first * length..][..words * length]);
            py.detach(|| self.code.decode(piece, &options, information)).map_err(refused)
        })
    }
}

impl Ldpc {
    fn options(&self, algorithm: &str, maximum_iterations: u32, order: Option<u32>) -> PyResult<Options> {
        let algorithm = match algorithm {
            "min-sum" => Algorithm::MinSum,
            "sum-product" => Algorithm::SumProduct,
            other => {
                let message = format!("algorithm is 'min-sum' or 'sum-product', not {other:?}");
                return Err(PyValueError::new_err(message));
            }
        };
        if !(1..=MAXIMUM_ITERATIONS).contains(&maximum_iterations) {
            let message = format!("maximum_iterations is 1 to {MAXIMUM_ITERATIONS}, not {maximum_iterations}");
            return Err(PyValueError::new_err(message));
        }
        if let Some(order) = order.filter(|order| *order > MAXIMUM_ORDER) {
            let message = format!("ordered_statistics_order is 0 to {MAXIMUM_ORDER}, not {order}");
            return Err(PyValueError::new_err(message));
        }
        Ok(Options { algorithm, maximum_iterations, ordered_statistics: order, variant: self.variant })
    }

    /// Decode `count` words by pieces; `piece` is given the first word, how many, and where their octets go.
    fn decode<'py>(
        &self,
        py: Python<'py>,
        count: usize,
        mut piece: impl FnMut(usize, usize, &mut [u8]) -> PyResult<Vec<Word>>,
    ) -> PyResult<Decoded<'py>> {
        let mut words = Vec::with_capacity(count);
        let octets = self.code.information_octets();
        let information = PyBytes::new_with(py, count * octets, |information| {
            for information in information.chunks_mut(PIECE * octets) {
                words.extend(piece(words.len(), information.len() / octets, information)?);
            }
            Ok(())
        })?;
        Ok((
            information,
            column(py, &words, |word: &Word| [u8::from(word.converged)]),
            column(py, &words, |word| [u8::from(word.ordered_statistics)]),
            column(py, &words, |word| word.iterations.to_ne_bytes()),
            column(py, &words, |word| word.corrected_bits.to_ne_bytes()),
        ))
    }
}

fn refused(error: WrongLength) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn column<'py, T, const N: usize>(py: Python<'py>, items: &[T], octets: impl Fn(&T) -> [u8; N]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &items.iter().flat_map(octets).collect::<Vec<u8>>())
}
