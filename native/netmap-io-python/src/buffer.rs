//! Memory handed to Python without a copy, and memory borrowed from it.
//!
//! `bytes` and `Column` cannot change while they are alive, so kernels read them in place with the interpreter
//! released.  Anything else that gives a buffer may be written by another thread: it is copied first.

use std::ffi::{c_int, c_void};

use netmap_io_capture::batch::{Annotation, Batch, Frames};
use pyo3::buffer::{Element, PyBuffer};
use pyo3::exceptions::{PyBufferError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

enum Cells {
    U8(Vec<u8>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    I64(Vec<i64>),
}

/// A column owned by Rust, read as octets through the buffer protocol (`memoryview`, `numpy.frombuffer`).
#[pyclass(frozen, module = "netmap_io._native")]
pub(crate) struct Column(Cells);

impl Column {
    fn octets(&self) -> (*const c_void, usize) {
        match &self.0 {
            Cells::U8(cells) => (cells.as_ptr().cast(), cells.len()),
            Cells::U32(cells) => (cells.as_ptr().cast(), cells.len() * 4),
            Cells::U64(cells) => (cells.as_ptr().cast(), cells.len() * 8),
            Cells::I64(cells) => (cells.as_ptr().cast(), cells.len() * 8),
        }
    }

    pub(crate) fn of_octets(octets: Vec<u8>) -> Self {
        Self(Cells::U8(octets))
    }
}

impl From<Vec<u64>> for Column {
    fn from(cells: Vec<u64>) -> Self {
        Self(Cells::U64(cells))
    }
}

impl From<Vec<i64>> for Column {
    fn from(cells: Vec<i64>) -> Self {
        Self(Cells::I64(cells))
    }
}

impl From<Vec<u32>> for Column {
    fn from(cells: Vec<u32>) -> Self {
        Self(Cells::U32(cells))
    }
}

#[pymethods]
impl Column {
    fn __len__(&self) -> usize {
        self.octets().1
    }

    #[allow(unsafe_code)]
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let (start, length) = slf.get().octets();
        // SAFETY: the interpreter passes a valid `view`; `start` and `length` are those of a vector of plain
        // integers that is never changed or dropped while the object lives, and PyBuffer_FillInfo takes a
        // reference to the object; read-only is set.
        let status = unsafe {
            ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start.cast_mut(), length as ffi::Py_ssize_t, 1, flags)
        };
        if status == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// What a caller gave us to read.
pub(crate) enum Input<'py> {
    /// Immutable: read in place.
    Bytes(Bound<'py, PyBytes>),
    /// Our own, immutable: read in place.
    Column(Bound<'py, Column>),
    /// Copied, because somebody could write it meanwhile.
    Copied(Vec<u8>),
}

impl Input<'_> {
    /// The octets, valid while `self` lives, with or without the interpreter.
    pub(crate) fn octets(&self) -> &[u8] {
        match self {
            Input::Bytes(bytes) => bytes.as_bytes(),
            Input::Column(column) => match &column.get().0 {
                Cells::U8(octets) => octets,
                _ => &[],
            },
            Input::Copied(octets) => octets,
        }
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Input<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Input::Bytes(bytes.to_owned()));
        }
        if let Ok(column) = object.cast::<Column>() {
            return match column.get().0 {
                Cells::U8(_) => Ok(Input::Column(column.to_owned())),
                _ => Err(PyBufferError::new_err("a column of octets is needed")),
            };
        }
        let buffer = PyBuffer::<u8>::get(&object)?;
        if !buffer.is_c_contiguous() {
            return Err(PyBufferError::new_err("octets must be contiguous"));
        }
        Ok(Input::Copied(buffer.to_vec(object.py())?))
    }
}

/// A column of integers, copied.
pub(crate) struct Cells1<T>(pub(crate) Vec<T>);

impl<'a, 'py, T: Element> FromPyObject<'a, 'py> for Cells1<T> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let buffer = PyBuffer::<T>::get(&object)?;
        if buffer.dimensions() != 1 {
            return Err(PyBufferError::new_err("a column has one dimension"));
        }
        Ok(Self(buffer.to_vec(object.py())?))
    }
}

/// The four columns that every batch has.
#[derive(FromPyObject)]
pub(crate) struct Columns<'py>(Input<'py>, Cells1<u64>, Cells1<i64>, Cells1<u32>);

impl Columns<'_> {
    /// The columns as a kernel takes them, checked.
    pub(crate) fn frames(&self) -> PyResult<Frames<'_>> {
        let frames = Frames {
            octets: self.0.octets(),
            offsets: &self.1.0,
            timestamps_ns: &self.2.0,
            original_lengths: &self.3.0,
        };
        frames.check().map_err(PyValueError::new_err)?;
        Ok(frames)
    }
}

/// (octets, offsets, timestamps, original lengths, interfaces, annotations)
pub(crate) fn batch_to_python(py: Python<'_>, batch: Batch) -> PyResult<Bound<'_, PyTuple>> {
    let annotations = PyList::empty(py);
    for Annotation { frame, code, value } in &batch.annotations {
        annotations.append((frame, code, PyBytes::new(py, value)))?;
    }
    (
        Column(Cells::U8(batch.octets)),
        Column(Cells::U64(batch.offsets)),
        Column(Cells::I64(batch.timestamps_ns)),
        Column(Cells::U32(batch.original_lengths)),
        Column(Cells::U32(batch.interfaces)),
        annotations,
    )
        .into_pyobject(py)
}
