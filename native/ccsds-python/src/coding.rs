//! Channel coding: error control fields, randomizers, Reed-Solomon.

use ccsds_coding::crc;
use ccsds_coding::header_error_control;
use ccsds_coding::randomizer::{self, Sequence};
use ccsds_coding::reed_solomon::{Basis, Code, ErrorCorrection, Variant};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffer::Input;

/// Below this, giving the interpreter away and taking it back costs more than the work.
const WORTH_RELEASING: usize = 4096;

/// Do `work` on `octets` octets, with the interpreter released where there are many.
pub(crate) fn released<T: Send>(py: Python<'_>, octets: usize, work: impl FnOnce() -> T + Send) -> T {
    if octets < WORTH_RELEASING { work() } else { py.detach(work) }
}

/// New `bytes`, filled before anybody else sees them.
pub(crate) fn filled<'py>(
    py: Python<'py>,
    length: usize,
    fill: impl FnOnce(&mut [u8]) + Send,
) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, length, |octets| {
        released(py, length, || fill(octets));
        Ok(())
    })
}

#[pyfunction]
pub(crate) fn frame_error_control(py: Python<'_>, octets: Input<'_>) -> u16 {
    let octets = octets.octets();
    released(py, octets.len(), || crc::remainder(octets))
}

#[pyfunction]
pub(crate) fn crc32(py: Python<'_>, octets: Input<'_>) -> u32 {
    let octets = octets.octets();
    released(py, octets.len(), || crc::crc32(octets))
}

#[pyfunction]
pub(crate) fn header_error_control_compute(header: Input<'_>) -> PyResult<u16> {
    Ok(header_error_control::compute(sized(&header)?))
}

#[pyfunction]
pub(crate) fn header_error_control_correct<'py>(
    py: Python<'py>,
    header: Input<'py>,
) -> PyResult<Option<(Bound<'py, PyBytes>, u32)>> {
    let mut header = *sized::<8>(&header)?;
    let corrected = header_error_control::correct(&mut header);
    Ok(corrected.map(|count| (PyBytes::new(py, &header), count)))
}

fn sized<'a, const N: usize>(octets: &'a Input<'_>) -> PyResult<&'a [u8; N]> {
    let octets = octets.octets();
    let message = || format!("{N} octets expected, {} given", octets.len());
    octets.try_into().map_err(|_| PyValueError::new_err(message()))
}

fn sequence_named(name: &str) -> PyResult<Sequence> {
    match name {
        "short" => Ok(Sequence::Short),
        "long" => Ok(Sequence::Long),
        "telecommand" => Ok(Sequence::Telecommand),
        _ => Err(PyValueError::new_err(format!("sequence is 'short', 'long' or 'telecommand', not {name:?}"))),
    }
}

#[pyfunction]
pub(crate) fn randomize<'py>(
    py: Python<'py>,
    octets: Input<'py>,
    sequence: &str,
    block_octets: Option<usize>,
) -> PyResult<Bound<'py, PyBytes>> {
    let sequence = sequence_named(sequence)?;
    if block_octets == Some(0) {
        return Err(PyValueError::new_err("block_octets is at least 1"));
    }
    let octets = octets.octets();
    let block_octets = block_octets.unwrap_or(octets.len()).max(1);
    filled(py, octets.len(), |out| {
        for (block, received) in out.chunks_mut(block_octets).zip(octets.chunks(block_octets)) {
            block.copy_from_slice(received);
            randomizer::apply(sequence, block);
        }
    })
}

#[pyfunction]
pub(crate) fn randomizer_octets<'py>(py: Python<'py>, sequence: &str, length: usize) -> PyResult<Bound<'py, PyBytes>> {
    let sequence = sequence_named(sequence)?;
    filled(py, length, |out| randomizer::apply(sequence, out))
}

const VARIANTS: [(&str, Variant); Variant::ALL.len()] =
    [("portable", Variant::Portable), ("avx2", Variant::Avx2), ("avx512-gfni", Variant::Avx512Gfni)];

/// Variants of the Reed-Solomon kernel that this processor has, the slowest first.
#[pyfunction]
pub(crate) fn reed_solomon_variants() -> Vec<&'static str> {
    VARIANTS.iter().filter(|(_, variant)| variant.is_available()).map(|(name, _)| *name).collect()
}

/// One Reed-Solomon code; methods take any number of frames or blocks, end to end.
#[pyclass(frozen, module = "ccsds._native")]
pub(crate) struct ReedSolomon(Code);

impl ReedSolomon {
    /// The code.
    pub(crate) fn code(&self) -> &Code {
        &self.0
    }
}

#[pymethods]
impl ReedSolomon {
    #[new]
    #[pyo3(signature = (error_correction, interleaving_depth, virtual_fill, basis, variant=None))]
    fn new(
        error_correction: usize,
        interleaving_depth: usize,
        virtual_fill: usize,
        basis: &str,
        variant: Option<&str>,
    ) -> PyResult<Self> {
        let error_correction = match error_correction {
            16 => ErrorCorrection::E16,
            8 => ErrorCorrection::E8,
            other => {
                return Err(PyValueError::new_err(format!("error_correction is 16 or 8, not {other}")));
            }
        };
        let basis = match basis {
            "dual" => Basis::Dual,
            "conventional" => Basis::Conventional,
            other => {
                return Err(PyValueError::new_err(format!("basis is 'dual' or 'conventional', not {other:?}")));
            }
        };
        let code = Code::new(error_correction, interleaving_depth, virtual_fill, basis)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        let Some(name) = variant else {
            return Ok(ReedSolomon(code));
        };
        VARIANTS
            .iter()
            .find(|(known, _)| *known == name)
            .and_then(|(_, variant)| code.with_variant(*variant))
            .map(ReedSolomon)
            .ok_or_else(|| PyValueError::new_err(format!("no variant {name:?} on this processor")))
    }

    #[getter]
    fn frame_octets(&self) -> usize {
        self.0.frame_octets()
    }

    #[getter]
    fn block_octets(&self) -> usize {
        self.0.block_octets()
    }

    fn encode<'py>(&self, py: Python<'py>, frames: Input<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let (frame_octets, block_octets) = (self.0.frame_octets(), self.0.block_octets());
        let frames = frames.octets();
        let count = whole(frames.len(), frame_octets)?;
        let mut result = Ok(());
        let blocks = filled(py, count * block_octets, |blocks| {
            result = blocks.chunks_exact_mut(block_octets).zip(frames.chunks_exact(frame_octets)).try_for_each(
                |(block, frame)| {
                    let (start, check_symbols) = block.split_at_mut(frame_octets);
                    start.copy_from_slice(frame);
                    self.0.encode(frame, check_symbols)
                },
            );
        })?;
        result.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(blocks)
    }

    /// Frames, and an int32 for each: symbols corrected, or minus the number of uncorrectable code words.
    fn decode<'py>(&self, py: Python<'py>, blocks: Input<'py>) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        let (frame_octets, block_octets) = (self.0.frame_octets(), self.0.block_octets());
        let blocks = blocks.octets();
        let count = whole(blocks.len(), block_octets)?;
        let mut scratch = vec![0; block_octets];
        let mut column = Vec::with_capacity(4 * count);
        let mut result = Ok(());
        let frames = filled(py, count * frame_octets, |frames| {
            result = frames.chunks_exact_mut(frame_octets).zip(blocks.chunks_exact(block_octets)).try_for_each(
                |(frame, block)| {
                    scratch.copy_from_slice(block);
                    let outcome = self.0.decode(&mut scratch)?;
                    frame.copy_from_slice(&scratch[..frame_octets]);
                    let status = match outcome.uncorrectable_codewords {
                        0 => outcome.corrected_symbols.cast_signed(),
                        codewords => -codewords.cast_signed(),
                    };
                    column.extend_from_slice(&status.to_ne_bytes());
                    Ok(())
                },
            );
        })?;
        result.map_err(|error: ccsds_coding::reed_solomon::Error| PyValueError::new_err(error.to_string()))?;
        Ok((frames, PyBytes::new(py, &column)))
    }
}

/// How many units of `unit` octets there are in `octets`; Err where there is a rest.
pub(crate) fn whole(octets: usize, unit: usize) -> PyResult<usize> {
    if octets.is_multiple_of(unit) {
        return Ok(octets / unit);
    }
    Err(PyValueError::new_err(format!("{octets} octets are not a whole number of units of {unit}")))
}
