//! Binding of `ccsds_packets`: packet offsets and header columns.

use std::ffi::{c_int, c_void};
use std::sync::Mutex;

use ccsds_packets as kernel;
use kernel::{Refusal, Rules, Spare};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::buffer::Input;

/// Values of one column, owned by Rust, read through the buffer protocol (`numpy.frombuffer`).
#[pyclass(frozen, module = "ccsds._native")]
pub(crate) struct Column(kernel::Column);

impl Column {
    fn octets(&self) -> (*const u8, usize) {
        match &self.0 {
            kernel::Column::U8(values) => (values.as_ptr(), values.len()),
            kernel::Column::U16(values) => (values.as_ptr().cast(), size_of_val(&values[..])),
            kernel::Column::U32(values) => (values.as_ptr().cast(), size_of_val(&values[..])),
            kernel::Column::U64(values) => (values.as_ptr().cast(), size_of_val(&values[..])),
        }
    }
}

#[pymethods]
impl Column {
    /// Octets of one value: 1, 2, 4 or 8, unsigned, in the machine's order.
    #[getter]
    fn itemsize(&self) -> usize {
        match self.0 {
            kernel::Column::U8(_) => 1,
            kernel::Column::U16(_) => 2,
            kernel::Column::U32(_) => 4,
            kernel::Column::U64(_) => 8,
        }
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    #[allow(unsafe_code)]
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let (octets, length) = slf.get().octets();
        // SAFETY: the interpreter passes a valid `view`; the vector is never changed while the object lives
        // (it goes only when the object is dropped), and PyBuffer_FillInfo takes a reference to the object;
        // read-only is set.
        let status = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                slf.as_ptr(),
                octets.cast_mut().cast::<c_void>(),
                length as ffi::Py_ssize_t,
                1,
                flags,
            )
        };
        if status == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// Vectors of dropped columns.  A loop over chunks fills the same memory again instead of paying for page
/// faults; at most `KEPT_OCTETS` are kept.
struct Kept {
    offsets: Vec<Vec<u64>>,
    wide: Vec<Vec<u16>>,
    narrow: Vec<Vec<u8>>,
    octets: usize,
}

const KEPT_OCTETS: usize = 16 << 20;
static KEPT: Mutex<Kept> = Mutex::new(Kept { offsets: Vec::new(), wide: Vec::new(), narrow: Vec::new(), octets: 0 });

impl Kept {
    fn keep(&mut self, column: kernel::Column) {
        let octets = match &column {
            kernel::Column::U8(values) => values.capacity(),
            kernel::Column::U16(values) => 2 * values.capacity(),
            kernel::Column::U32(_) => 0,
            kernel::Column::U64(values) => 8 * values.capacity(),
        };
        if octets == 0 || self.octets + octets > KEPT_OCTETS {
            return;
        }
        self.octets += octets;
        match column {
            kernel::Column::U8(values) => self.narrow.push(values),
            kernel::Column::U16(values) => self.wide.push(values),
            kernel::Column::U32(_) => {}
            kernel::Column::U64(values) => self.offsets.push(values),
        }
    }

    fn spare(&mut self) -> Spare {
        let offsets = self.offsets.pop().unwrap_or_default();
        let mut spare = Spare { offsets, ..Spare::default() };
        let mut octets = 8 * spare.offsets.capacity();
        for column in &mut spare.columns {
            match column {
                kernel::Column::U8(values) => {
                    *values = self.narrow.pop().unwrap_or_default();
                    octets += values.capacity();
                }
                kernel::Column::U16(values) => {
                    *values = self.wide.pop().unwrap_or_default();
                    octets += 2 * values.capacity();
                }
                kernel::Column::U32(_) | kernel::Column::U64(_) => {}
            }
        }
        self.octets -= octets;
        spare
    }
}

impl Drop for Column {
    fn drop(&mut self) {
        let column = std::mem::replace(&mut self.0, kernel::Column::U8(Vec::new()));
        if let Ok(mut kept) = KEPT.lock() {
            kept.keep(column);
        }
    }
}

/// Why a walk stopped: ("version", its number), ("too long", octets), ("too short", octets) or ("no length", protocol).
type Stop = Option<(&'static str, u64)>;

fn stop(refusal: Option<Refusal>) -> Stop {
    refusal.map(|refusal| match refusal {
        Refusal::Version(version) => ("version", u64::from(version)),
        Refusal::TooLong(octets) => ("too long", octets),
        Refusal::TooShort(octets) => ("too short", octets),
        Refusal::NoLength(protocol) => ("no length", u64::from(protocol)),
    })
}

fn columns(columns: impl IntoIterator<Item = kernel::Column>) -> Vec<Column> {
    columns.into_iter().map(Column).collect()
}

/// Walk packets back to back: offsets (one more than packets), header columns, octets needed, stop.
#[pyfunction]
#[pyo3(signature = (octets, *, encapsulation, maximum_octets))]
pub(crate) fn scan_packets(
    py: Python<'_>,
    octets: Input<'_>,
    encapsulation: bool,
    maximum_octets: u64,
) -> (Column, Vec<Column>, u64, Stop) {
    let rules = Rules { encapsulation, maximum_octets };
    let read = octets.octets();
    let table = py.detach(|| {
        let spare = KEPT.lock().map(|mut kept| kept.spare()).unwrap_or_default();
        kernel::scan(read, &rules, spare)
    });
    let offsets = Column(kernel::Column::U64(table.offsets));
    (offsets, columns(table.columns), table.needed, stop(table.refusal))
}

fn outside(error: kernel::HeaderOutside) -> PyErr {
    PyIndexError::new_err(format!("header {} does not lie inside the buffer", error.0))
}

fn starts_of(py: Python<'_>, starts: &PyBuffer<u64>) -> PyResult<Vec<u64>> {
    if starts.dimensions() != 1 {
        return Err(PyValueError::new_err("starts must have one dimension"));
    }
    starts.to_vec(py)
}

/// The header columns of packets that begin at `starts`.
#[pyfunction]
pub(crate) fn packet_columns(py: Python<'_>, octets: Input<'_>, starts: PyBuffer<u64>) -> PyResult<Vec<Column>> {
    let starts = starts_of(py, &starts)?;
    let read = octets.octets();
    py.detach(|| kernel::packet_columns(read, &starts)).map(columns).map_err(outside)
}

/// One column per (bit offset, bits) of the headers that begin at `starts`.
#[pyfunction]
pub(crate) fn cut_columns(
    py: Python<'_>,
    octets: Input<'_>,
    starts: PyBuffer<u64>,
    header_octets: u64,
    fields: Vec<(u32, u32)>,
) -> PyResult<Vec<Column>> {
    let inside = |&(offset, bits): &(u32, u32)| {
        (1..=64).contains(&bits) && u64::from(offset) + u64::from(bits) <= header_octets.saturating_mul(8)
    };
    if !fields.iter().all(inside) {
        return Err(PyValueError::new_err("a field has 1 to 64 bits inside its header"));
    }
    let starts = starts_of(py, &starts)?;
    let read = octets.octets();
    py.detach(|| kernel::cut_columns(read, &starts, header_octets, &fields)).map(columns).map_err(outside)
}

/// The kernel's table of the space packet header: (name, bit offset, bits).
#[pyfunction]
pub(crate) fn space_packet_header_fields() -> Vec<(&'static str, u32, u32)> {
    kernel::FIELDS.map(|field| (field.name, field.bit_offset, field.bits)).to_vec()
}
