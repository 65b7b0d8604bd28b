//! Rings in memory shared with another process.
use std::ffi::c_int;
use std::os::raw::c_void;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netmap_io_capture::batch::Batch;
use netmap_io_sockets::shared::{Consumer, Map, Producer, Sizes};
use pyo3::exceptions::{PyConnectionError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::buffer::{Cells1, Columns, batch_to_python};

fn hold<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Frames that lie in the ring, read as octets through the buffer protocol.  Keeps the memory mapped.
#[pyclass(frozen, module = "netmap_io._native")]
pub(crate) struct SharedOctets {
    map: Arc<Map>,
    at: usize,
    octets: usize,
}

#[pymethods]
impl SharedOctets {
    fn __len__(&self) -> usize {
        self.octets
    }

    #[allow(unsafe_code)]
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let this = slf.get();
        let start =
            this.map.address(this.at, this.octets).ok_or_else(|| PyValueError::new_err("outside of the map"))?;
        let start: *mut c_void = start.cast_mut().cast();
        // SAFETY: the interpreter passes a valid `view`; the octets are within a mapping that lives as long as this
        // object, to which PyBuffer_FillInfo takes a reference; read-only is set.  The other side can change them.
        let status =
            unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, this.octets as ffi::Py_ssize_t, 1, flags) };
        if status == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// One end of a pair of rings.  The descriptors stay the caller's.
#[pyclass(frozen, module = "netmap_io._native")]
pub(crate) struct SharedRings {
    map: Arc<Map>,
    producer: Mutex<Producer>,
    consumer: Mutex<Consumer>,
}

fn link_octets<'py>(py: Python<'py>, link_types: &[u16]) -> Bound<'py, PyBytes> {
    let octets: Vec<u8> = link_types.iter().flat_map(|number| number.to_ne_bytes()).collect();
    PyBytes::new(py, &octets)
}

/// The columns, and the LINKTYPE numbers (uint16, octets).
type Taken<'py> = (Bound<'py, PyTuple>, Bound<'py, PyBytes>);

fn taken<'py>(py: Python<'py>, batch: Batch, link_types: &[u16]) -> PyResult<Taken<'py>> {
    Ok((batch_to_python(py, batch)?, link_octets(py, link_types)))
}

#[pymethods]
impl SharedRings {
    /// Octets of the file for lanes of this many frames and octets.
    #[staticmethod]
    fn file_octets(frames: u64, octets: u64) -> PyResult<usize> {
        let sizes = Sizes::new(frames, octets).ok_or_else(|| PyValueError::new_err("no lane can be of these sizes"))?;
        Ok(sizes.file_octets())
    }

    #[staticmethod]
    fn create(memory: i32, frames: u64, octets: u64, own_event: i32, their_event: i32) -> PyResult<Self> {
        let sizes = Sizes::new(frames, octets).ok_or_else(|| PyValueError::new_err("no lane can be of these sizes"))?;
        let map = Map::create(memory, sizes).map_err(PyConnectionError::new_err)?;
        Ok(Self::of(map, (0, 1), own_event, their_event))
    }

    #[staticmethod]
    fn attach(memory: i32, own_event: i32, their_event: i32) -> PyResult<Self> {
        let map = Map::attach(memory).map_err(PyConnectionError::new_err)?;
        Ok(Self::of(map, (1, 0), own_event, their_event))
    }

    /// (frames, octets) of a lane.
    fn sizes(&self) -> (u64, u64) {
        (self.map.sizes().frames, self.map.sizes().octets)
    }

    fn put(
        &self,
        py: Python<'_>,
        columns: Columns<'_>,
        link_types: Cells1<u16>,
        interfaces: Cells1<u32>,
    ) -> PyResult<usize> {
        let frames = columns.frames()?;
        let put = py.detach(|| hold(&self.producer).put(&frames, &link_types.0, &interfaces.0));
        put.map_err(PyConnectionError::new_err)
    }

    /// Frames put that the other end has not taken.
    fn untaken(&self) -> PyResult<u64> {
        hold(&self.producer).untaken().map_err(PyConnectionError::new_err)
    }

    /// Frames to take.
    fn waiting(&self) -> PyResult<u64> {
        hold(&self.consumer).waiting().map_err(PyConnectionError::new_err)
    }

    fn take<'py>(&self, py: Python<'py>, max_frames: u64) -> PyResult<Taken<'py>> {
        let (batch, link_types) = py
            .detach(|| {
                let mut consumer = hold(&self.consumer);
                let got = consumer.take(max_frames)?;
                consumer.arm()?;
                Ok(got)
            })
            .map_err(|fault: String| PyConnectionError::new_err(fault))?;
        taken(py, batch, &link_types)
    }

    /// As `take`, but the octets stay in the ring until `give_back`.
    fn lend<'py>(&self, py: Python<'py>, max_frames: u64) -> PyResult<(SharedOctets, Taken<'py>)> {
        let lent = py
            .detach(|| {
                let mut consumer = hold(&self.consumer);
                let lent = consumer.lend(max_frames)?;
                consumer.arm()?;
                Ok(lent)
            })
            .map_err(|fault: String| PyConnectionError::new_err(fault))?;
        let octets = SharedOctets { map: Arc::clone(&self.map), at: lent.at, octets: lent.octets };
        Ok((octets, taken(py, lent.columns, &lent.link_types)?))
    }

    fn give_back(&self) {
        hold(&self.consumer).give_back();
    }
}

impl SharedRings {
    fn of(map: Arc<Map>, (out, inward): (usize, usize), own_event: i32, their_event: i32) -> Self {
        let producer = Mutex::new(Producer::new(&map, out, their_event));
        let consumer = Mutex::new(Consumer::new(&map, inward, own_event));
        Self { map, producer, consumer }
    }
}
