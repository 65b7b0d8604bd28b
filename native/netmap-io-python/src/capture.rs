//! Capture files.
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use netmap_io_capture::batch::Annotation;
use netmap_io_capture::catalogue::RawOption;
use netmap_io_capture::error::{CaptureError, Kind};
use netmap_io_capture::reader::{Limits, Reader};
use netmap_io_capture::writer::{Format, Style, check_options};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::buffer::{Column, Columns, Input, batch_to_python};

/// The exception of `netmap_io.errors` for `error`.
fn raise(py: Python<'_>, error: &CaptureError) -> PyErr {
    let name = match error.kind {
        Kind::NotACapture => "NotACaptureError",
        Kind::Damaged => "CaptureDamagedError",
        Kind::TooLong => "CaptureTooLongError",
        Kind::Io | Kind::Interrupted => "CaptureUnreadableError",
    };
    let made = py
        .import("netmap_io.errors")
        .and_then(|module| module.getattr(name))
        .and_then(|class| class.call1((&error.message, error.octet_offset)));
    made.map_or_else(|failure| failure, PyErr::from_value)
}

/// Frames out of a capture.  One thread at a time; others wait.
#[pyclass(frozen, module = "netmap_io._native")]
pub(crate) struct CaptureReader(Mutex<Reader>);

impl CaptureReader {
    /// For the interpreter's own use: waits detached, returns attached.
    fn reader_attached(&self, py: Python<'_>) -> MutexGuard<'_, Reader> {
        self.0.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn options_to_python<'py>(py: Python<'py>, options: &[RawOption]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for RawOption { code, value } in options {
        list.append((code, PyBytes::new(py, value)))?;
    }
    Ok(list)
}

#[pymethods]
impl CaptureReader {
    #[staticmethod]
    fn open_file(py: Python<'_>, path: PathBuf, piece: usize, maximum: usize) -> PyResult<Self> {
        let limits = limits(piece, maximum);
        let reader = py.detach(|| Reader::open_file(&path, limits));
        let reader = reader.map_err(|error| raise(py, &error))?;
        Ok(Self(Mutex::new(reader)))
    }

    #[staticmethod]
    fn open_standard_input(py: Python<'_>, piece: usize, maximum: usize) -> PyResult<Self> {
        let reader = Reader::open_standard_input(limits(piece, maximum));
        let reader = reader.map_err(|error| raise(py, &error))?;
        Ok(Self(Mutex::new(reader)))
    }

    #[staticmethod]
    fn open_memory(octets: Input<'_>, piece: usize, maximum: usize) -> Self {
        Self(Mutex::new(Reader::open_memory(octets.octets().to_vec(), limits(piece, maximum))))
    }

    fn next_batch<'py>(
        &self,
        py: Python<'py>,
        max_frames: usize,
        maximum_reads: usize,
    ) -> PyResult<Bound<'py, PyTuple>> {
        loop {
            match py.detach(|| self.reader().next_batch(max_frames, maximum_reads)) {
                Ok(batch) => return batch_to_python(py, batch),
                Err(error) if error.kind == Kind::Interrupted => py.check_signals()?,
                Err(error) => return Err(raise(py, &error)),
            }
        }
    }

    /// Count what is left at the end as a truncated record.
    fn finish(&self, py: Python<'_>) {
        py.detach(|| self.reader().finish());
    }

    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let state = PyDict::new(py);
        let reader = self.reader_attached(py);
        state.set_item("ended", reader.ended())?;
        state.set_item("at_end", reader.at_end())?;
        state.set_item("compressed", reader.compressed())?;
        state.set_item("truncated", reader.truncated())?;
        state.set_item("truncated_octets", reader.truncated_octets())?;
        state.set_item("position", reader.position())?;
        let catalogue = reader.catalogue();
        state.set_item("interfaces", catalogue.interfaces.len())?;
        state.set_item("other_blocks", catalogue.other_blocks)?;
        state.set_item("dropped_by_annotation", catalogue.dropped_by_annotation)?;
        state.set_item("times_out_of_range", catalogue.times_out_of_range)?;
        state.set_item("metadata_not_kept", catalogue.metadata_not_kept)?;
        state.set_item("malformed_options", catalogue.malformed_options)?;
        Ok(state)
    }

    /// Link types of the interfaces from the `first` on.
    fn link_types(&self, py: Python<'_>, first: usize) -> Vec<u16> {
        let reader = self.reader_attached(py);
        let interfaces = &reader.catalogue().interfaces;
        let new = interfaces.get(first..).unwrap_or_default();
        new.iter().map(|interface| interface.link_type).collect()
    }

    fn catalogue<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let reader = self.reader_attached(py);
        let catalogue = reader.catalogue();
        let sections = PyList::empty(py);
        for section in &catalogue.sections {
            let options = options_to_python(py, &section.options)?;
            sections.append((section.big_endian, section.major, section.minor, options))?;
        }
        let interfaces = PyList::empty(py);
        for interface in &catalogue.interfaces {
            let statistics = match &interface.statistics {
                Some(options) => Some((interface.statistics_timestamp_ns, options_to_python(py, options)?)),
                None => None,
            };
            interfaces.append((
                interface.section,
                interface.link_type,
                interface.snap_length,
                interface.resolution,
                interface.offset_s,
                options_to_python(py, &interface.options)?,
                statistics,
            ))?;
        }
        let all = PyDict::new(py);
        all.set_item("format", catalogue.format)?;
        all.set_item("sections", sections)?;
        all.set_item("interfaces", interfaces)?;
        all.set_item("names", options_to_python(py, &catalogue.names)?)?;
        Ok(all)
    }
}

fn limits(piece_octets: usize, maximum_block_octets: usize) -> Limits {
    Limits { piece_octets, maximum_block_octets }
}

/// Octets of a capture; writes nothing itself.
#[pyclass(frozen, module = "netmap_io._native")]
pub(crate) struct CaptureWriter(Style);

type Options = Vec<(u16, Vec<u8>)>;

fn raw_options(options: Options) -> PyResult<Vec<RawOption>> {
    let values = options.iter().map(|(_, value)| value.as_slice());
    check_options(values).map_err(PyValueError::new_err)?;
    let raw = options.into_iter();
    Ok(raw.map(|(code, value)| RawOption { code, value }).collect())
}

#[pymethods]
impl CaptureWriter {
    #[new]
    fn new(pcapng: bool, big_endian: bool, nanoseconds: bool, link_type: u16, snap_length: u32) -> Self {
        let format = if pcapng { Format::Pcapng } else { Format::Pcap };
        Self(Style { format, big_endian, nanoseconds, link_type, snap_length })
    }

    fn header(&self, section: Options, interface: Options) -> PyResult<Column> {
        let octets = self.0.header(&raw_options(section)?, &raw_options(interface)?);
        Ok(Column::of_octets(octets))
    }

    fn frames(
        &self,
        py: Python<'_>,
        columns: Columns<'_>,
        annotations: Vec<(usize, u16, Vec<u8>)>,
    ) -> PyResult<Column> {
        let values = annotations.iter().map(|(_, _, value)| value.as_slice());
        check_options(values).map_err(PyValueError::new_err)?;
        let annotations: Vec<Annotation> =
            annotations.into_iter().map(|(frame, code, value)| Annotation { frame, code, value }).collect();
        let frames = columns.frames()?;
        let octets = py.detach(|| self.0.frames(&frames, &annotations));
        Ok(Column::of_octets(octets.map_err(PyValueError::new_err)?))
    }

    fn statistics(&self, timestamp_ns: i64, counts: Vec<(u16, u64)>) -> Column {
        Column::of_octets(self.0.statistics(timestamp_ns, &counts))
    }
}
