//! Memory handed to Python without a copy, and memory borrowed from it.
//!
//! `bytes` cannot change while it is alive, so kernels read it in place with the interpreter released.
//! Anything else that gives a buffer may be written by another thread: it is copied first.

use std::ffi::{c_int, c_void};

use ccsds_link::recycle;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PyType};

/// Octets owned by Rust, read through the buffer protocol (`memoryview`, `numpy.frombuffer`), or by index and slice.
#[pyclass(frozen, module = "ccsds._native")]
pub(crate) struct Octets(pub(crate) Vec<u8>);

#[pymethods]
impl Octets {
    #[new]
    fn new(octets: Input<'_>) -> Self {
        Self(octets.octets().to_vec())
    }

    /// An octet as an integer, or a slice as a memoryview that shares them.
    fn __getitem__<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        PyMemoryView::from(slf.as_any())?.get_item(key)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyType>, (Bound<'py, PyBytes>,)) {
        (slf.get_type(), (PyBytes::new(slf.py(), &slf.get().0),))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    #[allow(unsafe_code)]
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let octets = &slf.get().0;
        // SAFETY: the interpreter passes a valid `view`; the vector is never changed or dropped while
        // the object lives, and PyBuffer_FillInfo takes a reference to the object; read-only is set.
        let status = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                slf.as_ptr(),
                octets.as_ptr().cast_mut().cast::<c_void>(),
                octets.len() as ffi::Py_ssize_t,
                1,
                flags,
            )
        };
        if status == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

impl Drop for Octets {
    fn drop(&mut self) {
        recycle::give(std::mem::take(&mut self.0));
    }
}

/// What a caller gave us to read.
pub(crate) enum Input<'py> {
    /// Immutable: read in place.
    Bytes(Bound<'py, PyBytes>),
    /// Copied, because somebody could write it meanwhile.
    Copied(Vec<u8>),
}

impl<'py> Input<'py> {
    /// The octets, valid while `self` lives, with or without the interpreter.
    pub(crate) fn octets(&self) -> &[u8] {
        match self {
            Input::Bytes(bytes) => bytes.as_bytes(),
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
        let buffer = PyBuffer::<u8>::get(&object)?;
        if !buffer.is_c_contiguous() {
            return Err(PyBufferError::new_err("octets must be contiguous"));
        }
        Ok(Input::Copied(buffer.to_vec(object.py())?))
    }
}
