//! Channel coding of telecommand: BCH codeblocks and CLTUs.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ccsds_coding::bch::{self, CODEBLOCK_OCTETS, INFORMATION_OCTETS, Mode};
use ccsds_coding::cltu::{self, Randomization};
use ccsds_coding::cltu_decoder::{Decoder, Parameters, Record};
use ccsds_coding::start_sequence;
use pyo3::buffer::{Element, PyBuffer};
use pyo3::exceptions::{PyBufferError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::buffer::Input;
use crate::coding::{filled, released, whole};

fn mode_named(name: &str) -> PyResult<Mode> {
    match name {
        "detect" => Ok(Mode::Detect),
        "correct" => Ok(Mode::Correct),
        _ => Err(PyValueError::new_err(format!("mode is 'detect' or 'correct', not {name:?}"))),
    }
}

fn randomization_named(name: &str) -> PyResult<Randomization> {
    match name {
        "off" => Ok(Randomization::Off),
        "frame" => Ok(Randomization::Frame),
        "frame and fill" => Ok(Randomization::FrameAndFill),
        _ => Err(PyValueError::new_err(format!("randomization is 'off', 'frame' or 'frame and fill', not {name:?}"))),
    }
}

/// Values that another thread could write meanwhile, copied.
fn copied<T: Element>(object: &Bound<'_, PyAny>) -> PyResult<Vec<T>> {
    let buffer = PyBuffer::<T>::get(object)?;
    if !buffer.is_c_contiguous() {
        return Err(PyBufferError::new_err("values must be contiguous"));
    }
    buffer.to_vec(object.py())
}

/// Soft symbols without a NaN, which would decide nothing.
fn symbols(object: &Bound<'_, PyAny>) -> PyResult<Vec<f32>> {
    let llr = copied::<f32>(object)?;
    match llr.iter().position(|symbol| symbol.is_nan()) {
        None => Ok(llr),
        Some(at) => Err(PyValueError::new_err(format!("soft symbol {at} is not a number"))),
    }
}

#[pyfunction]
pub(crate) fn bch_encode<'py>(py: Python<'py>, information: Input<'py>) -> PyResult<Bound<'py, PyBytes>> {
    let information = information.octets();
    let blocks = whole(information.len(), INFORMATION_OCTETS)?;
    filled(py, blocks * CODEBLOCK_OCTETS, |out| bch::encode(information, out))
}

#[pyfunction]
pub(crate) fn bch_decode<'py>(
    py: Python<'py>,
    codeblocks: Input<'py>,
    mode: &str,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let mode = mode_named(mode)?;
    let codeblocks = codeblocks.octets();
    let blocks = whole(codeblocks.len(), CODEBLOCK_OCTETS)?;
    let mut status = vec![0_i8; blocks];
    let information = filled(py, blocks * INFORMATION_OCTETS, |out| bch::decode(codeblocks, mode, out, &mut status))?;
    let status: Vec<u8> = status.into_iter().map(i8::cast_unsigned).collect();
    Ok((information, PyBytes::new(py, &status)))
}

/// The CLTUs, end to end, of the frames between neighbouring `offsets`; and where each begins.
#[pyfunction]
pub(crate) fn cltu_encode<'py>(
    py: Python<'py>,
    frames: Input<'py>,
    offsets: &Bound<'py, PyAny>,
    randomization: &str,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let randomization = randomization_named(randomization)?;
    let offsets = copied::<u64>(offsets)?;
    let frames = frames.octets();
    let mut units = Vec::with_capacity(offsets.len());
    let mut begins = Vec::with_capacity(8 * offsets.len());
    let mut end = 0_usize;
    begins.extend_from_slice(&0_u64.to_ne_bytes());
    for pair in offsets.windows(2) {
        let range = usize::try_from(pair[0]).ok().zip(usize::try_from(pair[1]).ok());
        let frame = range.and_then(|(from, to)| frames.get(from..to)).ok_or_else(|| {
            let message =
                format!("offsets {} and {} are not in order within {} octets", pair[0], pair[1], frames.len());
            PyValueError::new_err(message)
        })?;
        let octets = cltu::octets(frame.len());
        units.push((frame, octets));
        end += octets;
        begins.extend_from_slice(&(end as u64).to_ne_bytes());
    }
    let octets = filled(py, end, |out| {
        let mut rest = out;
        for (frame, octets) in units {
            let (unit, behind) = rest.split_at_mut(octets);
            cltu::encode(frame, randomization, unit);
            rest = behind;
        }
    })?;
    Ok((octets, PyBytes::new(py, &begins)))
}

/// Bits of a pattern of octets, true for a one.
fn bits_of(pattern: &[u8]) -> Vec<bool> {
    pattern.iter().flat_map(|octet| (0..8).rev().map(move |i| octet >> i & 1 == 1)).collect()
}

/// Index of the first soft symbol, from `from` on, at which `pattern` begins, and whether it is inverted there.
#[pyfunction]
pub(crate) fn start_sequence_find(
    py: Python<'_>,
    llr: &Bound<'_, PyAny>,
    pattern: &[u8],
    from_symbol: usize,
    least_cosine: f64,
    accept_inverted: bool,
) -> PyResult<Option<(usize, bool)>> {
    if !(least_cosine > 0.0 && least_cosine <= 1.0) {
        return Err(PyValueError::new_err(format!("least_cosine is above 0 and at most 1, not {least_cosine}")));
    }
    let llr = symbols(llr)?;
    let pattern = bits_of(pattern);
    Ok(released(py, 4 * llr.len(), || {
        start_sequence::find_soft(&llr, &pattern, from_symbol, least_cosine, accept_inverted)
    }))
}

/// How much each stretch of soft symbols looks like `pattern`: the cosine between them, -1 to 1.
#[pyfunction]
pub(crate) fn sequence_cosines(llr: &Bound<'_, PyAny>, pattern: &[u8]) -> PyResult<Vec<f64>> {
    let llr = symbols(llr)?;
    if pattern.is_empty() || !llr.len().is_multiple_of(8 * pattern.len()) {
        let message = format!("{} symbols are not stretches of {} octets", llr.len(), pattern.len());
        return Err(PyValueError::new_err(message));
    }
    let pattern = bits_of(pattern);
    Ok(llr.chunks(pattern.len()).map(|stretch| start_sequence::cosine(stretch, &pattern)).collect())
}

/// The decoder of BCH CLTUs (`ccsds.coding.cltu_decoder` says what the parts mean).
#[pyclass(frozen, module = "ccsds._native")]
pub(crate) struct CltuDecoder(Mutex<Decoder>);

type Found<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

impl CltuDecoder {
    fn decoder(&self) -> MutexGuard<'_, Decoder> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work<'py>(&self, py: Python<'py>, octets: usize, work: impl FnOnce(&mut Decoder) + Send) -> Found<'py> {
        let (octets, records) = released(py, octets, || {
            let mut decoder = self.decoder();
            work(&mut decoder);
            decoder.take()
        });
        let rows: Vec<u8> = records.iter().flat_map(row).flat_map(u64::to_ne_bytes).collect();
        (PyBytes::new(py, &octets), PyBytes::new(py, &rows))
    }
}

/// A record as the words of a row; their order is that of `ccsds.coding.cltu_decoder.ReceivedCltu`.
fn row(record: &Record) -> [u64; 7] {
    [
        record.bit_position,
        record.end_position,
        record.codeblocks,
        record.corrected_bits,
        u64::from(record.start_errors),
        u64::from(record.inverted),
        u64::from(record.end as u8),
    ]
}

#[pymethods]
impl CltuDecoder {
    #[new]
    fn new(
        mode: &str,
        tolerated_errors: u32,
        accept_inverted: bool,
        derandomize: bool,
        maximum_codeblocks: u64,
    ) -> PyResult<Self> {
        let most = start_sequence::MAXIMUM_TOLERATED_ERRORS;
        if tolerated_errors > most || maximum_codeblocks == 0 {
            let message = format!("at most {most} errors are tolerated, and there is at least one codeblock");
            return Err(PyValueError::new_err(message));
        }
        let parameters =
            Parameters { mode: mode_named(mode)?, tolerated_errors, accept_inverted, derandomize, maximum_codeblocks };
        Ok(CltuDecoder(Mutex::new(Decoder::new(parameters))))
    }

    #[getter]
    fn state(&self) -> &'static str {
        self.decoder().state()
    }

    fn activate(&self) {
        self.decoder().activate();
    }

    fn deactivate<'py>(&self, py: Python<'py>) -> Found<'py> {
        self.work(py, 0, Decoder::deactivate)
    }

    fn feed<'py>(&self, py: Python<'py>, octets: Input<'py>) -> Found<'py> {
        let octets = octets.octets();
        self.work(py, octets.len(), |decoder| decoder.feed_octets(octets))
    }

    fn feed_bits<'py>(&self, py: Python<'py>, bits: Input<'py>) -> PyResult<Found<'py>> {
        let bits = bits.octets();
        if let Some(at) = bits.iter().position(|bit| *bit > 1) {
            return Err(PyValueError::new_err(format!("bit {at} is {}, not 0 or 1", bits[at])));
        }
        Ok(self.work(py, bits.len(), |decoder| decoder.feed_bits(bits.iter().map(|bit| *bit == 1))))
    }

    fn feed_soft<'py>(&self, py: Python<'py>, llr: &Bound<'py, PyAny>) -> PyResult<Found<'py>> {
        let llr = symbols(llr)?;
        Ok(self.work(py, llr.len(), |decoder| decoder.feed_bits(llr.iter().map(|symbol| *symbol < 0.0))))
    }

    fn finish<'py>(&self, py: Python<'py>) -> Found<'py> {
        self.work(py, 0, Decoder::finish)
    }

    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let statistics = self.decoder().statistics();
        let items = PyDict::new(py);
        for (name, value) in [
            ("bits", statistics.bits),
            ("inactive_bits", statistics.inactive_bits),
            ("cltu_bits", statistics.cltu_bits),
            ("cltus", statistics.cltus),
            ("false_starts", statistics.false_starts),
            ("codewords", statistics.codeblocks),
            ("rejected_codewords", statistics.rejected_codeblocks),
            ("tails", statistics.tails),
            ("corrected_bits", statistics.corrected_bits),
            ("start_sequence_bit_errors", statistics.start_errors),
            ("inverted_cltus", statistics.inverted_cltus),
        ] {
            items.set_item(name, value)?;
        }
        Ok(items)
    }
}
