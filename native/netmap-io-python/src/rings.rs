//! What both kinds of rings share: their memory as a buffer, lent slots, errors.
use std::ffi::{c_int, c_void};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netmap_io_rings::error::{Kind, RingError};
use netmap_io_rings::memory::Mapping;
use netmap_io_rings::slots::{Slot, gather};
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::buffer::{Cells1, Column};

/// The exception of `netmap_io.errors` for `error`.
pub(crate) fn raise(py: Python<'_>, error: &RingError) -> PyErr {
    let name = match error.kind {
        Kind::Frame => return PyValueError::new_err(error.message.clone()),
        Kind::Interface => "InterfaceError",
        Kind::Privilege => "PortPrivilegeError",
        Kind::Busy => "PortBusyError",
        Kind::Down => "InterfaceDownError",
        Kind::Vanished => "InterfaceVanishedError",
        Kind::Unsupported => "PortUnsupportedError",
        Kind::System => "PortError",
    };
    let made = py
        .import("netmap_io.errors")
        .and_then(|module| module.getattr(name))
        .and_then(|class| class.call1((&error.message,)));
    made.map_or_else(|failure| failure, PyErr::from_value)
}

/// Half of a port, until it is closed.  One thread at a time; others wait.
pub(crate) struct Half<T>(Mutex<Option<T>>);

impl<T> Half<T> {
    pub(crate) fn new(half: T) -> Self {
        Self(Mutex::new(Some(half)))
    }

    fn locked(&self) -> MutexGuard<'_, Option<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Work on it with the interpreter released.
    pub(crate) fn with<R: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut T) -> R + Send) -> PyResult<R>
    where
        T: Send,
    {
        py.detach(|| self.locked().as_mut().map(work)).ok_or_else(|| PyValueError::new_err("these rings are closed"))
    }

    /// Work on two of them, with the interpreter released; the first is always a receiving one, so that nobody waits in a
    /// circle.
    pub(crate) fn with_both<U: Send, R: Send>(
        py: Python<'_>,
        first: &Self,
        second: &Half<U>,
        work: impl FnOnce(&mut T, &mut U) -> R + Send,
    ) -> PyResult<R>
    where
        T: Send,
    {
        let done = py.detach(|| match (first.locked().as_mut(), second.locked().as_mut()) {
            (Some(first), Some(second)) => Some(work(first, second)),
            _ => None,
        });
        done.ok_or_else(|| PyValueError::new_err("these rings are closed"))
    }

    /// Release it.
    pub(crate) fn close(&self, py: Python<'_>)
    where
        T: Send,
    {
        py.detach(|| drop(self.locked().take()));
    }
}

/// Memory shared with the kernel, for reading; mapped as long as this or a view of it lives.
#[pyclass(frozen, module = "netmap_io._native")]
pub(crate) struct RingMemory(Arc<Mapping>);

impl RingMemory {
    pub(crate) fn of(memory: &Arc<Mapping>) -> Self {
        Self(Arc::clone(memory))
    }
}

#[pymethods]
impl RingMemory {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// The octets of the frames at `starts`, back to back.
    fn gather(&self, py: Python<'_>, starts: Cells1<u64>, lengths: Cells1<u32>) -> PyResult<Column> {
        let (starts, lengths) = (starts.0, lengths.0);
        let slots: Vec<Slot> = std::iter::zip(&starts, &lengths)
            .map(|(&start, &length)| Slot {
                offset: start as usize,
                length: length as usize,
                original_length: length,
                timestamp_ns: -1,
                interface: 0,
            })
            .collect();
        let batch = py.detach(|| gather(&self.0, &slots));
        if starts.len() != lengths.len() || batch.len() != slots.len() {
            return Err(PyValueError::new_err("the slots are not in this memory"));
        }
        Ok(Column::of_octets(batch.octets))
    }

    #[allow(unsafe_code)]
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let memory = &slf.get().0;
        let (start, length) = (memory.address().cast::<c_void>(), memory.len());
        // SAFETY: the interpreter passes a valid `view`; the region stays mapped while the object lives, and
        // PyBuffer_FillInfo takes a reference to the object; read-only is set.  The kernel may write to the region:
        // Python reads octets, of which every value is valid.
        let status = unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, length as ffi::Py_ssize_t, 1, flags) };
        if status == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// (starts, lengths, timestamps, original lengths, interfaces, offsets), each as octets of a column; the offsets are those
/// of the frames put back to back
pub(crate) fn slots_to_python<'py>(py: Python<'py>, slots: &[Slot]) -> PyResult<Bound<'py, PyTuple>> {
    let count = slots.len();
    let (mut starts, mut lengths, mut times) = (vec![0_u64; count], vec![0_u32; count], vec![0_i64; count]);
    let (mut originals, mut interfaces, mut offsets) = (vec![0_u32; count], vec![0_u32; count], vec![0_u64; count + 1]);
    let mut end = 0;
    let places = starts.iter_mut().zip(&mut lengths).zip(&mut offsets[1..]);
    for (slot, ((start, length), offset)) in slots.iter().zip(places) {
        end += slot.length as u64;
        (*start, *length, *offset) = (slot.offset as u64, slot.length as u32, end);
    }
    let others = times.iter_mut().zip(&mut originals).zip(&mut interfaces);
    for (slot, ((time, original), interface)) in slots.iter().zip(others) {
        (*time, *original, *interface) = (slot.timestamp_ns, slot.original_length, slot.interface);
    }
    (
        Column::from(starts),
        Column::from(lengths),
        Column::from(times),
        Column::from(originals),
        Column::from(interfaces),
        Column::from(offsets),
    )
        .into_pyobject(py)
}
